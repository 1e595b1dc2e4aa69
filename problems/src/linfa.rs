//! Estimators for [linfa](https://docs.rs/linfa) whose penalties are tuned by hypergradient (feature `linfa`).
//!
//! | estimator | targets | penalties |
//! |---|---|---|
//! | [`TunedRidge`] | one number | one, or one a feature |
//! | [`TunedLogistic`] | classes, two or more | one, or one a class, a feature or a weight |
//!
//! and [`Cleaning`], a transformer that tunes a weight for every sample and so finds wrong labels.
//!
//! Parameters are checked once, `fit` takes a dataset, `predict` records: as linfa's own. θ is tuned on K folds or a hold-out by [MAID](bilevel::Maid)
//! with L-BFGS, from three starts, since a criterion of penalties may have several valleys; then the model is fitted to all
//! samples. Features are standardised first, unless told otherwise, and coefficients are those of the features as they were given.
//!
//! ```
//! use bilevel_problems::linfa::{Penalty, TunedRidge};
//! use linfa::prelude::*;
//!
//! let (train, test) = linfa_datasets::diabetes().split_with_ratio(0.8);
//! let model = TunedRidge::params().penalty(Penalty::PerFeature).folds(10).fit(&train)?;
//! println!("penalties {:?}", model.penalties());
//! assert!(model.predict(&test).r2(&test)? > 0.3);
//! # Ok::<(), bilevel_problems::linfa::EstimatorError>(())
//! ```

mod classes;
mod cleaning;
mod logistic;
mod ridge;

pub use crate::linear::penalty::Penalty;
pub use cleaning::{Cleaning, CleaningParams, CleaningValidParams, Suspect};
pub use logistic::{TunedLogistic, TunedLogisticParams, TunedLogisticValidParams};
pub use ridge::{TunedRidge, TunedRidgeParams, TunedRidgeValidParams};

use bilevel::oracle::folds::{Fold, Folds, hold_out};
use bilevel::upper::Constraint;
use bilevel::{Error, Maid, Mean, Oracle, Report, Run};
use linfa::Float;
use linfa::dataset::AsSingleTargets;
use ndarray::{ArrayBase, Data, Ix2};
use serde::{Deserialize, Serialize};

use crate::data::Standard;

/// Why an estimator could not be fitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimatorError {
    /// Parameters or samples that cannot be used.
    #[error(transparent)]
    Bilevel(#[from] Error),
    /// What linfa has to say.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

/// What judges a θ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Validation {
    /// The mean over so many folds, each predicted by a model of the others; for classes stratified.
    Folds(usize),
    /// This share of the samples, which the model is not fitted to while θ is tuned.
    HoldOut(f64),
}

/// What both estimators are told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    penalty: Penalty,
    judge: Validation,
    standardise: bool,
    seed: u64,
    /// Relative to F at the start.
    tolerance: f64,
    max_iterations: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            penalty: Penalty::Single,
            judge: Validation::Folds(5),
            standardise: true,
            seed: 0,
            tolerance: 1e-5,
            max_iterations: 200,
        }
    }
}

/// Where descents begin, with one penalty for all: e^θ = 1, 0.05 and 0.0025. Far below, a criterion is flat without being least.
const STARTS: [f64; 3] = [0.0, -3.0, -6.0];

/// Logarithms of penalties of features of variance 1 beyond these make no difference, and lead nowhere.
const BOUNDS: [f64; 2] = [-16.0, 8.0];

impl Tuning {
    fn check(&self) -> Result<(), Error> {
        match self.judge {
            Validation::Folds(count) if count < 2 => {
                return Err(Error::invalid("folds", count, "at least 2"));
            }
            Validation::HoldOut(share) if !(share > 0.0 && share < 1.0) => {
                let expected = "a number between 0 and 1";
                return Err(Error::invalid("hold_out", share, expected));
            }
            _ => {}
        }
        if !(self.tolerance > 0.0 && self.tolerance.is_finite()) {
            let expected = "a positive, finite number";
            return Err(Error::invalid("tolerance", self.tolerance, expected));
        }
        Ok(())
    }

    /// What takes these features to mean 0 and variance 1, where that is asked for.
    fn standard(&self, features: &[f64], columns: usize) -> Standard {
        if self.standardise {
            Standard::of(features, columns)
        } else {
            Standard::none(columns)
        }
    }

    /// The criterion of θ over the splits of the samples.
    fn criterion<O: Oracle>(
        &self,
        samples: usize,
        labels: Option<&[u32]>,
        mut problem: impl FnMut(Fold) -> Result<O, Error>,
    ) -> Result<Mean<O>, Error> {
        match (self.judge, labels) {
            (Validation::HoldOut(share), _) => {
                Mean::new(vec![problem(hold_out(samples, share, self.seed)?)?])
            }
            (Validation::Folds(count), Some(labels)) => {
                Folds::stratified(labels, count, self.seed)?.oracle(problem)
            }
            (Validation::Folds(count), None) => {
                Folds::new(samples, count, self.seed)?.oracle(problem)
            }
        }
    }

    /// The best of the descents from [`STARTS`].
    fn tune<O: Oracle<Theta = Vec<f64>>>(
        &self,
        criterion: &Mean<O>,
        entries: usize,
    ) -> Result<Report<Vec<f64>>, Error> {
        let mut solver = Maid::lbfgs();
        solver.line_search.constraint = Constraint::Bounds {
            lower: vec![BOUNDS[0]],
            upper: vec![BOUNDS[1]],
        };
        let descent = |start: f64| {
            let theta = vec![start; entries];
            let mut state = criterion.start(&theta)?;
            let value = criterion.value(&theta, 1e-4, &mut state)?.value.value;
            Run::new(criterion, solver.clone())
                .tolerance(self.tolerance * value.abs().max(f64::MIN_POSITIVE))
                .max_iterations(self.max_iterations)
                .start(theta)
        };
        let mut best = descent(STARTS[0])?;
        for start in &STARTS[1..] {
            let report = descent(*start)?;
            if report.value.value < best.value.value {
                best = report;
            }
        }
        Ok(best)
    }
}

/// The setters of the parameters of an estimator, and their check.
macro_rules! parameters {
    ($params:ident, $valid:ident) => {
        impl linfa::ParamGuard for $params {
            type Checked = $valid;
            type Error = EstimatorError;

            fn check_ref(&self) -> Result<&$valid, EstimatorError> {
                self.0.0.check()?;
                Ok(&self.0)
            }

            fn check(self) -> Result<$valid, EstimatorError> {
                self.check_ref()?;
                Ok(self.0)
            }
        }

        impl $params {
            /// What the penalties are of (default: one for all).
            pub fn penalty(mut self, penalty: Penalty) -> Self {
                self.0.0.penalty = penalty;
                self
            }
            /// Tunes on so many folds (default 5).
            pub fn folds(mut self, count: usize) -> Self {
                self.0.0.judge = Validation::Folds(count);
                self
            }
            /// Tunes on a share of the samples that is held out.
            pub fn hold_out(mut self, share: f64) -> Self {
                self.0.0.judge = Validation::HoldOut(share);
                self
            }
            /// Whether features are brought to mean 0 and variance 1 first (default true).
            pub fn standardise(mut self, yes: bool) -> Self {
                self.0.0.standardise = yes;
                self
            }
            /// The seed of the splits (default 0).
            pub fn seed(mut self, seed: u64) -> Self {
                self.0.0.seed = seed;
                self
            }
            /// Ends where the hypergradient is below this share of the criterion (default 1e-5).
            pub fn tolerance(mut self, tolerance: f64) -> Self {
                self.0.0.tolerance = tolerance;
                self
            }
            /// Steps of θ, at most (default 200).
            pub fn max_iterations(mut self, count: u64) -> Self {
                self.0.0.max_iterations = count;
                self
            }
        }
    };
}
use parameters;

/// The records as numbers, sample after sample.
fn rows<F: Float, D: Data<Elem = F>>(records: &ArrayBase<D, Ix2>) -> Vec<f64> {
    records.iter().map(|&v| number(v)).collect()
}

fn number<F: Float>(value: F) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

/// Refuses targets of another number than records.
fn check_targets<T: AsSingleTargets>(records: usize, targets: &T) -> Result<(), EstimatorError> {
    let targets = targets.as_single_targets().len();
    if targets == records {
        return Ok(());
    }
    Err(linfa::Error::MismatchedShapes(records, targets).into())
}
