//! The oracle of a training run, by differentiation through its steps.

use serde::{Deserialize, Serialize};

use super::Oracle;
use crate::error::Error;
use crate::hypergradient::unrolled::{Dynamics, Mode, Rollout};
use crate::hypergradient::{Accuracy, BoundedValue, Evaluation, Hypergradient, Trust};
use crate::problem::UpperLevel;
use crate::status::SolveStatus;
use crate::vector::Vector;
use crate::work::Work;

/// A training run of T steps, what judges its end, and how it is differentiated.
///
/// Its F is F_T, the criterion after these T steps, which is computed exactly but for rounding: accuracies that are asked for make no
/// difference. Bounds are [`Trust::Estimated`]: every step is taken to round the result eight times, by chance up or down, and nothing to
/// amplify it. What a run is that is itself differentiated numerically somewhere is not in it. A
/// hypergradient of a [`Mode`] that leaves steps out is biased by an amount that is not known, and [`Trust::Unknown`].
pub struct Unrolled<D, U> {
    dynamics: D,
    upper: U,
    mode: Mode,
}

/// Runs that are remembered, at most.
const REMEMBERED: usize = 32;

/// What an [`Unrolled`] oracle remembers: what the last runs came to. A solver that asks again at the same θ, for more accuracy than there
/// is, is told what it was told, at no cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct UnrolledState<T: Vector> {
    /// The last one at the end.
    runs: Vec<Ran<T>>,
}

/// What a run at θ came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Ran<T: Vector> {
    theta: T,
    value: f64,
    gradient: Option<T>,
}

impl<T: Vector> Default for UnrolledState<T> {
    fn default() -> Self {
        UnrolledState { runs: Vec::new() }
    }
}

impl<T: Vector> UnrolledState<T> {
    /// What is known at θ.
    fn at(&self, theta: &T) -> Option<&Ran<T>> {
        let here = theta.to_f64();
        self.runs.iter().find(|ran| ran.theta.to_f64() == here)
    }

    /// Puts what was found at θ in the place of what was known there.
    fn remember(&mut self, theta: &T, value: f64, gradient: Option<T>) {
        let here = theta.to_f64();
        self.runs.retain(|ran| ran.theta.to_f64() != here);
        if self.runs.len() >= REMEMBERED {
            self.runs.remove(0);
        }
        self.runs.push(Ran {
            theta: theta.clone(),
            value,
            gradient,
        });
    }
}

impl<D, U> Unrolled<D, U>
where
    D: Dynamics,
    U: UpperLevel<Theta = D::Theta, X = D::State>,
{
    /// The oracle of min f(s_T(θ), θ).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a mode without checkpoints or steps.
    pub fn new(dynamics: D, upper: U, mode: Mode) -> Result<Self, Error> {
        mode.check()?;
        Ok(Unrolled {
            dynamics,
            upper,
            mode,
        })
    }

    /// The iteration.
    pub fn dynamics(&self) -> &D {
        &self.dynamics
    }

    /// The upper level.
    pub fn upper(&self) -> &U {
        &self.upper
    }

    /// s_T(θ): the trained model.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::NotFinite`].
    pub fn run(&self, theta: &D::Theta) -> Result<D::State, Error> {
        self.dynamics.check(theta)?;
        self.rollout().run(theta, &mut Work::default())
    }

    fn rollout(&self) -> Rollout<'_, D, U> {
        Rollout {
            dynamics: &self.dynamics,
            upper: &self.upper,
        }
    }

    /// The share of a result that rounding may have changed, as an estimate: the errors of the steps are taken for independent.
    fn rounding(&self) -> f64 {
        8.0 * D::State::UNIT_ROUNDOFF * (1.0 + self.dynamics.steps() as f64).sqrt()
    }

    fn bounded(&self, value: f64) -> BoundedValue {
        let error = self.rounding() * value.abs();
        BoundedValue {
            value,
            lower: value - error,
            upper: value + error,
            trust: Trust::Estimated,
        }
    }
}

impl<D, U> Oracle for Unrolled<D, U>
where
    D: Dynamics,
    U: UpperLevel<Theta = D::Theta, X = D::State>,
{
    type Theta = D::Theta;
    type State = UnrolledState<D::Theta>;

    fn start(&self, theta: &D::Theta) -> Result<Self::State, Error> {
        self.dynamics.check(theta)?;
        Ok(UnrolledState::default())
    }

    fn value(
        &self,
        theta: &D::Theta,
        _epsilon: f64,
        state: &mut Self::State,
    ) -> Result<Evaluation, Error> {
        self.dynamics.check(theta)?;
        let mut work = Work::default();
        let value = match state.at(theta) {
            Some(ran) => ran.value,
            None => {
                let value = self.rollout().value(theta, &mut work)?;
                state.remember(theta, value, None);
                value
            }
        };
        Ok(Evaluation {
            value: self.bounded(value),
            epsilon: 0.0,
            status: SolveStatus::Converged,
            work,
        })
    }

    fn hypergradient(
        &self,
        theta: &D::Theta,
        _accuracy: Accuracy,
        state: &mut Self::State,
    ) -> Result<Hypergradient<D::Theta>, Error> {
        self.dynamics.check(theta)?;
        let known = state.at(theta).cloned();
        let (value, gradient, work) = match known {
            Some(Ran {
                value,
                gradient: Some(gradient),
                ..
            }) => (value, gradient, Work::default()),
            _ => {
                let found = self.rollout().differentiate(theta, self.mode)?;
                state.remember(theta, found.value, Some(found.gradient.clone()));
                (found.value, found.gradient, found.work)
            }
        };
        let exact = self.mode.is_exact(self.dynamics.steps());
        Ok(Hypergradient {
            error_bound: if exact {
                self.rounding() * gradient.norm()
            } else {
                f64::INFINITY
            },
            trust: if exact {
                Trust::Estimated
            } else {
                Trust::Unknown
            },
            correction: None,
            value: self.bounded(value),
            goal_oriented: value,
            attained: Accuracy {
                epsilon: 0.0,
                delta: 0.0,
            },
            lower_status: SolveStatus::Converged,
            adjoint_status: SolveStatus::Converged,
            attempts: Vec::new(),
            gradient,
            work,
        })
    }

    /// What a run came to is so whether its θ is accepted or not.
    fn end_trial(&self, state: &mut Self::State, trial: Self::State, _accepted: bool) {
        *state = trial;
    }

    /// Likewise from one trial to the next.
    fn reset_trial(&self, _state: &Self::State, _trial: &mut Self::State) {}

    fn check(&self, theta: &D::Theta, _state: &Self::State) -> Result<(), Error> {
        self.dynamics.check(theta)
    }

    fn probe(&self, theta: &D::Theta, _state: &Self::State) -> f64 {
        // A step of the run, judged: the data of both levels decide it.
        let mut state = self.dynamics.start();
        if self.dynamics.steps() > 0 {
            self.dynamics.step(0, &mut state, theta);
        }
        self.upper.value(&state, theta)
    }

    fn identity(&self) -> String {
        format!(
            "{} / {} / {:?}",
            self.dynamics.identity(),
            self.upper.identity(),
            self.mode
        )
    }
}
