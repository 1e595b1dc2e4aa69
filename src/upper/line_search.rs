//! Backtracking along −z: the trial steps, and which of them counts as a success.

use serde::{Deserialize, Serialize};

use crate::error::{Error, in_unit_interval, positive};
use crate::hypergradient::Bounded;
use crate::oracle::Oracle;
use crate::upper::Iteration;
use crate::vector::Vector;

/// Trial steps α = β ρⁱ, i = 0, 1, …; after a success β ← ρ̄ α.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backtracking {
    /// β₀; `None` (the default) makes the first trial a step of length one in θ: β₀ = 1/‖z₀‖.
    pub initial_step: Option<f64>,
    /// ρ ∈ (0, 1) (default 0.5).
    pub shrink: f64,
    /// ρ̄ ≥ 1 (default 10/9).
    pub growth: f64,
    /// λ ∈ (0, 1): the share of the promised decrease that must be seen (default 1e-4).
    pub decrease: f64,
}

impl Default for Backtracking {
    fn default() -> Self {
        Backtracking {
            initial_step: None,
            shrink: 0.5,
            growth: 10.0 / 9.0,
            decrease: 1e-4,
        }
    }
}

impl Backtracking {
    pub(crate) fn check(&self) -> Result<(), Error> {
        in_unit_interval("line_search.shrink", self.shrink)?;
        in_unit_interval("line_search.decrease", self.decrease)?;
        if let Some(step) = self.initial_step {
            positive("line_search.initial_step", step)?;
        }
        if !(self.growth >= 1.0 && self.growth.is_finite()) {
            return Err(Error::invalid(
                "line_search.growth",
                self.growth,
                "a finite number of at least 1",
            ));
        }
        Ok(())
    }
}

/// Where a backtracking solver stands: the part of its state that the line search reads and moves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct Iterate<T, S> {
    /// θ.
    pub(crate) theta: T,
    /// What the oracle remembers at θ.
    pub(crate) oracle: S,
    /// β, the first trial step; `None` before the first line search.
    step: Option<f64>,
}

impl<T: Vector, S> Iterate<T, S> {
    pub(crate) fn new(theta: T, oracle: S) -> Self {
        Iterate {
            theta,
            oracle,
            step: None,
        }
    }

    /// Tries θ − αz for up to `trials` steps α = β ρⁱ, from warm starts at θ, and moves to the first that `accept` accepts.
    /// Returns whether there was one; its α, the trials and their work go into `row`.
    ///
    /// A trial at which the problem is not defined or not finite is a step too long, not an error.
    #[allow(clippy::too_many_arguments)] // the quantities of the algorithm box
    pub(crate) fn search<O: Oracle<Theta = T, State = S>>(
        &mut self,
        rule: &Backtracking,
        oracle: &O,
        z: &T,
        epsilon: f64,
        trials: u64,
        row: &mut Iteration,
        accept: impl Fn(f64, &Bounded) -> bool,
    ) -> Result<bool, Error> {
        let first = rule.initial_step.unwrap_or(1.0 / row.gradient_norm);
        let mut alpha = *self.step.get_or_insert(first);
        let mut candidate = self.theta.clone();
        let mut trial = oracle.begin_trial(&self.oracle);
        for i in 0..trials {
            if i > 0 {
                alpha *= rule.shrink;
                oracle.reset_trial(&self.oracle, &mut trial);
            }
            candidate.copy_from(&self.theta);
            candidate.axpy(-alpha, z);
            row.trials += 1;
            match oracle.value(&candidate, epsilon, &mut trial) {
                Ok(evaluation) => {
                    row.work += evaluation.work;
                    if accept(alpha, &evaluation.value) {
                        oracle.end_trial(&mut self.oracle, trial, true);
                        self.theta = candidate;
                        self.step = Some(rule.growth * alpha);
                        row.step = Some(alpha);
                        return Ok(true);
                    }
                }
                Err(Error::NotFinite { .. } | Error::InvalidArgument { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        oracle.end_trial(&mut self.oracle, trial, false);
        Ok(false)
    }
}
