//! Logistic regression with tuned penalties.

use bilevel::lower::NewtonCg;
use bilevel::{Error, Implicit, Oracle, Report};
use linfa::dataset::{AsSingleTargets, Label};
use linfa::traits::{Fit, PredictInplace};
use linfa::{DatasetBase, Float};
use ndarray::{Array1, Array2, ArrayBase, Data, Ix2};
use serde::{Deserialize, Serialize};

use super::{
    EstimatorError, Origin, Penalty, Tuning, Validation, check_targets, classes, parameters, rows,
};
use crate::data::LabelledData;
use crate::linear::logistic::logistic_regression;

/// Logistic regression with an intercept and tuned penalties, for two or more classes. See [`logistic`](crate::linear::logistic).
///
/// The intercept is the weight of a feature that is 1, and is penalised like the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written<L>")]
pub struct TunedLogistic<L> {
    classes: Vec<L>,
    /// For every feature and then the intercept: the weights of all classes, or of the second class alone for two.
    weights: Vec<f64>,
    theta: Vec<f64>,
    #[serde(skip)]
    report: Option<Report<Vec<f64>>>,
}

/// A model as read from a file, before its parts are checked against each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<L> {
    classes: Vec<L>,
    weights: Vec<f64>,
    theta: Vec<f64>,
}

impl<L> TryFrom<Written<L>> for TunedLogistic<L> {
    type Error = Error;

    fn try_from(written: Written<L>) -> Result<Self, Error> {
        classes::check_weights(written.classes.len(), written.weights.len())?;
        Ok(TunedLogistic {
            classes: written.classes,
            weights: written.weights,
            theta: written.theta,
            report: None,
        })
    }
}

/// The parameters of [`TunedLogistic`]; `fit` checks them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TunedLogisticParams(TunedLogisticValidParams);

/// The checked parameters of [`TunedLogistic`].
#[doc(hidden)]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TunedLogisticValidParams(Tuning);

parameters!(TunedLogisticParams, TunedLogisticValidParams);

impl TunedLogistic<()> {
    /// The parameters, with their defaults.
    pub fn params() -> TunedLogisticParams {
        TunedLogisticParams::default()
    }
}

impl<L> TunedLogistic<L> {
    /// The classes, in increasing order.
    pub fn classes(&self) -> &[L] {
        &self.classes
    }

    /// The weights of the features as given, then those of the intercept: for each the weights of all classes, or of the second class alone for
    /// two.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The penalties e^θ. They act on the standardised features, or on those given where standardising is off.
    pub fn penalties(&self) -> Vec<f64> {
        self.theta.iter().map(|t| t.exp()).collect()
    }

    /// The report of the tuning; `None` for a model that was read from a file.
    pub fn report(&self) -> Option<&Report<Vec<f64>>> {
        self.report.as_ref()
    }

    /// The probabilities of the classes, in their order, one row per sample.
    pub fn predict_probabilities<F: Float, D: Data<Elem = F>>(
        &self,
        x: &ArrayBase<D, Ix2>,
    ) -> Array2<f64> {
        classes::probabilities(self.classes.len(), &self.weights, x)
    }
}

impl<F: Float, D: Data<Elem = F>, L: Label, T: AsSingleTargets<Elem = L>>
    Fit<ArrayBase<D, Ix2>, T, EstimatorError> for TunedLogisticValidParams
{
    type Object = TunedLogistic<L>;

    /// # Errors
    /// [`EstimatorError`] for targets of another number than samples, fewer than two classes, numbers that are not finite, and more folds than
    /// samples.
    fn fit(
        &self,
        dataset: &DatasetBase<ArrayBase<D, Ix2>, T>,
    ) -> Result<TunedLogistic<L>, EstimatorError> {
        let records = &dataset.records;
        check_targets(records.nrows(), &dataset.targets)?;
        let targets = dataset.targets.as_single_targets();
        let classes = classes::classes(targets.iter().cloned());
        let labels = classes::places(&classes, targets.iter());
        let (n, d) = records.dim();
        let given = rows(records);
        // Checked as given, so that an error names sample and feature.
        LabelledData::dense(d, given.clone(), labels.clone(), classes.len())?;
        let standard = self.0.standard(&given, d);
        let features = classes::with_intercept(&standard.apply(&given), d);
        let data = LabelledData::dense(d + 1, features, labels.clone(), classes.len())?;
        let penalty = self.0.penalty;
        let problem = |train: &LabelledData<f64>, validation: &LabelledData<f64>| {
            let oracle = logistic_regression(train, validation, penalty)?;
            Ok::<_, Error>(oracle.with_lower_solver(NewtonCg::default()))
        };
        let criterion = self.0.criterion(n, Some(&labels), |fold| {
            let (train, validation) = data.split(&fold)?;
            problem(&train, &validation)
        })?;
        let all: Implicit<_, _, _> = problem(&data, &data)?;
        let origins = vec![Origin::default(); all.lower().theta_len()];
        let report = self.0.tune(&criterion, &origins)?;
        let mut state = all.start(&report.theta)?;
        all.value(&report.theta, 1e-8, &mut state)?;
        let mut model = TunedLogistic {
            weights: state.x().to_vec(),
            classes,
            theta: report.theta.clone(),
            report: Some(report),
        };
        let c = classes::outputs(model.classes.len());
        let (weights, intercepts) = model.weights.split_at_mut(d * c);
        standard.undo(weights, intercepts);
        Ok(model)
    }
}

impl<F: Float, D: Data<Elem = F>, L: Label> PredictInplace<ArrayBase<D, Ix2>, Array1<L>>
    for TunedLogistic<L>
{
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array1<L>) {
        classes::predict(&self.classes, &self.weights, x, y);
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<L> {
        Array1::from_elem(x.nrows(), L::default())
    }
}
