//! The hypergradient ∇F(θ) of F(θ) = f(x*(θ), θ), and how far a computed one can be trusted.
//!
//! [`implicit`] computes it by the implicit function theorem, [`bound`] bounds its error; [`unrolled`] goes through the steps of a training
//! run.

pub mod bound;
pub mod implicit;
mod newton_step;
mod sampled;
pub mod unrolled;

pub use implicit::ImplicitParts;

use serde::{Deserialize, Serialize};

use crate::error::{Error, positive};
use crate::linear::Attempt;
use crate::lower::LowerReport;
use crate::problem::LowerLevel;
use crate::status::SolveStatus;
use crate::work::Work;

/// How accurately the inner problems are to be solved, or have been.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// ε: the distance ‖x̃ − x*‖ of the lower-level solution.
    pub epsilon: f64,
    /// δ: the residual norm ‖A q − ∇ₓf‖ of the adjoint.
    pub delta: f64,
}

impl Accuracy {
    /// Both accuracies, each positive and finite.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn new(epsilon: f64, delta: f64) -> Result<Self, Error> {
        Ok(Accuracy {
            epsilon: positive("epsilon", epsilon)?,
            delta: positive("delta", delta)?,
        })
    }

    /// Both accuracies times `factor`.
    pub fn scaled(self, factor: f64) -> Self {
        Accuracy {
            epsilon: self.epsilon * factor,
            delta: self.delta * factor,
        }
    }
}

/// How sure a bound is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// No bound is known.
    Unknown,
    /// Constants of the bound were sampled: likely, not proved.
    Estimated,
    /// Every constant of the bound was supplied by the problem: proved.
    Certified,
}

/// How [`Trust::Estimated`] bounds come about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorEstimator {
    /// The bound of the certificate, with constants from samples where the problem does not supply them (the default). Safe where
    /// the inner problems are ill-conditioned; looser the more hyperparameters there are.
    #[default]
    Sampled,
    /// A share of the distance to the hypergradient after a Newton step, which is returned in its place: near the true error, and
    /// the choice for many hyperparameters and lower levels of moderate condition.
    NewtonStep,
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Trust::Unknown => "unknown",
            Trust::Estimated => "estimated",
            Trust::Certified => "certified",
        })
    }
}

/// A number with the interval that it is known to lie in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundedValue {
    /// The computed number.
    pub value: f64,
    /// A lower bound of the exact one.
    pub lower: f64,
    /// An upper bound of the exact one.
    pub upper: f64,
    /// How sure the bounds are.
    pub trust: Trust,
}

impl BoundedValue {
    /// A bound of the distance between the computed and the exact number.
    pub fn error(&self) -> f64 {
        (self.upper - self.value).max(self.value - self.lower)
    }

    pub(crate) fn unknown(value: f64) -> Self {
        BoundedValue {
            value,
            lower: f64::NEG_INFINITY,
            upper: f64::INFINITY,
            trust: Trust::Unknown,
        }
    }
}

/// An upper value F(θ) and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// F(θ) with its bounds.
    pub value: BoundedValue,
    /// The attained ε (the largest over the samples of a sum); the gradient norm where μ is not known.
    pub epsilon: f64,
    /// How the lower solve ended (the worst over the samples).
    pub status: SolveStatus,
    /// The work done.
    pub work: Work,
}

/// A hypergradient z ≈ ∇F(θ) with the bound of its error, the upper value at the same point, and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypergradient<T> {
    /// z, the computed gradient.
    pub gradient: T,
    /// ω ≥ ‖z − ∇F(θ)‖; infinite where no bound is known.
    pub error_bound: f64,
    /// How sure ω is.
    pub trust: Trust,
    /// The vector whose norm ω is, a share of what a Newton step changed ([`ErrorEstimator::NewtonStep`]): in a sum, these add up with their
    /// signs.
    pub correction: Option<T>,
    /// F(θ) with its bounds.
    pub value: BoundedValue,
    /// The estimate f(x̃) − ⟨q, ∇ₓg(x̃)⟩ of F(θ), whose error is of second order: O(ε² + εδ). An estimate, no certificate.
    pub goal_oriented: f64,
    /// The attained accuracies, rounding included (the largest over the samples of a sum). Where μ is not known, ε is ‖∇ₓg‖.
    pub attained: Accuracy,
    /// How the lower solve ended (the worst over the samples).
    pub lower_status: SolveStatus,
    /// How the adjoint solve ended (the worst over the samples).
    pub adjoint_status: SolveStatus,
    /// The linear solvers that were tried, where the first one failed (of the first such sample of a sum).
    pub attempts: Vec<Attempt>,
    /// The work done.
    pub work: Work,
}

impl<T> Hypergradient<T> {
    /// Whether there is no bound because none was asked for, and not because something failed.
    pub(crate) fn is_unbounded_by_choice(&self) -> bool {
        self.trust == Trust::Unknown
            && self.status() == SolveStatus::Converged
            && self.attempts.is_empty()
    }

    /// How the inner solves ended: the worse of the two.
    pub fn status(&self) -> SolveStatus {
        self.lower_status.worst(self.adjoint_status)
    }
}

/// Where a hypergradient is computed: θ, x̃, and what the lower solver says about it.
pub struct LowerPoint<'a, P: LowerLevel> {
    /// θ.
    pub theta: &'a P::Theta,
    /// x̃ ≈ x*(θ).
    pub x: &'a P::X,
    /// The report of the solver that found x̃.
    pub solved: &'a LowerReport,
}

/// The adjoint at a [`LowerPoint`].
struct AdjointPoint<'a, X> {
    /// q and ‖q‖.
    q: &'a X,
    q_norm: f64,
    /// ∇ₓf(x̃) and its norm.
    rhs: &'a X,
    rhs_norm: f64,
    /// ‖A q − ∇ₓf‖, rounding included.
    delta: f64,
}
