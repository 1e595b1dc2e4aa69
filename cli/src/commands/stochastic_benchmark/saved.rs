//! The finished runs, kept in the output folder so that a benchmark that was stopped can be resumed.

use bilevel::Error;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use crate::options::Failure;

const FILE: &str = "runs.json";

/// F and ∇F at one θ of a run.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) iteration: u64,
    pub(super) calls: u64,
    /// Gradients ∇ₓg and products with A.
    pub(super) lower_iterations: u64,
    pub(super) epochs: f64,
    pub(super) seconds: f64,
    pub(super) value: f64,
    pub(super) gradient_squared: f64,
    pub(super) quality: Option<f64>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) solver: String,
    pub(super) seed: u64,
    pub(super) status: String,
    pub(super) points: Vec<Point>,
}

/// The θ of the least F.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Best {
    pub(super) value: f64,
    pub(super) theta: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    identity: String,
    runs: Vec<Run>,
    best: Option<Best>,
    optimum: Option<f64>,
}

fn path(out: &Path) -> PathBuf {
    out.join(FILE)
}

impl Saved {
    /// Nothing, or with `resume` what the folder holds of the same problem and settings.
    pub(super) fn open(out: &Path, resume: bool, identity: String) -> Result<Self, Failure> {
        let path = path(out);
        if !resume || !path.exists() {
            return Ok(Saved {
                identity,
                runs: Vec::new(),
                best: None,
                optimum: None,
            });
        }
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let saved: Saved = serde_json::from_str(&text)
            .map_err(|e| format!("{}: these are no runs: {e}", path.display()))?;
        if saved.identity != identity {
            return Err(format!(
                "{}: these runs are of another problem or other settings ({}; now {identity})",
                path.display(),
                saved.identity
            )
            .into());
        }
        Ok(saved)
    }

    pub(super) fn holds(&self, solver: &str, seed: u64) -> bool {
        self.of(solver).any(|run| run.seed == seed)
    }

    pub(super) fn of<'a>(&'a self, solver: &'a str) -> impl Iterator<Item = &'a Run> {
        self.runs.iter().filter(move |run| run.solver == solver)
    }

    pub(super) fn best(&self) -> Option<Best> {
        self.best.clone()
    }

    pub(super) fn optimum(&self) -> Option<f64> {
        self.optimum
    }

    pub(super) fn add(&mut self, out: &Path, run: Run, best: Option<Best>) -> Result<(), Failure> {
        self.runs.push(run);
        if let Some(best) = best
            && self.best.as_ref().is_none_or(|b| best.value < b.value)
        {
            self.best = Some(best);
            // It is looked for from the best θ.
            self.optimum = None;
        }
        self.write(out)
    }

    pub(super) fn found(&mut self, out: &Path, optimum: f64) -> Result<(), Failure> {
        self.optimum = Some(optimum);
        self.write(out)
    }

    /// Beside the file and renamed: a run that is killed leaves the old one or the new one.
    fn write(&self, out: &Path) -> Result<(), Failure> {
        let partial = out.join(format!("{FILE}.partial"));
        std::fs::write(&partial, serde_json::to_string(self)?)
            .map_err(|e| Error::io(&partial, e))?;
        std::fs::rename(&partial, path(out)).map_err(|e| Error::io(path(out), e))?;
        Ok(())
    }
}
