//! Decoupled mixup.

use bilevel::Error;
use bilevel::autodiff::Scalar;
use serde::{Deserialize, Serialize};
use statrs::function::beta::{beta_reg, ln_beta};

use super::negative_log;

/// Decoupled mixup: trains on mixed samples, with a term that compares each of the two classes with all classes but the other one.
///
/// ```text
/// a = λ a₁ + (1 − λ) a₂,   λ ~ Beta(α, α)
/// loss = λ CE(z, y₁) + (1 − λ) CE(z, y₂) + η [−log p₁^{∖2} − log p₂^{∖1}],     p_c^{∖d} = exp(z_c) / Σ_{k ≠ d} exp(z_k)
/// ```
///
/// For two samples of the same class no class is left out. With [`weighted`](DecoupledMixup::weighted) the two terms have the weights λ and
/// 1 − λ. λ, one per batch, is the quantile of the distribution at a random number that depends on the seed and the step alone; it is a
/// smooth function of α, so the run can be differentiated in α. θ = (ln η, ln α).
///
/// # Reference
/// Z. Liu, S. Li, G. Wang, C. Tan, L. Wu, S. Z. Li: Harnessing hard mixed samples with decoupled regularizer. NeurIPS 2023,
/// [arXiv:2203.10761](https://arxiv.org/abs/2203.10761).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecoupledMixup {
    /// η > 0, the weight of the decoupled term (default 0.1).
    pub eta: f64,
    /// α of the distribution of λ, from 0.02 to 100 (default 1: λ is uniform).
    pub alpha: f64,
    /// Weight each class by its share of the mixed sample (default no).
    pub weighted: bool,
}

impl Default for DecoupledMixup {
    fn default() -> Self {
        DecoupledMixup {
            eta: 0.1,
            alpha: 1.0,
            weighted: false,
        }
    }
}

/// The range of α.
const ALPHA: [f64; 2] = [0.02, 100.0];
/// The step of central differences in α, relative: their error is its square, and that of the quantile through it.
const STEP: f64 = 1e-4;

impl DecoupledMixup {
    pub(super) fn theta(self) -> Result<[f64; 2], Error> {
        if !(self.eta > 0.0 && self.eta.is_finite()) {
            let expected = "a positive, finite number";
            return Err(Error::invalid("mixup.eta", self.eta, expected));
        }
        check_alpha("mixup.alpha", self.alpha)?;
        Ok([self.eta.ln(), self.alpha.ln()])
    }

    pub(super) fn check(theta: &[f64]) -> Result<(), Error> {
        // The exponential of the logarithm of a bound may lie beside it.
        let margin = 1e-12;
        let [least, most] = ALPHA.map(f64::ln);
        if theta[1] >= least - margin && theta[1] <= most + margin {
            return Ok(());
        }
        check_alpha("alpha of the mixup", theta[1].exp())
    }

    pub(super) fn natural(theta: &[f64]) -> [(&'static str, f64); 2] {
        [("eta", theta[0].exp()), ("alpha", theta[1].exp())]
    }

    /// λ as a function of θ, from its value and its first two derivatives in α, `share`.
    pub fn share<S: Scalar>(theta: &[S], share: [f64; 3]) -> S {
        theta[1].exp().chain(share)
    }

    /// The decoupled term, η included.
    pub fn term<S: Scalar>(self, scores: &[S], classes: [usize; 2], share: S, theta: &[S]) -> S {
        let [first, second] = classes;
        let one = decoupled(scores, first, second);
        let other = decoupled(scores, second, first);
        let both = if self.weighted {
            other + share * (one - other)
        } else {
            one + other
        };
        theta[0].exp() * both
    }
}

fn check_alpha(name: &str, alpha: f64) -> Result<(), Error> {
    let [least, most] = ALPHA;
    if (least..=most).contains(&alpha) {
        return Ok(());
    }
    let expected = format!("a number from {least} to {most}");
    Err(Error::invalid(name, alpha, expected))
}

/// −log of the softmax of `class` over all classes but `left_out`; over all classes if both are equal.
fn decoupled<S: Scalar>(scores: &[S], class: usize, left_out: usize) -> S {
    if class == left_out {
        return negative_log(scores, class);
    }
    let mut others = scores.to_vec();
    others.remove(left_out);
    S::log_sum_exp(&others) - scores[class]
}

/// The quantile of Beta(α, α) at `chance`, with its first and second derivative in α.
///
/// The quantile solves I_λ(α, α) = u by Newton's method on ln I as a function of ln λ, within a bracket; the derivatives are central
/// differences of it.
pub(crate) fn share_of(alpha: f64, chance: f64) -> [f64; 3] {
    // The distribution is symmetric; what is near 1 is resolved by its distance from 1.
    if chance > 0.5 {
        let [share, slope, curve] = share_of(alpha, 1.0 - chance);
        return [1.0 - share, -slope, -curve];
    }
    if chance <= 0.0 {
        return [0.0; 3];
    }
    // Of ln λ, which changes by much less than λ where α is small.
    let h = STEP * alpha;
    let [below, at, above] = [alpha - h, alpha, alpha + h].map(|alpha| log_quantile(alpha, chance));
    let slope = (above - below) / (2.0 * h);
    let curve = (above - 2.0 * at + below) / (h * h);
    let share = at.exp();
    [share, share * slope, share * (slope * slope + curve)]
}

/// ln λ of λ ≤ ½ with I_λ(α, α) = u, for 0 < u ≤ ½.
fn log_quantile(alpha: f64, u: f64) -> f64 {
    let log_beta = ln_beta(alpha, alpha);
    // I_λ is about λ^α/(α B) for small λ.
    let (mut low, mut high) = (-690.0, 0.5f64.ln());
    let mut y = ((u.ln() + alpha.ln() + log_beta) / alpha).clamp(low, high);
    for _ in 0..100 {
        let x = y.exp();
        let value = beta_reg(alpha, alpha, x);
        let error = value.ln() - u.ln();
        if error > 0.0 {
            high = y;
        } else {
            low = y;
        }
        let density = ((alpha - 1.0) * (y + (-x).ln_1p()) - log_beta).exp();
        let next = y - error * value / (density * x);
        let next = if next > low && next < high {
            next
        } else {
            0.5 * (low + high)
        };
        let done = (next - y).abs() <= 1e-15 * y.abs();
        y = next;
        if done {
            break;
        }
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_the_quantile_and_its_derivatives_are_right() {
        for u in [0.0, 0.01, 0.3, 0.5, 0.9, 1.0] {
            // Of the uniform distribution the quantile is u itself, of Beta(2, 2) it solves u = 3λ² − 2λ³.
            assert!((share_of(1.0, u)[0] - u).abs() < 1e-14);
            let x = share_of(2.0, u)[0];
            assert!((3.0 * x * x - 2.0 * x * x * x - u).abs() < 1e-14);
        }
        for alpha in [0.05, 0.2, 1.0, 3.0, 50.0] {
            for u in [0.02, 0.3, 0.5, 0.77] {
                let [share, slope, curve] = share_of(alpha, u);
                // Above ½ a share so near 1 is rounded to more than that.
                let error = (beta_reg(alpha, alpha, share) - u).abs();
                assert!(u > 0.5 || error < 1e-13, "{alpha} {u}: {error}");
                // Over a longer way: the differences of the quantile, and of its slope.
                let h = 1e-3 * alpha;
                let [ahead, behind] = [share_of(alpha + h, u), share_of(alpha - h, u)];
                let long = (ahead[0] - behind[0]) / (2.0 * h);
                let many = 1.0 + ((1.0 - u.min(1.0 - u).ln()) / alpha).powi(2);
                assert!((long - slope).abs() <= 1e-6 * many * slope.abs() + 1e-10);
                let long = (ahead[1] - behind[1]) / (2.0 * h);
                assert!((long - curve).abs() <= 1e-5 * many * curve.abs() + 1e-5 / alpha);
            }
        }
    }
}
