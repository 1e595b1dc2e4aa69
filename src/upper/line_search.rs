//! Backtracking along −z: the trial steps, and which of them counts as a success.

use serde::{Deserialize, Serialize};

use crate::error::{Error, in_unit_interval, positive};
use crate::hypergradient::Bounded;
use crate::oracle::Oracle;
use crate::vector::Vector;
use crate::work::Work;

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

/// What a line search found.
pub(crate) struct Found<T> {
    /// θ⁺ and α of the trial that was accepted, if one was.
    pub(crate) accepted: Option<(T, f64)>,
    /// Trials made.
    pub(crate) trials: u64,
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

    /// β for the first line search of a run.
    pub(crate) fn first_step(&self, gradient_norm: f64) -> f64 {
        self.initial_step
            .unwrap_or(1.0 / gradient_norm.max(f64::MIN_POSITIVE))
    }

    /// Tries θ − αz for up to `trials` steps α = β ρⁱ, from warm starts at θ; returns the first that `accept` accepts.
    /// On success `trial` holds the oracle's state at θ⁺.
    ///
    /// A trial at which the problem is not defined or not finite is a step too long, not an error.
    #[allow(clippy::too_many_arguments)] // the quantities of the algorithm box
    pub(crate) fn search<O: Oracle>(
        &self,
        oracle: &O,
        theta: &O::Theta,
        z: &O::Theta,
        epsilon: f64,
        beta: f64,
        trials: u64,
        state: &O::State,
        trial: &mut Option<O::State>,
        work: &mut Work,
        accept: impl Fn(f64, &Bounded) -> bool,
    ) -> Result<Found<O::Theta>, Error> {
        let mut candidate = theta.clone();
        let mut step = beta;
        for i in 0..trials {
            candidate.copy_from(theta);
            candidate.axpy(-step, z);
            oracle.begin_trial(state, trial);
            let Some(trial) = trial.as_mut() else {
                break;
            };
            match oracle.value(&candidate, epsilon, trial) {
                Ok(evaluation) => {
                    *work += evaluation.work;
                    if accept(step, &evaluation.value) {
                        return Ok(Found {
                            accepted: Some((candidate, step)),
                            trials: i + 1,
                        });
                    }
                }
                Err(Error::NotFinite { .. } | Error::InvalidArgument { .. }) => {}
                Err(error) => return Err(error),
            }
            step *= self.shrink;
        }
        Ok(Found {
            accepted: None,
            trials,
        })
    }
}
