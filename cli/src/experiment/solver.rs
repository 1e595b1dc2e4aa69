//! The solver of an experiment.

use serde::{Deserialize, Serialize};

use crate::registry::solvers::HALF_WIDTH;

/// A solver by name and its settings: the table `[solver]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Solver {
    /// One of [`solvers`](crate::registry::solvers), or on samples of [`methods`](crate::registry::methods) (default `maid-lbfgs`).
    pub name: String,
    /// First or constant accuracy ε = δ; of stochastic methods that of the evaluation at the end (default 0.1).
    pub accuracy: f64,
    /// Half the width of the box around the first θ, of solvers that search in one (default 3).
    pub half_width: f64,
    /// Samples of a batch of either level, of stochastic methods (default 64).
    pub batch: usize,
    /// Iterations of a stochastic method in one of the trace (default 200).
    pub block: u64,
    /// γ₀ of stochastic methods; estimated by default.
    pub lower_step: Option<f64>,
    /// η₀ of stochastic methods; estimated by default.
    pub upper_step: Option<f64>,
}

impl Default for Solver {
    fn default() -> Self {
        Solver {
            name: "maid-lbfgs".to_owned(),
            accuracy: 0.1,
            half_width: HALF_WIDTH,
            batch: 64,
            block: 200,
            lower_step: None,
            upper_step: None,
        }
    }
}
