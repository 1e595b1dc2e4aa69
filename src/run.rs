//! The driver: one loop for every solver, with stopping rules, budgets, observers, a trace and checkpoints.
//!
//! The output of a run, except wall-clock times, is a function of code, settings and seed: the same bytes on any number of threads and after
//! any number of interruptions.

#[doc(hidden)]
pub mod checkpoint;
mod clock;
mod driver;
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

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::error::Error;
use crate::oracle::Oracle;
use crate::upper::Solver;
use clock::Clock;
use driver::{Driver, Progress, Typed};

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
    driver: Driver<'a>,
}

impl<'a, O: Oracle, S: Solver<O>> Run<'a, O, S> {
    /// A run of at most 1,000 iterations, with the tolerance 1e-3 on ‖z‖ + ω.
    pub fn new(oracle: &'a O, solver: S) -> Self {
        Run {
            oracle,
            solver,
            driver: Driver {
                tolerance: 1e-3,
                limits: Limits {
                    iterations: Some(1_000),
                    ..Limits::default()
                },
                observers: Vec::new(),
                checkpoint: None,
                stop: None,
            },
        }
    }

    /// The run converges when ‖z‖ + ω ≤ `tolerance`, an absolute bound on ‖∇F(θ)‖.
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.driver.tolerance = tolerance;
        self
    }

    /// At most this many iterations of the upper level.
    pub fn max_iterations(mut self, iterations: u64) -> Self {
        self.driver.limits.iterations = Some(iterations);
        self
    }

    /// All limits at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.driver.limits = limits;
        self
    }

    /// Adds an observer, called after every iteration.
    pub fn observe(mut self, observer: impl Observer + 'a) -> Self {
        self.driver.observers.push(Box::new(observer));
        self
    }

    /// Writes a checkpoint before the first and after every `every`-th iteration. Each is written to a temporary file and renamed, so the
    /// file is complete at any moment.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>, every: u64) -> Self {
        self.driver.checkpoint = Some((path.into(), every.max(1)));
        self
    }

    /// Ends the run as interrupted, after the iteration in progress, when `flag` becomes true.
    pub fn stop_on(mut self, flag: Arc<AtomicBool>) -> Self {
        self.driver.stop = Some(flag);
        self
    }

    /// Runs from θ₀.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for settings or a θ₀ outside their range, and the errors of the oracle at the current θ.
    pub fn start(self, theta: O::Theta) -> Result<Report<O::Theta>, Error> {
        self.driver.check()?;
        let mut engine = Typed::start(self.oracle, self.solver, theta)?;
        let mut progress = Progress::default();
        self.driver.save(&engine, &mut progress)?;
        self.driver.go(&mut engine, progress)
    }

    /// Continues from a checkpoint of the same oracle and solver settings, with the limits and the tolerance of this run.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a file that is not a checkpoint, is damaged, or belongs to another version or another run; and those of
    /// [`start`](Run::start).
    pub fn resume(self, path: impl AsRef<Path>) -> Result<Report<O::Theta>, Error> {
        self.driver.check()?;
        let path = path.as_ref();
        let (mut engine, progress) = Typed::resume(self.oracle, self.solver, path)?;
        self.driver.check_probe(&engine, &progress, path)?;
        self.driver.go(&mut engine, progress)
    }

    /// Evaluates value and hypergradient at θ to the solver's first accuracy, without a step. The status is
    /// [`Status::Evaluated`](crate::Status::Evaluated), or [`Status::AccuracyFloor`](crate::Status::AccuracyFloor) if the inner solvers could
    /// not reach that accuracy.
    ///
    /// # Errors
    /// As for [`start`](Run::start).
    pub fn evaluate(self, theta: O::Theta) -> Result<Report<O::Theta>, Error> {
        self.driver.check()?;
        let clock = Clock::start();
        let mut engine = Typed::start(self.oracle, self.solver, theta)?;
        driver::evaluate(&mut engine, &clock)
    }
}
