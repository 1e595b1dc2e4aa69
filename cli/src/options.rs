//! Options and checks that several commands share: checkpoints, first steps, seeds, storage types, the output folder.

use bilevel::{Limits, Trust};
use clap::{Args, ValueEnum};
use std::error::Error;
use std::path::{Path, PathBuf};

use crate::runs::Settings;

/// The reason why a command ends: one line.
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

/// Where a run is kept, and resumed from.
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
    /// The settings of a run whose iterations are printed.
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
