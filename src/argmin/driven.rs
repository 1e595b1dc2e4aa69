//! Our solvers under argmin's `Executor`.

use ::argmin::core::{
    Error as ArgminError, IterState, KV, Problem, Solver as ArgminSolver, State, TerminationReason,
};
use ::argmin::kv;
use serde::{Deserialize, Serialize};

use crate::oracle::Oracle;
use crate::run::Trace;
use crate::status::Status;
use crate::upper::{Iteration, Solver, Step};
use crate::work::Work;

/// A solver of this crate as an argmin `Solver`, for argmin's `Executor`, observers and checkpoints. The problem of the executor is the
/// oracle, borrowed or owned.
///
/// ```
/// # use bilevel::{Implicit, Maid, Status, argmin::Driven};
/// # use bilevel_problems::synthetic::quadratic::Quadratic;
/// use argmin::core::{Executor, State};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let problem = Quadratic::random(20, 3, 10.0, 0);
/// let oracle = Implicit::new(problem.lower(), problem.upper());
/// let result = Executor::new(&oracle, Driven::new(Maid::default(), 1e-3))
///     .configure(|state| state.param(vec![0.0; 3]).max_iters(100))
///     .run()?;
/// println!("{:?} after {:?}", result.state().get_best_param(), result.solver().work());
/// assert_eq!(result.solver().status(), Some(Status::Converged));
/// # Ok(()) }
/// ```
///
/// argmin's state shows θ_k and F(θ_k) at the start of the k-th iteration, the pair whose value is known. After the end of our solver, or
/// after argmin's last allowed iteration, it shows the last θ with its value and hypergradient, at the cost of that hypergradient, which does
/// not affect a resumed run. When only argmin ends the run (a timeout, Ctrl-C), it shows the pair of the last iteration.
/// `state.get_func_counts()` has the kinds of [`Work`], and observers receive the bounds, the accuracies and the step.
///
/// A checkpoint of argmin holds everything, our state included. It also restores argmin's old iteration limit: to continue beyond it, load
/// the checkpoint yourself and set a new limit, as the guide shows. `T` is the state of the solver.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Driven<S, T> {
    solver: S,
    tolerance: f64,
    name: String,
    state: Option<T>,
    iterations: u64,
    work: Work,
    trace: Trace,
    /// The row at the end, and why it is one.
    closing: Option<(Iteration, Option<Status>)>,
}

impl<S, T> Driven<S, T> {
    /// `solver` for argmin's `Executor`, converged when ‖z‖ + ω ≤ `tolerance`.
    pub fn new(solver: S, tolerance: f64) -> Self {
        Driven {
            solver,
            tolerance,
            name: String::new(),
            state: None,
            iterations: 0,
            work: Work::default(),
            trace: Trace::default(),
            closing: None,
        }
    }

    /// The status with which our solver ended; `None` where it did not end by itself.
    pub fn status(&self) -> Option<Status> {
        self.closing.as_ref().and_then(|(_, status)| *status)
    }

    /// The trace, as [`Run`](crate::Run) writes it.
    pub fn trace(&self) -> Trace {
        let mut trace = self.trace.clone();
        if let Some((row, _)) = &self.closing {
            trace.push(row.clone());
        }
        trace
    }

    /// The work so far, including that before a checkpoint.
    pub fn work(&self) -> Work {
        self.closing.as_ref().map_or(self.work, |(row, _)| row.work)
    }

    /// The row of the trace: with its number, and with the work since the start.
    fn counted(&self, mut row: Iteration) -> Iteration {
        row.iteration = self.iterations;
        let mut work = self.work;
        work += row.work;
        row.work = work;
        row
    }
}

type Shown<T> = IterState<T, T, (), (), (), f64>;

impl<O, S> ArgminSolver<O, Shown<O::Theta>> for Driven<S, S::State>
where
    O: Oracle,
    S: Solver<O>,
    S::State: Clone,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn init(
        &mut self,
        problem: &mut Problem<O>,
        mut shown: Shown<O::Theta>,
    ) -> Result<(Shown<O::Theta>, Option<KV>), ArgminError> {
        let oracle = oracle_of(problem)?;
        let Some(theta) = shown.take_param() else {
            return Err(ArgminError::msg(
                "no θ₀: give one with configure(|state| state.param(theta))",
            ));
        };
        self.name = self.solver.name();
        self.state = Some(self.solver.start(oracle, theta.clone())?);
        Ok((shown.param(theta), None))
    }

    fn next_iter(
        &mut self,
        problem: &mut Problem<O>,
        shown: Shown<O::Theta>,
    ) -> Result<(Shown<O::Theta>, Option<KV>), ArgminError> {
        let oracle = oracle_of(problem)?;
        let Some(mut state) = self.state.take() else {
            return Err(ArgminError::msg("a solver that was not initialised"));
        };
        self.closing = None;
        let from = self.solver.theta(&state).clone();
        let step = self.solver.step(oracle, &mut state, self.tolerance);
        let to = self.solver.theta(&state).clone();
        // On a copy, so that the hypergradient at the end does not affect a resumed run.
        let is_last =
            matches!(step, Ok(Step::Moved(_))) && shown.get_iter() + 1 >= shown.get_max_iters();
        let mut copy = is_last.then(|| state.clone());
        self.state = Some(state);
        let (shown, row) = match step? {
            Step::Ended(status, row, z) => {
                let row = self.counted(row);
                self.closing = Some((row.clone(), Some(status)));
                let reason = match status {
                    Status::Converged => TerminationReason::SolverConverged,
                    other => TerminationReason::SolverExit(other.to_string()),
                };
                let shown = shown.param(to).cost(row.value.value).gradient(z.gradient);
                (shown.terminate_with(reason), row)
            }
            Step::Moved(row) => {
                let mut row = self.counted(row);
                self.work = row.work;
                self.iterations += 1;
                self.trace.push(row.clone());
                let mut shown = shown.param(from).cost(row.value.value);
                if let Some(copy) = &mut copy {
                    let (last, z) = self.solver.evaluate(oracle, copy)?;
                    row = self.counted(last);
                    self.closing = Some((row.clone(), None));
                    let theta = self.solver.theta(copy).clone();
                    shown = shown
                        .param(theta)
                        .cost(row.value.value)
                        .gradient(z.gradient);
                }
                (shown, row)
            }
        };
        for (kind, count) in Work::KINDS.into_iter().zip(self.work().counts()) {
            problem.counts.insert(kind, count);
        }
        let shown_row = kv!(
            "value_lower" => row.value.lower;
            "value_upper" => row.value.upper;
            "gradient_norm" => row.gradient_norm;
            "error_bound" => row.error_bound;
            "epsilon" => row.accuracy.epsilon;
            "delta" => row.accuracy.delta;
            "step" => row.step.unwrap_or(0.0);
        );
        Ok((shown, Some(shown_row)))
    }
}

fn oracle_of<O>(problem: &Problem<O>) -> Result<&O, ArgminError> {
    let oracle = problem.problem.as_ref();
    oracle.ok_or_else(|| ArgminError::msg("the oracle was taken out of the problem"))
}
