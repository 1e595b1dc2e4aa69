//! Logistic regression with tuned penalties.

use bilevel::lower::NewtonCg;
use bilevel::{Error, Implicit, Oracle, Report};
use linfa::dataset::{AsSingleTargets, Label};
use linfa::traits::{Fit, PredictInplace};
use linfa::{DatasetBase, Float};
use ndarray::{Array1, Array2, ArrayBase, Data, Ix2};
use serde::{Deserialize, Serialize};

use super::{EstimatorError, Judge, Penalty, Tuning, check_targets, number, parameters, rows};
use crate::data::Table;
use crate::logistic::{LogisticOracle, logistic_regression};

/// A linear model of classes, with an intercept, whose penalties were tuned. See [`logistic`](crate::logistic).
///
/// The intercept is the weight of a feature that is 1, and is penalised like the others.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written<L>")]
pub struct TunedLogistic<L> {
    classes: Vec<L>,
    /// For every feature and the intercept the weights of all classes; of the second one alone where there are two.
    weights: Vec<f64>,
    theta: Vec<f64>,
    #[serde(skip)]
    report: Option<Report<Vec<f64>>>,
}

/// A model in a file, before its parts are known to fit together.
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
        let (classes, weights) = (written.classes.len(), written.weights.len());
        let model = TunedLogistic {
            classes: written.classes,
            weights: written.weights,
            theta: written.theta,
            report: None,
        };
        // Those of one feature and the intercept.
        let least = 2 * model.outputs();
        if classes < 2 || weights < least || !weights.is_multiple_of(model.outputs()) {
            let found = format!("{classes} classes, {weights} weights");
            let expected = "two classes at least, and for every feature and the intercept a weight a class (of two the second)";
            return Err(Error::invalid("the model", found, expected));
        }
        Ok(model)
    }
}

/// The parameters of [`TunedLogistic`], to be checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TunedLogisticParams(TunedLogisticValidParams);

/// The parameters of [`TunedLogistic`].
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

    /// The weights of the features as they were given, then those of the intercept: for each the weights of all classes, or of the second
    /// one alone where there are two.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The penalties e^θ, as they act on features of variance 1 (on them as given, where they were not standardised).
    pub fn penalties(&self) -> Vec<f64> {
        self.theta.iter().map(|t| t.exp()).collect()
    }

    /// How the tuning went; `None` for a model that was read from a file.
    pub fn report(&self) -> Option<&Report<Vec<f64>>> {
        self.report.as_ref()
    }

    /// Numbers of scores: one for two classes.
    fn outputs(&self) -> usize {
        if self.classes.len() == 2 {
            1
        } else {
            self.classes.len()
        }
    }

    /// The scores of the classes of a sample.
    fn scores(&self, row: impl Iterator<Item = f64>) -> Vec<f64> {
        let c = self.outputs();
        let mut scores = vec![0.0; c];
        for (x, weights) in row.chain([1.0]).zip(self.weights.chunks_exact(c)) {
            scores
                .iter_mut()
                .zip(weights)
                .for_each(|(s, w)| *s += x * w);
        }
        if c == 1 {
            scores.insert(0, 0.0);
        }
        scores
    }

    /// The probabilities of the classes, in their order, a row a sample.
    pub fn predict_probabilities<F: Float, D: Data<Elem = F>>(
        &self,
        x: &ArrayBase<D, Ix2>,
    ) -> Array2<f64> {
        let mut all = Array2::zeros((x.nrows(), self.classes.len()));
        for (row, mut out) in x.rows().into_iter().zip(all.rows_mut()) {
            let scores = self.scores(row.iter().map(|&v| number(v)));
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let powers: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
            let total: f64 = powers.iter().sum();
            out.iter_mut().zip(powers).for_each(|(p, e)| *p = e / total);
        }
        all
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
        let mut classes: Vec<L> = targets.iter().cloned().collect();
        classes.sort();
        classes.dedup();
        let place = |label: &L| classes.binary_search(label).unwrap_or(0) as u32;
        let labels: Vec<u32> = targets.iter().map(place).collect();
        let (n, d) = records.dim();
        let given = rows(records);
        // Refused as they were given, by sample and feature.
        Table::dense(d, given.clone(), labels.clone(), classes.len())?;
        let standard = self.0.standard(&given, d);
        let mut features = Vec::with_capacity(n * (d + 1));
        for row in standard.apply(&given).chunks_exact(d) {
            features.extend_from_slice(row);
            features.push(1.0);
        }
        let table = Table::dense(d + 1, features, labels.clone(), classes.len())?;
        let penalty = self.0.penalty;
        let problem = |train: &Table<f64>, validation: &Table<f64>| {
            let oracle: LogisticOracle<f64> = logistic_regression(train, validation, penalty)?;
            Ok::<_, Error>(oracle.with_lower_solver(NewtonCg::default()))
        };
        let criterion = self.0.criterion(n, Some(&labels), |fold| {
            let (train, validation) = table.split(&fold)?;
            problem(&train, &validation)
        })?;
        let all: Implicit<_, _, _> = problem(&table, &table)?;
        let report = self.0.tune(&criterion, all.lower().theta_len())?;
        let mut state = all.start(&report.theta)?;
        all.value(&report.theta, 1e-8, &mut state)?;
        let mut model = TunedLogistic {
            weights: state.x().to_vec(),
            classes,
            theta: report.theta.clone(),
            report: Some(report),
        };
        let c = model.outputs();
        let (weights, intercepts) = model.weights.split_at_mut(d * c);
        standard.undo(weights, intercepts);
        Ok(model)
    }
}

impl<F: Float, D: Data<Elem = F>, L: Label> PredictInplace<ArrayBase<D, Ix2>, Array1<L>>
    for TunedLogistic<L>
{
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array1<L>) {
        for (row, y) in x.rows().into_iter().zip(y) {
            let scores = self.scores(row.iter().map(|&v| number(v)));
            let best = (0..scores.len()).fold(
                0,
                |best, k| {
                    if scores[k] > scores[best] { k } else { best }
                },
            );
            *y = self.classes[best].clone();
        }
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<L> {
        Array1::from_elem(x.nrows(), L::default())
    }
}
