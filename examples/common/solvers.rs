//! Upper-level solvers by name, and their runs.

use bilevel::argmin;
use bilevel::run::{Observer, ProgressBar, Table, ctrl_c};
use bilevel::tpe::Tpe;
use bilevel::upper::{AdaptiveAccuracy, DerivativeFree};
use bilevel::{
    Accuracy, Error, GradientDescent, GridSearch, Hoag, Hypergradient, Iteration, Law, Limits,
    Maid, Oracle, RandomSearch, Region, Report, Run, Solver, Step,
};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Checkpoints, Failure};

/// Half of the width of the box that random search, grid search, TPE and the particle swarm look at, where no option says it.
pub(crate) const HALF_WIDTH: f64 = 3.0;
/// Points of grid search along every entry of θ: an odd number, so that the start is one of them.
const GRID_POINTS: u64 = 9;
/// Grid search takes θ of at most so many entries: 9⁴ = 6,561 points.
const GRID_ENTRIES: usize = 4;

/// The box around a first θ.
pub(crate) fn around(theta: &[f64], half_width: f64) -> Result<Region, Failure> {
    if !(half_width > 0.0 && half_width.is_finite()) {
        return Err(format!(
            "the half width of the box is {half_width:?}; expected a positive number"
        )
        .into());
    }
    Ok(Region {
        lower: theta.iter().map(|t| t - half_width).collect(),
        upper: theta.iter().map(|t| t + half_width).collect(),
    })
}

/// A solver of any type.
pub(crate) type AnySolver<'a, O> = Box<dyn Runnable<O> + 'a>;

/// The solvers by name, with their first or constant accuracies and the box of those that search one. A new one is a new line.
fn known<'a, O: Oracle + 'a>(
    accuracy: Accuracy,
    region: &Region,
) -> Vec<(&'static str, AnySolver<'a, O>)> {
    let maid = |maid: Maid| {
        boxed(Maid {
            accuracy: AdaptiveAccuracy {
                initial: accuracy,
                ..maid.accuracy
            },
            ..maid
        })
    };
    let hoag = |law| {
        boxed(Hoag {
            initial: accuracy,
            ..Hoag::new(law)
        })
    };
    let fixed = GradientDescent {
        accuracy,
        ..GradientDescent::with_accuracy(1.0)
    };
    let mut derivative_free = DerivativeFree::default();
    derivative_free.accuracy.initial = accuracy;
    let argmin_lbfgs = argmin::Lbfgs {
        accuracy,
        ..argmin::Lbfgs::with_accuracy(1.0)
    };
    let nelder_mead = argmin::NelderMead {
        accuracy,
        ..argmin::NelderMead::with_accuracy(1.0)
    };
    let random = RandomSearch {
        accuracy,
        ..RandomSearch::new(region.clone(), u64::MAX)
    };
    let grid = GridSearch {
        accuracy,
        ..GridSearch::new(region.clone(), GRID_POINTS)
    };
    let tpe = Tpe {
        accuracy,
        ..Tpe::new(region.clone(), u64::MAX)
    };
    let swarm = argmin::ParticleSwarm {
        accuracy,
        ..argmin::ParticleSwarm::with_accuracy(region.clone(), 1.0)
    };
    vec![
        ("maid", maid(Maid::default())),
        ("maid-lbfgs", maid(Maid::lbfgs())),
        ("maid-bb", maid(Maid::barzilai_borwein())),
        ("maid-non-monotone", maid(Maid::non_monotone())),
        ("maid-diagonal", maid(Maid::diagonal())),
        ("maid-goal-oriented", maid(Maid::goal_oriented())),
        ("hoag-exponential", hoag(Law::Exponential)),
        ("hoag-quadratic", hoag(Law::Quadratic)),
        ("hoag-cubic", hoag(Law::Cubic)),
        ("fixed", boxed(fixed)),
        ("derivative-free", boxed(derivative_free)),
        ("random", boxed(random)),
        ("grid", boxed(grid)),
        ("tpe", boxed(tpe)),
        ("argmin-lbfgs", boxed(argmin_lbfgs)),
        ("argmin-nelder-mead", boxed(nelder_mead)),
        ("argmin-swarm", boxed(swarm)),
    ]
}

/// The solver called `name`. A number behind the name is its accuracy, as in `fixed-1e-3`; without one it is `accuracy`. Those that
/// search a box look at `region`.
pub(crate) fn solver<'a, O: Oracle + 'a>(
    name: &str,
    accuracy: Accuracy,
    region: &Region,
) -> Result<AnySolver<'a, O>, Failure> {
    let split = |(at, _)| (&name[..at], Some(&name[at + 1..]));
    let readings = [(name, None)]
        .into_iter()
        .chain(name.match_indices('-').map(split));
    for (head, tail) in readings {
        let accuracy = match tail.map(str::parse::<f64>) {
            None => accuracy,
            Some(Ok(number)) => Accuracy::new(number, number)?,
            Some(Err(_)) => continue,
        };
        let mut all = known::<O>(accuracy, region).into_iter();
        if let Some((_, found)) = all.find(|(known, _)| *known == head) {
            let entries = region.lower.len();
            if head == "grid" && entries > GRID_ENTRIES {
                return Err(format!(
                    "a grid over the {entries} entries of theta has {GRID_POINTS}^{entries} points; it is for at most {GRID_ENTRIES} entries: take `random`"
                )
                .into());
            }
            return Ok(found);
        }
    }
    let all = known::<O>(accuracy, region);
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    Err(format!(
        "no solver is called `{name}`; there are {}, each with an accuracy behind it if you like, as in fixed-1e-3",
        names.join(", ")
    )
    .into())
}

/// How a run is stopped, kept and watched.
#[derive(Default)]
pub(crate) struct Settings<'a, T> {
    pub(crate) tolerance: f64,
    pub(crate) limits: Limits,
    pub(crate) checkpoint: Option<&'a Path>,
    pub(crate) resume: Option<&'a Path>,
    /// Whether the iterations are printed.
    pub(crate) table: bool,
    /// Where θ is noted for every row of the trace.
    pub(crate) notes: Option<&'a Notes<T>>,
    /// Where seconds and value are noted for every row.
    pub(crate) clock: Option<&'a Clock>,
}

/// Seconds and value, row by row: the trace has no seconds, so that it is reproducible.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Vec<(f64, f64)>>);

impl Clock {
    fn lock(&self) -> MutexGuard<'_, Vec<(f64, f64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn rows(&self) -> Vec<(f64, f64)> {
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
pub(crate) struct Notes<T> {
    inside: Mutex<(f64, Vec<Note<T>>)>,
}

/// One of them.
#[derive(Clone)]
pub(crate) struct Note<T> {
    pub(crate) theta: T,
    /// Seconds inside the solver so far: what the driver, observers and checkpoints take is not counted.
    pub(crate) seconds: f64,
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

    pub(crate) fn rows(&self) -> Vec<Note<T>> {
        self.lock().1.clone()
    }
}

impl<'a, T> Settings<'a, T> {
    /// What the options say about checkpoints; the iterations are printed.
    pub(crate) fn of(files: &'a Checkpoints, tolerance: f64, limits: Limits) -> Self {
        Settings {
            tolerance,
            limits,
            checkpoint: files.checkpoint.as_deref().or(files.resume.as_deref()),
            resume: files.resume.as_deref(),
            table: true,
            notes: None,
            clock: None,
        }
    }
}

/// A solver of any type that can run on `O`.
pub(crate) trait Runnable<O: Oracle> {
    /// Runs from θ, or goes on from a checkpoint.
    fn run(
        &self,
        oracle: &O,
        theta: O::Theta,
        settings: &Settings<O::Theta>,
    ) -> Result<Report<O::Theta>, Failure>;
}

pub(crate) fn boxed<'a, O: Oracle + 'a, S: Solver<O> + 'a>(solver: S) -> AnySolver<'a, O> {
    Box::new(solver)
}

impl<O: Oracle, S: Solver<O>> Runnable<O> for S {
    fn run(
        &self,
        oracle: &O,
        theta: O::Theta,
        settings: &Settings<O::Theta>,
    ) -> Result<Report<O::Theta>, Failure> {
        let noted = Noted {
            solver: self,
            notes: settings.notes,
        };
        let mut run = Run::new(oracle, noted)
            .tolerance(settings.tolerance)
            .limits(settings.limits)
            .stop_on(stop_flag());
        if settings.table {
            run = run.observe(Table::new(std::io::stdout()));
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
        Ok(match settings.resume {
            Some(path) => run.resume(path)?,
            None => run.start(theta)?,
        })
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

    fn probe(&self, oracle: &O, state: &S::State) -> Result<f64, Error> {
        self.solver.probe(oracle, state)
    }

    fn theta<'a>(&self, state: &'a S::State) -> &'a O::Theta {
        self.solver.theta(state)
    }

    fn name(&self) -> String {
        self.solver.name()
    }

    fn identity(&self) -> String {
        self.solver.identity()
    }
}
