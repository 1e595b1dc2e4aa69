//! Early-learning regularisation.

use bilevel::Error;
use bilevel::autodiff::Scalar;
use serde::{Deserialize, Serialize};

use super::logit;

/// Probabilities are kept this far from 0 and 1.
const MARGIN: f64 = 1e-4;

/// Early-learning regularisation: keeps a model at what it learned before it began to fit wrong labels.
///
/// ```text
/// p = clamp(softmax(z), 10⁻⁴, 1 − 10⁻⁴),     t ← β t + (1 − β) p/Σp       (no gradient through t in the training step)
/// loss = CE(z, y) + λ log(1 − ⟨p, t⟩)
/// ```
///
/// Every sample has a target t, which starts at 0 and is updated whenever its sample is in the batch, before the loss is evaluated.
/// θ = (ln λ, logit β).
///
/// # Reference
/// S. Liu, J. Niles-Weed, N. Razavian, C. Fernandez-Granda: Early-learning regularization prevents memorization of noisy labels. NeurIPS
/// 2020, [arXiv:2007.00151](https://arxiv.org/abs/2007.00151).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Elr {
    /// λ > 0, the weight (default 3).
    pub lambda: f64,
    /// β in (0, 1), the memory of the targets (default 0.7).
    pub beta: f64,
}

impl Default for Elr {
    fn default() -> Self {
        Elr {
            lambda: 3.0,
            beta: 0.7,
        }
    }
}

impl Elr {
    pub(super) fn theta(self) -> Result<[f64; 2], Error> {
        if !(self.lambda > 0.0 && self.lambda.is_finite()) {
            let expected = "a positive, finite number";
            return Err(Error::invalid("elr.lambda", self.lambda, expected));
        }
        if !(self.beta > 0.0 && self.beta < 1.0) {
            let expected = "a number strictly between 0 and 1";
            return Err(Error::invalid("elr.beta", self.beta, expected));
        }
        Ok([self.lambda.ln(), logit(self.beta)])
    }

    pub(super) fn natural(theta: &[f64]) -> [(&'static str, f64); 2] {
        [("lambda", theta[0].exp()), ("beta", theta[1].sigmoid())]
    }

    fn probabilities<S: Scalar>(scores: &[S]) -> Vec<S> {
        let mut p = vec![S::constant(0.0); scores.len()];
        S::softmax(scores, &mut p);
        p.iter_mut()
            .for_each(|p| *p = p.clamp(MARGIN, 1.0 - MARGIN));
        p
    }

    /// out ← β t + (1 − β) p/Σp.
    pub fn target<S: Scalar>(scores: &[S], t: &[S], theta: &[S], out: &mut [S]) {
        let p = Elr::probabilities(scores);
        let total = S::sum(&p);
        let beta = theta[1].sigmoid();
        for ((out, &p), &t) in out.iter_mut().zip(&p).zip(t) {
            let p = p / total;
            *out = p + beta * (t - p);
        }
    }

    /// λ log(1 − ⟨p, t⟩), for the updated target t.
    pub fn term<S: Scalar>(scores: &[S], t: &[S], theta: &[S]) -> S {
        let p = Elr::probabilities(scores);
        theta[0].exp() * (-S::dot(&p, t)).plus(1.0).ln()
    }
}
