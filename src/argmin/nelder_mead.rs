//! argmin's Nelder–Mead under our driver.

use ::argmin::core::{IterState, Problem, Solver as ArgminSolver, State};
use ::argmin::solver::neldermead;
use serde::{Deserialize, Serialize};

use super::objective::Objective;
use super::stepped::Stepped;
use crate::error::{Error, positive};
use crate::hypergradient::Accuracy;
use crate::oracle::Oracle;
use crate::status::Status;
use crate::upper::solver::{Solver, Step, check_theta};
use crate::vector::Vector;

/// argmin's simplex method of Nelder and Mead, on computed values of one accuracy.
///
/// The first simplex is θ₀ and a step of `size` along every axis; the first iteration evaluates it, and every other one is one of argmin's.
/// θ is the best vertex. At a vertex where the problem is undefined, F counts as infinite. The run ends when the values at the vertices have
/// a standard deviation below `spread`: as converged if the hypergradient at θ passes the test, else as [`Status::Completed`]. There is no
/// theory for more than one dimension; beyond ten it rarely works.
///
/// J. A. Nelder, R. Mead: A simplex method for function minimization. Comput. J. 7 (1965), 308–313,
/// [doi:10.1093/comjnl/7.4.308](https://doi.org/10.1093/comjnl/7.4.308).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NelderMead {
    /// ε of every value; δ is that of the hypergradient at the end.
    pub accuracy: Accuracy,
    /// The length of the first simplex along every axis (default 1).
    pub size: f64,
    /// The standard deviation of the values that ends the search (default: ε, about their accuracy).
    pub spread: f64,
}

impl NelderMead {
    /// Nelder–Mead with ε = δ = `accuracy`.
    pub fn with_accuracy(accuracy: f64) -> Self {
        NelderMead {
            accuracy: Accuracy {
                epsilon: accuracy,
                delta: accuracy,
            },
            size: 1.0,
            spread: accuracy,
        }
    }
}

/// argmin's solver and its state.
#[doc(hidden)]
#[derive(Clone, Serialize, Deserialize)]
pub struct NelderMeadIteration {
    solver: neldermead::NelderMead<Vec<f64>, f64>,
    state: IterState<Vec<f64>, (), (), (), (), f64>,
}

impl<O: Oracle> Solver<O> for NelderMead {
    type State = Stepped<O::Theta, NelderMeadIteration, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        Accuracy::new(self.accuracy.epsilon, self.accuracy.delta)?;
        positive("size", self.size)?;
        positive("spread", self.spread)?;
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
        let objective = s.objective(oracle, self.accuracy, u64::MAX);
        let mut problem = Problem::new(objective.clone());
        let (solver, next) = match s.method.take() {
            None => {
                let theta = s.theta.to_f64();
                let mut vertices = vec![theta.clone(); theta.len() + 1];
                for (i, vertex) in vertices.iter_mut().skip(1).enumerate() {
                    vertex[i] += self.size;
                }
                let mut solver = neldermead::NelderMead::new(vertices)
                    .with_sd_tolerance(self.spread)
                    .map_err(|e| Error::invalid("spread", self.spread, e.to_string()))?;
                let next = solver.init(&mut problem, IterState::new());
                (solver, next)
            }
            Some(NelderMeadIteration { mut solver, state }) => {
                let status = ArgminSolver::<Objective<&O>, _>::terminate(&mut solver, &state);
                if status.terminated() {
                    return s.end(oracle, self.accuracy, tolerance, Status::Completed);
                }
                let next = solver.next_iter(&mut problem, state);
                (solver, next)
            }
        };
        let next = next.ok().map(|(state, _)| state);
        let param = next.as_ref().and_then(|state| state.get_param());
        let row = s.finish(&objective, self.accuracy, param.map(Vec::as_slice))?;
        let Some(mut state) = next else {
            return s.end(oracle, self.accuracy, tolerance, Status::Stalled);
        };
        state.update();
        state.increment_iter();
        s.method = Some(NelderMeadIteration { solver, state });
        Ok(Step::Moved(row))
    }

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        "argmin Nelder–Mead".into()
    }

    fn identity(&self) -> String {
        format!("argmin {self:?}")
    }
}
