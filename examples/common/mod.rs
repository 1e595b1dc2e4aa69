//! What the examples share: one line for every mistake, the output folder, names on the command line, the run.

#![allow(dead_code)] // each example uses its part

pub(crate) mod images;
pub(crate) mod images_of_classes;
pub(crate) mod watch;

use bilevel::{Limits, Trust, parallel};
use bilevel_cli::experiment::runs::Settings;
use clap::{Args, Parser, ValueEnum};
use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TrustName {
    Certified,
    Estimated,
    Unknown,
}

impl From<TrustName> for Trust {
    fn from(name: TrustName) -> Trust {
        match name {
            TrustName::Certified => Trust::Certified,
            TrustName::Estimated => Trust::Estimated,
            TrustName::Unknown => Trust::Unknown,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Precision {
    F64,
    F32,
}

/// Where a run is kept, and gone on from.
#[derive(Args)]
pub(crate) struct Checkpoints {
    /// Write a checkpoint into this file after every iteration.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Go on from a checkpoint, with the limits given here; it is kept up to date unless --checkpoint names another file.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
}

impl Checkpoints {
    /// How a run is kept, whose iterations are printed.
    pub(crate) fn settings<T>(&self, tolerance: f64, limits: Limits) -> Settings<'_, T> {
        Settings {
            tolerance,
            limits,
            checkpoint: self.checkpoint.as_deref().or(self.resume.as_deref()),
            resume: self.resume.as_deref(),
            table: true,
            notes: None,
            clock: None,
        }
    }
}

/// First steps of stochastic methods.
#[derive(Clone, Copy, Args)]
pub(crate) struct Steps {
    /// γ₀ of stochastic methods, the first step of x and v; estimated by default.
    #[arg(long, value_name = "GAMMA")]
    pub(crate) lower_step: Option<f64>,
    /// η₀ of stochastic methods, the first step of θ; estimated by default.
    #[arg(long, value_name = "ETA")]
    pub(crate) upper_step: Option<f64>,
}

/// `count` seeds from `first` on.
pub(crate) fn seeds(first: u64, count: u64) -> Result<std::ops::Range<u64>, Failure> {
    match first.checked_add(count) {
        Some(end) if count > 0 => Ok(first..end),
        _ => Err(format!("--seed {first} and --seeds {count}: expected at least one seed, and the last one below 2^64").into()),
    }
}

/// A number, with or without blanks around it.
pub(crate) fn number(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.trim().parse()
}

/// Reads the options and does `work` with them on as many threads as they say. A mistake ends it with one line on standard
/// error and exit code 2.
pub(crate) fn main<O: Parser + Sync>(
    program: &str,
    threads: impl Fn(&O) -> Option<usize>,
    work: impl Fn(&O) -> Result<(), Failure> + Sync,
) -> ExitCode {
    let options = match O::try_parse() {
        Ok(options) => options,
        // A mistake gets one line like every other one; help and version are printed as they are.
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let reason = text.split("Usage:").next().unwrap_or_default();
            let reason = reason
                .split("For more information")
                .next()
                .unwrap_or_default();
            let words: Vec<&str> = reason
                .trim_start_matches("error:")
                .split_whitespace()
                .collect();
            return fail(program, &format!("{}; try --help", words.join(" ")));
        }
        Err(error) => error.exit(),
    };
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads(&options).unwrap_or_else(all);
    match parallel::with_threads(threads, || work(&options)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(program, &error),
        Err(error) => fail(program, &error),
    }
}

fn fail(program: &str, error: &impl Display) -> ExitCode {
    eprintln!("{program}: {error}");
    ExitCode::from(2)
}

/// Makes sure that the output folder can be written to, before any work is done.
pub(crate) fn prepare(out: &Path, outputs: &[&str]) -> Result<(), Failure> {
    let refuse = |e: std::io::Error| {
        format!(
            "{}: the output folder cannot be written to: {e}",
            out.display()
        )
    };
    std::fs::create_dir_all(out).map_err(refuse)?;
    let probe = out.join(".probe.partial");
    std::fs::write(&probe, b"").map_err(refuse)?;
    std::fs::remove_file(&probe).map_err(refuse)?;
    for name in outputs {
        let path = out.join(name);
        if path.is_dir() {
            return Err(format!(
                "{}: a folder lies where a file is to be written",
                path.display()
            )
            .into());
        }
    }
    Ok(())
}
