//! Gradient descent on F at a fixed accuracy of the inner problems.
//!
//! ```text
//! z ← hypergradient(θ, ε, δ);   α = β ρⁱ for the first i with f(x̃(θ − αz)) ≤ f(x̃(θ)) − λ α ‖z‖²;   θ ← θ − αz;   β ← ρ̄ α
//! ```
//!
//! What most people do, as a baseline: computed values are taken for exact. It ends with [`Status::Stalled`] when no step
//! decreases them, which happens at the latest when the true decrease drowns in the error of order ε.

use serde::{Deserialize, Serialize};

use super::descent::iterate::{CompareBy, Iterate, Searched, Terms};
use super::descent::line_search::Backtracking;
use super::{Iteration, Solver, Step, check_theta, converged, probe};
use crate::error::Error;
use crate::hypergradient::{Accuracy, Hypergradient};
use crate::oracle::Oracle;
use crate::status::Status;
use crate::vector::Vector;

/// Backtracking gradient descent at a fixed accuracy. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GradientDescent {
    /// ε and δ of every inner solve.
    pub accuracy: Accuracy,
    /// β₀, ρ, ρ̄, λ; the direction, the acceptance, the constraint. The values compared are always the computed ones.
    #[serde(default)]
    pub line_search: Backtracking,
    /// Trial steps before the search is given up.
    pub max_trials: u64,
}

impl GradientDescent {
    /// Gradient descent with ε = δ = `accuracy`.
    pub fn with_accuracy(accuracy: f64) -> Self {
        GradientDescent {
            accuracy: Accuracy {
                epsilon: accuracy,
                delta: accuracy,
            },
            line_search: Backtracking::default(),
            max_trials: 30,
        }
    }
}

impl<O: Oracle> Solver<O> for GradientDescent {
    type State = Iterate<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        Accuracy::new(self.accuracy.epsilon, self.accuracy.delta)?;
        self.line_search.check(theta.len())?;
        if self.max_trials == 0 {
            return Err(Error::invalid("max_trials", 0, "at least 1"));
        }
        check_theta(&theta)?;
        let state = oracle.start(&theta)?;
        Ok(Iterate::new(&self.line_search, theta, state))
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        let rule = &self.line_search;
        let (mut row, z) = s.evaluate(rule, oracle, self.accuracy)?;
        if converged(row.gradient_norm, &z, tolerance) {
            return Ok(Step::Ended(Status::Converged, row, z));
        }
        if row.gradient_norm == 0.0 {
            return Ok(Step::Ended(Status::Stalled, row, z));
        }
        let aim = s.aim(rule, &z, &row, 0.0);
        let terms = Terms {
            judge: CompareBy::Computed,
            share: rule.decrease,
            epsilon: self.accuracy.epsilon,
            trials: self.max_trials,
            stop_on_wide_bounds: false,
        };
        Ok(match s.search(rule, oracle, &z, aim, &terms, &mut row)? {
            Searched::Moved => Step::Moved(row),
            _ => Step::Ended(Status::Stalled, row, z),
        })
    }

    fn evaluate(
        &self,
        oracle: &O,
        s: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        s.evaluate(&self.line_search, oracle, self.accuracy)
    }

    fn probe(&self, oracle: &O, s: &Self::State) -> Result<f64, Error> {
        probe(oracle, &s.theta, &s.oracle)
    }

    fn theta<'a>(&self, s: &'a Self::State) -> &'a O::Theta {
        &s.theta
    }

    fn name(&self) -> String {
        format!("fixed {:e}", self.accuracy.epsilon)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}
