//! Ridge regression by folds.

use bilevel::Error;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::folds::{first_penalty, five, folded};
use super::{ProblemInstance, ProblemSettings, Terms, Whole, derivatives, no_quality};
use bilevel_problems::linear::logistic::Penalty;
use bilevel_problems::linear::ridge::cross_validated_ridge;

/// Samples with numbers, and what shares a penalty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[doc(hidden)]
pub struct Ridge {
    /// CSV with what is to be predicted last.
    pub data: PathBuf,
    /// Whether its first line holds names (default no).
    #[serde(default)]
    pub header: bool,
    /// Folds, in an order that the seed decides (default 5).
    #[serde(default = "five")]
    pub folds: usize,
    /// `single` or `per_feature` (default: single).
    #[serde(default = "single")]
    pub penalty: Penalty,
    /// The first logarithm of every penalty (default −3).
    #[serde(default = "first_penalty")]
    pub start: f64,
}

fn single() -> Penalty {
    Penalty::Single
}

impl ProblemSettings for Ridge {
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error> {
        let (samples, folds) = folded(&self.data, self.header, self.folds, seed)?;
        let make = || cross_validated_ridge(&samples, &folds, self.penalty);
        let (oracle, checked) = (make()?, make()?);
        let start = vec![self.start; oracle.terms()[0].lower().theta_len()];
        let theta = start.clone();
        Ok(Box::new(Whole::<Terms> {
            oracle: Box::new(oracle),
            start,
            quality: no_quality(),
            derivatives: Some(Box::new(move || {
                let term = &checked.terms()[0];
                derivatives(term.lower(), term.upper(), &theta)
            })),
        }))
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        vec![&mut self.data]
    }
}
