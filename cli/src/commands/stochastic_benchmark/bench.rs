//! The runs of the solvers, and F and ∇F along them.

use crate::finite_sum::DynSum;
use crate::registry::methods::{self, Batches, batch_solver, is_method};
use crate::registry::solvers::{HALF_WIDTH, around};
use crate::runs::{Note, Notes, Settings};
use bilevel::{Accuracy, ImplicitState, Limits, Report, Status, Work};

use super::super::say;
use super::Options;
use super::saved::{Best, Point, Run, Saved};
use super::table::{OUTPUTS, write};
use crate::options::{Failure, prepare};

/// The settings of a problem's runs where no option says otherwise.
pub(super) struct Defaults {
    pub(super) batch: usize,
    pub(super) block: u64,
    pub(super) epochs: f64,
}

/// A number that tells how good x is, beside F.
pub(super) struct Quality {
    pub(super) name: &'static str,
    #[allow(clippy::type_complexity)] // a function of x
    pub(super) of: Box<dyn Fn(&[f64]) -> f64>,
}

pub(super) struct Problem {
    pub(super) oracle: Box<DynSum<'static, f64>>,
    pub(super) start: Vec<f64>,
    /// F at the minimiser, where it is known.
    pub(super) optimum: Option<f64>,
    pub(super) quality: Option<Quality>,
    pub(super) defaults: Defaults,
}

/// The names of the solvers, `all` replaced by those of all stochastic methods.
fn names(options: &Options) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in &options.solvers {
        match name.trim() {
            "all" => names.extend(methods::names().iter().map(|name| (*name).to_owned())),
            name => names.push(name.to_owned()),
        }
    }
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

struct Bench<'a> {
    options: &'a Options,
    problem: &'a Problem,
    batch: usize,
    block: u64,
    epochs: f64,
    /// Samples of the levels.
    samples: [f64; 2],
    evaluation: Accuracy,
}

/// Runs the solvers on the problem.
pub(super) fn bench(options: &Options, problem: &Problem) -> Result<(), Failure> {
    let Defaults {
        batch,
        block,
        epochs,
    } = problem.defaults;
    let bench = Bench {
        options,
        problem,
        batch: options.batch.unwrap_or(batch),
        block: options.block.unwrap_or(block),
        epochs: options.max_epochs.unwrap_or(epochs),
        samples: [
            problem.oracle.lower_sum().samples() as f64,
            problem.oracle.upper_sum().samples() as f64,
        ],
        evaluation: Accuracy::new(options.evaluation, options.evaluation)?,
    };
    if !(bench.epochs > 0.0 && bench.epochs.is_finite()) {
        return Err(format!(
            "--max-epochs is {}; expected a positive number",
            bench.epochs
        )
        .into());
    }
    if options.seeds == 0 || options.points < 2 {
        return Err("expected at least one seed and two points".into());
    }
    bench.all()
}

impl Bench<'_> {
    fn all(&self) -> Result<(), Failure> {
        let options = self.options;
        let names = names(options);
        // All names and settings are checked before the first run.
        for name in &names {
            let region = around(&self.problem.start, HALF_WIDTH)?;
            batch_solver(name, self.batches(0), self.accuracy()?, &region)?;
        }
        prepare(&options.out, &OUTPUTS)?;
        let mut saved = Saved::open(&options.out, options.resume, self.identity())?;
        for name in &names {
            let seeds = if is_method(name) { options.seeds } else { 1 };
            for seed in 0..seeds {
                if saved.holds(name, seed) {
                    continue;
                }
                let (run, best) = self.run(name, seed)?;
                say(&format!("{name:<20} seed {seed}: {}", run.status));
                if run.status == Status::Interrupted.to_string() {
                    return Err("interrupted; --resume goes on with the runs that are left".into());
                }
                saved.add(&options.out, run, best)?;
            }
        }
        let optimum = match options.optimum.or(self.problem.optimum) {
            None if options.optimum_iterations > 0 => Some(self.optimum(&mut saved)?),
            known => known,
        };
        let quality = self.problem.quality.as_ref().map(|quality| quality.name);
        write(&options.out, &names, &saved, optimum, quality)
    }

    fn accuracy(&self) -> Result<Accuracy, Failure> {
        Ok(Accuracy::new(self.options.accuracy, self.options.accuracy)?)
    }

    fn batches(&self, seed: u64) -> Batches {
        Batches {
            size: self.batch,
            block: self.block,
            seed,
            lower_step: self.options.steps.lower_step,
            upper_step: self.options.steps.upper_step,
        }
    }

    /// The settings that runs have to share to be compared.
    fn identity(&self) -> String {
        format!(
            "{}; {}; batches of {}, blocks of {}, {:?} epochs, {} points, accuracies {:?} and {:?}, first steps {:?} and {:?}",
            self.problem.oracle.lower_sum().identity(),
            self.problem.oracle.upper_sum().identity(),
            self.batch,
            self.block,
            self.epochs,
            self.options.points,
            self.options.accuracy,
            self.options.evaluation,
            self.options.steps.lower_step,
            self.options.steps.upper_step,
        )
    }

    fn run(&self, name: &str, seed: u64) -> Result<(Run, Option<Best>), Failure> {
        let stochastic = is_method(name);
        let [n, m] = self.samples;
        let budget = self.epochs * (n + m);
        let notes = Notes::default();
        let settings = Settings {
            limits: Limits {
                samples: stochastic.then_some(budget as u64),
                work: (!stochastic).then_some((budget / n) as u64),
                seconds: self.options.max_seconds,
                ..Limits::default()
            },
            notes: Some(&notes),
            ..Settings::default()
        };
        let start = self.problem.start.clone();
        let region = around(&start, HALF_WIDTH)?;
        let solver = batch_solver(name, self.batches(seed), self.accuracy()?, &region)?;
        let report = solver.run(&&*self.problem.oracle, start, &settings)?;
        let each = if stochastic { self.block } else { 1 };
        let (points, best) = self.measure(&report, &notes.rows(), each)?;
        let run = Run {
            solver: name.to_owned(),
            seed,
            status: report.status.to_string(),
            points,
        };
        Ok((run, best))
    }

    /// Samples gone over, in multiples of all of them.
    fn epochs_of(&self, work: &Work) -> f64 {
        let [n, m] = self.samples;
        let samples = match work.samples() {
            // Solvers that use all samples do not count them.
            0 => {
                let lower = work.iterations() + work.cross_products;
                n * lower as f64 + m * work.upper_gradients as f64
            }
            counted => counted as f64,
        };
        samples / (n + m)
    }

    /// F, ∇F and the quality at some rows of a run, and the best of them.
    fn measure(
        &self,
        report: &Report<Vec<f64>>,
        notes: &[Note<Vec<f64>>],
        each: u64,
    ) -> Result<(Vec<Point>, Option<Best>), Failure> {
        let mut state = None;
        let mut points = Vec::new();
        let mut best: Option<Best> = None;
        for row in spread(notes.len(), self.options.points) {
            let note = &notes[row];
            let Some((value, gradient)) = self.evaluate(&note.theta, &mut state)? else {
                continue;
            };
            let before = row.checked_sub(1).and_then(|i| report.trace.rows().get(i));
            let work = before.map_or(Work::default(), |row| row.work);
            let x = state.as_ref().map(ImplicitState::x);
            points.push(Point {
                iteration: row as u64 * each,
                calls: work.calls(),
                lower_iterations: work.iterations(),
                epochs: self.epochs_of(&work),
                seconds: note.seconds,
                value,
                gradient_squared: gradient,
                quality: self.problem.quality.as_ref().zip(x).map(|(q, x)| (q.of)(x)),
            });
            if best.as_ref().is_none_or(|best| value < best.value) {
                best = Some(Best {
                    value,
                    theta: note.theta.clone(),
                });
            }
        }
        Ok((points, best))
    }

    /// F(θ), to second order in the accuracy, and ‖∇F(θ)‖²; none where F is not defined or not finite.
    fn evaluate(
        &self,
        theta: &Vec<f64>,
        state: &mut Option<ImplicitState<Vec<f64>>>,
    ) -> Result<Option<(f64, f64)>, Failure> {
        use bilevel::Error::{InvalidArgument, NotFinite};
        let oracle = &self.problem.oracle;
        let started = match state.take() {
            Some(state) => Ok(state),
            None => oracle.start(theta),
        };
        let evaluated = started.and_then(|mut s| {
            let z = oracle.hypergradient(theta, self.evaluation, &mut s)?;
            Ok((z, s))
        });
        match evaluated {
            Ok((z, s)) => {
                *state = Some(s);
                let square: f64 = z.gradient.iter().map(|g| g * g).sum();
                let finite = z.goal_oriented.is_finite() && square.is_finite();
                Ok(finite.then_some((z.goal_oriented, square)))
            }
            Err(InvalidArgument { .. } | NotFinite { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The least F of all runs and of a search from there.
    fn optimum(&self, saved: &mut Saved) -> Result<f64, Failure> {
        let Some(best) = saved.best() else {
            return Ok(f64::NAN);
        };
        if let Some(optimum) = saved.optimum() {
            return Ok(optimum.min(best.value));
        }
        let region = around(&best.theta, HALF_WIDTH)?;
        let mut least = best.value;
        for name in ["argmin-lbfgs", "maid-lbfgs"] {
            let solver = batch_solver(name, self.batches(0), self.evaluation, &region)?;
            let settings = Settings {
                limits: Limits {
                    iterations: Some(self.options.optimum_iterations),
                    ..Limits::default()
                },
                ..Settings::default()
            };
            let report = solver.run(&&*self.problem.oracle, best.theta.clone(), &settings)?;
            if let Some((value, gradient)) = self.evaluate(&report.theta, &mut None)? {
                say(&format!(
                    "the minimiser by {name}: F = {value:?}, ‖∇F‖ = {:.1e}, {}",
                    gradient.sqrt(),
                    report.status
                ));
                least = least.min(value);
            }
        }
        saved.found(&self.options.out, least)?;
        Ok(least)
    }
}

/// Of so many rows the first, the last, and some between them that are spread geometrically.
fn spread(rows: usize, points: usize) -> Vec<usize> {
    let last = rows.saturating_sub(1);
    let mut chosen: Vec<usize> = vec![0];
    for i in 0..points.saturating_sub(1) {
        let share = i as f64 / (points - 2).max(1) as f64;
        chosen.push(((last as f64).powf(share).round() as usize).min(last));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen.retain(|row| *row < rows);
    chosen
}
