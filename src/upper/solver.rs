//! The trait of upper-level solvers, the outcome of a step, and the row of the trace.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Debug;

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
    /// ‖z_k‖; where θ is constrained, the [measure of stationarity](super::descent::constraint) π(z_k). Infinite where no hypergradient was
    /// computed.
    pub gradient_norm: f64,
    /// ω_k, the bound of ‖z_k − ∇F(θ_k)‖; infinite where it is not known.
    pub error_bound: f64,
    /// The trust in ω_k.
    pub trust: Trust,
    /// ε and δ that z_k was computed with; where no hypergradient was computed, δ is infinite.
    pub accuracy: Accuracy,
    /// The accepted step α_k, or, for searches, the length of the move; `None` where θ did not move.
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

    /// The row of a search: F(θ) to `epsilon`, and no gradient.
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

/// The entries of θ for the trace: none where there are more than [`THETA_IN_TRACE`].
fn in_trace<T: Vector>(theta: &T) -> Vec<f64> {
    if theta.len() <= THETA_IN_TRACE {
        theta.to_f64()
    } else {
        Vec::new()
    }
}

/// The outcome of one call of [`Solver::step`].
#[derive(Debug, Clone, PartialEq)]
pub enum Step<T> {
    /// The solver goes on; θ may have moved.
    Moved(Iteration),
    /// The solver has ended at θ: the status, the last iteration, and the hypergradient at θ.
    Ended(Status, Iteration, Hypergradient<T>),
}

/// An upper-level solver: settings that are fixed during a run. What changes is its state.
pub trait Solver<O: Oracle>: Debug {
    /// Everything that the next step depends on: θ, the oracle's state, step sizes and accuracies.
    type State: SolverState<O>;

    /// The state at θ₀. Refuses settings and a θ₀ outside their range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error>;

    /// One iteration. It ends with [`Status::Converged`] once ‖z‖ + ω ≤ `tolerance`.
    ///
    /// # Errors
    /// Those of the oracle at the current θ.
    fn step(
        &self,
        oracle: &O,
        state: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error>;

    /// ε and δ of a hypergradient at this state.
    fn accuracy(&self, state: &Self::State) -> Accuracy;

    /// A short name, as in `MAID`.
    fn name(&self) -> String;

    /// The hypergradient at the current θ and accuracy, with the iteration that describes it.
    ///
    /// # Errors
    /// Those of the oracle.
    fn evaluate(
        &self,
        oracle: &O,
        state: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        let accuracy = self.accuracy(state);
        state.evaluate(oracle, accuracy)
    }

    /// [`Oracle::probe`] at the state. Refuses the state of a problem of another size.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn probe(&self, oracle: &O, state: &Self::State) -> Result<f64, Error> {
        state.probe(oracle)
    }

    /// The current θ.
    fn theta<'a>(&self, state: &'a Self::State) -> &'a O::Theta {
        state.theta()
    }

    /// The name and the settings. A checkpoint is resumed by a solver of the same identity only.
    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

/// The state of a [`Solver`], which checkpoints store: θ, the warm starts of the oracle, and what the solver remembers.
#[doc(hidden)]
pub trait SolverState<O: Oracle>: Serialize + DeserializeOwned {
    /// The current θ.
    fn theta(&self) -> &O::Theta;

    /// The hypergradient at θ from the warm starts, with the iteration that describes it.
    ///
    /// # Errors
    /// Those of the oracle.
    fn evaluate(
        &mut self,
        oracle: &O,
        accuracy: Accuracy,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error>;

    /// [`Oracle::probe`] at θ and the warm starts. Refuses the state of a problem of another size.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn probe(&self, oracle: &O) -> Result<f64, Error>;
}

/// Implements [`SolverState`] for a state whose fields `theta` and `oracle` are θ and the oracle's state, or, with `.field`, those of a part
/// of it. Type parameters other than the oracle `O` are listed first.
macro_rules! solver_state {
    ([$($other:ident),*] $state:ty $(, .$part:ident)?) => {
        impl<O: $crate::oracle::Oracle $(, $other)*> $crate::upper::solver::SolverState<O> for $state
        where
            Self: serde::Serialize + serde::de::DeserializeOwned,
        {
            fn theta(&self) -> &O::Theta {
                &self$(.$part)?.theta
            }

            fn evaluate(
                &mut self,
                oracle: &O,
                accuracy: $crate::hypergradient::Accuracy,
            ) -> Result<
                (
                    $crate::upper::solver::Iteration,
                    $crate::hypergradient::Hypergradient<O::Theta>,
                ),
                $crate::error::Error,
            > {
                $crate::upper::solver::evaluate(
                    oracle,
                    &self$(.$part)?.theta,
                    accuracy,
                    &mut self$(.$part)?.oracle,
                )
            }

            fn probe(&self, oracle: &O) -> Result<f64, $crate::error::Error> {
                let (theta, state) = (&self$(.$part)?.theta, &self$(.$part)?.oracle);
                oracle.check(theta, state)?;
                Ok(oracle.probe(theta, state))
            }
        }
    };
}
pub(crate) use solver_state;

/// Whether π(z) + ω ≤ tolerance, which bounds π(∇F); without a constraint these are ‖z‖ and ‖∇F‖. Where no bound was asked for and the inner
/// problems were solved, ω counts as 0.
pub(crate) fn converged<T>(measure: f64, z: &Hypergradient<T>, tolerance: f64) -> bool {
    let omega = match z.trust {
        Trust::Unknown if z.is_unbounded_by_choice() => 0.0,
        _ => z.error_bound,
    };
    measure + omega <= tolerance
}

/// The hypergradient at θ, with the iteration that describes it.
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
