//! The hypergradient ∇F(θ) of F(θ) = f(x*(θ), θ), with the error of a computed one.
//!
//! [`Implicit`](crate::Implicit) computes it by the implicit function theorem, and [`bound`] bounds its error; [`unrolled`] differentiates
//! through the steps of a training run.

pub mod bound;
pub mod unrolled;

use serde::{Deserialize, Serialize};

use crate::error::{Error, positive};
use crate::linear::Attempt;
use crate::status::SolveStatus;
use crate::work::Work;

/// The requested or attained accuracies of the inner problems.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// ε: the distance ‖x̃ − x*‖ of the lower-level solution.
    pub epsilon: f64,
    /// δ: the residual norm ‖A q − ∇ₓf‖ of the adjoint.
    pub delta: f64,
}

impl Accuracy {
    /// The accuracies ε and δ, each positive and finite.
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

/// The reliability of a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// There is no bound.
    Unknown,
    /// Some constants of the bound are sampled: it is likely, not proved.
    Estimated,
    /// The problem supplies every constant of the bound: it is proved.
    Certified,
}

/// The method behind [`Trust::Estimated`] bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorEstimator {
    /// The certified formula, with sampled constants where the problem does not supply them (the default). Safe where the inner problems are
    /// ill-conditioned; looser with more hyperparameters.
    #[default]
    Sampled,
    /// A multiple of the distance to the hypergradient after a Newton step, which replaces the first one: close to the true error, and
    /// suited to many hyperparameters and well-conditioned lower levels.
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

/// A computed number with an interval that contains the exact one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BoundedValue {
    /// The computed number.
    pub value: f64,
    /// A lower bound of the exact one.
    pub lower: f64,
    /// An upper bound of the exact one.
    pub upper: f64,
    /// The trust in the bounds.
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

/// An upper value F(θ), with its cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// F(θ) with its bounds.
    pub value: BoundedValue,
    /// The attained ε (the largest over the samples of a mean); the gradient norm where μ is not known.
    pub epsilon: f64,
    /// How the lower solve ended (the worst over the samples).
    pub status: SolveStatus,
    /// The work done.
    pub work: Work,
}

/// A hypergradient z ≈ ∇F(θ) with a bound of its error, the upper value at the same point, and its cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypergradient<T> {
    /// z, the computed gradient.
    pub gradient: T,
    /// ω ≥ ‖z − ∇F(θ)‖; infinite where no bound is known.
    pub error_bound: f64,
    /// The trust in ω.
    pub trust: Trust,
    /// The vector of norm ω, a multiple of the change by a Newton step ([`ErrorEstimator::NewtonStep`]); in a [`Mean`](crate::Mean) these add
    /// up with their signs.
    pub correction: Option<T>,
    /// F(θ) with its bounds.
    pub value: BoundedValue,
    /// The estimate f(x̃) − ⟨q, ∇ₓg(x̃)⟩ of F(θ), whose error is of second order: O(ε² + εδ). It is not certified.
    pub goal_oriented: f64,
    /// The attained accuracies, rounding included (the largest over the samples of a mean). Where μ is not known, ε is ‖∇ₓg‖.
    pub attained: Accuracy,
    /// How the lower solve ended (the worst over the samples).
    pub lower_status: SolveStatus,
    /// How the adjoint solve ended (the worst over the samples).
    pub adjoint_status: SolveStatus,
    /// The attempted linear solvers, where the first one failed (of the first such sample of a mean).
    pub attempts: Vec<Attempt>,
    /// The work done.
    pub work: Work,
}

impl<T> Hypergradient<T> {
    /// Whether there is no bound because none was requested, and not because of a failure.
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
