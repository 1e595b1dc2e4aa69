//! [`RegressionData`]: samples with numbers to be predicted.

use bilevel::{Error, Fold};

use super::labelled::check_places;
use super::standard::Standard;
use crate::support::fingerprint::fingerprint;

/// Samples with targets: each a row of features and a number to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub struct RegressionData {
    columns: usize,
    features: Vec<f64>,
    targets: Vec<f64>,
}

impl RegressionData {
    /// Samples of `columns` features each, sample after sample, and the target of each.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no samples, no features, features of another number, and numbers that are not finite.
    pub fn new(columns: usize, features: Vec<f64>, targets: Vec<f64>) -> Result<Self, Error> {
        let expected = columns.checked_mul(targets.len());
        if expected != Some(features.len()) || features.is_empty() {
            let found = format!("{} numbers", features.len());
            let expected = format!("{columns} for each of {} targets", targets.len());
            return Err(Error::invalid("features", found, expected));
        }
        for (name, numbers) in [("feature", &features), ("target", &targets)] {
            if let Some(i) = numbers.iter().position(|v| !v.is_finite()) {
                let sample = if name == "feature" { i / columns } else { i };
                let argument = format!("a {name} of sample {sample}");
                return Err(Error::invalid(argument, numbers[i], "a finite number"));
            }
        }
        Ok(RegressionData {
            columns,
            features,
            targets,
        })
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.targets.len()
    }

    /// The number of features of a sample.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The features of all samples, one sample after the other.
    pub fn features(&self) -> &[f64] {
        &self.features
    }

    /// The targets.
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// The training and the validation samples of a fold.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a fold of other samples.
    pub fn split(&self, fold: &Fold) -> Result<(Self, Self), Error> {
        Ok((self.at(&fold.train)?, self.at(&fold.validation)?))
    }

    /// The samples at these places, such as those of a [`Fold`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for none, and a place beyond the samples.
    pub fn at(&self, places: &[usize]) -> Result<Self, Error> {
        check_places(places, self.samples())?;
        let row = |&i: &usize| &self.features[i * self.columns..(i + 1) * self.columns];
        Ok(RegressionData {
            columns: self.columns,
            features: places.iter().flat_map(row).copied().collect(),
            targets: places.iter().map(|&i| self.targets[i]).collect(),
        })
    }

    /// Every feature less its mean in the samples `of`, divided by its standard deviation there. A feature that is constant there is not scaled.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples of another number of features.
    pub fn standardised(&self, of: &RegressionData) -> Result<Self, Error> {
        if of.columns != self.columns {
            let expected = format!("{}, as in the samples to be scaled", self.columns);
            return Err(Error::invalid("features", of.columns, expected));
        }
        Ok(RegressionData {
            features: Standard::of(&of.features, of.columns).apply(&self.features),
            ..self.clone()
        })
    }

    pub(crate) fn fingerprint(&self) -> u32 {
        fingerprint(&[&self.features[..], &self.targets].concat())
    }
}
