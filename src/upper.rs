//! Upper-level solvers: what moves θ.
//!
//! | solver | accuracy of the inner problems | step | guarantee |
//! |---|---|---|---|
//! | [`Maid`] | adaptive, both ways | backtracking on bounds | every accepted step decreases the exact F |
//! | its kin, [`Maid::lbfgs`] first | adaptive, by what was missed | the same, along other directions and steps | the same for the monotone ones |
//! | [`GradientDescent`] | fixed | backtracking on computed values | none beyond the accuracy |
//! | [`Hoag`] | a summable law, fixed in advance | adaptive, from observed decrease | convergence in the limit |
//! | [`DerivativeFree`] | tied to the step | along coordinates, compared on bounds | every accepted step decreases the exact F |
//! | [`RandomSearch`], [`GridSearch`] | fixed | none: points of a box | none |
//!
//! A backtracking solver is an accuracy schedule ([`accuracy`](descent::accuracy)) × a [`direction`](descent::direction) × a trial step × an acceptance ([`line_search`](descent::line_search)) × a
//! [`constraint`](descent::constraint).
//!
//! A solver sees an [`Oracle`], not a problem. [`Solver::step`] is public: call it in a loop of your own, or let
//! [`Run`](crate::Run) add stopping rules, budgets, observers, a trace and checkpoints.

pub mod descent;
pub mod gradient_descent;
pub mod hoag;
pub mod maid;
pub mod searches;

pub use descent::{
    Acceptance, Adaptation, AdaptiveAccuracy, Backtracking, Constraint, Direction, FirstStep,
    Iterate, ToleranceSchedule, TrialStep, Values,
};
pub use gradient_descent::GradientDescent;
pub use hoag::Hoag;
pub use maid::Maid;
#[cfg(feature = "tpe")]
pub use searches::Tpe;
pub use searches::{DerivativeFree, GridSearch, RandomSearch, SearchBox};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::error::Error;
use crate::hypergradient::{Accuracy, BoundedValue, Hypergradient, Trust};
use crate::oracle::Oracle;
use crate::status::Status;
use crate::vector::Vector;
use crate::work::Work;

/// θ with more entries than this is not written into the trace.
const THETA_IN_TRACE: usize = 16;

/// One iteration of an upper-level solver: a row of the trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Iteration {
    /// The number of the iteration, from 0. The driver fills it in.
    pub iteration: u64,
    /// F(θ_k) with its bounds, at the θ that the iteration started from.
    pub value: BoundedValue,
    /// ‖z_k‖; where θ is constrained, the [measure of stationarity](descent::constraint) π(z_k). Infinite where no hypergradient was
    /// computed.
    pub gradient_norm: f64,
    /// ω_k, the bound of ‖z_k − ∇F(θ_k)‖; infinite where it is not known.
    pub error_bound: f64,
    /// How sure ω_k is.
    pub trust: Trust,
    /// ε and δ that z_k was computed with; where no hypergradient was computed, δ is infinite.
    pub accuracy: Accuracy,
    /// The accepted step α_k, for searches the length of the move; `None` where θ did not move.
    pub step: Option<f64>,
    /// Hypergradients computed in this iteration.
    pub hypergradients: u64,
    /// Upper values computed by the line search in this iteration.
    pub trials: u64,
    /// The work done: in this iteration when a solver returns it, since the start in a trace.
    pub work: Work,
    /// θ_k; empty for more than 16 entries.
    pub theta: Vec<f64>,
}

impl Iteration {
    pub(crate) fn new<T: Vector>(theta: &T, accuracy: Accuracy, z: &Hypergradient<T>) -> Self {
        Iteration {
            iteration: 0,
            value: z.value,
            gradient_norm: z.gradient.norm(),
            error_bound: z.error_bound,
            trust: z.trust,
            accuracy,
            step: None,
            hypergradients: 0,
            trials: 0,
            work: Work::default(),
            theta: in_trace(theta),
        }
    }

    /// The row of a search that knows F(θ) to `epsilon`, and no gradient.
    pub(crate) fn without_gradient<T: Vector>(
        theta: &T,
        epsilon: f64,
        value: BoundedValue,
    ) -> Self {
        Iteration {
            iteration: 0,
            value,
            gradient_norm: f64::INFINITY,
            error_bound: f64::INFINITY,
            trust: Trust::Unknown,
            accuracy: Accuracy {
                epsilon,
                delta: f64::INFINITY,
            },
            step: None,
            hypergradients: 0,
            trials: 0,
            work: Work::default(),
            theta: in_trace(theta),
        }
    }
}

/// θ as the trace has it.
fn in_trace<T: Vector>(theta: &T) -> Vec<f64> {
    if theta.len() <= THETA_IN_TRACE {
        theta.to_f64()
    } else {
        Vec::new()
    }
}

/// What one call of [`Solver::step`] did.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T> {
    /// θ moved, or the search looked elsewhere and goes on.
    Moved(Iteration),
    /// θ stays: why, the iteration that found out, and the hypergradient at θ.
    Ended(Status, Iteration, Hypergradient<T>),
}

/// An upper-level solver: settings that are fixed during a run. What changes is its state.
pub trait Solver<O: Oracle> {
    /// Everything that the next step depends on: θ, the oracle's state, steps and accuracies.
    type State: Serialize + DeserializeOwned;

    /// The state at θ₀. Refuses settings and a θ₀ outside their range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error>;

    /// One iteration. It ends with [`Status::Converged`] when ‖z‖ + ω ≤ `tolerance` is found out.
    ///
    /// # Errors
    /// Those of the oracle at the current θ.
    fn step(
        &self,
        oracle: &O,
        state: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error>;

    /// The hypergradient at the current θ and accuracy, with the iteration that describes it.
    ///
    /// # Errors
    /// Those of the oracle.
    fn evaluate(
        &self,
        oracle: &O,
        state: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error>;

    /// [`Oracle::probe`] at the state. Refuses the state of a problem of another size.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn probe(&self, oracle: &O, state: &Self::State) -> Result<f64, Error>;

    /// The current θ.
    fn theta<'a>(&self, state: &'a Self::State) -> &'a O::Theta;

    /// A short name, as in `MAID`.
    fn name(&self) -> String;

    /// The name and the settings, as a run identifies them.
    fn identity(&self) -> String;
}

/// π(z) + ω ≤ tolerance, which bounds π(∇F); without a constraint these are ‖z‖ and ‖∇F‖. Where no bound was asked for, ‖z‖ alone must do, of inner problems that were solved.
pub(crate) fn converged<T>(measure: f64, z: &Hypergradient<T>, tolerance: f64) -> bool {
    let omega = match z.trust {
        Trust::Unknown if z.is_unbounded_by_choice() => 0.0,
        _ => z.error_bound,
    };
    measure + omega <= tolerance
}

/// Evaluates the oracle at θ, for [`Solver::evaluate`].
pub(crate) fn evaluate<O: Oracle>(
    oracle: &O,
    theta: &O::Theta,
    accuracy: Accuracy,
    state: &mut O::State,
) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
    let z = oracle.hypergradient(theta, accuracy, state)?;
    let mut iteration = Iteration::new(theta, accuracy, &z);
    iteration.hypergradients = 1;
    iteration.work = z.work;
    Ok((iteration, z))
}

/// [`Oracle::probe`], once it is sure that the state is of the oracle's size.
pub(crate) fn probe<O: Oracle>(
    oracle: &O,
    theta: &O::Theta,
    state: &O::State,
) -> Result<f64, Error> {
    oracle.check(theta, state)?;
    Ok(oracle.probe(theta, state))
}

/// Refuses an empty θ₀ or one with entries that are not finite.
pub(crate) fn check_theta<T: Vector>(theta: &T) -> Result<(), Error> {
    if theta.is_empty() {
        return Err(Error::invalid("theta", "empty", "at least one entry"));
    }
    if let Some((i, value)) = theta
        .to_f64()
        .into_iter()
        .enumerate()
        .find(|(_, v)| !v.is_finite())
    {
        return Err(Error::invalid(
            format!("theta[{i}]"),
            value,
            "a finite number",
        ));
    }
    Ok(())
}
