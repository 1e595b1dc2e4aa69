//! The example `compare_solvers` as a user runs it.

#![allow(clippy::unwrap_used)] // in the helpers of tests, as in tests

use std::path::Path;

#[path = "common/example.rs"]
mod example;

const NAME: &str = "compare_solvers";
const SMALL: [&str; 4] = ["--size", "24", "--max-work", "150"];

fn compare(out: &Path, more: &[&str]) -> (String, serde_json::Value) {
    let text = example::succeeds(NAME, out, &[&SMALL[..], more].concat());
    let json = std::fs::read_to_string(out.join("compare.json")).unwrap();
    (text, serde_json::from_str(&json).unwrap())
}

#[test]
fn every_solver_has_a_line_and_a_curve_and_one_that_fails_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let solvers = "fixed-1e-2,maid,hoag-cubic";
    let (text, json) = compare(&out, &["--solvers", solvers, "--trust", "unknown"]);
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), 3);
    // MAID rests on bounds and says so; the others run.
    assert!(rows[2]["solver"] == "maid" && rows[2]["error"].as_str().unwrap().contains("unknown"));
    for row in &rows[..2] {
        assert!(text.contains(row["solver"].as_str().unwrap()));
        assert!(row["psnr"].as_f64().unwrap() > 20.0 && row["loss"].as_f64().unwrap() > 0.0);
        assert_eq!(row["trust"], "unknown");
        let count = |key: &str| row[key].as_u64().unwrap();
        assert_eq!(
            count("sum"),
            count("lower_gradients") + count("hessian_products")
        );
        // Seven images.
        let enough = count("sum") >= 7 * 150 && row["status"] == "budget_exhausted";
        assert!(enough || row["status"] == "stalled", "{row}");
    }
    let csv = std::fs::read_to_string(out.join("compare.csv")).unwrap();
    assert_eq!(csv.lines().count(), 3, "a header and two solvers");
    assert!(csv.lines().all(|line| line.split(',').count() == 11));
    let svg = std::fs::read_to_string(out.join("compare.svg")).unwrap();
    for name in [
        "Upper value",
        "Mean PSNR of the test images (dB)",
        "hoag-cubic",
    ] {
        assert!(svg.contains(name), "{name}");
    }
    assert!(!svg.contains(">\nmaid\n"));
}

#[test]
fn all_problems_and_solvers_run_and_threads_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let experts = [
        "--filters",
        "2",
        "--filter-size",
        "3",
        "--patches",
        "2",
        "--patch-size",
        "16",
    ];
    let all = "maid,maid-lbfgs,maid-bb,maid-non-monotone,maid-diagonal,maid-goal-oriented,hoag-exponential,derivative-free,argmin-lbfgs,argmin-nelder-mead";
    for (problem, solvers) in [
        ("tv", all),
        ("tv-isotropic", "maid"),
        ("foe", "maid"),
        ("foe-weakly-convex", "fixed"),
    ] {
        let svg = ["1", "2"].map(|threads| {
            let out = folder.path().join(threads);
            let settings = [
                "--problem",
                problem,
                "--solvers",
                solvers,
                "--threads",
                threads,
            ];
            let (_, json) = compare(&out, &[&settings[..], &experts].concat());
            for row in json.as_array().unwrap() {
                assert!(row["error"].is_null(), "{row}");
            }
            std::fs::read(out.join("compare.svg")).unwrap()
        });
        assert!(svg[0] == svg[1], "{problem}");
    }
}

#[test]
fn bad_input_gets_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |more: &[&str], words: &[&str]| {
        example::refused(NAME, folder.path(), &[&SMALL[..], more].concat(), words);
    };
    refused(
        &["--solvers", "maid,newton"],
        &["`newton`", "hoag-quadratic", "fixed"],
    );
    refused(&["--solvers", "fixed-nan"], &["epsilon", "NaN"]);
    refused(&["--problem", "sudoku"], &["sudoku", "foe"]);
    refused(&["--accuracy", "0"], &["epsilon", "positive"]);
    refused(&["--theta", "1"], &["theta", "1 number", "2 numbers"]);
    refused(
        &["--problem", "foe", "--filter-size", "4"],
        &["filter size is 4"],
    );
    refused(&["--patches", "3"], &["24×24", "58×58"]);
    refused(&["--sigma", "NaN"], &["sigma", "NaN"]);
    refused(
        &["--test", folder.path().to_str().unwrap()],
        &["no PNG files"],
    );
    refused(
        &["--max-seconds", "NaN", "--solvers", "maid"],
        &["no solver"],
    );
}
