//! Gradient descent on F at a fixed accuracy of the inner problems.
//!
//! ```text
//! z ← hypergradient(θ, ε, δ);   α = β ρⁱ for the first i with f(x̃(θ − αz)) ≤ f(x̃(θ)) − λ α ‖z‖²;   θ ← θ − αz;   β ← ρ̄ α
//! ```
//!
//! The common practice, as a baseline: computed values are treated as exact. The run ends with [`Status::Stalled`] when no step decreases
//! them, at the latest when the true decrease is smaller than the error of order ε.

use serde::{Deserialize, Serialize};

use super::descent::iterate::{CompareBy, Iterate, Searched, Terms};
use super::descent::line_search::Backtracking;
use super::solver::{Iteration, Solver, Step, check_theta, converged};
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
    /// The maximum number of trial steps per line search.
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
        let (mut row, z) = s.hypergradient(rule, oracle, self.accuracy)?;
        if converged(row.gradient_norm, &z, tolerance) {
            return Ok(Step::Ended(Status::Converged, row, z));
        }
        if row.gradient_norm == 0.0 {
            return Ok(Step::Ended(Status::Stalled, row, z));
        }
        let direction = s.search_direction(rule, &z, &row, 0.0);
        let terms = Terms {
            compare: CompareBy::Computed,
            share: rule.decrease,
            epsilon: self.accuracy.epsilon,
            trials: self.max_trials,
            stop_on_wide_bounds: false,
        };
        Ok(
            match s.search(rule, oracle, &z, direction, &terms, &mut row)? {
                Searched::Moved => Step::Moved(row),
                _ => Step::Ended(Status::Stalled, row, z),
            },
        )
    }

    fn evaluate(
        &self,
        oracle: &O,
        s: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        s.hypergradient(&self.line_search, oracle, self.accuracy)
    }

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        format!("fixed {:e}", self.accuracy.epsilon)
    }
}
