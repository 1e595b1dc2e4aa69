//! The command `text-cleaning` as a user runs it: what it writes, that it is reproducible, and what it refuses.

use crate::command::{self, read};

const NAME: &str = "text-cleaning";
const SMALL: [&str; 6] = ["--calls", "300", "--looks", "2", "--hidden", "4"];

/// The small run with some of its options replaced and others added.
fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    command::with(&SMALL, more)
}

#[test]
fn names_are_cleaned_by_every_solver_and_the_files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let all = "bo-rep,soba,ma-soba,stocbio,ttsa,amigo,saba,slip,accbo";
    let text = command::succeeds(NAME, out, &with(&["--solvers", all]));
    assert!(text.contains("BO-REP") && text.contains("TTSA"), "{text}");
    let report: serde_json::Value = serde_json::from_str(&read(out, "report.json")).unwrap();
    assert_eq!(report.as_object().unwrap().len(), 9);
    assert!(report["BO-REP"]["test_loss"].as_f64().unwrap() < 0.693);
    assert_eq!(
        read(out, "suspects.csv").lines().count(),
        4832 - 2 * 483 + 1
    );
    for file in ["trace.csv", "times.csv", "cleaning.svg", "seconds.svg"] {
        assert!(out.join(file).metadata().unwrap().len() > 0, "{file}");
    }
    // A look at the start and at the end of every run, and those between; a method that begins with a pass over all samples has fewer.
    let trace = read(out, "trace.csv");
    for solver in report.as_object().unwrap().keys() {
        let looks = trace
            .lines()
            .filter(|l| l.starts_with(&format!("{solver},")));
        assert!((2..=3).contains(&looks.count()), "{solver}");
    }
}

#[test]
fn sentences_of_a_folder_are_cleaned_with_the_same_bytes_on_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let sentences = |n: usize| -> String {
        (0..n)
            .map(|i| match i % 4 {
                0 => "1 a fine and moving film\n",
                1 => "0 a dull film\n",
                2 => "1 fine\n",
                _ => "0 dull and slow and dull\n",
            })
            .collect()
    };
    for (part, n) in [("train", 80), ("dev", 40), ("test", 40)] {
        std::fs::write(data.join(format!("stsa.binary.{part}")), sentences(n)).unwrap();
    }
    let data = data.display().to_string();
    let run = |name: &str, threads: &str| {
        let out = folder.path().join(name);
        let more = [
            "--data",
            &data,
            "--threads",
            threads,
            "--seeds",
            "2",
            "--solvers",
            "bo-rep,soba",
        ];
        command::succeeds(NAME, &out, &with(&more));
        ["trace.csv", "cleaning.svg", "suspects.csv"].map(|file| read(&out, file))
    };
    assert_eq!(run("one", "1"), run("two", "2"));
}

#[test]
fn bad_input_ends_with_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let refused = |more: &[&str], words: &[&str]| command::refused(NAME, out, &with(more), words);
    refused(&["--solvers", "bo-rep,adam"], &["adam", "bo-rep"]);
    refused(&["--noise", "-0.5"], &["share", "-0.5"]);
    refused(&["--noise", "2"], &["share", "2"]);
    refused(&["--hidden", "0"], &["size", "0"]);
    refused(&["--penalty", "nan"], &["penalty"]);
    refused(&["--batch", "0"], &["lower_batch"]);
    refused(&["--batch", "100000"], &["lower_batch", "100000"]);
    refused(&["--lower-step", "0"], &["lower_step"]);
    refused(&["--upper-step", "1,2"], &["--upper-step", "2"]);
    refused(&["--seeds", "0"], &["--seeds"]);
    refused(&["--seed", &u64::MAX.to_string()], &["--seed", "2^64"]);
    refused(&["--looks", &u64::MAX.to_string()], &["--looks", "--calls"]);
    refused(&["--data", "nowhere"], &["nowhere"]);
    std::fs::write(out.join("stsa.binary.train"), "1 fine\n2 good\n").unwrap();
    let here = out.display().to_string();
    refused(&["--data", &here], &["stsa.binary.train", "line 2", "`2`"]);
}
