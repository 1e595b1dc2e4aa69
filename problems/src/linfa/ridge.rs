//! Ridge regression with tuned penalties.

use bilevel::{Error, Report};
use linfa::dataset::AsSingleTargets;
use linfa::traits::{Fit, PredictInplace};
use linfa::{DatasetBase, Float};
use ndarray::{Array1, ArrayBase, Data, Ix2};
use serde::{Deserialize, Serialize};

use super::{
    EstimatorError, Origin, Penalty, Tuning, Validation, check_targets, number, parameters, rows,
};
use crate::data::{RegressionData, Standard};
use crate::linear::ridge::{Ridge, ridge};

/// Ridge regression with an intercept and tuned penalties. See [`ridge`](mod@crate::linear::ridge).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct TunedRidge {
    coefficients: Vec<f64>,
    intercept: f64,
    theta: Vec<f64>,
    #[serde(skip)]
    report: Option<Report<Vec<f64>>>,
}

/// A model as read from a file, before its parts are checked against each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    coefficients: Vec<f64>,
    intercept: f64,
    theta: Vec<f64>,
}

impl TryFrom<Written> for TunedRidge {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self, Error> {
        let features = written.coefficients.len();
        let penalties = written.theta.len();
        if features == 0 || (penalties != 1 && penalties != features) {
            let found = format!("{features} coefficients, {penalties} logarithms of penalties");
            let expected = "one coefficient at least, and one penalty or one for each";
            return Err(Error::invalid("the model", found, expected));
        }
        Ok(TunedRidge {
            coefficients: written.coefficients,
            intercept: written.intercept,
            theta: written.theta,
            report: None,
        })
    }
}

/// The parameters of [`TunedRidge`]; `fit` checks them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TunedRidgeParams(TunedRidgeValidParams);

/// The checked parameters of [`TunedRidge`].
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TunedRidgeValidParams(Tuning);

parameters!(TunedRidgeParams, TunedRidgeValidParams);

impl TunedRidge {
    /// The parameters, with their defaults.
    pub fn params() -> TunedRidgeParams {
        TunedRidgeParams::default()
    }

    /// The weights of the features as given.
    pub fn coefficients(&self) -> &[f64] {
        &self.coefficients
    }

    /// The prediction where all features are 0.
    pub fn intercept(&self) -> f64 {
        self.intercept
    }

    /// The penalties e^θ, one per feature or one for all. They act on the standardised features, or on those given where standardising is off.
    pub fn penalties(&self) -> Vec<f64> {
        self.theta.iter().map(|t| t.exp()).collect()
    }

    /// The report of the tuning; `None` for a model that was read from a file.
    pub fn report(&self) -> Option<&Report<Vec<f64>>> {
        self.report.as_ref()
    }
}

impl TunedRidgeValidParams {
    /// The origins of θ for these features: a penalty acts against the variances of those that share it.
    fn origins(&self, given: &RegressionData) -> Vec<Origin> {
        let shared = self.0.penalty != Penalty::PerFeature;
        if self.0.standardise {
            return vec![Origin::default(); if shared { 1 } else { given.columns() }];
        }
        let scales = Standard::of(given.features(), given.columns()).scale;
        let variances: Vec<f64> = scales.iter().map(|scale| (scale * scale).recip()).collect();
        match shared {
            true => vec![Origin::of(&variances)],
            false => variances.iter().map(|v| Origin::of(&[*v])).collect(),
        }
    }
}

impl<F: Float, D: Data<Elem = F>, T: AsSingleTargets<Elem = F>>
    Fit<ArrayBase<D, Ix2>, T, EstimatorError> for TunedRidgeValidParams
{
    type Object = TunedRidge;

    /// # Errors
    /// [`EstimatorError`] for targets of another number than samples, numbers that are not finite, and more folds than samples.
    fn fit(
        &self,
        dataset: &DatasetBase<ArrayBase<D, Ix2>, T>,
    ) -> Result<TunedRidge, EstimatorError> {
        let records = &dataset.records;
        check_targets(records.nrows(), &dataset.targets)?;
        let targets = dataset.targets.as_single_targets();
        let targets = targets.iter().map(|&y| number(y)).collect();
        let given = RegressionData::new(records.ncols(), rows(records), targets)?;
        let standard = self.0.standard(given.features(), given.columns());
        let features = standard.apply(given.features());
        let samples = RegressionData::new(given.columns(), features, given.targets().to_vec())?;
        let penalty = self.0.penalty;
        let criterion = self.0.criterion(samples.samples(), None, |fold| {
            let (train, validation) = samples.split(&fold)?;
            ridge(&train, &validation, penalty)
        })?;
        let model = Ridge::new(&samples, penalty)?;
        let report = self.0.tune(&criterion, &self.origins(&given))?;
        let mut coefficients = model.fit(&report.theta)?;
        let mut intercept = [model.intercept(&coefficients)];
        standard.undo(&mut coefficients, &mut intercept);
        Ok(TunedRidge {
            intercept: intercept[0],
            coefficients,
            theta: report.theta.clone(),
            report: Some(report),
        })
    }
}

impl<F: Float, D: Data<Elem = F>> PredictInplace<ArrayBase<D, Ix2>, Array1<F>> for TunedRidge {
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array1<F>) {
        for (row, y) in x.rows().into_iter().zip(y) {
            let along = row.iter().zip(&self.coefficients);
            let along: f64 = along.map(|(&x, w)| number(x) * w).sum();
            *y = F::cast(along + self.intercept);
        }
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<F> {
        Array1::zeros(x.nrows())
    }
}
