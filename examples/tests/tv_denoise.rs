//! The example `tv_denoise` as a user runs it: its files, its reproducibility, its refusals.

#![allow(clippy::unwrap_used)] // in the helpers of tests, as in tests

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

/// The example, built with the profile of the tests.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let mut folder = std::env::current_exe().unwrap();
        folder.pop();
        folder.pop();
        let name = format!("tv_denoise{}", std::env::consts::EXE_SUFFIX);
        let program = folder.join("examples").join(name);
        // `cargo test` builds it with the tests, but not with `--test`. Where it is up to date it is not built again: with the features of
        // another selection of packages everything would be.
        if modified(&program) < newest_source() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--package", "bilevel-examples"]);
            build.args(["--example", "tv_denoise"]);
            if folder.ends_with("release") {
                build.arg("--release");
            }
            let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status();
            assert!(built.unwrap().success());
        }
        program
    })
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().ok()?.modified().ok()
}

/// When the last of the files that the example is built of was changed.
fn newest_source() -> Option<SystemTime> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut folders: Vec<PathBuf> = ["src", "problems/src", "examples/tv_denoise"]
        .map(|folder| root.join(folder))
        .into();
    let manifests = ["", "problems", "examples"].map(|folder| root.join(folder).join("Cargo.toml"));
    let files = manifests.iter().map(|manifest| modified(manifest));
    let mut newest = files
        .max()
        .flatten()
        .max(modified(&root.join("Cargo.lock")));
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            newest = newest.max(modified(&path));
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    newest
}

/// The example with its output folder and further arguments.
fn command(out: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("--out").arg(out).args(arguments);
    command
}

fn run(out: &Path, arguments: &[&str]) -> Output {
    command(out, arguments).output().unwrap()
}

fn data(name: &str) -> String {
    format!(
        "{}/../problems/tests/golden/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

fn report(out: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(out.join("report.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn it_writes_a_report_a_trace_a_plot_and_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("new").join("folder");
    let output = run(&out, &["--size", "32", "--max-iterations", "8"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("PSNR") && text.contains("hypergradient"));
    let report = report(&out);
    for key in [
        "status",
        "trust",
        "theta",
        "value",
        "value_error",
        "hypergradient",
        "error_bound",
        "iterations",
        "work",
        "seconds",
        "psnr_noisy",
        "psnr",
    ] {
        assert!(!report[key].is_null(), "{key} is missing");
    }
    assert_eq!(report["trust"], "certified");
    assert!(report["psnr"].as_f64() > report["psnr_noisy"].as_f64());
    let trace = std::fs::read_to_string(out.join("trace.csv")).unwrap();
    let iterations = report["iterations"].as_u64().unwrap() as usize;
    assert_eq!(
        trace.lines().count(),
        iterations + 2,
        "a header, the iterations, the last point"
    );
    assert!(!trace.contains("seconds"));
    let svg = std::fs::read_to_string(out.join("convergence.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    let png = std::fs::read(out.join("comparison.png")).unwrap();
    assert_eq!(&png[1..4], b"PNG");
}

#[test]
fn evaluate_gives_the_golden_value_to_the_accuracy_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (clean, noisy) = (data("camera64_clean.npy"), data("camera64_noisy.npy"));
    for (norm, theta, value, hypergradient) in [
        (
            "anisotropic",
            "--theta=-3,-4",
            4.583941984915299,
            [-2.5471423818848966, 0.4696618716687132],
        ),
        (
            "isotropic",
            "--theta=-2,-6",
            5.37651451783059,
            [4.247766160729058, -0.08061819078880875],
        ),
    ] {
        for trust in ["certified", "estimated"] {
            let output = run(
                folder.path(),
                &[
                    "--clean",
                    &clean,
                    "--noisy",
                    &noisy,
                    theta,
                    "--norm",
                    norm,
                    "--trust",
                    trust,
                    "--epsilon",
                    "1e-9",
                    "--delta",
                    "1e-9",
                    "--evaluate",
                ],
            );
            assert!(output.status.success());
            let report = report(folder.path());
            assert_eq!(report["status"], "evaluated");
            assert_eq!(report["trust"], trust);
            assert!((report["value"].as_f64().unwrap() - value).abs() <= 1e-6 * value);
            for (z, exact) in report["hypergradient"]
                .as_array()
                .unwrap()
                .iter()
                .zip(hypergradient)
            {
                assert!((z.as_f64().unwrap() - exact).abs() <= 1e-6 * 4.0);
            }
        }
    }
}

/// The bytes that must not depend on threads or interruptions.
fn written(out: &Path) -> (Vec<u8>, Vec<u8>) {
    let read = |name| std::fs::read(out.join(name)).unwrap();
    (read("trace.csv"), read("convergence.svg"))
}

#[test]
fn one_and_two_threads_write_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let photograph = format!("{}/../problems/assets/images/", env!("CARGO_MANIFEST_DIR"));
    for (name, arguments) in [
        // One image in several bands; several images.
        (
            "bands",
            vec!["--max-iterations", "4", "--norm", "isotropic"],
        ),
        (
            "images",
            vec![
                "--images",
                &photograph,
                "--size",
                "48",
                "--max-iterations",
                "8",
            ],
        ),
        (
            "f32",
            vec![
                "--size",
                "300",
                "--precision",
                "f32",
                "--max-iterations",
                "4",
            ],
        ),
    ] {
        let outputs = ["1", "2"].map(|threads| {
            let out = folder.path().join(format!("{name}{threads}"));
            let mut arguments = arguments.clone();
            arguments.extend(["--threads", threads]);
            let output = run(&out, &arguments);
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
            written(&out)
        });
        assert!(outputs[0] == outputs[1], "{name}");
    }
}

#[test]
fn a_killed_run_resumes_to_the_bytes_of_the_run_that_was_not_killed() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let settings = ["--size", "128", "--tolerance", "0"];
    let full: Vec<&str> = [&settings[..], &["--max-iterations", "24"]].concat();
    assert!(run(&whole, &full).status.success());
    let expected = written(&whole);
    let checkpoint = folder.path().join("run.ckpt");
    let checkpoint = checkpoint.to_str().unwrap();
    // Killed again and again, at moments that differ from run to run, until it gets through.
    let mut pause = Duration::from_millis(20 + u64::from(std::process::id() % 40));
    let mut kills = 0;
    let part = folder.path().join("part");
    let clock = Instant::now();
    loop {
        let resume = ["--resume", checkpoint];
        let start = ["--checkpoint", checkpoint];
        let exists = Path::new(checkpoint).exists();
        let arguments = [&full[..], if exists { &resume } else { &start }].concat();
        let mut child = command(&part, &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(pause);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        // Longer each time, so that a slow machine gets through too.
        pause = pause.mul_f64(1.3);
        assert!(
            clock.elapsed() < Duration::from_secs(300),
            "it makes no progress"
        );
    }
    assert!(kills > 0, "it was never killed");
    assert!(written(&part) == expected, "after {kills} kills");
}

#[test]
fn a_larger_limit_given_at_resume_is_obeyed() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("run.ckpt");
    let checkpoint = checkpoint.to_str().unwrap();
    let settings = ["--size", "48", "--tolerance", "0", "--max-iterations"];
    let limited = |out: &str, limit: &str, more: &[&str]| {
        let out = folder.path().join(out);
        let output = run(&out, &[&settings[..], &[limit], more].concat());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        out
    };
    let whole = limited("whole", "9", &[]);
    let first = limited("part", "4", &["--checkpoint", checkpoint]);
    assert_eq!(report(&first)["iterations"], 4);
    assert_eq!(report(&first)["budget"], "iterations");
    let second = limited("part", "9", &["--resume", checkpoint]);
    assert_eq!(report(&second)["iterations"], 9);
    assert!(written(&whole) == written(&second));
}

/// Asserts that the arguments are refused with exit code 2 and one line that holds every one of `words`.
#[track_caller]
fn refused(arguments: &[&str], words: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    refused_into(folder.path(), arguments, words);
}

#[track_caller]
fn refused_into(out: &Path, arguments: &[&str], words: &[&str]) {
    let output = run(out, arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(!text.contains("panicked"), "{text}");
    assert_eq!(text.trim_end().lines().count(), 1, "{arguments:?}: {text}");
    for word in words {
        let there = text.contains(word);
        assert!(there, "{arguments:?}: `{word}` is not in: {text}");
    }
}

/// A `.npy` file of f64 with the given shape.
fn npy(path: &Path, shape: &str, values: &[f64]) -> String {
    let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    for value in values {
        bytes.extend(value.to_le_bytes());
    }
    std::fs::write(path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn bad_input_gets_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let text = |name: &str| file(name).to_str().unwrap().to_owned();
    // Files.
    refused(
        &["--images", &text("missing.png")],
        &["missing.png", "No such file"],
    );
    std::fs::write(file("not.png"), b"plain text").unwrap();
    refused(&["--images", &text("not.png")], &["not.png", "PNG"]);
    std::fs::create_dir(file("empty")).unwrap();
    refused(&["--images", &text("empty")], &["empty", "no PNG files"]);
    std::fs::write(file("not.npy"), b"plain text").unwrap();
    let good = npy(&file("good.npy"), "2, 3", &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]);
    let other = npy(&file("other.npy"), "3, 2", &[0.0; 6]);
    refused(
        &["--clean", &good, "--noisy", &text("not.npy")],
        &["not.npy", "npy"],
    );
    refused(
        &["--clean", &good, "--noisy", &text("missing.npy")],
        &["missing.npy"],
    );
    refused(
        &["--clean", &good, "--noisy", &other],
        &["other.npy", "1×3×2", "1×2×3"],
    );
    let nan = npy(
        &file("nan.npy"),
        "2, 3",
        &[0.1, f64::NAN, 0.3, 0.4, 0.5, 0.6],
    );
    refused(
        &["--clean", &good, "--noisy", &nan],
        &["nan.npy", "entry 1", "NaN"],
    );
    let infinite = npy(
        &file("inf.npy"),
        "2, 3",
        &[0.1, 0.2, 0.3, 0.4, 0.5, f64::INFINITY],
    );
    refused(
        &["--clean", &infinite, "--noisy", &good],
        &["inf.npy", "entry 5", "inf"],
    );
    let pixel = npy(&file("pixel.npy"), "1, 1", &[0.5]);
    refused(
        &["--clean", &pixel, "--noisy", &pixel],
        &["pixel.npy", "(1, 1)", "two pixels"],
    );
    let none = npy(&file("none.npy"), "0, 4", &[]);
    refused(
        &["--clean", &none, "--noisy", &none],
        &["none.npy", "(0, 4)"],
    );
    let short = npy(&file("short.npy"), "200, 300", &[0.5; 8]);
    refused(
        &["--clean", &short, "--noisy", &short],
        &["short.npy", "too short"],
    );
    // Arguments.
    refused(&["--theta=-5"], &["theta", "1 number", "2 numbers"]);
    refused(&["--theta=-5,-5,-5"], &["theta", "3 numbers", "2 numbers"]);
    refused(&["--theta=NaN,-5"], &["theta[0]", "NaN"]);
    refused(&["--theta=-5,inf"], &["theta[1]", "inf"]);
    for (option, value) in [
        ("--epsilon", "0"),
        ("--epsilon", "-1"),
        ("--epsilon", "NaN"),
        ("--delta", "0"),
    ] {
        let argument = format!("{option}={value}");
        refused(&[&argument], &[&option[2..], value, "positive"]);
    }
    refused(&["--sigma=-0.1"], &["sigma", "-0.1"]);
    refused(&["--size", "1"], &["size", "at least 2"]);
    refused(&["--threads", "0"], &["threads", "at least 1"]);
    refused(&["--tolerance=NaN"], &["tolerance", "NaN"]);
    refused(&["--tolerance=inf"], &["tolerance", "inf"]);
    refused(&["--size", "100000000000"], &["size", "at most 16384"]);
    refused(&["--threads", "100000"], &["threads", "at most 1024"]);
    refused(&["--theta=1e308,-5"], &["theta[0]", "1e308"]);
    refused(&["--clean", &good], &["--noisy"]);
    refused(
        &["--solver", "newton"],
        &["newton", "maid", "hoag", "fixed"],
    );
    // A checkpoint goes over checkpoints only.
    let checkpoint = file("photograph.png");
    std::fs::write(&checkpoint, b"precious").unwrap();
    let name = checkpoint.to_str().unwrap();
    refused(
        &["--size", "8", "--checkpoint", name],
        &["photograph.png", "not overwritten"],
    );
    assert_eq!(std::fs::read(&checkpoint).unwrap(), b"precious");
    // The output folder.
    std::fs::write(file("a file"), b"").unwrap();
    refused_into(
        &file("a file").join("out"),
        &["--size", "8"],
        &["a file", "output folder"],
    );
}

#[test]
fn bad_checkpoints_get_one_clear_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let name = path.to_str().unwrap();
    let out = folder.path().join("out");
    let settings = ["--size", "16", "--max-iterations", "2"];
    let resumed = |more: &[&str]| -> Vec<String> {
        let all = [&settings[..], more, &["--resume", name]].concat();
        all.iter().map(|s| (*s).to_owned()).collect()
    };
    let refused = |arguments: Vec<String>, words: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        refused_into(&out, &arguments, words);
    };
    refused(resumed(&[]), &["run.ckpt", "No such file"]);
    let started = run(&out, &[&settings[..], &["--checkpoint", name]].concat());
    assert!(started.status.success());
    refused(resumed(&["--seed", "1"]), &["run.ckpt", "another run"]);
    refused(
        resumed(&["--norm", "isotropic"]),
        &["run.ckpt", "another run", "Isotropic"],
    );
    refused(
        resumed(&["--solver", "hoag"]),
        &["run.ckpt", "another run", "Hoag"],
    );
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    refused(resumed(&[]), &["run.ckpt", "truncated"]);
    let mut newer = whole.clone();
    newer[8] = 99;
    std::fs::write(&path, newer).unwrap();
    refused(resumed(&[]), &["run.ckpt", "version 99"]);
    std::fs::write(&path, b"something else").unwrap();
    refused(resumed(&[]), &["run.ckpt", "not a checkpoint"]);
    let unwritable = folder.path().join("missing").join("run.ckpt");
    let unwritable = unwritable.to_str().unwrap().to_owned();
    let mut arguments: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
    arguments.extend(["--checkpoint".to_owned(), unwritable]);
    refused(arguments, &["missing"]);
}

/// The same command with Ctrl-C as on a terminal: what was started in the background inherits that it is ignored.
#[cfg(unix)]
fn interruptible(command: &Command) -> Command {
    let mut whole = Command::new("env");
    if cfg!(target_os = "linux") {
        whole.arg("--default-signal=INT");
    }
    whole.arg(command.get_program()).args(command.get_args());
    whole
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_cleanly_with_a_report_and_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("run.ckpt");
    let out = folder.path().join("out");
    let endless = command(&out, &["--tolerance", "0", "--max-iterations", "100000"]);
    let child = interruptible(&endless)
        .arg("--checkpoint")
        .arg(&checkpoint)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let clock = Instant::now();
    while !checkpoint.exists() && clock.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(report(&out)["status"], "interrupted");
    assert!(checkpoint.exists());
}
