//! Weights of training samples, some of which are labelled wrongly.

use bilevel::lower::Lbfgs;
use bilevel::{Error, Implicit, Oracle, Trust};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

use super::{JUDGED_AT, ProblemInstance, ProblemSettings, Sampled, derivatives, refused};
use bilevel_problems::data::{fashion_mnist, read_idx_folder};
use bilevel_problems::linear::hyper_cleaning::{HyperCleaning, corrupt_labels, hyper_cleaning};
use bilevel_problems::linear::logistic::CrossEntropy;

/// Images of classes, a share of which gets wrong labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[doc(hidden)]
pub struct Cleaning {
    /// A folder with MNIST or a data set of its form (default: the images of clothes that ship with the crate).
    pub data: Option<PathBuf>,
    /// Training samples (default 1,000).
    pub train: usize,
    /// Validation samples, whose labels are right (default 500).
    pub validation: usize,
    /// The share of wrong labels (default 0.5).
    pub corruption: f64,
    /// C of the penalty (C/2)‖x‖² (default 0.2).
    pub penalty: f64,
    /// How sure the bounds shall be (default certified).
    pub trust: Trust,
}

impl Default for Cleaning {
    fn default() -> Self {
        Cleaning {
            data: None,
            train: 1000,
            validation: 500,
            corruption: 0.5,
            penalty: 0.2,
            trust: Trust::Certified,
        }
    }
}

impl ProblemSettings for Cleaning {
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error> {
        let read = self
            .data
            .as_ref()
            .map_or_else(fashion_mnist, read_idx_folder);
        let (all, test) = read.map_err(refused)?;
        let (train, validation) = (self.train, self.validation);
        if train == 0 || validation == 0 || train.saturating_add(validation) > all.samples() {
            let found = format!("{train} and {validation} samples");
            let expected = format!(
                "at least one each, and together no more than {}",
                all.samples()
            );
            return Err(Error::invalid("train and validation", found, expected));
        }
        let all = all.shuffled(seed);
        let pixels = all.rows(0..train)?;
        let clean = pixels.standardised(&pixels)?;
        let train = corrupt_labels(&clean, self.corruption, seed)?;
        let validation = all.rows(self.train..self.train + validation)?;
        let validation = validation.standardised(&pixels)?;
        let oracle = hyper_cleaning(&train, &validation, self.penalty)?
            .with_lower_solver(Lbfgs::default())
            .with_trust(self.trust);
        let judge = CrossEntropy::new(&test.standardised(&pixels)?)?;
        let levels = (
            HyperCleaning::new(&train, self.penalty)?,
            CrossEntropy::new(&validation)?,
        );
        let judged = Implicit::new(levels.0, levels.1)
            .with_lower_solver(Lbfgs::default())
            .with_trust(Trust::Unknown);
        let judged = Arc::new(judged);
        let checked = Arc::clone(&judged);
        let pairs = train.labels().iter().zip(clean.labels());
        let wrong: Vec<bool> = pairs.map(|(a, b)| a != b).collect();
        let start = vec![0.0; wrong.len()];
        let theta = start.clone();
        Ok(Box::new(Sampled {
            oracle: Box::new(oracle),
            derivatives: Box::new(move || derivatives(checked.lower(), checked.upper(), &theta)),
            start,
            quality: Box::new(move |theta| {
                let mut state = judged.start(theta)?;
                judged.value(theta, JUDGED_AT, &mut state)?;
                Ok(vec![
                    ("test accuracy", judge.accuracy(state.x())),
                    ("F1 of the wrong labels", f1(theta, &wrong)),
                ])
            }),
        }))
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        self.data.iter_mut().collect()
    }
}

/// How well the samples of a weight below one half are the wrong ones: the harmonic mean of precision and recall.
fn f1(theta: &[f64], wrong: &[bool]) -> f64 {
    let count = |of: &dyn Fn(bool, bool) -> bool| {
        let pairs = theta.iter().zip(wrong);
        pairs.filter(|(t, w)| of(**t < 0.0, **w)).count() as f64
    };
    let (caught, found) = (count(&|f, w| f && w), count(&|f, _| f));
    let all = count(&|_, w| w);
    match found + all {
        0.0 => 1.0,
        sum => 2.0 * caught / sum,
    }
}
