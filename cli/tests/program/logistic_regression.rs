//! The command `logistic-regression` as a user runs it: what it writes, that it is reproducible and resumable, and what it refuses.

use crate::command::{self, read};

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::path::Path;

const NAME: &str = "logistic-regression";

fn number(folder: &Path, key: &str) -> f64 {
    let report: serde_json::Value = serde_json::from_str(&read(folder, "report.json")).unwrap();
    report[key].as_f64().unwrap()
}

/// Samples of two classes in LIBSVM's format: the first of four features tells them apart, with a few mistakes.
fn samples(count: usize, first: usize) -> String {
    let entry = |i: usize| ((i * 7919 + 104_729) % 2003) as f64 / 1001.5 - 1.0;
    let line = |i: usize| {
        let label = if i.is_multiple_of(2) != i.is_multiple_of(11) {
            "+1"
        } else {
            "-1"
        };
        let side = if i.is_multiple_of(2) { 1.0 } else { -1.0 };
        let values: Vec<f64> = (0..4).map(|j| entry(4 * i + j)).collect();
        format!(
            "{label} 1:{} 2:{} 3:{} 4:{}\n",
            side + values[0],
            values[1],
            values[2],
            values[3]
        )
    };
    (first..first + count).map(line).collect()
}

fn write(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn penalties_of_the_digits_are_learned_and_the_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    for penalty in ["single", "per-class", "per-feature", "per-weight"] {
        let out = folder.path().join(penalty);
        let more = ["--penalty", penalty, "--max-iterations", "3"];
        let text = command::succeeds(NAME, &out, &more);
        assert!(text.contains("with the learned penalties"), "{text}");
        let [before, after] =
            ["validation_loss_at_start", "validation_loss"].map(|key| number(&out, key));
        assert!(after < 0.9 * before, "{penalty}: {before} to {after}");
        for file in [
            "trace.csv",
            "convergence.svg",
            "seconds.svg",
            "penalties.svg",
        ] {
            assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
        }
    }
}

#[test]
fn data_of_the_user_are_learned_with_any_solver() {
    let folder = tempfile::tempdir().unwrap();
    let train = write(folder.path(), "train", samples(400, 0));
    let validation = write(folder.path(), "validation", samples(300, 400));
    let data = ["--train", &train, "--validation", &validation];
    let run = |name: &str, more: &[&str]| {
        let out = folder.path().join(name);
        command::succeeds(NAME, &out, &[&data, more].concat());
        (number(&out, "validation_loss"), read(&out, "trace.csv"))
    };
    let (best, _) = run("maid", &["--tolerance", "1e-5"]);
    for solver in ["saba", "bo-rep", "hoag-quadratic", "tpe"] {
        let arguments = ["--solver", solver, "--max-iterations", "20"];
        let (loss, trace) = run(solver, &[&arguments[..], &["--threads", "1"]].concat());
        assert!(loss < best + 0.01, "{solver}: {loss}, not {best}");
        let (_, again) = run("two", &[&arguments[..], &["--threads", "2"]].concat());
        assert_eq!(trace, again, "{solver}");
        let path = folder.path().join("run.ckpt").display().to_string();
        let short = ["--solver", solver, "--max-iterations", "4"];
        run("begun", &[&short[..], &["--checkpoint", &path]].concat());
        let (_, resumed) = run("resumed", &[&arguments[..], &["--resume", &path]].concat());
        assert_eq!(trace, resumed, "{solver}");
    }
}

#[test]
fn bad_input_ends_with_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let good = write(out, "good", samples(40, 0));
    let refused = |train: &str, validation: &str, more: &[&str], words: &[&str]| {
        let data = ["--train", train, "--validation", validation];
        command::refused(NAME, out, &[&data[..], more].concat(), words);
    };
    let file = |name: &str, text: &str| write(out, name, text);
    let label = file("label", "+1 1:1\n3 1:2\n");
    refused(&good, &label, &[], &["line 2", "label", "`3`"]);
    let outside = file("outside", "1 1:1\n7 1:2\n");
    refused(&outside, &outside, &["--classes", "3"], &["line 2", "`7`"]);
    let more = file("more", "+1 9:1\n");
    refused(&good, &more, &[], &["line 1", "9", "4"]);
    let nan = file("nan", "+1 1:nan\n");
    refused(&nan, &good, &[], &["line 1", "nan"]);
    let empty = file("empty", "");
    refused(&good, &empty, &[], &["empty"]);
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(samples(200, 0).as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let cut = write(out, "cut.gz", &packed[..packed.len() / 2]);
    refused(&cut, &good, &[], &["cut.gz"]);
    let table = file("table.csv", "1,2,1\n1,2\n");
    refused(&table, &good, &[], &["line 2"]);
    let missing = out.join("missing").display().to_string();
    refused(&missing, &good, &[], &["missing"]);
    refused(&good, &good, &["--solver", "sobah"], &["sobah", "soba"]);
    let batch = ["--solver", "soba", "--batch", "41"];
    refused(&good, &good, &batch, &["lower_batch", "41", "40"]);
    refused(&good, &good, &["--accuracy", "0"], &["epsilon"]);
    refused(&good, &good, &["--start", "1e9"], &["theta", "logarithm"]);
    command::refused(NAME, out, &["--train", &good], &["--validation"]);
}
