//! argmin's L-BFGS under our driver.

use ::argmin::core::{IterState, Problem, Solver as ArgminSolver, State};
use ::argmin::solver::linesearch::MoreThuenteLineSearch;
use ::argmin::solver::quasinewton::LBFGS;
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::stepped::Stepped;
use crate::error::Error;
use crate::hypergradient::Accuracy;
use crate::oracle::Oracle;
use crate::status::Status;
use crate::upper::solver::{Solver, Step, check_theta};
use crate::vector::Vector;

/// argmin's L-BFGS with the line search of Moré and Thuente, on computed values and hypergradients of one accuracy.
///
/// An iteration is one of argmin's: a direction and a line search, in which every trial computes a value and a hypergradient. F is scaled by
/// 1/‖z₀‖, so the first trial step has length one in θ; otherwise the method does not depend on the scale. It converges when
/// ‖z‖ + ω ≤ tolerance, as every solver here does. It ends as [`Status::Stalled`] when argmin's line search fails (the direction does not
/// descend, a trial lies outside the domain of the problem, or `max_trials` is reached), or by argmin's own tests (the value has stopped
/// changing, the scaled gradient has vanished). It does not notice a decrease smaller than the error of order ε, and then continues without
/// progress until a limit ends the run.
///
/// Jorge Nocedal, Stephen J. Wright: Numerical Optimization. Springer 2006,
/// [doi:10.1007/978-0-387-40065-5](https://doi.org/10.1007/978-0-387-40065-5).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lbfgs {
    /// ε and δ of every value and hypergradient.
    pub accuracy: Accuracy,
    /// The number of stored curvature pairs, at least 1 (default 5).
    pub memory: usize,
    /// The maximum number of evaluations per iteration, at least 2 (default 60).
    pub max_trials: u64,
}

impl Lbfgs {
    /// L-BFGS with ε = δ = `accuracy`.
    pub fn with_accuracy(accuracy: f64) -> Self {
        Lbfgs {
            accuracy: Accuracy {
                epsilon: accuracy,
                delta: accuracy,
            },
            memory: 5,
            max_trials: 60,
        }
    }
}

type Search = MoreThuenteLineSearch<Vec<f64>, Vec<f64>, f64>;

/// argmin's solver, its state, and the factor of F.
#[doc(hidden)]
#[derive(Clone, Serialize, Deserialize)]
pub struct LbfgsIteration {
    solver: LBFGS<Search, Vec<f64>, Vec<f64>, f64>,
    state: IterState<Vec<f64>, Vec<f64>, (), (), (), f64>,
    scale: f64,
}

impl<O: Oracle> Solver<O> for Lbfgs {
    type State = Stepped<O::Theta, LbfgsIteration, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        Accuracy::new(self.accuracy.epsilon, self.accuracy.delta)?;
        if self.memory == 0 {
            return Err(Error::invalid("memory", 0, "at least 1"));
        }
        if self.max_trials < 2 {
            return Err(Error::invalid("max_trials", self.max_trials, "at least 2"));
        }
        check_theta(&theta)?;
        let state = oracle.start(&theta)?;
        Ok(Stepped::new(theta, state))
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        let objective = s.objective(oracle, self.accuracy, self.max_trials);
        let method = match s.method.take() {
            Some(method) => method,
            None => self.begin(s, &objective)?,
        };
        let LbfgsIteration {
            mut solver,
            state,
            scale,
        } = method;
        let slope = s.here.as_ref().and_then(|here| here.slope);
        if slope.is_some_and(|slope| slope.stationarity <= tolerance)
            || scale == 0.0
            || ArgminSolver::<Objective<&O>, _>::terminate(&mut solver, &state).terminated()
        {
            let first = s.finish(&objective, self.accuracy, None)?.work;
            let mut end = s.end(oracle, self.accuracy, tolerance, Status::Stalled)?;
            if let Step::Ended(_, row, _) = &mut end {
                row.work += first;
            }
            return Ok(end);
        }
        let mut problem = Problem::new(objective.clone().scaled(scale)?);
        let next = solver.next_iter(&mut problem, state);
        // A line search that fails leaves argmin's state without θ.
        let next = next.ok().map(|(state, _)| state);
        let next = next.filter(|state| !state.terminated() && state.get_param().is_some());
        let row = s.finish(
            &objective,
            self.accuracy,
            next.as_ref()
                .and_then(|state| state.get_param())
                .map(Vec::as_slice),
        )?;
        let moved = row.step.is_some();
        if let Some(mut state) = next
            && moved
        {
            state.update();
            state.increment_iter();
            s.method = Some(LbfgsIteration {
                solver,
                state,
                scale,
            });
            return Ok(Step::Moved(row));
        }
        let mut end = s.end(oracle, self.accuracy, tolerance, Status::Stalled)?;
        if let Step::Ended(_, last, _) = &mut end {
            last.work += row.work;
            last.trials += row.trials;
            last.hypergradients += row.hypergradients;
        }
        Ok(end)
    }

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        "argmin L-BFGS".into()
    }

    fn identity(&self) -> String {
        format!("argmin {self:?}")
    }
}

impl Lbfgs {
    /// argmin's solver at θ₀, with F and its gradient there.
    fn begin<O: Oracle>(
        &self,
        s: &mut Stepped<O::Theta, LbfgsIteration, O::State>,
        objective: &Objective<&O>,
    ) -> Result<LbfgsIteration, Error> {
        let theta = s.theta.to_f64();
        let gradient = objective.differentiate(&theta)?;
        s.here = objective.memory().last.clone();
        let norm = gradient.norm();
        // At a stationary θ₀ the run ends before the scale is used.
        let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        let value = s
            .here
            .as_ref()
            .map_or(f64::INFINITY, |here| here.value.value);
        let scaled = gradient.iter().map(|z| scale * z).collect();
        let mut state = IterState::new()
            .param(theta)
            .cost(scale * value)
            .gradient(scaled);
        state.update();
        Ok(LbfgsIteration {
            solver: LBFGS::new(Search::new(), self.memory),
            state,
            scale,
        })
    }
}
