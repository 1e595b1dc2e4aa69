//! The problems of experiments: settings from a file become an oracle, its start and its judges.

pub(crate) mod foe;
mod folds;
pub(crate) mod hyper_cleaning;
mod images;
pub(crate) mod lasso;
pub(crate) mod logistic_regression;
pub(crate) mod quadratic;
pub(crate) mod ridge;
pub(crate) mod tv;

use bilevel::{
    Accuracy, CheckReport, Error, LowerLevel, Mean, Report, UpperLevel, check_lower, check_oracle,
    check_upper,
};

use super::solver::Solver;
use crate::any_state::State;
use crate::finite_sum::DynSum;
use crate::registry::methods::{Batches, batch_solver, is_method, with_methods};
use crate::registry::solvers::{around, solver};
pub(super) use crate::runs::Terms;
use crate::runs::{AnySolver, DynOracle, Settings};
use bilevel_problems::data::DataError;
use std::path::PathBuf;

/// The settings of a problem: its table in an experiment file.
pub(crate) trait ProblemSettings {
    /// Reads or makes the data, and makes the problem of one seed.
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error>;

    /// The files and folders that the settings name.
    fn files(&mut self) -> Vec<&mut PathBuf> {
        Vec::new()
    }
}

/// A problem with its data, of any type.
pub(crate) trait ProblemInstance: Sync {
    /// Refuses a solver that there is not, or that is not for this problem.
    fn check_solver(&self, solver: &Solver) -> Result<(), Error>;

    /// Runs a solver from the first θ, or resumes from a checkpoint.
    fn run(
        &self,
        solver: &Solver,
        seed: u64,
        settings: &Settings<Vec<f64>>,
    ) -> Result<Report<Vec<f64>>, Error>;

    /// Names and numbers by which θ is judged, beside its value.
    fn quality(&self, theta: &[f64]) -> Result<Vec<(&'static str, f64)>, Error>;

    /// Tests the derivatives.
    fn check(&self) -> Result<CheckReport, Error>;

    /// Identifies the problem, data included.
    fn identity(&self) -> String;
}

/// Judges θ: names and numbers.
type Quality = Box<dyn Fn(&Vec<f64>) -> Result<Vec<(&'static str, f64)>, Error> + Send + Sync>;

/// Tests of the derivatives of both levels.
type Derivatives = Box<dyn Fn() -> CheckReport + Send + Sync>;

/// Models are judged at lower-level solutions of this accuracy.
const JUDGED_AT: f64 = 1e-2;

/// A refusal of data.
fn refused(error: DataError) -> Error {
    Error::invalid("data", error, "data that can be read")
}

fn no_quality() -> Quality {
    Box::new(|_| Ok(Vec::new()))
}

/// A problem whose solvers see all samples.
struct Whole<S> {
    oracle: Box<DynOracle<'static, S>>,
    start: Vec<f64>,
    quality: Quality,
    derivatives: Option<Derivatives>,
}

impl<S> ProblemInstance for Whole<S>
where
    S: State,
{
    fn check_solver(&self, config: &Solver) -> Result<(), Error> {
        if is_method(&config.name) {
            let found = format!("`{}`, a method on batches", config.name);
            let expected = "one for a problem that is no sum of samples, such as `maid-lbfgs`";
            return Err(Error::invalid("solver", found, expected));
        }
        chosen::<S>(config, &self.start).map(drop)
    }

    fn run(
        &self,
        config: &Solver,
        _seed: u64,
        settings: &Settings<Vec<f64>>,
    ) -> Result<Report<Vec<f64>>, Error> {
        run(&*self.oracle, config, &self.start, settings)
    }

    fn quality(&self, theta: &[f64]) -> Result<Vec<(&'static str, f64)>, Error> {
        (self.quality)(&theta.to_vec())
    }

    fn check(&self) -> Result<CheckReport, Error> {
        let mut report = check_oracle(&&*self.oracle, &self.start)?;
        if let Some(derivatives) = &self.derivatives {
            report.checks.splice(0..0, derivatives().checks);
        }
        Ok(report)
    }

    fn identity(&self) -> String {
        self.oracle.identity()
    }
}

/// A problem whose solvers may see batches of samples.
struct Sampled {
    oracle: Box<DynSum<'static, f64>>,
    start: Vec<f64>,
    quality: Quality,
    /// Tests the derivatives of both levels.
    derivatives: Derivatives,
}

impl ProblemInstance for Sampled {
    fn check_solver(&self, config: &Solver) -> Result<(), Error> {
        if !is_method(&config.name) {
            let chosen = chosen::<Terms>(config, &self.start).map(drop);
            return chosen.map_err(|error| with_methods(error, &config.name));
        }
        let [n, m] = [
            self.oracle.lower_sum().samples(),
            self.oracle.upper_sum().samples(),
        ];
        let samples = n.min(m);
        if !(1..=samples).contains(&config.batch) {
            let expected = format!("at least 1 and at most {samples}, the samples that there are");
            return Err(Error::invalid("batch", config.batch, expected));
        }
        Accuracy::new(config.accuracy, config.accuracy).map(drop)
    }

    fn run(
        &self,
        config: &Solver,
        seed: u64,
        settings: &Settings<Vec<f64>>,
    ) -> Result<Report<Vec<f64>>, Error> {
        if !is_method(&config.name) {
            let sum = Mean::new(vec![&*self.oracle])?;
            return run::<Terms>(&sum, config, &self.start, settings);
        }
        let batches = Batches {
            size: config.batch,
            block: config.block,
            seed,
            lower_step: config.lower_step,
            upper_step: config.upper_step,
        };
        let accuracy = Accuracy::new(config.accuracy, config.accuracy)?;
        let search_box = around(&self.start, config.half_width)?;
        let solver = batch_solver(&config.name, batches, accuracy, &search_box)?;
        solver.run(&&*self.oracle, self.start.clone(), settings)
    }

    fn quality(&self, theta: &[f64]) -> Result<Vec<(&'static str, f64)>, Error> {
        (self.quality)(&theta.to_vec())
    }

    fn check(&self) -> Result<CheckReport, Error> {
        let mut report = (self.derivatives)();
        let checked = check_oracle(&&*self.oracle, &self.start)?;
        report.checks.extend(checked.checks);
        Ok(report)
    }

    fn identity(&self) -> String {
        self.oracle.identity()
    }
}

/// The solver that an experiment names.
fn chosen<'a, S>(
    config: &Solver,
    start: &[f64],
) -> Result<AnySolver<'a, &'a DynOracle<'a, S>>, Error>
where
    S: State + 'a,
{
    let accuracy = Accuracy::new(config.accuracy, config.accuracy)?;
    let search_box = around(start, config.half_width)?;
    solver(&config.name, accuracy, &search_box)
}

fn run<S>(
    oracle: &DynOracle<'_, S>,
    config: &Solver,
    start: &[f64],
    settings: &Settings<Vec<f64>>,
) -> Result<Report<Vec<f64>>, Error>
where
    S: State,
{
    chosen(config, start)?.run(&oracle, start.to_vec(), settings)
}

/// Tests both levels at θ and an x that is nothing special.
fn derivatives<P, U>(lower: &P, upper: &U, theta: &[f64]) -> CheckReport
where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>,
    U: UpperLevel<Theta = Vec<f64>, X = Vec<f64>>,
{
    let mut x = lower.start();
    for (k, x) in x.iter_mut().enumerate() {
        *x += 0.1 * (1.0 + k as f64).sin();
    }
    let theta = theta.to_vec();
    let mut report = check_lower(lower, &x, &theta);
    report.checks.extend(check_upper(upper, &x, &theta).checks);
    report
}
