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

/// The oracle of a training run of T steps: the run, the criterion at its end, and the mode of differentiation.
///
/// F is F_T, the criterion after these T steps, which is computed exactly up to rounding, so requested accuracies have no effect. Bounds are
/// [`Trust::Estimated`]: they assume eight independent roundings per step, without amplification. The bound does not cover finite-difference
/// error inside the training run. The hypergradient of a [`Mode`] that omits steps has an unknown bias and [`Trust::Unknown`].
pub struct Unrolled<D, U> {
    dynamics: D,
    upper: U,
    mode: Mode,
}

/// The maximum number of stored runs.
const REMEMBERED: usize = 32;

/// The state of an [`Unrolled`] oracle: the results of the last runs. A second call at the same θ returns the stored result at no cost.
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct UnrolledState<T: Vector> {
    /// The most recent one is last.
    runs: Vec<Outcome<T>>,
}

/// The result of the run at θ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Outcome<T: Vector> {
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
    /// The stored result at θ.
    fn at(&self, theta: &T) -> Option<&Outcome<T>> {
        let here = theta.to_f64();
        self.runs.iter().find(|run| run.theta.to_f64() == here)
    }

    /// Stores the result at θ, replacing an earlier one.
    fn remember(&mut self, theta: &T, value: f64, gradient: Option<T>) {
        let here = theta.to_f64();
        self.runs.retain(|run| run.theta.to_f64() != here);
        if self.runs.len() >= REMEMBERED {
            self.runs.remove(0);
        }
        self.runs.push(Outcome {
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

    /// An estimate of the relative rounding error of a result, with independent errors of the steps.
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
            Some(run) => run.value,
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
            Some(Outcome {
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

    /// The results of runs stay valid whether a trial is accepted or not.
    fn end_trial(&self, state: &mut Self::State, trial: Self::State, _accepted: bool) {
        *state = trial;
    }

    /// They also stay valid from one trial to the next.
    fn reset_trial(&self, _state: &Self::State, _trial: &mut Self::State) {}

    fn check(&self, theta: &D::Theta, _state: &Self::State) -> Result<(), Error> {
        self.dynamics.check(theta)
    }

    fn probe(&self, theta: &D::Theta, _state: &Self::State) -> f64 {
        // The criterion after one step of the run depends on the data of both levels.
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
