//! The problems that experiments are made of: what a file says becomes an oracle.

mod folded;
mod imaging;
mod samples;

use bilevel::linear::LinearSolver;
use bilevel::lower::LowerSolver;
use bilevel::problem::minibatch::{MinibatchLower, MinibatchUpper};
use bilevel::{
    Accuracy, CheckReport, Error, Implicit, ImplicitState, LowerLevel, Oracle, Report, Mean,
    UpperLevel, check_lower, check_oracle, check_upper,
};

use super::config::{Problem, Solver};
use super::methods::{Batches, METHODS, batch_solver, with_methods};
use super::runs::{AnySolver, Settings};
use super::solvers::{around, solver};
use bilevel_problems::data::DataError;

/// A problem with its data, of any type.
pub(super) trait Made: Sync {
    /// Refuses a solver that there is not, or that is not for this problem.
    fn check_solver(&self, solver: &Solver) -> Result<(), Error>;

    /// Runs a solver from the first θ, or goes on from a checkpoint.
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

    /// What tells it from others, data included.
    fn identity(&self) -> String;
}

/// Makes the problem of one seed.
pub(super) fn make(problem: &Problem, seed: u64) -> Result<Box<dyn Made>, Error> {
    match problem {
        Problem::Quadratic(config) => folded::quadratic(config, seed),
        Problem::Tv(config) => imaging::tv(config, seed),
        Problem::Foe(config) => imaging::foe(config, seed),
        Problem::LogisticRegression(config) => samples::logistic(config, seed),
        Problem::HyperCleaning(config) => samples::cleaning(config, seed),
        Problem::Ridge(config) => folded::ridge(config, seed),
        Problem::Lasso(config) => folded::lasso(config, seed),
    }
}

/// What a θ is judged by.
type Quality = Box<dyn Fn(&Vec<f64>) -> Result<Vec<(&'static str, f64)>, Error> + Send + Sync>;

/// Tests of the derivatives of both levels.
type Derivatives = Box<dyn Fn() -> CheckReport + Send + Sync>;

/// A refusal of data.
fn refused(error: DataError) -> Error {
    Error::invalid("data", error, "data that can be read")
}

fn no_quality() -> Quality {
    Box::new(|_| Ok(Vec::new()))
}

/// Any oracle with states S. Behind `dyn`, the solvers are compiled once for all problems.
type Any<'a, S> = dyn Oracle<Theta = Vec<f64>, State = S> + 'a;

/// The states of problems that are sums of smooth ones.
type Terms = Vec<ImplicitState<Vec<f64>>>;

/// A problem whose solvers see all samples.
struct Whole<S> {
    oracle: Box<Any<'static, S>>,
    start: Vec<f64>,
    quality: Quality,
    derivatives: Option<Derivatives>,
}

impl<S> Made for Whole<S>
where
    S: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned,
{
    fn check_solver(&self, config: &Solver) -> Result<(), Error> {
        if METHODS.contains(&config.name.as_str()) {
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
struct Sampled<P, U, S, L>
where
    P: LowerLevel,
{
    oracle: Implicit<P, U, S, L>,
    start: Vec<f64>,
    quality: Quality,
}

impl<P, U, S, L> Made for Sampled<P, U, S, L>
where
    P: MinibatchLower<Theta = Vec<f64>, X = Vec<f64>>,
    U: MinibatchUpper<Theta = Vec<f64>, X = Vec<f64>>,
    S: LowerSolver,
    L: LinearSolver,
{
    fn check_solver(&self, config: &Solver) -> Result<(), Error> {
        if !METHODS.contains(&config.name.as_str()) {
            let chosen = chosen::<Terms>(config, &self.start).map(drop);
            return chosen.map_err(|error| with_methods(error, &config.name));
        }
        let samples = self
            .oracle
            .lower()
            .samples()
            .min(self.oracle.upper().samples());
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
        if !METHODS.contains(&config.name.as_str()) {
            let sum = Mean::new(vec![&self.oracle])?;
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
        let region = around(&self.start, config.half_width)?;
        let solver = batch_solver(&config.name, batches, accuracy, &region)?;
        solver.run(&self.oracle, self.start.clone(), settings)
    }

    fn quality(&self, theta: &[f64]) -> Result<Vec<(&'static str, f64)>, Error> {
        (self.quality)(&theta.to_vec())
    }

    fn check(&self) -> Result<CheckReport, Error> {
        let mut report = derivatives(self.oracle.lower(), self.oracle.upper(), &self.start);
        report
            .checks
            .extend(check_oracle(&self.oracle, &self.start)?.checks);
        Ok(report)
    }

    fn identity(&self) -> String {
        self.oracle.identity()
    }
}

/// The solver that an experiment names.
fn chosen<'a, S>(config: &Solver, start: &[f64]) -> Result<AnySolver<'a, &'a Any<'a, S>>, Error>
where
    S: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned + 'a,
{
    let accuracy = Accuracy::new(config.accuracy, config.accuracy)?;
    let region = around(start, config.half_width)?;
    solver(&config.name, accuracy, &region)
}

fn run<S>(
    oracle: &Any<'_, S>,
    config: &Solver,
    start: &[f64],
    settings: &Settings<Vec<f64>>,
) -> Result<Report<Vec<f64>>, Error>
where
    S: Clone + Send + Sync + serde::Serialize + serde::de::DeserializeOwned,
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
