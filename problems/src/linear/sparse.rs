//! Linear regressions with sparse solutions: their samples, the Hessian on the support, and the oracle that lasso and group lasso share.

mod columns;
mod regression;
mod samples;
mod solution;
mod support;

use bilevel::{BoundedValue, Error, Trust, Vector};

use crate::data::{LabelledData, RegressionData};
use crate::support::fingerprint::fingerprint;
use columns::Columns;
pub(crate) use regression::SparsePenalty;
pub use regression::SparseRegression;
pub(crate) use samples::{Residual, Samples};
pub use solution::SparseState;
pub(crate) use solution::{Cross, Solved};
#[cfg(feature = "direct")]
pub(crate) use support::Ray;
pub(crate) use support::Support;

/// Training and validation samples, both centred by the means of the training samples.
pub(crate) struct Split {
    pub(crate) train: Samples,
    validation: Columns,
    validation_targets: Vec<f64>,
    /// The checksum of all samples.
    pub(crate) fingerprint: u32,
}

/// Columns, the targets of their samples, and the fingerprint of both.
type Part = (Columns, Vec<f64>, u32);

impl Split {
    pub(crate) fn of_regressions(
        train: &RegressionData,
        validation: &RegressionData,
    ) -> Result<Self, Error> {
        let part = |samples: &RegressionData| {
            let columns = Columns::of_regression(samples)?;
            Ok::<Part, Error>((columns, samples.targets().to_vec(), samples.fingerprint()))
        };
        Self::new(part(train)?, part(validation)?)
    }

    /// Of samples of two classes, whose targets are −1 and 1.
    pub(crate) fn of_classes(
        train: &LabelledData<f64>,
        validation: &LabelledData<f64>,
    ) -> Result<Self, Error> {
        if train.classes() != 2 {
            return Err(Error::invalid("classes", train.classes(), "two"));
        }
        let part = |samples: &LabelledData<f64>| {
            let labels = samples.labels().iter();
            let targets = labels.map(|&l| if l == 1 { 1.0 } else { -1.0 }).collect();
            Ok::<Part, Error>((
                Columns::of_classes(samples)?,
                targets,
                samples.fingerprint(),
            ))
        };
        Self::new(part(train)?, part(validation)?)
    }

    fn new(
        (train, targets, first): Part,
        (validation, validation_targets, second): Part,
    ) -> Result<Self, Error> {
        if train.len() != validation.len() {
            let expected = format!("{}, as in the training samples", train.len());
            return Err(Error::invalid("features", validation.len(), expected));
        }
        let train = Samples::new(train, &targets)?;
        let mean = train.target_mean();
        Ok(Split {
            fingerprint: fingerprint(&[f64::from(first), f64::from(second)]),
            train,
            validation_targets: validation_targets.iter().map(|y| y - mean).collect(),
            validation,
        })
    }

    /// The intercept b of a fit w.
    pub(crate) fn intercept(&self, w: &[f64]) -> f64 {
        let along: f64 = self.train.means().iter().zip(w).map(|(m, w)| m * w).sum();
        self.train.target_mean() - along
    }

    /// The residual of the validation samples, ỹ − Ãw.
    pub(crate) fn validation_residual(&self, w: &[f64]) -> Vec<f64> {
        let mut r = self.validation_targets.clone();
        let mut mean = 0.0;
        for (j, &w) in w.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            self.validation.add(j, -w, &mut r);
            mean += w * self.train.means()[j];
        }
        r.iter_mut().for_each(|r| *r += mean);
        r
    }

    /// ∇f for the features at these places, from the residual of the validation samples.
    fn gradient(&self, places: &[usize], residual: &[f64]) -> Vec<f64> {
        let m = residual.len() as f64;
        let sum: f64 = residual.iter().sum();
        let means = self.train.means();
        let slope = |&j: &usize| (sum * means[j] - self.validation.dot(j, residual)) / m;
        places.iter().map(slope).collect()
    }

    /// f, with bounds for an error of ε in the predictions.
    pub(crate) fn bounded(&self, residual: &[f64], epsilon: f64) -> BoundedValue {
        let value = 0.5 * residual.to_vec().norm().powi(2) / residual.len() as f64;
        let error = (2.0 * value).sqrt() * epsilon + 0.5 * epsilon * epsilon;
        BoundedValue {
            value,
            lower: value - error,
            upper: value + error,
            trust: Trust::Estimated,
        }
    }
}

/// Whether a duality gap is at the level of rounding errors.
pub(crate) fn is_rounding(samples: &Samples, gap: f64) -> bool {
    gap <= 1e-14 * 0.5 * samples.square()
}

/// The working set out of `all` items, in increasing order: the active ones and as many others with the largest excess, at least `least` items
/// where there are that many.
pub(crate) fn working_set(
    all: usize,
    active: &[usize],
    least: usize,
    excess: impl Fn(usize) -> f64,
) -> Vec<usize> {
    let mut set: Vec<usize> = (0..all).collect();
    let size = least.max(2 * active.len());
    if size >= all {
        return set;
    }
    let mut excesses: Vec<f64> = set.iter().map(|&j| excess(j)).collect();
    active.iter().for_each(|&j| excesses[j] = f64::INFINITY);
    set.select_nth_unstable_by(size, |&i, &j| {
        let by_excess = excesses[j].total_cmp(&excesses[i]);
        by_excess.then(i.cmp(&j))
    });
    set.truncate(size);
    set.sort_unstable();
    set
}
