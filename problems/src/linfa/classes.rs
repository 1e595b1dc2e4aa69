//! Linear classifiers: scores, probabilities, and checks of their weights.

use bilevel::Error;
use linfa::Float;
use linfa::dataset::Label;
use ndarray::{Array1, Array2, ArrayBase, Data, Ix2};

use super::number;

/// The number of scores: one for two classes.
pub(super) fn outputs(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// Refuses fewer than two classes, and a number of weights that does not fit them.
pub(super) fn check_weights(classes: usize, weights: usize) -> Result<(), Error> {
    let outputs = outputs(classes);
    // At least the weights of one feature and the intercept.
    if classes >= 2 && weights >= 2 * outputs && weights.is_multiple_of(outputs) {
        return Ok(());
    }
    let found = format!("{classes} classes, {weights} weights");
    let expected = "two classes at least, and for every feature and the intercept a weight a class (of two the second)";
    Err(Error::invalid("the model", found, expected))
}

/// The different labels, in increasing order.
pub(super) fn classes<L: Label>(labels: impl Iterator<Item = L>) -> Vec<L> {
    let mut classes: Vec<L> = labels.collect();
    classes.sort();
    classes.dedup();
    classes
}

/// The places of labels among the classes.
pub(super) fn places<'a, L: Label + 'a>(
    classes: &[L],
    labels: impl Iterator<Item = &'a L>,
) -> Vec<u32> {
    labels
        .map(|label| classes.binary_search(label).unwrap_or(0) as u32)
        .collect()
}

/// Every sample with an additional feature that is 1.
pub(super) fn with_intercept(features: &[f64], columns: usize) -> Vec<f64> {
    let rows = features.chunks_exact(columns.max(1));
    rows.flat_map(|row| row.iter().copied().chain([1.0]))
        .collect()
}

/// The scores of the classes of a sample.
pub(super) fn scores(classes: usize, weights: &[f64], row: impl Iterator<Item = f64>) -> Vec<f64> {
    let c = outputs(classes);
    let mut scores = vec![0.0; c];
    for (x, weights) in row.chain([1.0]).zip(weights.chunks_exact(c)) {
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

/// The class with the largest score; the first one of equal scores.
pub(super) fn best(scores: &[f64]) -> usize {
    (0..scores.len()).fold(0, |best, k| if scores[k] > scores[best] { k } else { best })
}

/// The probabilities of the classes, one row per sample.
pub(super) fn probabilities<F: Float, D: Data<Elem = F>>(
    classes: usize,
    weights: &[f64],
    x: &ArrayBase<D, Ix2>,
) -> Array2<f64> {
    let mut all = Array2::zeros((x.nrows(), classes));
    for (row, mut out) in x.rows().into_iter().zip(all.rows_mut()) {
        let scores = scores(classes, weights, row.iter().map(|&v| number(v)));
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|s| (s - most).exp()).collect();
        let total: f64 = powers.iter().sum();
        out.iter_mut().zip(powers).for_each(|(p, e)| *p = e / total);
    }
    all
}

/// y ← the classes of the largest scores.
pub(super) fn predict<F: Float, D: Data<Elem = F>, L: Label>(
    classes: &[L],
    weights: &[f64],
    x: &ArrayBase<D, Ix2>,
    y: &mut Array1<L>,
) {
    for (row, y) in x.rows().into_iter().zip(y) {
        let scores = scores(classes.len(), weights, row.iter().map(|&v| number(v)));
        *y = classes[best(&scores)].clone();
    }
}
