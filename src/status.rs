//! How an inner solve or a whole run ended. An ending is a value with a name and a sentence of advice, never a silence.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How the solution of a lower-level problem or of a linear system ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SolveStatus {
    /// The accuracy that was asked for is met.
    Converged,
    /// The limit of iterations came first.
    IterationLimit,
    /// The residual stopped falling: rounding errors of the storage type, or an inexact product.
    Stagnated,
    /// The Hessian is not positive definite: a direction p with pᵀAp ≤ 0 was met.
    NegativeCurvature,
    /// The solver needs the Hessian as a matrix, which the lower level does not give.
    NoMatrix,
    /// A value that is not finite appeared.
    NotFinite,
}

impl SolveStatus {
    /// What to do about it.
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

    /// The worse of two endings, for the report of many solves.
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

/// The budget that was used up first.
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
    /// Value and hypergradient were evaluated; no step was asked for.
    Evaluated,
    /// ‖z‖ + ω ≤ tolerance, hence ‖∇F(θ)‖ ≤ tolerance as surely as the trust of the bound.
    Converged,
    /// The inner problems cannot be solved more accurately, and the next step needs it.
    AccuracyFloor,
    /// No step along the direction decreases the upper value, however short.
    Stalled,
    /// A budget is used up.
    BudgetExhausted(Budget),
    /// The user asked for the end (Ctrl-C, or an observer).
    Interrupted,
    /// The iterates run away, and no shorter step brings them back.
    Diverged,
    /// The search did all that it was set to do: every point of a grid, or steps down to the shortest. No test of
    /// stationarity was passed.
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

    /// What it means and what to do about it.
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
