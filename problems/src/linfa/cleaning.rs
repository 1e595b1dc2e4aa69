//! Data hyper-cleaning: finds wrong labels and takes their weight away.

mod params;

pub use params::{CleaningParams, CleaningValidParams};

use bilevel::lower::Lbfgs;
use bilevel::oracle::Relative;
use bilevel::oracle::folds::{Fold, hold_out};
use bilevel::{Error, Maid, Oracle, Report, Run};
use linfa::dataset::{AsSingleTargets, Label, Records};
use linfa::traits::{Fit, PredictInplace, Transformer};
use linfa::{DatasetBase, Float};
use ndarray::{Array1, Array2, ArrayBase, Data, Ix2};
use serde::{Deserialize, Serialize};

use super::{EstimatorError, check_targets, classes, rows};
use crate::data::{Features, LabelledData, Standard};
use crate::linear::hyper_cleaning::hyper_cleaning;
use crate::linear::linear_model::link_functions::sigmoid;
use params::Trusted;

/// Data hyper-cleaning: a learned weight for every sample, small for wrongly labelled ones, and the model fitted with these weights.
/// See [`hyper_cleaning`](mod@crate::linear::hyper_cleaning).
///
/// `fit` finds the weights; as a linfa transformer it writes them into a dataset, for estimators that use sample weights.
///
/// ```
/// use bilevel_problems::linfa::Cleaning;
/// use linfa::prelude::*;
/// use linfa::traits::Transformer;
///
/// // Every third sample has a label that is known to be right; some of the others are wrong.
/// let iris = linfa_datasets::iris();
/// let (clean, rest): (Vec<usize>, Vec<usize>) = (0..150).partition(|i| i % 3 == 0);
/// let at = |places: &[usize]| {
///     let records = iris.records.select(ndarray::Axis(0), places);
///     Dataset::new(records, iris.targets.select(ndarray::Axis(0), places))
/// };
/// let (clean, mut noisy) = (at(&clean), at(&rest));
/// noisy.targets[7] = 2;
/// noisy.targets[50] = 0;
/// let cleaning = Cleaning::params().clean(&clean).fit(&noisy)?;
/// let first = &cleaning.suspects()[..2];
/// assert!(first.iter().any(|s| s.index == 7 && s.predicted == 0));
/// assert!(first.iter().any(|s| s.index == 50 && s.predicted == 1));
/// let weighted = cleaning.transform(noisy)?;
/// assert!(weighted.weight_for(7) < weighted.weight_for(8));
/// # Ok::<(), bilevel_problems::linfa::EstimatorError>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "Written<L>")]
pub struct Cleaning<L> {
    classes: Vec<L>,
    /// For every feature and then the intercept: the weights of all classes, or of the second class alone for two.
    coefficients: Vec<f64>,
    /// σ(θᵢ); 1 for held-out samples.
    weights: Vec<f64>,
    suspects: Vec<Suspect<L>>,
    #[serde(skip)]
    report: Option<Report<Vec<f64>>>,
}

/// A sample with a doubtful label: it lost its weight, and the cleaned model predicts another label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
pub struct Suspect<L> {
    /// Its place in the dataset, from 0.
    pub index: usize,
    /// The given label.
    pub given: L,
    /// The label that the cleaned model predicts.
    pub predicted: L,
    /// The probability of the predicted label by the model.
    pub probability: f64,
    /// Its weight σ(θᵢ).
    pub weight: f64,
}

/// A result as read from a file, before its parts are checked against each other.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<L> {
    classes: Vec<L>,
    coefficients: Vec<f64>,
    weights: Vec<f64>,
    suspects: Vec<Suspect<L>>,
}

impl<L> TryFrom<Written<L>> for Cleaning<L> {
    type Error = Error;

    fn try_from(written: Written<L>) -> Result<Self, Error> {
        classes::check_weights(written.classes.len(), written.coefficients.len())?;
        let samples = written.weights.len();
        if let Some(beyond) = written.suspects.iter().find(|s| s.index >= samples) {
            let expected = format!("a place below {samples}, the number of weights");
            return Err(Error::invalid("a suspect", beyond.index, expected));
        }
        Ok(Cleaning {
            classes: written.classes,
            coefficients: written.coefficients,
            weights: written.weights,
            suspects: written.suspects,
            report: None,
        })
    }
}

impl Cleaning<()> {
    /// The parameters, with their defaults.
    pub fn params<L>() -> CleaningParams<L> {
        CleaningParams::default()
    }
}

impl<L> Cleaning<L> {
    /// The classes, in increasing order.
    pub fn classes(&self) -> &[L] {
        &self.classes
    }

    /// The weights σ(θᵢ) of the samples, from 0 to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The samples with doubtful labels, the most doubtful first.
    pub fn suspects(&self) -> &[Suspect<L>] {
        &self.suspects
    }

    /// The report of the tuning; `None` for a result that was read from a file.
    pub fn report(&self) -> Option<&Report<Vec<f64>>> {
        self.report.as_ref()
    }

    /// The probabilities of the classes by the cleaned model, in their order, one row per sample.
    pub fn predict_probabilities<F: Float, D: Data<Elem = F>>(
        &self,
        x: &ArrayBase<D, Ix2>,
    ) -> Array2<f64> {
        classes::probabilities(self.classes.len(), &self.coefficients, x)
    }
}

impl<F: Float, D: Data<Elem = F>, L: Label, T: AsSingleTargets<Elem = L>>
    Fit<ArrayBase<D, Ix2>, T, EstimatorError> for CleaningValidParams<L>
{
    type Object = Cleaning<L>;

    /// # Errors
    /// [`EstimatorError`] for targets of another number than samples, fewer than two classes, numbers that are not finite, and clean samples of other
    /// features.
    fn fit(
        &self,
        dataset: &DatasetBase<ArrayBase<D, Ix2>, T>,
    ) -> Result<Cleaning<L>, EstimatorError> {
        let records = &dataset.records;
        check_targets(records.nrows(), &dataset.targets)?;
        let targets = dataset.targets.as_single_targets();
        let (n, d) = records.dim();
        let mut features = rows(records);
        // Clean samples from outside the dataset come last.
        let (fold, added): (Fold, &[L]) = match &self.trusted {
            Trusted::HoldOut(share) => (hold_out(n, *share, self.seed)?, &[]),
            Trusted::Samples {
                columns,
                features: clean,
                labels,
            } => {
                if *columns != d || clean.len() != d * labels.len() {
                    let found = format!("{} numbers for {} samples", clean.len(), labels.len());
                    let expected = format!("{d} features a sample, as in the dataset");
                    return Err(Error::invalid("the clean samples", found, expected).into());
                }
                features.extend(clean);
                let (train, validation) = ((0..n).collect(), (n..n + labels.len()).collect());
                (Fold { train, validation }, labels)
            }
        };
        let classes = classes::classes(targets.iter().chain(added).cloned());
        let labels = classes::places(&classes, targets.iter().chain(added));
        // Checked as given, so that an error names sample and feature.
        let given = LabelledData::dense(d, features.clone(), labels.clone(), classes.len())?;
        let standard = match given.at(&fold.train)?.features() {
            Features::Dense(train) if self.standardise => Standard::of(train, d),
            _ => Standard::none(d),
        };
        let features = classes::with_intercept(&standard.apply(&features), d);
        let data = LabelledData::dense(d + 1, features, labels, classes.len())?;
        let (train, validation) = data.split(&fold)?;
        let oracle =
            hyper_cleaning(&train, &validation, self.penalty)?.with_lower_solver(Lbfgs::default());
        let report = self.tune(&oracle, fold.train.len())?;
        let mut state = oracle.start(&report.theta)?;
        oracle.value(&report.theta, 1e-8, &mut state)?;
        let mut coefficients = state.x().to_vec();
        let c = classes::outputs(classes.len());
        let (of_features, intercepts) = coefficients.split_at_mut(d * c);
        standard.undo(of_features, intercepts);
        let mut weights = vec![1.0; n];
        for (&i, &t) in fold.train.iter().zip(&report.theta) {
            weights[i] = sigmoid(t);
        }
        let probabilities = classes::probabilities(classes.len(), &coefficients, records);
        let suspect = |&i: &usize| {
            let p = probabilities.row(i).to_vec();
            let best = classes::best(&p);
            // A sample may lose its weight for another reason, such as lying between the classes.
            let doubted = weights[i] < self.threshold && classes[best] != targets[i];
            doubted.then(|| Suspect {
                index: i,
                given: targets[i].clone(),
                predicted: classes[best].clone(),
                probability: p[best],
                weight: weights[i],
            })
        };
        let mut suspects: Vec<Suspect<L>> = fold.train.iter().filter_map(suspect).collect();
        // The sort is stable: samples of equal weight keep their order.
        suspects.sort_by(|a, b| a.weight.total_cmp(&b.weight));
        Ok(Cleaning {
            classes,
            coefficients,
            weights,
            suspects,
            report: Some(report),
        })
    }
}

impl<L> CleaningValidParams<L> {
    /// Tunes the weights from ½ each.
    fn tune<O: Oracle<Theta = Vec<f64>>>(
        &self,
        oracle: &O,
        samples: usize,
    ) -> Result<Report<Vec<f64>>, Error> {
        let theta = vec![0.0; samples];
        let oracle = Relative::new(oracle, &theta)?;
        let report = Run::new(&oracle, Maid::lbfgs())
            .tolerance(self.tolerance * oracle.size().max(f64::MIN_POSITIVE))
            .max_iterations(self.max_iterations)
            .start(theta)?;
        Ok(oracle.restore(report))
    }
}

impl<R: Records, L, T> Transformer<DatasetBase<R, T>, Result<DatasetBase<R, T>, EstimatorError>>
    for Cleaning<L>
{
    /// The dataset with the learned weights.
    ///
    /// # Errors
    /// [`EstimatorError`] for a dataset of another number of samples.
    fn transform(&self, dataset: DatasetBase<R, T>) -> Result<DatasetBase<R, T>, EstimatorError> {
        let samples = dataset.records.nsamples();
        if samples != self.weights.len() {
            return Err(linfa::Error::MismatchedShapes(samples, self.weights.len()).into());
        }
        let weights = self.weights.iter().map(|&w| w as f32).collect();
        Ok(dataset.with_weights(weights))
    }
}

impl<F: Float, D: Data<Elem = F>, L: Label> PredictInplace<ArrayBase<D, Ix2>, Array1<L>>
    for Cleaning<L>
{
    fn predict_inplace(&self, x: &ArrayBase<D, Ix2>, y: &mut Array1<L>) {
        classes::predict(&self.classes, &self.coefficients, x, y);
    }

    fn default_target(&self, x: &ArrayBase<D, Ix2>) -> Array1<L> {
        Array1::from_elem(x.nrows(), L::default())
    }
}
