//! Our oracle as argmin's `CostFunction` and `Gradient`.

use ::argmin::core::{CostFunction, Error as ArgminError, Gradient};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::memory::{Memory, Point, Slope, is_of_the_point};
use crate::error::{Error, positive};
use crate::hypergradient::{Accuracy, BoundedValue, Evaluation};
use crate::oracle::Oracle;
use crate::vector::Vector;
use crate::work::Work;

/// F and ∇F at one accuracy, for argmin's solvers.
///
/// argmin needs numbers only; the rest of an oracle's results is kept here: warm starts, the bounds of the values, the work. A clone shares
/// that memory, so keep one and pass the other to argmin:
///
/// ```
/// # use bilevel::{Accuracy, Implicit, argmin::Objective};
/// # use bilevel_problems::synthetic::quadratic::Quadratic;
/// use argmin::core::{Executor, State};
/// use argmin::solver::{linesearch::MoreThuenteLineSearch, quasinewton::LBFGS};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let problem = Quadratic::random(20, 3, 10.0, 0);
/// let oracle = Implicit::new(problem.lower(), problem.upper());
/// let theta = vec![0.0; 3];
/// let objective = Objective::new(&oracle, &theta, Accuracy::new(1e-8, 1e-8)?)?;
/// let result = Executor::new(objective.clone(), LBFGS::new(MoreThuenteLineSearch::new(), 5))
///     .configure(|state| state.param(theta).max_iters(20))
///     .run()?;
/// let (theta, value) = objective.best().ok_or("nothing was evaluated")?;
/// # assert_eq!(Some(&theta), result.state().get_best_param());
/// println!("F({theta:?}) lies in [{}, {}], after {:?}", value.lower, value.upper, objective.work());
/// # Ok(()) }
/// ```
///
/// A cost is infinite where the problem is undefined or not finite; a gradient there is an error, as is any other failure of the oracle.
/// (argmin's Nelder–Mead panics on an error at its first points.) Evaluations are sequential even where argmin could run them in parallel:
/// each starts from the previous solution, and the oracle itself is parallel.
pub struct Objective<O: Oracle> {
    oracle: O,
    accuracy: Accuracy,
    /// The factor of costs and gradients.
    scale: f64,
    /// The maximum number of evaluations.
    limit: u64,
    /// Whether a failure gives an infinite cost instead of an error; the memory stores the failure.
    patient: bool,
    memory: Arc<Mutex<Memory<O::Theta, O::State>>>,
}

impl<O: Oracle + Clone> Clone for Objective<O> {
    fn clone(&self) -> Self {
        Objective {
            oracle: self.oracle.clone(),
            memory: Arc::clone(&self.memory),
            ..*self
        }
    }
}

impl<O: Oracle> Objective<O> {
    /// F and ∇F of `oracle` to an accuracy; `theta` gives the dimension and the storage of θ.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an accuracy that is not positive, or a θ outside the domain.
    pub fn new(oracle: O, theta: &O::Theta, accuracy: Accuracy) -> Result<Self, Error> {
        Accuracy::new(accuracy.epsilon, accuracy.delta)?;
        let state = oracle.start(theta)?;
        Ok(Objective::with_state(oracle, theta, accuracy, state))
    }

    pub(super) fn with_state(
        oracle: O,
        theta: &O::Theta,
        accuracy: Accuracy,
        state: O::State,
    ) -> Self {
        Objective {
            oracle,
            accuracy,
            scale: 1.0,
            limit: u64::MAX,
            patient: false,
            memory: Arc::new(Mutex::new(Memory::new(theta.clone(), state))),
        }
    }

    /// This objective with costs and gradients times `factor`. argmin's L-BFGS begins with a step of the length of the gradient: with the
    /// factor 1/‖∇F(θ₀)‖ its first trial has length one in θ.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a factor that is not positive and finite.
    pub fn scaled(mut self, factor: f64) -> Result<Self, Error> {
        self.scale = positive("factor", factor)?;
        Ok(self)
    }

    /// At most `limit` evaluations, and infinite costs instead of errors, which the memory stores.
    pub(super) fn patient(mut self, limit: u64) -> Self {
        self.limit = limit;
        self.patient = true;
        self
    }

    /// The work of all evaluations so far.
    pub fn work(&self) -> Work {
        self.memory().work
    }

    /// The number of evaluated costs.
    pub fn values(&self) -> u64 {
        self.memory().values
    }

    /// The number of evaluated gradients. A second request at the same point in a row is not evaluated again.
    pub fn hypergradients(&self) -> u64 {
        self.memory().hypergradients
    }

    /// The last evaluated point, with the bounds of F there.
    pub fn last(&self) -> Option<(Vec<f64>, BoundedValue)> {
        self.memory().last.as_ref().map(Point::parts)
    }

    /// The evaluated point of the smallest value, with its bounds.
    pub fn best(&self) -> Option<(Vec<f64>, BoundedValue)> {
        self.memory().best.as_ref().map(Point::parts)
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory<O::Theta, O::State>> {
        // Every evaluation writes its results at its end, so a panic inside one leaves the earlier ones valid.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Evaluates the oracle at a point of argmin's.
    fn at<R>(
        &self,
        param: &[f64],
        f: impl FnOnce(&O, &O::Theta, &mut O::State) -> Result<R, Error>,
        done: impl FnOnce(&mut Memory<O::Theta, O::State>, R) -> (Point, Option<Vec<f64>>),
    ) -> Result<f64, Error> {
        let mut guard = self.memory();
        let memory = &mut *guard;
        let result = memory.set(param, self.limit).and_then(|()| {
            let result = f(&self.oracle, &memory.theta, &mut memory.oracle)?;
            let (point, gradient) = done(memory, result);
            let value = point.value.value;
            if memory.best.as_ref().is_none_or(|b| value < b.value.value) {
                memory.best = Some(point.clone());
            }
            memory.first.get_or_insert_with(|| point.clone());
            memory.last = Some(point);
            memory.gradient = gradient;
            Ok(value)
        });
        result.inspect_err(|error| memory.fatal |= !is_of_the_point(error))
    }

    fn evaluate(&self, param: &[f64]) -> Result<f64, Error> {
        let value = |oracle: &O, theta: &O::Theta, state: &mut O::State| {
            oracle.value(theta, self.accuracy.epsilon, state)
        };
        self.at(param, value, |memory, there: Evaluation| {
            memory.values += 1;
            memory.work += there.work;
            (Point::new(param, there.value, None), None)
        })
    }

    pub(super) fn differentiate(&self, param: &[f64]) -> Result<Vec<f64>, Error> {
        let known = |memory: &Memory<O::Theta, O::State>| match &memory.last {
            Some(last) if last.theta == param => memory.gradient.clone(),
            _ => None,
        };
        if let Some(gradient) = known(&self.memory()) {
            return Ok(gradient);
        }
        let hypergradient = |oracle: &O, theta: &O::Theta, state: &mut O::State| {
            oracle.hypergradient(theta, self.accuracy, state)
        };
        self.at(param, hypergradient, |memory, z| {
            memory.hypergradients += 1;
            memory.work += z.work;
            let point = Point::new(param, z.value, Some(Slope::of(&z)));
            (point, Some(z.gradient.to_f64()))
        })?;
        known(&self.memory()).ok_or(Error::NotFinite {
            function: "the hypergradient",
            cause: None,
        })
    }
}

impl<O: Oracle> CostFunction for Objective<O> {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, param: &Vec<f64>) -> Result<f64, ArgminError> {
        match self.evaluate(param) {
            Ok(value) => Ok(self.scale * value),
            Err(error) => {
                if !self.patient && !is_of_the_point(&error) {
                    return Err(error.into());
                }
                self.memory().failure = Some(error);
                Ok(f64::INFINITY)
            }
        }
    }

    fn parallelize(&self) -> bool {
        false
    }
}

impl<O: Oracle> Gradient for Objective<O> {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, param: &Vec<f64>) -> Result<Vec<f64>, ArgminError> {
        match self.differentiate(param) {
            Ok(mut gradient) => {
                gradient.scale(self.scale);
                Ok(gradient)
            }
            Err(error) => {
                let message = error.to_string();
                self.memory().failure = Some(error);
                Err(ArgminError::msg(message))
            }
        }
    }

    fn parallelize(&self) -> bool {
        false
    }
}
