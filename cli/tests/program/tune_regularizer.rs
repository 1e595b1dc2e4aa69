//! The command `tune-regularizer` as a user runs it: what it writes, that it is reproducible and resumable, and what it refuses.

use crate::command::{self, read};

const NAME: &str = "tune-regularizer";
const SMALL: [&str; 18] = [
    "--test",
    "100",
    "--train",
    "300",
    "--validation",
    "200",
    "--epochs",
    "2",
    "--hidden",
    "8",
    "--batch",
    "50",
    "--step",
    "0.05",
    "--max-iterations",
    "2",
    "--noise",
    "0.4",
];

/// The small run with some of its options replaced and others added.
fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    command::with(&SMALL, more)
}

#[test]
fn every_regularizer_and_model_is_tuned_and_its_figures_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for (more, files) in [
        (&["--regularizer", "elr"][..], &["memorisation.svg"][..]),
        (
            &["--regularizer", "pskd", "--mode", "reverse"],
            &["calibration.svg"],
        ),
        (
            &["--regularizer", "dm", "--model", "convolutional"],
            &["mixed.svg"],
        ),
        (
            &[
                "--regularizer",
                "elr,wc-tanh",
                "--model",
                "linear",
                "--precision",
                "f64",
            ],
            &["memorisation.svg", "weights.svg"],
        ),
        (
            &[
                "--regularizer",
                "elr",
                "--model",
                "recurrent",
                "--noise-kind",
                "instance",
                "--optimizer",
                "adam",
            ],
            &["memorisation.svg"],
        ),
        (
            &[
                "--regularizer",
                "wc",
                "--treatment",
                "frozen",
                "--refresh",
                "1",
                "--solver",
                "hoag-quadratic",
                "--model",
                "linear",
                "--decay",
                "0.01",
            ],
            &["weights.svg"],
        ),
    ] {
        let out = folder.path().join(more[1]);
        let text = command::succeeds(NAME, &out, &with(more));
        assert!(text.contains("tuned") && text.contains("default"), "{text}");
        let report: serde_json::Value = serde_json::from_str(&read(&out, "report.json")).unwrap();
        let loss = |name: &str| report[format!("validation_loss_{name}")].as_f64().unwrap();
        // Frozen targets are another problem than the one that is judged.
        if !more.contains(&"frozen") {
            assert!(loss("tuned") <= loss("default"), "{more:?}");
        }
        let common = ["trace.csv", "convergence.svg", "accuracy.svg", "theta.svg"];
        for file in common.iter().chain(files) {
            assert!(
                out.join(file).metadata().unwrap().len() > 0,
                "{more:?}: {file}"
            );
        }
        assert_eq!(read(&out, "results.csv").lines().count(), 4);
    }
    let out = folder.path().join("none");
    let text = command::succeeds(
        NAME,
        &out,
        &with(&["--regularizer", "none", "--seeds", "2"]),
    );
    assert!(text.contains("2 seed(s)"), "{text}");
    assert_eq!(read(&out, "results.csv").lines().count(), 3);
}

#[test]
fn the_same_bytes_on_any_number_of_threads_and_after_an_interruption() {
    let folder = tempfile::tempdir().unwrap();
    let out = |name: &str| folder.path().join(name);
    for mode in ["forward", "reverse", "truncated"] {
        let run = |name: &str, more: &[&str]| {
            let arguments = [&["--mode", mode], more].concat();
            command::succeeds(NAME, &out(name), &with(&arguments));
            [
                "trace.csv",
                "results.csv",
                "accuracy.svg",
                "convergence.svg",
            ]
            .map(|file| read(&out(name), file))
        };
        let one = run("one", &["--threads", "1"]);
        assert_eq!(one, run("two", &["--threads", "2"]), "{mode}");
        let path = out("run.ckpt").display().to_string();
        run("begun", &["--max-iterations", "1", "--checkpoint", &path]);
        assert_eq!(one, run("resumed", &["--resume", &path]), "{mode}");
    }
    let arguments = ["--seeds", "1", "--tpe-trials", "3"];
    let text = command::succeeds(NAME, &out("tpe"), &with(&arguments));
    assert!(text.contains("the best of 3 trials of TPE"), "{text}");
}

#[test]
fn bad_input_ends_with_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |more: &[&str], words: &[&str]| {
        command::refused(NAME, folder.path(), &with(more), words);
    };
    refused(&["--regularizer", "erl"], &["erl", "elr"]);
    refused(&["--regularizer", "none,elr"], &["none"]);
    refused(&["--model", "rnn"], &["rnn", "recurrent"]);
    refused(&["--noise", "1.5"], &["share", "1.5"]);
    refused(&["--train", "5000"], &["5000", "divide"]);
    refused(&["--train", "0"], &["--train 0"]);
    refused(&["--test", "0"], &["rows", "0..0"]);
    refused(&["--epochs", "0"], &["epochs", "at least 1"]);
    refused(&["--batch", "0"], &["batch"]);
    refused(&["--step", "-1"], &["step", "-1"]);
    refused(&["--step", "nan"], &["step"]);
    refused(&["--hidden", "0"], &["width", "0"]);
    refused(&["--seeds", "0"], &["--seeds"]);
    refused(&["--solver", "made"], &["made", "maid"]);
    refused(&["--data", "nowhere"], &["nowhere"]);
    refused(
        &["--model", "recurrent", "--data", "nowhere"],
        &["recurrent", "--data"],
    );
    refused(
        &["--model", "recurrent", "--regularizer", "dm"],
        &["mixup", "texts"],
    );
    refused(
        &["--mode", "reverse", "--checkpoints-in-memory", "0"],
        &["checkpoints", "0"],
    );
    refused(
        &["--treatment", "frozen", "--checkpoint", "run.ckpt"],
        &["frozen", "resumed"],
    );
    let last = u64::MAX.to_string();
    refused(&["--seed", &last], &["--seed", "2^64"]);
    refused(&["--epochs", &last], &["epochs", "at most"]);
    // So does one without a regulariser.
    refused(
        &["--step", "1e30", "--regularizer", "none"],
        &["training run", "after step"],
    );
    // A training that leaves the finite numbers names the step, and what happened in it.
    refused(
        &["--step", "1e30"],
        &["training run", "after step", "of 12"],
    );
}
