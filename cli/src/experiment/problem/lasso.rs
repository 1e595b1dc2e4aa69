//! The lasso and the elastic net by folds.

use bilevel::{Error, Oracle};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::folds::{first_penalty, five, folded};
use super::{ProblemInstance, ProblemSettings, Whole};
use bilevel_problems::linear::{Shrinkage, SparseState, cross_validated_lasso};

/// Samples with numbers, and the penalties.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
pub struct Lasso {
    /// As for [`Ridge::data`](crate::experiment::Ridge::data).
    pub data: PathBuf,
    /// As for [`Ridge::header`](crate::experiment::Ridge::header).
    #[serde(default)]
    pub header: bool,
    /// As for [`Ridge::folds`](crate::experiment::Ridge::folds).
    #[serde(default = "five")]
    pub folds: usize,
    /// `lasso` or `elastic_net` (default: lasso).
    #[serde(default = "lasso")]
    pub shrinkage: Shrinkage,
    /// The first logarithm of every penalty, relative to that from which on all weights are zero (default −3).
    #[serde(default = "first_penalty")]
    pub start: f64,
}

fn lasso() -> Shrinkage {
    Shrinkage::Lasso
}

impl ProblemSettings for Lasso {
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error> {
        let (samples, folds) = folded(&self.data, self.header, self.folds, seed)?;
        let oracle = cross_validated_lasso(&samples, &folds, self.shrinkage)?;
        let judged = cross_validated_lasso(&samples, &folds, self.shrinkage)?;
        let largest = oracle.terms().iter().map(|term| term.largest_l1());
        let start = largest.fold(f64::MIN_POSITIVE, f64::max).ln() + self.start;
        let entries = match self.shrinkage {
            Shrinkage::Lasso => 1,
            Shrinkage::ElasticNet => 2,
        };
        Ok(Box::new(Whole::<Vec<SparseState>> {
            oracle: Box::new(oracle),
            start: vec![start; entries],
            quality: Box::new(move |theta| {
                let mut states = judged.start(theta)?;
                judged.value(theta, 1e-6, &mut states)?;
                let used = |state: &SparseState| state.w().iter().filter(|w| **w != 0.0).count();
                let all: usize = states.iter().map(used).sum();
                Ok(vec![("features in use", all as f64 / states.len() as f64)])
            }),
            derivatives: None,
        }))
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.data]
    }
}
