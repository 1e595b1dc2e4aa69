//! The parameters of data hyper-cleaning.

use bilevel::Error;
use linfa::dataset::{AsSingleTargets, Label};
use linfa::{DatasetBase, Float, ParamGuard};
use ndarray::{ArrayBase, Data, Ix2};
use serde::{Deserialize, Serialize};

use crate::linfa::{EstimatorError, rows};

/// The samples whose labels count as right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trusted<L> {
    /// Separate samples, sample after sample.
    Samples {
        columns: usize,
        features: Vec<f64>,
        labels: Vec<L>,
    },
    /// A share of the dataset.
    HoldOut(f64),
}

/// The parameters of [`Cleaning`](super::Cleaning); `fit` checks them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CleaningParams<L>(CleaningValidParams<L>);

/// The checked parameters of [`Cleaning`](super::Cleaning).
#[doc(hidden)]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleaningValidParams<L> {
    pub(super) trusted: Trusted<L>,
    pub(super) penalty: f64,
    pub(super) threshold: f64,
    pub(super) standardise: bool,
    pub(super) seed: u64,
    /// Relative to F at the start.
    pub(super) tolerance: f64,
    pub(super) max_iterations: u64,
}

impl<L> Default for CleaningParams<L> {
    fn default() -> Self {
        CleaningParams(CleaningValidParams {
            trusted: Trusted::HoldOut(0.2),
            penalty: 0.01,
            threshold: 0.5,
            standardise: true,
            seed: 0,
            tolerance: 1e-4,
            max_iterations: 50,
        })
    }
}

impl<L: Label> CleaningParams<L> {
    /// Validates on these samples, whose labels are right. They need not be in the dataset that is cleaned.
    pub fn clean<F: Float, D: Data<Elem = F>, T: AsSingleTargets<Elem = L>>(
        mut self,
        samples: &DatasetBase<ArrayBase<D, Ix2>, T>,
    ) -> Self {
        self.0.trusted = Trusted::Samples {
            columns: samples.records.ncols(),
            features: rows(&samples.records),
            labels: samples.targets.as_single_targets().to_vec(),
        };
        self
    }
}

impl<L> CleaningParams<L> {
    /// Without clean samples: validates on a share of the dataset, chosen by the seed, whose labels then count as right (default 0.2). These samples
    /// keep the weight 1 and are never suspects.
    pub fn hold_out(mut self, share: f64) -> Self {
        self.0.trusted = Trusted::HoldOut(share);
        self
    }
    /// C of the penalty (C/2)‖x‖² of the model (default 0.01).
    pub fn penalty(mut self, penalty: f64) -> Self {
        self.0.penalty = penalty;
        self
    }
    /// Samples below this weight are suspects where the model predicts another label (default ½, the initial weight).
    pub fn threshold(mut self, weight: f64) -> Self {
        self.0.threshold = weight;
        self
    }
    /// Whether features are standardised to mean 0 and variance 1 first (default true).
    pub fn standardise(mut self, yes: bool) -> Self {
        self.0.standardise = yes;
        self
    }
    /// The seed of the split (default 0).
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.seed = seed;
        self
    }
    /// Stops where the hypergradient is below this share of the criterion at the start (default 1e-4).
    pub fn tolerance(mut self, tolerance: f64) -> Self {
        self.0.tolerance = tolerance;
        self
    }
    /// The most steps of θ (default 50).
    pub fn max_iterations(mut self, count: u64) -> Self {
        self.0.max_iterations = count;
        self
    }
}

impl<L> ParamGuard for CleaningParams<L> {
    type Checked = CleaningValidParams<L>;
    type Error = EstimatorError;

    fn check_ref(&self) -> Result<&CleaningValidParams<L>, EstimatorError> {
        self.0.check()?;
        Ok(&self.0)
    }

    fn check(self) -> Result<CleaningValidParams<L>, EstimatorError> {
        self.check_ref()?;
        Ok(self.0)
    }
}

impl<L> CleaningValidParams<L> {
    fn check(&self) -> Result<(), Error> {
        if let Trusted::HoldOut(share) = self.trusted
            && !(share > 0.0 && share < 1.0)
        {
            let expected = "a number between 0 and 1";
            return Err(Error::invalid("hold_out", share, expected));
        }
        for (name, value) in [("penalty", self.penalty), ("tolerance", self.tolerance)] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::invalid(name, value, "a positive, finite number"));
            }
        }
        if !(0.0..=1.0).contains(&self.threshold) {
            let expected = "a weight from 0 to 1";
            return Err(Error::invalid("threshold", self.threshold, expected));
        }
        Ok(())
    }
}
