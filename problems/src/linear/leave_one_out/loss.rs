//! The losses as functions of one score.

use crate::linear::linear_model::link_functions::sigmoid;

/// ℓ(z) for a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// ½(z − y)².
    Squared,
    /// log(1 + e^{−yz}) with y = ±1.
    Logistic,
}

impl Loss {
    /// ℓ and ℓ'.
    pub(super) fn value_and_slope(self, score: f64, target: f64) -> (f64, f64) {
        match self {
            Loss::Squared => {
                let residual = score - target;
                (0.5 * residual * residual, residual)
            }
            Loss::Logistic => {
                let margin = target * score;
                let value = (-margin).max(0.0) + (-margin.abs()).exp().ln_1p();
                (value, -target * sigmoid(-margin))
            }
        }
    }

    /// ℓ', ℓ'' and ℓ'''.
    pub(super) fn derivatives(self, score: f64, target: f64) -> [f64; 3] {
        match self {
            Loss::Squared => [score - target, 1.0, 0.0],
            Loss::Logistic => {
                // q is the probability of the wrong class, and 1 − q must not round to 0.
                let q = sigmoid(-target * score);
                let curve = q * sigmoid(target * score);
                [-target * q, curve, -target * curve * (1.0 - 2.0 * q)]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_those_of_the_values() {
        let h = 1e-5;
        for loss in [Loss::Squared, Loss::Logistic] {
            for (score, target) in [(0.3, 1.0), (-2.0, 1.0), (1.7, -1.0), (0.0, -1.0)] {
                let [first, second, third] = loss.derivatives(score, target);
                let value = |z| loss.value_and_slope(z, target);
                assert!((value(score).1 - first).abs() < 1e-15);
                let slope = (value(score + h).0 - value(score - h).0) / (2.0 * h);
                assert!((slope - first).abs() < 1e-9, "{loss:?} {slope} {first}");
                let of = |z| loss.derivatives(z, target);
                for (k, exact) in [(0, second), (1, third)] {
                    let difference = (of(score + h)[k] - of(score - h)[k]) / (2.0 * h);
                    assert!((difference - exact).abs() < 1e-9, "{loss:?} {k}");
                }
            }
        }
    }

    #[test]
    fn large_scores_neither_overflow_nor_lose_their_curvature() {
        let (value, slope) = Loss::Logistic.value_and_slope(-800.0, 1.0);
        assert_eq!((value, slope), (800.0, -1.0));
        let [_, curve, third] = Loss::Logistic.derivatives(-40.0, 1.0);
        assert!(curve > 1e-18 && third > 0.0);
    }
}
