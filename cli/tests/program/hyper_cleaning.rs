//! The command `hyper-cleaning` as a user runs it: what it writes, that it is reproducible and resumable, and what it refuses.

use crate::command::{self, read};

const NAME: &str = "hyper-cleaning";
const SMALL: [&str; 8] = [
    "--train",
    "300",
    "--validation",
    "200",
    "--block",
    "40",
    "--max-iterations",
    "6",
];

/// The small run with some of its options replaced and others added.
fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    command::with(&SMALL, more)
}

#[test]
fn wrong_labels_are_found_and_the_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let text = command::succeeds(NAME, out, &with(&["--max-iterations", "20"]));
    assert!(text.contains("F1") && text.contains("certified"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&read(out, "report.json")).unwrap();
    let number = |key: &str| report[key].as_f64().unwrap();
    // Half of the labels are wrong: by chance F1 would be one half.
    assert!(number("f1") > 0.7, "{}", number("f1"));
    assert!(number("test_accuracy_right_labels") > number("test_accuracy_all_labels"));
    let suspects = read(out, "suspects.csv");
    assert_eq!(suspects.lines().count(), 301);
    let weights: Vec<f64> = suspects
        .lines()
        .skip(1)
        .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
        .collect();
    assert!(weights.is_sorted() && weights[0] < 0.5 && weights[299] > 0.5);
    for file in [
        "trace.csv",
        "convergence.svg",
        "weights.svg",
        "suspects.png",
    ] {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads_and_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    for solver in ["saba", "bo-rep", "srba"] {
        let run = |name: &str, more: &[&str]| {
            let arguments = [&["--solver", solver], more].concat();
            command::succeeds(NAME, &out(name), &with(&arguments));
            (
                read(&out(name), "trace.csv"),
                read(&out(name), "suspects.csv"),
            )
        };
        let whole = run("one", &["--threads", "1"]);
        assert_eq!(whole, run("two", &["--threads", "2"]), "{solver}");
        let path = out("run.ckpt").display().to_string();
        run("begun", &["--max-iterations", "2", "--checkpoint", &path]);
        assert_eq!(whole, run("resumed", &["--resume", &path]), "{solver}");
    }
}

#[test]
fn bad_input_ends_with_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let missing = out.join("missing").display().to_string();
    let refused = |more: &[&str], words: &[&str]| {
        command::refused(NAME, out, &with(more), words);
    };
    refused(&["--corruption", "1.5"], &["share", "1.5"]);
    refused(&["--corruption=NaN"], &["share", "NaN"]);
    refused(&["--train", "4900"], &["4900", "200", "5000 samples"]);
    refused(&["--validation", "0"], &["--validation 0"]);
    refused(&["--batch", "301"], &["lower_batch", "301", "300"]);
    refused(&["--batch", "0"], &["lower_batch", "0"]);
    refused(&["--block", "0"], &["block"]);
    refused(&["--penalty", "0"], &["penalty", "positive"]);
    refused(&["--penalty=inf"], &["penalty", "inf"]);
    refused(&["--solver", "sobah"], &["sobah", "soba", "maid-lbfgs"]);
    refused(&["--solver", "grid"], &["grid"]);
    refused(&["--data", &missing], &["missing", "No such file"]);
    refused(&["--accuracy", "0"], &["epsilon", "positive"]);
}
