//! A command of the program as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

/// The arguments of a small run, pairs of an option and its value, with some of them replaced and others added.
pub(crate) fn with<'a>(small: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let kept = small.chunks(2).filter(|pair| !more.contains(&pair[0]));
    kept.flatten().chain(more).copied().collect()
}

/// A file that a command wrote.
#[track_caller]
pub(crate) fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

/// Runs the command `name` with its output folder and further arguments.
pub(crate) fn run(name: &str, out: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_bilevel"));
    program.arg(name).arg("--out").arg(out).args(arguments);
    program.output().unwrap()
}

/// Runs the command and returns what it printed.
#[track_caller]
pub(crate) fn succeeds(name: &str, out: &Path, arguments: &[&str]) -> String {
    let output = run(name, out, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asserts that the arguments are refused with exit code 2 and one line that holds every one of `words`.
#[track_caller]
pub(crate) fn refused(name: &str, out: &Path, arguments: &[&str], words: &[&str]) {
    let output = run(name, out, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{arguments:?}: {text}");
    for word in words {
        let there = text.contains(word);
        assert!(there, "{arguments:?}: `{word}` is not in: {text}");
    }
}
