//! Progressive self-knowledge distillation.

use bilevel::Error;
use bilevel::autodiff::Scalar;
use serde::{Deserialize, Serialize};

use super::logit;

/// Progressive self-knowledge distillation: mixes labels with the predictions of the model one epoch earlier, increasingly so during
/// training.
///
/// ```text
/// loss = CE(z, (1 − α_e) y + α_e P_{e−1}),     α_e = α_T e/E
/// ```
///
/// with `P_{e−1}` the prediction for the sample in the epoch before (in the first epoch its label), e from 1 to E. θ = logit `α_T`.
///
/// # Reference
/// K. Kim, B. Ji, D. Yoon, S. Hwang: Self-knowledge distillation with progressive refinement of targets. ICCV 2021,
/// [arXiv:2006.12000](https://arxiv.org/abs/2006.12000).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PsKd {
    /// `α_T` in (0, 1), the share of the predictions in the last epoch (default 0.8).
    pub alpha: f64,
}

impl Default for PsKd {
    fn default() -> Self {
        PsKd { alpha: 0.8 }
    }
}

impl PsKd {
    pub(super) fn theta(self) -> Result<[f64; 1], Error> {
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            let expected = "a number strictly between 0 and 1";
            return Err(Error::invalid("pskd.alpha", self.alpha, expected));
        }
        Ok([logit(self.alpha)])
    }

    pub(super) fn natural(theta: &[f64]) -> [(&'static str, f64); 1] {
        [("alpha_T", theta[0].sigmoid())]
    }

    /// (1 − `α_e`) y + `α_e` P for `progress` = e/E.
    pub fn label<S: Scalar>(label: usize, previous: &[S], theta: &[S], progress: f64) -> Vec<S> {
        let alpha = theta[0].sigmoid().times(progress);
        let mut soft: Vec<S> = previous.iter().map(|&p| alpha * p).collect();
        soft[label] += (-alpha).plus(1.0);
        soft
    }
}
