//! An example as a user runs it.

#![allow(dead_code)] // every test file uses a part of it

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The example, built with the profile of the tests. (`cargo test` builds it too, but not with `--test`.)
fn program(name: &str) -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut folder = std::env::current_exe().unwrap();
        folder.pop();
        folder.pop();
        let mut build = Command::new(env!("CARGO"));
        // With the features of the whole workspace, as the tests: with others all of it would be compiled again.
        build.args(["build", "--quiet", "--workspace", "--example", name]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(built.unwrap().success());
        folder
            .join("examples")
            .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
    })
}

/// The example, one and the same in a test program, with its output folder and further arguments.
pub(crate) fn command(name: &str, out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program(name));
    command.arg("--out").arg(out).args(arguments);
    command
}

/// The arguments of a small run, pairs of an option and its value, with some of them replaced and others added.
pub(crate) fn with<'a>(small: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    let kept = small.chunks(2).filter(|pair| !more.contains(&pair[0]));
    kept.flatten().chain(more).copied().collect()
}

/// A file that it wrote.
#[track_caller]
pub(crate) fn read(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).unwrap()
}

/// Runs the example.
pub(crate) fn run(name: &str, out: &Path, arguments: &[&str]) -> Output {
    command(name, out, arguments).output().unwrap()
}

/// Runs the example and returns what it printed.
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
