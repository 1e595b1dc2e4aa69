//! Statuses: how an inner solve or a whole run ended, each with a name and a sentence of advice.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the solution of a lower-level problem or of a linear system ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SolveStatus {
    /// The requested accuracy is met.
    Converged,
    /// The iteration limit was reached first.
    IterationLimit,
    /// The residual stopped decreasing: rounding errors of the storage type, or an inexact product.
    Stagnated,
    /// The Hessian is not positive definite: pᵀAp ≤ 0 for some direction p.
    NegativeCurvature,
    /// The solver needs the Hessian as a matrix, and the lower level does not provide it.
    NoMatrix,
    /// A value was not finite.
    NotFinite,
}

impl SolveStatus {
    /// Advice on what to do.
    pub fn advice(self) -> &'static str {
        match self {
            SolveStatus::Converged => "the accuracy asked for is met",
            SolveStatus::IterationLimit => {
                "raise the iteration limit, loosen the accuracy, or choose a solver for ill-conditioned problems"
            }
            SolveStatus::Stagnated => {
                "the accuracy is at the rounding error of the storage type: loosen it, or store in f64"
            }
            SolveStatus::NegativeCurvature => {
                "the lower level is not strongly convex here: solve it more accurately, or add a quadratic term; without certificate, MINRES solves the system all the same"
            }
            SolveStatus::NoMatrix => {
                "the lower level gives no sparse Hessian: implement Linearization::sparse, or solve by CG"
            }
            SolveStatus::NotFinite => {
                "a function of the problem overflowed: start closer to the solution, or bound θ"
            }
        }
    }

    /// The worse of two statuses, to summarise many solves.
    pub fn worst(self, other: SolveStatus) -> SolveStatus {
        if other.severity() > self.severity() {
            other
        } else {
            self
        }
    }

    fn severity(self) -> u8 {
        match self {
            SolveStatus::Converged => 0,
            SolveStatus::Stagnated => 1,
            SolveStatus::IterationLimit => 2,
            SolveStatus::NegativeCurvature => 3,
            SolveStatus::NoMatrix => 4,
            SolveStatus::NotFinite => 5,
        }
    }
}

/// The budget exhausted first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Budget {
    /// Iterations of the upper level.
    Iterations,
    /// Gradients of the lower level.
    LowerGradients,
    /// Products with the Hessian.
    HessianProducts,
    /// Gradients of the lower level and products with the Hessian together.
    Work,
    /// Products with the mixed derivative.
    CrossProducts,
    /// Lower-level problems solved.
    LowerSolves,
    /// Samples of both levels.
    Samples,
    /// Wall-clock time.
    Seconds,
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Budget::Iterations => "iterations",
            Budget::LowerGradients => "lower gradients",
            Budget::HessianProducts => "Hessian products",
            Budget::Work => "lower gradients and Hessian products",
            Budget::CrossProducts => "cross products",
            Budget::LowerSolves => "lower solves",
            Budget::Samples => "samples",
            Budget::Seconds => "seconds",
        })
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// Value and hypergradient were evaluated, without a step.
    Evaluated,
    /// ‖z‖ + ω ≤ tolerance, hence ‖∇F(θ)‖ ≤ tolerance with the trust of the bound.
    Converged,
    /// The next step needs more accurate inner solutions than can be computed.
    AccuracyFloor,
    /// No step along the direction decreases the upper value.
    Stalled,
    /// A budget is exhausted.
    BudgetExhausted(Budget),
    /// The user stopped the run, e.g. by Ctrl-C.
    Interrupted,
    /// The iterates diverge, and shorter steps do not help.
    Diverged,
    /// The search is complete: every point of a grid, or all steps down to the shortest. It does not test stationarity.
    Completed,
}

impl Status {
    /// A short name, as in `converged` or `budget_exhausted`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Evaluated => "evaluated",
            Status::Converged => "converged",
            Status::AccuracyFloor => "accuracy_floor",
            Status::Stalled => "stalled",
            Status::BudgetExhausted(_) => "budget_exhausted",
            Status::Interrupted => "interrupted",
            Status::Diverged => "diverged",
            Status::Completed => "completed",
        }
    }

    /// The meaning, and advice on what to do.
    pub fn advice(self) -> String {
        match self {
            Status::Evaluated => {
                "the value and the hypergradient at θ, to the accuracies that were asked for".into()
            }
            Status::Converged => {
                "the norm of the hypergradient and its error bound together are within the tolerance"
                    .into()
            }
            Status::AccuracyFloor => {
                "the inner problems are solved as accurately as their storage type, iteration limits and accuracy floor allow, and no further descent can be shown: loosen the tolerance, raise the iteration limits, store in f64, or ask for estimated trust"
                    .into()
            }
            Status::Stalled => {
                "no step length decreases the upper value: the point may be stationary to the accuracy in use, or a derivative is wrong (run the derivative checker)"
                    .into()
            }
            Status::BudgetExhausted(budget) => format!(
                "the budget of {budget} is used up: to go on, resume from a checkpoint with a larger one, or start again at this θ"
            ),
            Status::Interrupted => "stopped on request: to go on, resume from a checkpoint, or start again at this θ".into(),
            Status::Diverged => {
                "the iterates run away: take smaller steps, bound θ, or start closer to the solution"
                    .into()
            }
            Status::Completed => {
                "the search has done all that it was set to do, and θ is the best point it found: search finer around it, or start a gradient method there"
                    .into()
            }
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Status::BudgetExhausted(budget) => write!(f, "budget of {budget} exhausted"),
            status => f.write_str(&status.name().replace('_', " ")),
        }
    }
}
