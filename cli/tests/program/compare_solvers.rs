//! The command `compare-solvers` as a user runs it.

use std::path::Path;

use crate::command;

const NAME: &str = "compare-solvers";
const SMALL: [&str; 4] = ["--size", "24", "--max-work", "150"];

fn compare(out: &Path, more: &[&str]) -> (String, serde_json::Value) {
    let text = command::succeeds(NAME, out, &[&SMALL[..], more].concat());
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
    let all = "maid,maid-lbfgs,maid-extrapolating,maid-bb,maid-non-monotone,maid-diagonal,maid-goal-oriented,hoag-exponential,derivative-free,random,grid,tpe,argmin-lbfgs,argmin-nelder-mead,argmin-swarm";
    let patches: &[&str] = &["--patches", "2", "--patch-size", "16"];
    let experts: &[&str] = &["--filters", "2", "--filter-size", "3"];
    let experts = &[patches, experts].concat()[..];
    for (problem, solvers, more) in [
        ("tv", all, patches),
        ("tv-isotropic", "maid", patches),
        ("tv-patches", "maid,random", &["--weight-patch", "8"]),
        ("tv-pixels", "maid", &[]),
        ("tv-sure", "maid,random", patches),
        ("tikhonov", "maid,grid", patches),
        ("foe", "maid,random-1", experts),
        ("foe-weakly-convex", "fixed", experts),
        ("deblur-tv", "maid", patches),
        ("deblur-foe", "fixed", experts),
    ] {
        let svg = ["1", "2"].map(|threads| {
            let out = folder.path().join(threads);
            let settings = ["--problem", problem, "--solvers", solvers];
            let settings = [&settings[..], &["--threads", threads], more].concat();
            let (_, json) = compare(&out, &settings);
            let rows = json.as_array().unwrap();
            assert_eq!(rows.len(), solvers.split(',').count());
            for row in rows {
                assert!(row["error"].is_null(), "{problem}: {row}");
                // A risk estimate may be anything; an error is positive.
                let loss = row["loss"].as_f64().unwrap();
                assert!(loss > 0.0 || problem == "tv-sure", "{problem}: {row}");
                assert!(row["psnr"].as_f64().unwrap() > 10.0, "{problem}: {row}");
            }
            let csv = std::fs::read_to_string(out.join("compare.csv")).unwrap();
            assert_eq!(csv.lines().count(), rows.len() + 1);
            std::fs::read(out.join("compare.svg")).unwrap()
        });
        assert!(svg[0] == svg[1], "{problem}");
    }
}

#[test]
fn what_is_learned_differs_with_the_options_of_the_problem() {
    let folder = tempfile::tempdir().unwrap();
    let loss = |more: &[&str]| {
        let settings = [&["--solvers", "maid"], more].concat();
        let (_, json) = compare(folder.path(), &settings);
        json[0]["loss"].as_f64().unwrap()
    };
    let blurred = loss(&["--problem", "deblur-tv"]);
    // A narrower blur hides less, and less noise too.
    let narrow = loss(&["--problem", "deblur-tv", "--blur", "0.8"]);
    assert!(narrow < blurred, "{narrow} {blurred}");
    let noisy = loss(&["--problem", "deblur-tv", "--sigma", "0.1"]);
    assert!(noisy > blurred, "{noisy} {blurred}");
    // γ pulls the image to zero.
    let pulled = loss(&["--problem", "deblur-tv", "--ridge", "1"]);
    assert!(pulled > blurred, "{pulled} {blurred}");
    let start = loss(&[
        "--problem",
        "tikhonov",
        "--theta=-1,-1,-1",
        "--max-iterations",
        "0",
    ]);
    let other = loss(&[
        "--problem",
        "tikhonov",
        "--theta=-9,-1,-1",
        "--max-iterations",
        "0",
    ]);
    assert!(other < start, "{other} {start}");
}

#[test]
fn bad_input_gets_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |more: &[&str], words: &[&str]| {
        command::refused(NAME, folder.path(), &[&SMALL[..], more].concat(), words);
    };
    refused(
        &["--solvers", "maid,newton"],
        &["`newton`", "hoag-quadratic", "fixed", "argmin-swarm"],
    );
    refused(&["--solvers", "fixed-nan"], &["epsilon", "NaN"]);
    refused(&["--problem", "sudoku"], &["sudoku", "foe"]);
    refused(&["--accuracy", "0"], &["epsilon", "positive"]);
    refused(&["--theta", "1"], &["theta", "1 number", "2 numbers"]);
    let theta = |problem: &str, theta: &str, words: &[&str]| {
        refused(&["--problem", problem, theta], words);
    };
    theta(
        "tikhonov",
        "--theta=-1,-1",
        &["theta", "2 numbers", "3 numbers"],
    );
    theta("tv-pixels", "--theta=-1,-1", &["2 numbers", "577 numbers"]);
    theta("deblur-tv", "--theta=-1,-1,-1", &["3 numbers", "2 numbers"]);
    theta("tv-sure", "--theta=-1", &["1 number", "2 numbers"]);
    theta(
        "foe",
        "--theta=1,2",
        &["theta", "2 numbers", "8 filters of 7×7"],
    );
    theta("tv", "--theta=-1,x", &["theta", "x"]);
    refused(
        &[
            "--problem",
            "tv-patches",
            "--patches",
            "3",
            "--patch-size",
            "16",
        ],
        &["one shape", "16×16", "24×24"],
    );
    refused(&["--weight-patch", "0"], &["weight-patch", "0"]);
    let blurred = |more: &[&str], words: &[&str]| {
        refused(&[&["--problem", "deblur-tv"], more].concat(), words);
    };
    blurred(&["--blur", "0"], &["--blur", "at least 0.1"]);
    blurred(&["--blur", "9"], &["--blur", "24×24"]);
    blurred(&["--ridge=-1"], &["ridge", "-1"]);
    blurred(&["--ridge", "0"], &["ridge", "strongly convex"]);
    refused(&["--problem", "tv-sure", "--sigma", "0"], &["sigma", "0.0"]);
    refused(
        &["--problem", "tv-pixels", "--solvers", "maid,grid"],
        &["577 entries", "at most 4", "`random`"],
    );
    for bad in ["0", "-1", "NaN", "inf"] {
        refused(&["--half-width", bad], &["half width"]);
    }
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
