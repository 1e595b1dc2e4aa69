//! The loop of a run, behind one interface for all solvers and oracles: it is compiled once for a type of θ.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::clock::Clock;
use super::{Limits, Observer, Report, Trace, checkpoint};
use crate::error::{CheckpointError, Error};
use crate::hypergradient::Hypergradient;
use crate::oracle::Oracle;
use crate::status::{SolveStatus, Status};
use crate::upper::{Iteration, Solver, Step};
use crate::vector::Vector;
use crate::work::Work;

/// The largest relative difference of two probes of one problem: sums in user code may depend on the threads.
const PROBE_TOLERANCE: f64 = 1e-9;

/// The content of a checkpoint, besides the identity of the run and the solver's state.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Progress {
    iteration: u64,
    work: Work,
    seconds: f64,
    /// g + f at the state: a fingerprint that tells problems of the same type apart.
    probe: f64,
    trace: Trace,
}

impl Progress {
    /// Adds a row to the trace, with the work since the start.
    fn record(&mut self, mut row: Iteration) {
        self.work += row.work;
        row.work = self.work;
        row.iteration = self.iteration;
        self.trace.push(row);
    }
}

/// A solver on its oracle, at its state.
pub(super) trait Engine<T> {
    fn name(&self) -> String;
    fn identity(&self) -> String;
    fn theta(&self) -> &T;
    fn step(&mut self, tolerance: f64) -> Result<Step<T>, Error>;
    fn evaluate(&mut self) -> Result<(Iteration, Hypergradient<T>), Error>;
    fn probe(&self) -> Result<f64, Error>;
    /// Writes a checkpoint.
    fn write(&self, path: &Path, progress: &Progress) -> Result<(), Error>;
}

/// The engine of a solver and an oracle of known types.
pub(super) struct Typed<'a, O, S, State> {
    oracle: &'a O,
    solver: S,
    state: State,
}

impl<'a, O: Oracle, S: Solver<O>> Typed<'a, O, S, S::State> {
    pub(super) fn start(oracle: &'a O, solver: S, theta: O::Theta) -> Result<Self, Error> {
        let state = solver.start(oracle, theta)?;
        Ok(Typed {
            oracle,
            solver,
            state,
        })
    }

    pub(super) fn resume(oracle: &'a O, solver: S, path: &Path) -> Result<(Self, Progress), Error> {
        let identity = identity(oracle, &solver);
        let (progress, state) = checkpoint::read(path, &identity)?;
        let engine = Typed {
            oracle,
            solver,
            state,
        };
        Ok((engine, progress))
    }
}

/// The identity of a run: a checkpoint of another one is refused.
fn identity<O: Oracle, S: Solver<O>>(oracle: &O, solver: &S) -> String {
    format!("{} on {}", solver.identity(), oracle.identity())
}

impl<O: Oracle, S: Solver<O>> Engine<O::Theta> for Typed<'_, O, S, S::State> {
    fn name(&self) -> String {
        self.solver.name()
    }

    fn identity(&self) -> String {
        identity(self.oracle, &self.solver)
    }

    fn theta(&self) -> &O::Theta {
        self.solver.theta(&self.state)
    }

    fn step(&mut self, tolerance: f64) -> Result<Step<O::Theta>, Error> {
        self.solver.step(self.oracle, &mut self.state, tolerance)
    }

    fn evaluate(&mut self) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        self.solver.evaluate(self.oracle, &mut self.state)
    }

    fn probe(&self) -> Result<f64, Error> {
        self.solver.probe(self.oracle, &self.state)
    }

    fn write(&self, path: &Path, progress: &Progress) -> Result<(), Error> {
        checkpoint::write(path, &self.identity(), &(progress, &self.state))
    }
}

/// The settings of a run: stopping rules, observers and checkpoints.
pub(super) struct Driver<'a> {
    pub(super) tolerance: f64,
    pub(super) limits: Limits,
    pub(super) observers: Vec<Box<dyn Observer + 'a>>,
    pub(super) checkpoint: Option<(PathBuf, u64)>,
    pub(super) stop: Option<Arc<AtomicBool>>,
}

impl Driver<'_> {
    pub(super) fn check(&self) -> Result<(), Error> {
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return Err(Error::invalid(
                "tolerance",
                format!("{:?}", self.tolerance),
                "a finite number of at least 0",
            ));
        }
        self.limits.check()
    }

    /// Refuses the checkpoint of another problem of the same type, which has other function values at the saved point.
    pub(super) fn check_probe<T>(
        &self,
        engine: &dyn Engine<T>,
        progress: &Progress,
        path: &Path,
    ) -> Result<(), Error> {
        let (probe, saved) = (engine.probe()?, progress.probe);
        if (probe - saved).abs() > PROBE_TOLERANCE * probe.abs().max(saved.abs()) {
            return Err(Error::Checkpoint {
                path: path.to_owned(),
                reason: CheckpointError::OtherRun {
                    found: format!("a problem whose functions add up to {saved}"),
                    expected: format!("one whose functions add up to {probe} at the saved point"),
                },
            });
        }
        Ok(())
    }

    /// Writes a checkpoint, if the run has one.
    pub(super) fn save<T>(
        &self,
        engine: &dyn Engine<T>,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let Some((path, _)) = &self.checkpoint else {
            return Ok(());
        };
        progress.probe = engine.probe()?;
        engine.write(path, progress)
    }

    /// Tells the observers; one that fails is left out, with a warning.
    fn observe(
        &mut self,
        warnings: &mut Vec<String>,
        call: &mut dyn FnMut(&mut dyn Observer) -> std::io::Result<()>,
    ) {
        self.observers.retain_mut(|o| match call(o.as_mut()) {
            Ok(()) => true,
            Err(error) => {
                warnings.push(format!("an observer failed and was left out: {error}"));
                false
            }
        });
    }

    /// Iterates until the run ends.
    pub(super) fn go<T: Vector>(
        mut self,
        engine: &mut dyn Engine<T>,
        mut p: Progress,
    ) -> Result<Report<T>, Error> {
        let clock = Clock::start();
        let seconds_before = p.seconds;
        let seconds = || seconds_before + clock.seconds();
        let mut warnings = Vec::new();
        let name = engine.name();
        let (first, limit) = (p.iteration, self.limits.iterations);
        self.observe(&mut warnings, &mut |o| o.begin(&name, first, limit));
        let (status, z): (Status, Hypergradient<T>) = loop {
            let interrupted = self
                .stop
                .as_ref()
                .is_some_and(|flag| flag.load(Ordering::Relaxed));
            let budget = self.limits.exceeded(p.iteration, &p.work, seconds());
            if interrupted || budget.is_some() {
                // Save before this last evaluation, so that a resumed run continues as if it had not happened.
                p.seconds = seconds();
                self.save(engine, &mut p)?;
                let (row, z) = engine.evaluate()?;
                p.record(row);
                let status = match budget {
                    Some(budget) if !interrupted => Status::BudgetExhausted(budget),
                    _ => Status::Interrupted,
                };
                break (status, z);
            }
            match engine.step(self.tolerance)? {
                Step::Moved(row) => {
                    p.record(row);
                    if let Some(row) = p.trace.last() {
                        self.observe(&mut warnings, &mut |o| o.iteration(row, seconds()));
                    }
                    p.iteration += 1;
                    if let Some((_, every)) = &self.checkpoint
                        && p.iteration.is_multiple_of(*every)
                    {
                        p.seconds = seconds();
                        self.save(engine, &mut p)?;
                    }
                }
                Step::Ended(status, row, z) => {
                    p.record(row);
                    break (status, z);
                }
            }
        };
        if let Some(row) = p.trace.last() {
            self.observe(&mut warnings, &mut |o| o.iteration(row, seconds()));
        }
        let mut report = report(engine, status, z, p, seconds());
        report.warnings = warnings;
        for observer in &mut self.observers {
            // The run is over; a failure here has no consequence.
            let _ = observer.end(&report.to_string());
        }
        Ok(report)
    }
}

/// Value and hypergradient where the engine stands.
pub(super) fn evaluate<T: Vector>(
    engine: &mut dyn Engine<T>,
    clock: &Clock,
) -> Result<Report<T>, Error> {
    let (row, z) = engine.evaluate()?;
    let status = match z.status() {
        SolveStatus::Converged => Status::Evaluated,
        _ => Status::AccuracyFloor,
    };
    let mut progress = Progress::default();
    progress.record(row);
    Ok(report(engine, status, z, progress, clock.seconds()))
}

fn report<T: Vector>(
    engine: &dyn Engine<T>,
    status: Status,
    z: Hypergradient<T>,
    progress: Progress,
    seconds: f64,
) -> Report<T> {
    Report {
        status,
        solver: engine.name(),
        trust: z.trust,
        theta: engine.theta().clone(),
        value: z.value,
        goal_oriented: z.goal_oriented,
        hypergradient: z.gradient,
        error_bound: z.error_bound,
        attained: z.attained,
        iterations: progress.iteration,
        work: progress.work,
        seconds,
        trace: progress.trace,
        warnings: Vec::new(),
    }
}
