//! The common part of argmin's solvers under our driver.

use serde::{Deserialize, Serialize};

use super::memory::Point;
use super::objective::Objective;
use crate::error::Error;
use crate::hypergradient::{Accuracy, BoundedValue};
use crate::oracle::Oracle;
use crate::status::Status;
use crate::upper::solver::{Iteration, Step, converged, evaluate, solver_state};
use crate::vector::Vector;

/// The state of a solver of argmin's under our driver: θ, argmin's solver with its state, and the warm starts of the oracle.
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, M: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, M: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct Stepped<T, M, S> {
    pub(super) theta: T,
    pub(super) oracle: S,
    /// argmin's solver with its state; `None` before the first iteration.
    pub(super) method: Option<M>,
    /// The known results at θ, which argmin stores in f64.
    pub(super) here: Option<Point>,
}

solver_state!([M] Stepped<O::Theta, M, O::State>);

impl<T: Vector, M, S: Clone> Stepped<T, M, S> {
    pub(super) fn new(theta: T, oracle: S) -> Self {
        Stepped {
            theta,
            oracle,
            method: None,
            here: None,
        }
    }

    /// The oracle for argmin's solver, for one iteration of at most `limit` evaluations.
    pub(super) fn objective<'a, O: Oracle<Theta = T, State = S>>(
        &self,
        oracle: &'a O,
        accuracy: Accuracy,
        limit: u64,
    ) -> Objective<&'a O> {
        Objective::with_state(oracle, &self.theta, accuracy, self.oracle.clone()).patient(limit)
    }

    /// Takes over the results of an iteration, and moves to argmin's θ. The row describes the θ at the start of the iteration.
    pub(super) fn finish<O: Oracle<Theta = T, State = S>>(
        &mut self,
        objective: &Objective<&O>,
        accuracy: Accuracy,
        param: Option<&[f64]>,
    ) -> Result<Iteration, Error> {
        let mut memory = objective.memory();
        let failure = memory.failure.take();
        if memory.fatal
            && let Some(error) = failure
        {
            return Err(error);
        }
        self.oracle.clone_from(&memory.oracle);
        let here = match (self.here.take(), &memory.first) {
            (Some(here), _) => here,
            // The first iteration begins with θ₀.
            (None, Some(first)) if first.theta == self.theta.to_f64() => first.clone(),
            _ => {
                return Err(failure.unwrap_or(Error::NotFinite {
                    function: "the upper value",
                    cause: None,
                }));
            }
        };
        let mut row = self.row(&here, accuracy);
        row.work = memory.work;
        row.trials = memory.values;
        row.hypergradients = memory.hypergradients;
        self.here = Some(match param {
            Some(param) if param != here.theta => {
                let mut way = param.to_vec();
                way.axpy(-1.0, &here.theta);
                row.step = Some(way.norm());
                self.theta.assign(&mut |i| param[i]);
                let seen = [&memory.last, &memory.best];
                let seen = seen.into_iter().flatten().find(|p| p.theta == param);
                seen.cloned().unwrap_or(Point {
                    theta: param.to_vec(),
                    value: BoundedValue::unknown(f64::INFINITY),
                    slope: None,
                })
            }
            _ => here,
        });
        Ok(row)
    }

    fn row(&self, here: &Point, accuracy: Accuracy) -> Iteration {
        let row = Iteration::without_gradient(&self.theta, accuracy.epsilon, here.value);
        match here.slope {
            None => row,
            Some(slope) => Iteration {
                gradient_norm: slope.norm,
                error_bound: slope.error_bound,
                trust: slope.trust,
                accuracy,
                ..row
            },
        }
    }

    /// Ends the run at θ: as converged if the hypergradient there passes the test, else as `otherwise`.
    pub(super) fn end<O: Oracle<Theta = T, State = S>>(
        &mut self,
        oracle: &O,
        accuracy: Accuracy,
        tolerance: f64,
        otherwise: Status,
    ) -> Result<Step<T>, Error> {
        let (row, z) = evaluate(oracle, &self.theta, accuracy, &mut self.oracle)?;
        let status = match converged(z.gradient.norm(), &z, tolerance) {
            true => Status::Converged,
            false => otherwise,
        };
        Ok(Step::Ended(status, row, z))
    }
}
