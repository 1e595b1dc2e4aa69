//! Tunes the strength of a regulariser of a training run with wrong labels, by gradient through the run.
//!
//! ```text
//! bilevel tune-regularizer
//! bilevel tune-regularizer --regularizer pskd --noise-kind pair
//! bilevel tune-regularizer --regularizer elr,wc --model convolutional --solver hoag-quadratic
//! bilevel tune-regularizer --data mnist/ --train 59000 --seeds 5 --tpe-trials 20
//! ```
//!
//! A share of the training labels is replaced by wrong ones; the data are the images of clothes that ship with the crate, four IDX files
//! in a folder, or, for the recurrent model, the first names that ship. The model is trained without a regulariser, with it as published,
//! and with what the solver makes of its θ on validation data with right labels. It prints a table of the iterations, a summary, and the
//! accuracies on test data, and writes `report.json`, `trace.csv`, `convergence.svg`, `accuracy.svg` (accuracy over the epochs),
//! `theta.svg` (the path of θ), `results.csv` (a row a seed and training) and what belongs to the regulariser: `memorisation.svg` (the
//! share of wrong labels that the model fits), `calibration.svg`, `mixed.svg` (how often both classes of a mixed sample are found) or `weights.svg`. Bad input
//! ends it with one line on standard error and exit code 2.

mod cases;
mod figures;
mod options;
mod results;
mod trainings;

use crate::options::Failure;
pub(crate) use options::Options;

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    trainings::tune(options)
}
