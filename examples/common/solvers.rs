//! Upper-level solvers by name, and their runs.

use bilevel::argmin;
use bilevel::run::{ProgressBar, Table, ctrl_c};
use bilevel::upper::{AdaptiveAccuracy, DerivativeFree};
use bilevel::{
    Accuracy, Error, GradientDescent, Hoag, Hypergradient, Iteration, Law, Limits, Maid, Oracle,
    Report, Run, Solver, Step,
};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Checkpoints, Failure};

/// The solvers by name, with their first or constant accuracies. A new one is a new line.
fn known<O: Oracle + 'static>(accuracy: Accuracy) -> Vec<(&'static str, Box<dyn Runnable<O>>)> {
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
        ("argmin-lbfgs", boxed(argmin_lbfgs)),
        ("argmin-nelder-mead", boxed(nelder_mead)),
    ]
}

/// The solver called `name`. A number behind the name is its accuracy, as in `fixed-1e-3`; without one it is `accuracy`.
pub(crate) fn solver<O: Oracle + 'static>(
    name: &str,
    accuracy: Accuracy,
) -> Result<Box<dyn Runnable<O>>, Failure> {
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
        let mut all = known::<O>(accuracy).into_iter();
        if let Some((_, found)) = all.find(|(known, _)| *known == head) {
            return Ok(found);
        }
    }
    let names: Vec<&str> = known::<O>(accuracy).iter().map(|(name, _)| *name).collect();
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
    pub(crate) thetas: Option<&'a Mutex<Vec<T>>>,
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
            thetas: None,
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

fn boxed<O: Oracle, S: Solver<O> + 'static>(solver: S) -> Box<dyn Runnable<O>> {
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
            thetas: settings.thetas,
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
    thetas: Option<&'a Mutex<Vec<T>>>,
}

impl<S, T: Clone> Noted<'_, S, T> {
    fn note(&self, theta: &T) {
        if let Some(thetas) = self.thetas {
            let mut thetas = thetas.lock().unwrap_or_else(PoisonError::into_inner);
            thetas.push(theta.clone());
        }
    }
}

impl<O: Oracle, S: Solver<O>> Solver<O> for Noted<'_, S, O::Theta> {
    type State = S::State;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<S::State, Error> {
        self.solver.start(oracle, theta)
    }

    fn step(&self, oracle: &O, state: &mut S::State, tol: f64) -> Result<Step<O::Theta>, Error> {
        self.note(self.solver.theta(state));
        self.solver.step(oracle, state, tol)
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
