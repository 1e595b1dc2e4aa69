//! Runs of solvers of any type: their limits, files and displays, and records of θ and seconds beside the trace.

use bilevel::run::{Observer, ProgressBar, Table, ctrl_c};
use bilevel::{
    Accuracy, Error, Hypergradient, ImplicitState, Iteration, Limits, Oracle, Report, Run, Solver,
    Step,
};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::any_state::{AnyState, Erased, State};

/// Any oracle on vectors with the states S.
pub type DynOracle<'a, S> = dyn Oracle<Theta = Vec<f64>, State = S> + 'a;

/// The states of problems that are means of smooth ones.
pub type Terms = Vec<ImplicitState<Vec<f64>>>;

/// A solver of any type.
pub type AnySolver<'a, O> = Box<dyn Runnable<O> + 'a>;

/// The stopping rules, files and displays of a run.
pub struct Settings<'a, T> {
    /// The run converges when ‖z‖ + ω is below this.
    pub tolerance: f64,
    /// Limits of iterations, work and seconds.
    pub limits: Limits,
    /// The file that gets a checkpoint after every iteration.
    pub checkpoint: Option<&'a Path>,
    /// The checkpoint to resume from.
    pub resume: Option<&'a Path>,
    /// Whether the iterations are printed.
    pub table: bool,
    /// Records θ for every row of the trace.
    pub notes: Option<&'a Notes<T>>,
    /// Records seconds and value for every row.
    pub clock: Option<&'a Clock>,
}

impl<T> Default for Settings<'_, T> {
    /// Neither limits nor files; nothing is printed or recorded.
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

/// θ at every row of a trace, and the seconds that the solver took to get there.
pub struct Notes<T> {
    inside: Mutex<(f64, Vec<Note<T>>)>,
}

/// θ at one row of a trace.
#[derive(Clone)]
pub struct Note<T> {
    /// θ.
    pub theta: T,
    /// Seconds inside the solver so far; the driver, observers and checkpoints are not counted.
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

    /// The notes of all rows so far.
    pub fn rows(&self) -> Vec<Note<T>> {
        self.lock().1.clone()
    }
}

/// A solver of any type that can run on `O`.
pub trait Runnable<O: Oracle> {
    /// Runs from θ, or resumes from the checkpoint of the settings.
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

/// A solver of a known type.
struct Typed<S>(S);

/// Boxes a solver.
pub fn boxed<'a, O: Oracle + 'a, S: Solver<O> + 'a>(solver: S) -> AnySolver<'a, O> {
    Box::new(Typed(solver))
}

/// A solver of any type for all oracles on vectors.
pub type DynSolver = Box<dyn for<'o> Runnable<&'o DynOracle<'o, AnyState>>>;

/// Boxes a solver that runs on any such oracle: it is compiled once for all of them.
pub fn boxed_once<S>(solver: S) -> DynSolver
where
    S: for<'o> Solver<&'o DynOracle<'o, AnyState>> + 'static,
{
    Box::new(Typed(solver))
}

/// The same solver for one type of oracle.
struct Behind(DynSolver);

/// A solver for any oracle as one for `O`.
pub fn behind<'a, O>(solver: DynSolver) -> AnySolver<'a, O>
where
    O: Oracle<Theta = Vec<f64>, State: State> + 'a,
{
    Box::new(Behind(solver))
}

impl<O: Oracle<Theta = Vec<f64>, State: State>> Runnable<O> for Behind {
    fn run(
        &self,
        oracle: &O,
        theta: Vec<f64>,
        settings: &Settings<Vec<f64>>,
    ) -> Result<Report<Vec<f64>>, Error> {
        let erased = Erased(oracle);
        let oracle: &DynOracle<'_, AnyState> = &erased;
        self.0.run(&oracle, theta, settings)
    }
}

impl<O: Oracle, S: Solver<O>> Runnable<O> for Typed<S> {
    fn run(
        &self,
        oracle: &O,
        theta: O::Theta,
        settings: &Settings<O::Theta>,
    ) -> Result<Report<O::Theta>, Error> {
        let recording = Recording {
            solver: &self.0,
            notes: settings.notes,
        };
        let mut run = Run::new(oracle, recording)
            .tolerance(settings.tolerance)
            .limits(settings.limits)
            .stop_on(stop_flag());
        if settings.table {
            run = run.observe(Table::stdout());
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

/// The flag that Ctrl-C sets: one for all runs of a program. In the background, where the shell withholds Ctrl-C, nothing sets it.
fn stop_flag() -> Arc<AtomicBool> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut flag = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(flag.get_or_insert_with(|| ctrl_c().unwrap_or_default()))
}

/// A solver that records θ and its own seconds before every step.
struct Recording<'a, S, T> {
    solver: &'a S,
    notes: Option<&'a Notes<T>>,
}

impl<S, T: Clone> Recording<'_, S, T> {
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

impl<S: std::fmt::Debug, T> std::fmt::Debug for Recording<'_, S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.solver.fmt(f)
    }
}

impl<O: Oracle, S: Solver<O>> Solver<O> for Recording<'_, S, O::Theta> {
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
