//! The command `stochastic-benchmark` as a user runs it: what it writes, that it is reproducible and resumable, and what it refuses.

use crate::command::{self, read};

const NAME: &str = "stochastic-benchmark";
const SOLVERS: [&str; 2] = ["--solvers", "saba,soba,maid-lbfgs"];

#[test]
fn variance_reduction_and_exact_gradients_reach_the_closed_form_and_soba_comes_near() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    command::succeeds(NAME, out, &SOLVERS);
    let report: serde_json::Value = serde_json::from_str(&read(out, "report.json")).unwrap();
    let last = |i: usize| report["solvers"][i]["suboptimality"][1].as_f64().unwrap();
    assert!(last(0).abs() < 1e-9, "saba: {}", last(0));
    assert!(last(1) < 1e-1 && last(1) > 1e-9, "soba: {}", last(1));
    assert!(last(2).abs() < 1e-6, "maid: {}", last(2));
    for file in ["benchmark.svg", "seconds.svg", "times.csv"] {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }
}

#[test]
fn solvers_on_all_samples_are_drawn_by_upper_loss_against_lower_iterations() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let solvers = ["--problem", "digits", "--solvers", "maid,hoag-cubic"];
    let budget = ["--max-epochs", "60", "--optimum-iterations", "0"];
    command::succeeds(NAME, out, &[solvers, budget].concat());
    let drawn = read(out, "benchmark.svg");
    assert!(drawn.contains("Upper loss") && drawn.contains("lower iterations"));
    let trace = read(out, "trace.csv");
    let mut lines = trace.lines();
    let columns: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name| columns.iter().position(|c| *c == name).unwrap();
    let [first, last] = [lines.next().unwrap(), lines.last().unwrap()]
        .map(|line| line.split(',').map(String::from).collect::<Vec<_>>());
    let loss = |row: &[String]| row[column("value")].parse::<f64>().unwrap();
    assert!(loss(&last) < loss(&first));
    assert_eq!(last[column("suboptimality")], "");
    assert!(last[column("lower_iterations")].parse::<u64>().unwrap() > 0);
}

#[test]
fn the_same_bytes_on_any_number_of_threads_and_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, solvers: &str, more: &[&str]| {
        let out = folder.path().join(name);
        let arguments = ["--solvers", solvers, "--max-epochs", "50", "--seeds", "2"];
        command::succeeds(NAME, &out, &[&arguments[..], more].concat());
        (read(&out, "trace.csv"), read(&out, "benchmark.svg"))
    };
    let whole = run("one", "saba,bo-rep,hoag-quadratic", &["--threads", "1"]);
    let two = run("two", "saba,bo-rep,hoag-quadratic", &["--threads", "2"]);
    assert!(whole == two);
    run("begun", "saba", &[]);
    let resumed = run("begun", "saba,bo-rep,hoag-quadratic", &["--resume"]);
    assert!(whole == resumed);
    // Of other settings nothing is taken over.
    let other = ["--max-epochs", "60", "--resume"];
    command::refused(
        NAME,
        &folder.path().join("begun"),
        &other,
        &["50.0 epochs", "60.0"],
    );
}

#[test]
fn bad_input_ends_with_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let refused = |more: &[&str], words: &[&str]| command::refused(NAME, out, more, words);
    refused(&["--solvers", "sobah"], &["sobah", "soba"]);
    refused(&["--problem", "ijcnn1"], &["--data", "ijcnn1"]);
    refused(&["--problem", "mnist12"], &["--data", "MNIST"]);
    refused(&["--problem", "none"], &["none", "quadratic"]);
    refused(&["--seeds", "0"], &["seed"]);
    refused(&["--points", "1"], &["two points"]);
    refused(&["--max-epochs=NaN"], &["--max-epochs", "NaN"]);
    refused(&["--evaluation", "0"], &["epsilon"]);
    refused(&["--batch", "2000"], &["lower_batch", "2000", "1000"]);
    std::fs::write(out.join("runs.json"), "{").unwrap();
    refused(&["--resume"], &["runs.json", "no runs"]);
}
