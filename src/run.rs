//! The driver: one loop for every solver, with stopping rules, budgets, observers, a trace and checkpoints.
//!
//! The output of a run, except wall-clock times, is a function of code, settings and seed: the same bytes on any number of threads and after
//! any number of interruptions.

#[doc(hidden)]
pub mod checkpoint;
mod clock;
#[cfg(feature = "interrupt")]
mod interrupt;
mod limits;
mod observer;
mod report;
mod trace;

#[cfg(feature = "interrupt")]
pub use interrupt::ctrl_c;
pub use limits::Limits;
#[cfg(feature = "progress")]
pub use observer::ProgressBar;
pub use observer::{JsonLines, Observer, Table};
pub use report::Report;
pub use trace::Trace;

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{CheckpointError, Error};
use crate::hypergradient::Hypergradient;
use crate::oracle::Oracle;
use crate::status::{SolveStatus, Status};
use crate::upper::{Iteration, Solver, Step};
use crate::work::Work;
use clock::Clock;

/// A run of a solver on an oracle.
///
/// ```
/// # use bilevel::{Error, Implicit, Maid, Run};
/// # use bilevel_problems::synthetic::quadratic::Quadratic;
/// # fn main() -> Result<(), Error> {
/// let problem = Quadratic::random(20, 3, 10.0, 0);
/// let oracle = Implicit::new(problem.lower(), problem.upper());
/// let report = Run::new(&oracle, Maid::default())
///     .tolerance(1e-3)
///     .max_iterations(200)
///     .start(vec![0.0; 3])?;
/// println!("{report}");
/// # assert_eq!(report.status, bilevel::Status::Converged);
/// # Ok(()) }
/// ```
pub struct Run<'a, O, S> {
    oracle: &'a O,
    solver: S,
    tolerance: f64,
    limits: Limits,
    observers: Vec<Box<dyn Observer + 'a>>,
    checkpoint: Option<(PathBuf, u64)>,
    stop: Option<Arc<AtomicBool>>,
}

/// The content of a checkpoint, besides the identity of the run.
#[derive(Serialize, Deserialize)]
struct Progress<State> {
    iteration: u64,
    work: Work,
    seconds: f64,
    /// g + f at the state: a fingerprint that tells problems of the same type apart.
    probe: f64,
    trace: Trace,
    state: State,
}

/// The largest relative difference of two probes of one problem: sums in user code may depend on the threads.
const PROBE_TOLERANCE: f64 = 1e-9;

impl<'a, O: Oracle, S: Solver<O>> Run<'a, O, S> {
    /// A run of at most 1,000 iterations, with the tolerance 1e-3 on ‖z‖ + ω.
    pub fn new(oracle: &'a O, solver: S) -> Self {
        Run {
            oracle,
            solver,
            tolerance: 1e-3,
            limits: Limits {
                iterations: Some(1_000),
                ..Limits::default()
            },
            observers: Vec::new(),
            checkpoint: None,
            stop: None,
        }
    }

    /// The run converges when ‖z‖ + ω ≤ `tolerance`, an absolute bound on ‖∇F(θ)‖.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// At most this many iterations of the upper level.
    pub fn max_iterations(mut self, iterations: u64) -> Self {
        self.limits.iterations = Some(iterations);
        self
    }

    /// All limits at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Adds an observer, called after every iteration.
    pub fn observe(mut self, observer: impl Observer + 'a) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Writes a checkpoint before the first and after every `every`-th iteration. Each is written to a temporary file and renamed, so the
    /// file is complete at any moment.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>, every: u64) -> Self {
        self.checkpoint = Some((path.into(), every.max(1)));
        self
    }

    /// Ends the run as interrupted, after the iteration in progress, when `flag` becomes true.
    pub fn stop_on(mut self, flag: Arc<AtomicBool>) -> Self {
        self.stop = Some(flag);
        self
    }

    /// Runs from θ₀.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for settings or a θ₀ outside their range, and the errors of the oracle at the current θ.
    pub fn start(self, theta: O::Theta) -> Result<Report<O::Theta>, Error> {
        self.check()?;
        let mut progress = Progress {
            iteration: 0,
            work: Work::default(),
            seconds: 0.0,
            probe: 0.0,
            trace: Trace::default(),
            state: self.solver.start(self.oracle, theta)?,
        };
        self.save(&mut progress)?;
        self.go(progress)
    }

    /// Continues from a checkpoint of the same oracle and solver settings, with the limits and the tolerance of this run.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a file that is not a checkpoint, is damaged, or belongs to another version or another run; and those of
    /// [`start`](Run::start).
    pub fn resume(self, path: impl AsRef<Path>) -> Result<Report<O::Theta>, Error> {
        self.check()?;
        let path = path.as_ref();
        let progress: Progress<S::State> = checkpoint::read(path, &self.identity())?;
        // Another problem of the same type has other function values at the saved point.
        let probe = self.solver.probe(self.oracle, &progress.state)?;
        if (probe - progress.probe).abs() > PROBE_TOLERANCE * probe.abs().max(progress.probe.abs())
        {
            return Err(Error::Checkpoint {
                path: path.to_owned(),
                reason: CheckpointError::OtherRun {
                    found: format!("a problem whose functions add up to {}", progress.probe),
                    expected: format!("one whose functions add up to {probe} at the saved point"),
                },
            });
        }
        self.go(progress)
    }

    /// Evaluates value and hypergradient at θ to the solver's first accuracy, without a step. The status is [`Status::Evaluated`], or
    /// [`Status::AccuracyFloor`] if the inner solvers could not reach that accuracy.
    ///
    /// # Errors
    /// As for [`start`](Run::start).
    pub fn evaluate(self, theta: O::Theta) -> Result<Report<O::Theta>, Error> {
        self.check()?;
        let clock = Clock::start();
        let mut state = self.solver.start(self.oracle, theta)?;
        let (row, z) = self.solver.evaluate(self.oracle, &mut state)?;
        let status = match z.status() {
            SolveStatus::Converged => Status::Evaluated,
            _ => Status::AccuracyFloor,
        };
        let mut trace = Trace::default();
        let work = row.work;
        trace.push(row);
        let theta = self.solver.theta(&state).clone();
        Ok(self.report(status, theta, z, 0, work, clock.seconds(), trace))
    }

    #[allow(clippy::too_many_arguments)] // the fields of the report
    fn report(
        &self,
        status: Status,
        theta: O::Theta,
        z: Hypergradient<O::Theta>,
        iterations: u64,
        work: Work,
        seconds: f64,
        trace: Trace,
    ) -> Report<O::Theta> {
        Report {
            status,
            solver: self.solver.name(),
            trust: z.trust,
            theta,
            value: z.value,
            goal_oriented: z.goal_oriented,
            hypergradient: z.gradient,
            error_bound: z.error_bound,
            attained: z.attained,
            iterations,
            work,
            seconds,
            trace,
            warnings: Vec::new(),
        }
    }

    fn check(&self) -> Result<(), Error> {
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(Error::invalid(
                "tolerance",
                format!("{:?}", self.tolerance),
                "a finite number of at least 0",
            ));
        }
        self.limits.check()
    }

    fn identity(&self) -> String {
        format!("{} on {}", self.solver.identity(), self.oracle.identity())
    }

    fn save(&self, progress: &mut Progress<S::State>) -> Result<(), Error> {
        let Some((path, _)) = &self.checkpoint else {
            return Ok(());
        };
        progress.probe = self.solver.probe(self.oracle, &progress.state)?;
        checkpoint::write(path, &self.identity(), progress)
    }

    fn go(mut self, mut p: Progress<S::State>) -> Result<Report<O::Theta>, Error> {
        let clock = Clock::start();
        let seconds_before = p.seconds;
        let seconds = || seconds_before + clock.seconds();
        let mut warnings = Vec::new();
        let name = self.solver.name();
        let limit = self.limits.iterations;
        observe(&mut self.observers, &mut warnings, |o| {
            o.begin(&name, p.iteration, limit)
        });
        let record = |p: &mut Progress<S::State>, mut row: Iteration| {
            p.work += row.work;
            row.work = p.work;
            row.iteration = p.iteration;
            p.trace.push(row);
        };
        let (status, z): (Status, Hypergradient<O::Theta>) = loop {
            let interrupted = self
                .stop
                .as_ref()
                .is_some_and(|flag| flag.load(Ordering::Relaxed));
            let budget = self.limits.exceeded(p.iteration, &p.work, seconds());
            if interrupted || budget.is_some() {
                // Save before this last evaluation, so that a resumed run continues as if it had not happened.
                p.seconds = seconds();
                self.save(&mut p)?;
                let (row, z) = self.solver.evaluate(self.oracle, &mut p.state)?;
                record(&mut p, row);
                let status = match budget {
                    Some(budget) if !interrupted => Status::BudgetExhausted(budget),
                    _ => Status::Interrupted,
                };
                break (status, z);
            }
            match self
                .solver
                .step(self.oracle, &mut p.state, self.tolerance)?
            {
                Step::Moved(row) => {
                    record(&mut p, row);
                    if let Some(row) = p.trace.last() {
                        observe(&mut self.observers, &mut warnings, |o| {
                            o.iteration(row, seconds())
                        });
                    }
                    p.iteration += 1;
                    if let Some((_, every)) = &self.checkpoint
                        && p.iteration % every == 0
                    {
                        p.seconds = seconds();
                        self.save(&mut p)?;
                    }
                }
                Step::Ended(status, row, z) => {
                    record(&mut p, row);
                    break (status, z);
                }
            }
        };
        if let Some(row) = p.trace.last() {
            observe(&mut self.observers, &mut warnings, |o| {
                o.iteration(row, seconds())
            });
        }
        let theta = self.solver.theta(&p.state).clone();
        let mut report = self.report(status, theta, z, p.iteration, p.work, seconds(), p.trace);
        report.warnings = warnings;
        for observer in &mut self.observers {
            // The run is over; a failure here has no consequence.
            let _ = observer.end(&report.to_string());
        }
        Ok(report)
    }
}

/// Calls every observer. One that fails is removed, and the report says so.
fn observe(
    observers: &mut Vec<Box<dyn Observer + '_>>,
    warnings: &mut Vec<String>,
    mut call: impl FnMut(&mut dyn Observer) -> std::io::Result<()>,
) {
    observers.retain_mut(|observer| match call(observer.as_mut()) {
        Ok(()) => true,
        Err(error) => {
            warnings.push(format!("an observer failed and was left out: {error}"));
            false
        }
    });
}
