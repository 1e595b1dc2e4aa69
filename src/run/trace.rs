//! The trace of a run: an iteration a row, no wall-clock times.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::Path;

use crate::error::Error;
use crate::upper::Iteration;
use crate::work::Work;

/// The iterations of a run, in order, with the work counted from the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    rows: Vec<Iteration>,
}

impl Trace {
    /// The iterations.
    pub fn rows(&self) -> &[Iteration] {
        &self.rows
    }

    /// The last iteration.
    pub fn last(&self) -> Option<&Iteration> {
        self.rows.last()
    }

    pub(crate) fn push(&mut self, row: Iteration) {
        self.rows.push(row);
    }

    /// The trace as comma-separated values, numbers with all their digits.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from(
            "iteration,value,value_lower,value_upper,gradient_norm,error_bound,trust,epsilon,delta,step,hypergradients,trials",
        );
        for kind in Work::KINDS {
            csv.push(',');
            csv.push_str(kind);
        }
        let entries = self.rows.iter().map(|r| r.theta.len()).max().unwrap_or(0);
        for i in 1..=entries {
            let _ = write!(csv, ",theta_{i}");
        }
        csv.push('\n');
        for r in &self.rows {
            let _ = write!(
                csv,
                "{},{:?},{:?},{:?},{:?},{:?},{},{:?},{:?},",
                r.iteration,
                r.value.value,
                r.value.lower,
                r.value.upper,
                r.gradient_norm,
                r.error_bound,
                r.trust,
                r.accuracy.epsilon,
                r.accuracy.delta,
            );
            if let Some(step) = r.step {
                let _ = write!(csv, "{step:?}");
            }
            let _ = write!(csv, ",{},{}", r.hypergradients, r.trials);
            for count in r.work.counts() {
                let _ = write!(csv, ",{count}");
            }
            for value in &r.theta {
                let _ = write!(csv, ",{value:?}");
            }
            csv.push('\n');
        }
        csv
    }

    /// Writes [`to_csv`](Trace::to_csv) into a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write_csv(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, self.to_csv()).map_err(|e| Error::io(path, e))
    }
}
