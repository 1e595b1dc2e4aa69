//! Estimators for [linfa](https://docs.rs/linfa) whose penalties are tuned by hypergradient (feature `linfa`).
//!
//! | estimator | targets | penalties |
//! |---|---|---|
//! | [`TunedRidge`] | one number | one, or one per feature |
//! | [`TunedLogistic`] | classes, two or more | one, or one per class, feature or weight |
//!
//! [`Cleaning`] is a transformer that tunes a weight for every sample and thereby finds wrong labels.
//!
//! They are used like linfa's own: parameters are checked once, `fit` takes a dataset and `predict` takes records. θ is tuned on K folds or a
//! held-out share by [MAID](bilevel::Maid) with L-BFGS, from three starts, since the criterion may have several local minima; then the
//! model is fitted to all samples. Features are standardised first unless disabled; coefficients refer to the features as given. The unit of the
//! targets does not matter, because accuracies and tolerance are relative. Nor does that of the features of a ridge: without standardisation,
//! starts and bounds of θ follow their variances.
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
#[doc(hidden)]
pub use cleaning::CleaningValidParams;
pub use cleaning::{Cleaning, CleaningParams, Suspect};
#[doc(hidden)]
pub use logistic::TunedLogisticValidParams;
pub use logistic::{TunedLogistic, TunedLogisticParams};
#[doc(hidden)]
pub use ridge::TunedRidgeValidParams;
pub use ridge::{TunedRidge, TunedRidgeParams};

use bilevel::oracle::Relative;
use bilevel::oracle::folds::{Fold, Folds, hold_out};
use bilevel::upper::Constraint;
use bilevel::{Error, Maid, Mean, Oracle, Report, Run};
use linfa::Float;
use linfa::dataset::AsSingleTargets;
use ndarray::{ArrayBase, Data, Ix2};
use serde::{Deserialize, Serialize};

use crate::data::Standard;

/// The reason why an estimator could not be fitted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EstimatorError {
    /// Unusable parameters or samples.
    #[error(transparent)]
    Bilevel(#[from] Error),
    /// An error of linfa.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

/// The validation that θ is tuned on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Validation {
    /// The mean over this number of folds, each predicted by a model of the others; stratified for classes.
    Folds(usize),
    /// This share of the samples, held out while θ is tuned.
    HoldOut(f64),
}

/// The parameters of both estimators.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tuning {
    penalty: Penalty,
    validation: Validation,
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
            validation: Validation::Folds(5),
            standardise: true,
            seed: 0,
            tolerance: 1e-5,
            max_iterations: 200,
        }
    }
}

/// Starts of the descents for features of variance 1, with one penalty for all: e^θ = 1, 0.05 and 0.0025. Far below, a criterion is flat
/// without being minimal.
const STARTS: [f64; 3] = [0.0, -3.0, -6.0];

/// Bounds of θ for features of variance 1: penalties beyond them make no difference.
const BOUNDS: [f64; 2] = [-16.0, 8.0];

impl Tuning {
    fn check(&self) -> Result<(), Error> {
        match self.validation {
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

    /// The transformation of these features to mean 0 and variance 1, or none.
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
        match (self.validation, labels) {
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

    /// The best result of the descents from [`STARTS`]; each entry of θ has its own `origin`.
    ///
    /// Accuracies and tolerance are relative: the unit of the targets does not matter.
    fn tune<O: Oracle<Theta = Vec<f64>>>(
        &self,
        criterion: &Mean<O>,
        origins: &[Origin],
    ) -> Result<Report<Vec<f64>>, Error> {
        let mut solver = Maid::lbfgs();
        solver.line_search.constraint = Constraint::Bounds {
            lower: origins.iter().map(|o| BOUNDS[0] + o.least).collect(),
            upper: origins.iter().map(|o| BOUNDS[1] + o.largest).collect(),
        };
        let descent = |k: usize| {
            let theta = origins.iter().map(|o| STARTS[k] + o.of_start(k)).collect();
            let oracle = Relative::new(criterion, &theta)?;
            let report = Run::new(&oracle, solver.clone())
                .tolerance(self.tolerance * oracle.size().max(f64::MIN_POSITIVE))
                .max_iterations(self.max_iterations)
                .start(theta)?;
            Ok::<_, Error>(oracle.restore(report))
        };
        let mut best = descent(0)?;
        for k in 1..STARTS.len() {
            let report = descent(k)?;
            // Of the same minimum, reached twice, the first counts.
            let difference = best.value.value - report.value.value;
            if difference > TIE * best.value.value.abs() {
                best = report;
            }
        }
        Ok(best)
    }
}

/// Values that differ by less than this share are those of one minimum.
const TIE: f64 = 1e-9;

/// The origin of an entry of θ: the logarithms of the least and the largest variance of the features that share its penalty.
#[derive(Debug, Clone, Copy, Default)]
struct Origin {
    least: f64,
    largest: f64,
}

impl Origin {
    /// The origin for features of these variances; 0 for none. Its bounds stay within those that all problems have for a logarithm.
    fn of(variances: &[f64]) -> Self {
        let log = |variance: &f64| match *variance > 0.0 && variance.is_finite() {
            true => variance.ln().clamp(-100.0, 100.0),
            false => 0.0,
        };
        let logs = || variances.iter().map(log);
        Origin {
            least: logs().reduce(f64::min).unwrap_or_default(),
            largest: logs().reduce(f64::max).unwrap_or_default(),
        }
    }

    /// The origin of the k-th start: from the largest variance to the least, since the features that matter may be any of them.
    fn of_start(&self, k: usize) -> f64 {
        let share = k as f64 / (STARTS.len() - 1) as f64;
        self.largest + share * (self.least - self.largest)
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
            /// The weights that share a penalty (default: all).
            pub fn penalty(mut self, penalty: Penalty) -> Self {
                self.0.0.penalty = penalty;
                self
            }
            /// Tunes on this number of folds (default 5).
            pub fn folds(mut self, count: usize) -> Self {
                self.0.0.validation = Validation::Folds(count);
                self
            }
            /// Tunes on a held-out share of the samples.
            pub fn hold_out(mut self, share: f64) -> Self {
                self.0.0.validation = Validation::HoldOut(share);
                self
            }
            /// Whether features are standardised to mean 0 and variance 1 first (default true).
            pub fn standardise(mut self, yes: bool) -> Self {
                self.0.0.standardise = yes;
                self
            }
            /// The seed of the splits (default 0).
            pub fn seed(mut self, seed: u64) -> Self {
                self.0.0.seed = seed;
                self
            }
            /// Stops where the hypergradient is below this share of the criterion at the start (default 1e-5).
            pub fn tolerance(mut self, tolerance: f64) -> Self {
                self.0.0.tolerance = tolerance;
                self
            }
            /// The most steps of θ (default 200).
            pub fn max_iterations(mut self, count: u64) -> Self {
                self.0.0.max_iterations = count;
                self
            }
        }
    };
}
use parameters;

/// The records as `f64`, sample after sample.
fn rows<F: Float, D: Data<Elem = F>>(records: &ArrayBase<D, Ix2>) -> Vec<f64> {
    records.iter().map(|&v| number(v)).collect()
}

fn number<F: Float>(value: F) -> f64 {
    value.to_f64().unwrap_or(f64::NAN)
}

/// Refuses targets that differ in number from the records.
fn check_targets<T: AsSingleTargets>(records: usize, targets: &T) -> Result<(), EstimatorError> {
    let targets = targets.as_single_targets().len();
    if targets == records {
        return Ok(());
    }
    Err(linfa::Error::MismatchedShapes(records, targets).into())
}
