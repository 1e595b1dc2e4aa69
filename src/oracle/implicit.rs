//! The oracle of one bilevel problem, by implicit differentiation.

mod hypergradient;
mod newton_step;
mod point;
mod sampled;

use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

use super::{Oracle, Scales};
use crate::error::{Error, positive};
use crate::hypergradient::{Accuracy, ErrorEstimator, Evaluation, Hypergradient, Trust};
use crate::linear::{Fallback, LinearSolver};
use crate::lower::{Fista, LowerReport, LowerSolver};
use crate::problem::{LowerLevel, UpperLevel};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};
use crate::work::Work;
use point::LowerPoint;

/// The oracle of one bilevel problem: both levels, and the solvers of the inner problems.
///
/// ```text
/// x̃ ≈ argmin g(·, θ) to ε;   solve A(x̃) q = ∇ₓf(x̃) to ‖A q − ∇ₓf‖ ≤ δ;   z = ∇θf(x̃) − B(x̃)ᵀ q
/// ```
///
/// With x̃ = x* and δ = 0, z is ∇F(θ), because ∇ₓg(x*(θ), θ) = 0 gives dx*/dθ = −A⁻¹B. The [bound](crate::hypergradient::bound) of its error
/// is certified where the problem supplies the constants of [`Curvature`](crate::Curvature), estimated where they are sampled.
///
/// g must be twice continuously differentiable, and A(x*) positive definite.
///
/// F. Pedregosa: Hyperparameter optimization with approximate gradient. ICML 2016,
/// [arXiv:1602.02355](https://arxiv.org/abs/1602.02355).
///
/// The defaults are [`Fista`] for the lower level, [`Fallback`] for the adjoint, and [`Trust::Certified`].
pub struct Implicit<P, U, S = Fista, L = Fallback>
where
    P: LowerLevel,
{
    lower: P,
    upper: U,
    lower_solver: S,
    linear_solver: L,
    trust: Trust,
    estimator: ErrorEstimator,
    /// The buffers of the solvers, one set per calling thread.
    scratch: Mutex<Vec<Scratch<P::X>>>,
}

/// The warm starts of an [`Implicit`] oracle.
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct ImplicitState<X: Vector> {
    x: X,
    /// `None` until the first hypergradient, and in a trial state.
    adjoint: Option<X>,
    /// The smallest estimate of μ so far, where the problem does not supply it and the trust is estimated.
    mu: Option<f64>,
}

/// An accuracy that any starting point meets.
const LOOSE: f64 = 1e150;
/// x* is solved for to this share of its size, to find the size, and to that share, to find the size of F.
const SIZE_ACCURACY: f64 = 0.1;
const VALUE_ACCURACY: f64 = 1e-4;
/// The least size of x*, as a share of the first bound of its distance: an x* of zero has no size of its own.
const LEAST_SIZE: f64 = 1e-8;

impl<X: Vector> ImplicitState<X> {
    /// The last lower-level solution x̃.
    pub fn x(&self) -> &X {
        &self.x
    }

    /// The last adjoint q, after the first hypergradient.
    pub fn adjoint(&self) -> Option<&X> {
        self.adjoint.as_ref()
    }
}

impl<P, U> Implicit<P, U>
where
    P: LowerLevel,
    U: UpperLevel<Theta = P::Theta, X = P::X>,
{
    /// The oracle of min f(x*(θ), θ) with x*(θ) = argmin g(x, θ), with the default solvers.
    pub fn new(lower: P, upper: U) -> Self {
        Implicit {
            lower,
            upper,
            lower_solver: Fista::default(),
            linear_solver: Fallback::default(),
            trust: Trust::Certified,
            estimator: ErrorEstimator::default(),
            scratch: Mutex::new(Vec::new()),
        }
    }
}

impl<P, U, S, L> Implicit<P, U, S, L>
where
    P: LowerLevel,
{
    /// This oracle with another solver of the lower level.
    pub fn with_lower_solver<T: LowerSolver>(self, lower_solver: T) -> Implicit<P, U, T, L> {
        Implicit {
            lower: self.lower,
            upper: self.upper,
            lower_solver,
            linear_solver: self.linear_solver,
            trust: self.trust,
            estimator: self.estimator,
            scratch: self.scratch,
        }
    }

    /// This oracle with another solver of the adjoint system.
    pub fn with_linear_solver<T: LinearSolver>(self, linear_solver: T) -> Implicit<P, U, S, T> {
        Implicit {
            lower: self.lower,
            upper: self.upper,
            lower_solver: self.lower_solver,
            linear_solver,
            trust: self.trust,
            estimator: self.estimator,
            scratch: self.scratch,
        }
    }

    /// This oracle with bounds of another trust. [`Trust::Unknown`] computes no bounds.
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = trust;
        self
    }

    /// This oracle with another estimator of the error, which only [`Trust::Estimated`] uses.
    pub fn with_estimator(mut self, estimator: ErrorEstimator) -> Self {
        self.estimator = estimator;
        self
    }

    /// A state with the warm start x of the lower level.
    pub fn state_at(&self, x: &P::X) -> ImplicitState<P::X> {
        ImplicitState {
            x: x.clone(),
            adjoint: None,
            mu: None,
        }
    }

    /// A state with the warm starts x of the lower level and v of the adjoint.
    pub fn state_with(&self, x: &P::X, v: &P::X) -> ImplicitState<P::X> {
        ImplicitState {
            adjoint: Some(v.clone()),
            ..self.state_at(x)
        }
    }

    /// The lower level.
    pub fn lower(&self) -> &P {
        &self.lower
    }

    /// Returns the lower level.
    pub fn into_lower(self) -> P {
        self.lower
    }

    /// The upper level.
    pub fn upper(&self) -> &U {
        &self.upper
    }
}

impl<P, U, S, L> Implicit<P, U, S, L>
where
    P: LowerLevel,
    U: UpperLevel<Theta = P::Theta, X = P::X>,
    S: LowerSolver,
    L: LinearSolver,
{
    fn with_scratch<R>(&self, f: impl FnOnce(&mut Scratch<P::X>) -> R) -> R {
        // A panic in another thread leaves the list of buffers valid.
        let lock = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = lock().pop().unwrap_or_default();
        let result = f(&mut scratch);
        lock().push(scratch);
        result
    }

    fn solve_lower(
        &self,
        theta: &P::Theta,
        epsilon: f64,
        x: &mut P::X,
        scratch: &mut Scratch<P::X>,
    ) -> Result<LowerReport, Error> {
        positive("epsilon", epsilon)?;
        self.lower.check(theta)?;
        let report = self
            .lower_solver
            .minimize(&self.lower, theta, epsilon, x, scratch);
        if report.status == SolveStatus::NotFinite || !x.is_finite() {
            // Discard this x: the next call begins at the start of the lower level.
            let start = self.lower.start();
            let at = if x.is_finite() { &*x } else { &start };
            let cause = self.lower.explain(at, theta);
            *x = start;
            return Err(Error::NotFinite {
                function: "the gradient of the lower level",
                cause,
            });
        }
        Ok(report)
    }
}

impl<P, U, S, L> Oracle for Implicit<P, U, S, L>
where
    P: LowerLevel,
    U: UpperLevel<Theta = P::Theta, X = P::X>,
    S: LowerSolver,
    L: LinearSolver,
{
    type Theta = P::Theta;
    type State = ImplicitState<P::X>;

    fn start(&self, theta: &P::Theta) -> Result<Self::State, Error> {
        self.lower.check(theta)?;
        Ok(ImplicitState {
            x: self.lower.start(),
            adjoint: None,
            mu: None,
        })
    }

    fn value(
        &self,
        theta: &P::Theta,
        epsilon: f64,
        state: &mut Self::State,
    ) -> Result<Evaluation, Error> {
        self.with_scratch(|scratch| {
            let solved = self.solve_lower(theta, epsilon, &mut state.x, scratch)?;
            let mut work = solved.work;
            let at = LowerPoint {
                theta,
                x: &state.x,
                solved: &solved,
            };
            let value = self.value_at(&at, state.mu, &mut work, scratch)?;
            Ok(Evaluation {
                value,
                epsilon: solved.epsilon.unwrap_or(solved.gradient_norm),
                status: solved.status,
                work,
            })
        })
    }

    fn hypergradient(
        &self,
        theta: &P::Theta,
        accuracy: Accuracy,
        state: &mut Self::State,
    ) -> Result<Hypergradient<P::Theta>, Error> {
        positive("delta", accuracy.delta)?;
        self.with_scratch(|scratch| {
            let solved = self.solve_lower(theta, accuracy.epsilon, &mut state.x, scratch)?;
            let adjoint = state.adjoint.get_or_insert_with(|| state.x.zeros_like());
            let at = LowerPoint {
                theta,
                x: &state.x,
                solved: &solved,
            };
            let delta = accuracy.delta;
            let mut z = self.hypergradient_at(&at, delta, adjoint, &mut state.mu, scratch)?;
            z.work += solved.work;
            Ok(z)
        })
    }

    fn correction(
        &self,
        theta: &P::Theta,
        state: &Self::State,
        trial: &Self::State,
        work: &mut Work,
    ) -> f64 {
        let Some(adjoint) = &state.adjoint else {
            return 0.0;
        };
        self.with_scratch(|scratch| {
            let mut gradient = scratch.take(&trial.x);
            self.lower.gradient(&trial.x, theta, &mut gradient);
            work.lower_gradients += 1;
            let correction = adjoint.dot(&gradient);
            scratch.put(gradient);
            correction
        })
    }

    /// A trial needs the lower-level solution only, in a buffer of the solvers.
    fn begin_trial(&self, state: &Self::State) -> Self::State {
        let mut trial = ImplicitState {
            x: self.with_scratch(|scratch| scratch.take(&state.x)),
            adjoint: None,
            mu: None,
        };
        self.reset_trial(state, &mut trial);
        trial
    }

    fn reset_trial(&self, state: &Self::State, trial: &mut Self::State) {
        trial.x.copy_from(&state.x);
        trial.mu = state.mu;
    }

    fn end_trial(&self, state: &mut Self::State, mut trial: Self::State, accepted: bool) {
        if accepted {
            std::mem::swap(&mut state.x, &mut trial.x);
        }
        self.with_scratch(|scratch| scratch.put(trial.x));
    }

    fn scales(&self, theta: &P::Theta) -> Result<Scales, Error> {
        let mut state = self.start(theta)?;
        let x = &mut state.x;
        self.with_scratch(|scratch| {
            // Any accuracy is met where the solver starts; the report says how far x* is from there at most, or, without μ, how steep g is.
            let mut solved = self.solve_lower(theta, LOOSE, x, scratch)?;
            let reached = |solved: &LowerReport| solved.epsilon.unwrap_or(solved.gradient_norm);
            let first = reached(&solved);
            let least = LEAST_SIZE * first;
            let size = |x: &P::X, solved: &LowerReport| match solved.epsilon {
                Some(_) => x.norm().max(least),
                None => first,
            };
            let fine = |accuracy: f64| 0.0 < accuracy && accuracy < LOOSE;
            while solved.status == SolveStatus::Converged
                && fine(reached(&solved))
                && reached(&solved) > SIZE_ACCURACY * size(x, &solved)
            {
                let accuracy = SIZE_ACCURACY * reached(&solved);
                solved = self.solve_lower(theta, accuracy, x, scratch)?;
            }
            let epsilon = size(x, &solved);
            if fine(epsilon) {
                solved = self.solve_lower(theta, VALUE_ACCURACY * epsilon, x, scratch)?;
            }
            let at = LowerPoint {
                theta,
                x,
                solved: &solved,
            };
            let mut gradient = x.clone();
            let found = self.upper_at(&at, &mut gradient, &mut Work::default());
            found.map(|(value, delta)| Scales {
                epsilon,
                delta,
                value: value.abs(),
            })
        })
    }

    fn check(&self, theta: &P::Theta, state: &Self::State) -> Result<(), Error> {
        self.lower.check(theta)?;
        let expected = self.lower.start().len();
        if state.x.len() == expected {
            Ok(())
        } else {
            Err(Error::invalid(
                "state",
                format!("a lower-level solution of {} numbers", state.x.len()),
                format!("{expected} numbers"),
            ))
        }
    }

    fn probe(&self, theta: &P::Theta, state: &Self::State) -> f64 {
        self.lower.value(&state.x, theta) + self.upper.value(&state.x, theta)
    }

    fn identity(&self) -> String {
        format!(
            "{} / {} / {} / {} / {}",
            self.lower.identity(),
            self.upper.identity(),
            self.lower_solver.identity(),
            self.linear_solver.identity(),
            match self.trust {
                Trust::Estimated if self.estimator != ErrorEstimator::default() =>
                    format!("estimated by {:?}", self.estimator),
                trust => trust.to_string(),
            },
        )
    }
}
