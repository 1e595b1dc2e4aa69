//! The data of a training, its results, and the trainings of one seed.

use bilevel::Report;
use bilevel_problems::data::{Noise, Samples};
use bilevel_problems::networks::training::Judged;

use super::options::Options;
use crate::options::Failure;

/// Samples, divided.
pub(super) struct Split<D> {
    /// With right labels.
    pub(super) clean: D,
    /// The same with wrong ones.
    pub(super) train: D,
    pub(super) validation: D,
    pub(super) test: D,
}

/// Divides samples in their order, and makes labels of the training samples wrong.
pub(super) fn divide<D: Samples>(
    options: &Options,
    seed: u64,
    rows: impl Fn(std::ops::Range<usize>) -> Result<D, Failure>,
    samples: usize,
    test: &dyn Fn() -> Result<D, Failure>,
) -> Result<Split<D>, Failure> {
    let validation = options.validation;
    let train = options.train.unwrap_or(samples.saturating_sub(validation));
    if train == 0 || validation == 0 || train.saturating_add(validation) > samples {
        return Err(format!(
            "--train {train} and --validation {validation} do not divide {samples} samples: at least one each, and together no more"
        )
        .into());
    }
    let clean = rows(0..train)?;
    let noise = Noise::from(options.noise_kind);
    Ok(Split {
        train: noise.apply(&clean, options.noise, seed)?,
        clean,
        validation: rows(train..train + validation)?,
        test: test()?,
    })
}

/// The results of one training run, epoch by epoch.
pub(super) struct History {
    pub(super) name: &'static str,
    pub(super) theta: Vec<f64>,
    /// Validation and test accuracy, and the share of the wrong labels that the model predicts.
    pub(super) epochs: Vec<[f64; 3]>,
    pub(super) validation: Judged,
    /// The measure that is tuned for, on the validation data.
    pub(super) measured: f64,
    pub(super) test: Judged,
    /// The trained weights, as the model computes with them.
    pub(super) weights: Vec<f64>,
    /// By the share of one of two mixed test samples, how often both classes are found.
    pub(super) mixed: Vec<(f64, f64)>,
    /// Seconds that tuning took.
    pub(super) seconds: f64,
}

/// The trainings of one seed: without the regulariser, as published, tuned, and tuned by TPE.
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) histories: Vec<History>,
    pub(super) tuned: Option<Tuned>,
    /// Seconds until what was tuned for was as low as the best of TPE, and seconds that TPE took.
    pub(super) race: Option<(Option<f64>, f64)>,
}

pub(super) struct Tuned {
    pub(super) report: Report<Vec<f64>>,
    /// θ at every iteration, in natural units.
    pub(super) path: Vec<Vec<(String, f64)>>,
}
