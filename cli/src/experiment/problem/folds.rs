//! The samples of regressions, and their folds.

use bilevel::{Error, Folds};

use super::refused;
use bilevel_problems::data::{RegressionData, read_regression};

/// The samples, every feature scaled to variance 1, and their folds.
pub(super) fn folded(
    data: &std::path::Path,
    header: bool,
    folds: usize,
    seed: u64,
) -> Result<(RegressionData, Folds), Error> {
    let samples = read_regression(data, header).map_err(refused)?;
    let samples = samples.standardised(&samples)?;
    let folds = Folds::new(samples.samples(), folds, seed)?;
    Ok((samples, folds))
}

/// The default number of folds.
pub(super) fn five() -> usize {
    5
}

/// The default first logarithm of every penalty.
pub(super) fn first_penalty() -> f64 {
    -3.0
}
