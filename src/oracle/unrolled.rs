//! The oracle of a training run, by differentiation through its steps.

use serde::{Deserialize, Serialize};

use super::Oracle;
use crate::error::Error;
use crate::hypergradient::unrolled::{Dynamics, Mode, Rollout};
use crate::hypergradient::{Accuracy, Bounded, Evaluation, Hypergradient, Trust};
use crate::problem::UpperLevel;
use crate::status::SolveStatus;
use crate::vector::Vector;
use crate::work::Work;

/// A training run of T steps, what judges its end, and how it is differentiated.
///
/// Its F is F_T, the criterion after these T steps, which is computed exactly but for rounding: accuracies that are asked for make no
/// difference. Bounds are [`Trust::Estimated`]: every step is taken to round the result eight times, by chance up or down, and nothing to
/// amplify it. A
/// hypergradient of a [`Mode`] that leaves steps out is biased by an amount that is not known, and [`Trust::Unknown`].
pub struct Unrolled<D, U> {
    dynamics: D,
    upper: U,
    mode: Mode,
}

/// What an [`Unrolled`] oracle remembers: what the last run came to, so that a solver that asks again at the same θ, for more accuracy
/// than there is, costs nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct UnrolledState<T: Vector> {
    last: Option<Last<T>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
struct Last<T: Vector> {
    theta: T,
    value: f64,
    gradient: Option<T>,
}

impl<T: Vector> Default for UnrolledState<T> {
    fn default() -> Self {
        UnrolledState { last: None }
    }
}

impl<T: Vector> UnrolledState<T> {
    /// What is known at θ.
    fn at(&self, theta: &T) -> Option<&Last<T>> {
        let (a, b) = (&self.last.as_ref()?.theta, theta);
        let mut difference = a.clone();
        difference.axpy(-1.0, b);
        (a.len() == b.len() && difference.norm() == 0.0).then_some(self.last.as_ref()?)
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

    fn bounded(&self, value: f64) -> Bounded {
        let error = self.rounding() * value.abs();
        Bounded {
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
            Some(last) => last.value,
            None => self.rollout().value(theta, &mut work)?,
        };
        if state.at(theta).is_none() {
            state.last = Some(Last {
                theta: theta.clone(),
                value,
                gradient: None,
            });
        }
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
            Some(Last {
                value,
                gradient: Some(gradient),
                ..
            }) => (value, gradient, Work::default()),
            _ => {
                let found = self.rollout().differentiate(theta, self.mode)?;
                (found.value, found.gradient, found.work)
            }
        };
        state.last = Some(Last {
            theta: theta.clone(),
            value,
            gradient: Some(gradient.clone()),
        });
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
