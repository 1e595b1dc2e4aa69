//! Runs of solvers of any type: how they are stopped, kept and watched, and what is noted of them.

use bilevel::run::{Observer, ProgressBar, Table, ctrl_c};
use bilevel::{Accuracy, Error, Hypergradient, Iteration, Limits, Oracle, Report, Run, Solver, Step};
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A solver of any type.
pub type AnySolver<'a, O> = Box<dyn Runnable<O> + 'a>;

/// How a run is stopped, kept and watched.
pub struct Settings<'a, T> {
    /// The run ends when ‖z‖ + ω is below this.
    pub tolerance: f64,
    /// What it may spend.
    pub limits: Limits,
    /// Where a checkpoint is written after every iteration.
    pub checkpoint: Option<&'a Path>,
    /// What it goes on from.
    pub resume: Option<&'a Path>,
    /// Whether the iterations are printed.
    pub table: bool,
    /// Where θ is noted for every row of the trace.
    pub notes: Option<&'a Notes<T>>,
    /// Where seconds and value are noted for every row.
    pub clock: Option<&'a Clock>,
}

impl<T> Default for Settings<'_, T> {
    /// Neither limits nor files; nothing is printed or noted.
    fn default() -> Self {
        Settings {
            tolerance: 0.0,
            limits: Limits::default(),
            checkpoint: None,
            resume: None,
            table: false,
            notes: None,
            clock: None,
        }
    }
}

/// Seconds and value, row by row: the trace has no seconds, so that it is reproducible.
#[derive(Default)]
pub struct Clock(Mutex<Vec<(f64, f64)>>);

impl Clock {
    fn lock(&self) -> MutexGuard<'_, Vec<(f64, f64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// (seconds since the start, F) of every row so far.
    pub fn rows(&self) -> Vec<(f64, f64)> {
        self.lock().clone()
    }
}

impl Observer for &Clock {
    fn iteration(&mut self, row: &Iteration, seconds: f64) -> std::io::Result<()> {
        self.lock().push((seconds, row.value.value));
        Ok(())
    }
}

/// θ at every row of a trace, and what the solver took to get there.
pub struct Notes<T> {
    inside: Mutex<(f64, Vec<Note<T>>)>,
}

/// One of them.
#[derive(Clone)]
pub struct Note<T> {
    /// θ.
    pub theta: T,
    /// Seconds inside the solver so far: what the driver, observers and checkpoints take is not counted.
    pub seconds: f64,
}

impl<T> Default for Notes<T> {
    fn default() -> Self {
        Notes {
            inside: Mutex::new((0.0, Vec::new())),
        }
    }
}

impl<T: Clone> Notes<T> {
    fn lock(&self) -> MutexGuard<'_, (f64, Vec<Note<T>>)> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, theta: &T) {
        let (seconds, rows) = &mut *self.lock();
        rows.push(Note {
            theta: theta.clone(),
            seconds: *seconds,
        });
    }

    /// The notes so far.
    pub fn rows(&self) -> Vec<Note<T>> {
        self.lock().1.clone()
    }
}

/// A solver of any type that can run on `O`.
pub trait Runnable<O: Oracle> {
    /// Runs from θ, or goes on from a checkpoint.
    ///
    /// # Errors
    /// Those of [`Run::start`] and [`Run::resume`].
    fn run(
        &self,
        oracle: &O,
        theta: O::Theta,
        settings: &Settings<O::Theta>,
    ) -> Result<Report<O::Theta>, Error>;
}

/// A solver as one of any type.
pub fn boxed<'a, O: Oracle + 'a, S: Solver<O> + 'a>(solver: S) -> AnySolver<'a, O> {
    Box::new(solver)
}

impl<O: Oracle, S: Solver<O>> Runnable<O> for S {
    fn run(
        &self,
        oracle: &O,
        theta: O::Theta,
        settings: &Settings<O::Theta>,
    ) -> Result<Report<O::Theta>, Error> {
        let noted = Noted {
            solver: self,
            notes: settings.notes,
        };
        let mut run = Run::new(oracle, noted)
            .tolerance(settings.tolerance)
            .limits(settings.limits)
            .stop_on(stop_flag());
        if settings.table {
            run = run.observe(Table::new(Lenient(std::io::stdout())));
        }
        let hidden = !settings.table || !std::io::stdout().is_terminal();
        if hidden && std::io::stderr().is_terminal() {
            run = run.observe(ProgressBar::default());
        }
        if let Some(clock) = settings.clock {
            run = run.observe(clock);
        }
        if let Some(path) = settings.checkpoint {
            run = run.checkpoint(path, 1);
        }
        match settings.resume {
            Some(path) => run.resume(path),
            None => run.start(theta),
        }
    }
}

/// A writer to a pipe: one that is closed, as by `head`, is no reason to warn.
struct Lenient<W>(W);

impl<W: Write> Write for Lenient<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// The flag that Ctrl-C sets: one for all runs of a program. In the background, where the shell keeps Ctrl-C away, nothing sets it.
fn stop_flag() -> Arc<AtomicBool> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(flag.get_or_insert_with(|| ctrl_c().unwrap_or_default()))
}

/// A solver that notes θ before every step, as the trace does for a short one.
struct Noted<'a, S, T> {
    solver: &'a S,
    notes: Option<&'a Notes<T>>,
}

impl<S, T: Clone> Noted<'_, S, T> {
    fn note(&self, theta: &T) {
        if let Some(notes) = self.notes {
            notes.add(theta);
        }
    }

    /// `work`, with its time counted.
    fn timed<R>(&self, work: impl FnOnce() -> R) -> R {
        let clock = Instant::now();
        let result = work();
        if let Some(notes) = self.notes {
            notes.lock().0 += clock.elapsed().as_secs_f64();
        }
        result
    }
}

impl<S: std::fmt::Debug, T> std::fmt::Debug for Noted<'_, S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.solver.fmt(f)
    }
}

impl<O: Oracle, S: Solver<O>> Solver<O> for Noted<'_, S, O::Theta> {
    type State = S::State;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<S::State, Error> {
        self.timed(|| self.solver.start(oracle, theta))
    }

    fn step(&self, oracle: &O, state: &mut S::State, tol: f64) -> Result<Step<O::Theta>, Error> {
        self.note(self.solver.theta(state));
        self.timed(|| self.solver.step(oracle, state, tol))
    }

    fn evaluate(
        &self,
        oracle: &O,
        state: &mut S::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        self.note(self.solver.theta(state));
        self.solver.evaluate(oracle, state)
    }

    fn accuracy(&self, state: &S::State) -> Accuracy {
        self.solver.accuracy(state)
    }

    fn name(&self) -> String {
        self.solver.name()
    }

    fn identity(&self) -> String {
        self.solver.identity()
    }
}
