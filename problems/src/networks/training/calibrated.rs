//! Temperature scaling: the factor of the scores that minimises their cross-entropy.

use bilevel::autodiff::Number;

/// The least scale and the largest one.
const BOUNDS: [f64; 2] = [1e-3, 1e3];

/// κ* = argmin over κ of h(κ) = (1/n) Σ −log softmax(κ zᵢ) of the label of i, within [`BOUNDS`]; 1 for scores that are not finite.
///
/// h is convex, with h' = (1/n) Σ (E z − z of the label) and h'' = (1/n) Σ Var z under softmax(κ zᵢ): Newton's method, with bisection
/// where a step leaves the interval. The tangent of κ* is −h'̇/h'', by the implicit function theorem.
///
/// # Reference
/// C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger: On calibration of modern neural networks. ICML 2017,
/// [arXiv:1706.04599](https://arxiv.org/abs/1706.04599).
pub(super) fn scale<S: Number>(scores: &[Vec<S>], labels: &[usize]) -> S {
    let numbers: Vec<Vec<f64>> = scores
        .iter()
        .map(|z| z.iter().map(|z| z.value()).collect())
        .collect();
    if !numbers.iter().flatten().all(|z| z.is_finite()) {
        return S::constant(1.0);
    }
    let [mut low, mut high] = BOUNDS;
    let mut kappa = 1.0;
    for _ in 0..200 {
        let (slope, curvature) = slopes(&numbers, labels, kappa);
        if slope > 0.0 {
            high = kappa;
        } else {
            low = kappa;
        }
        let newton = kappa - slope / curvature;
        let next = if newton > low && newton < high {
            newton
        } else {
            // In the middle of the logarithms.
            (low * high).sqrt()
        };
        let moved = (next - kappa).abs();
        kappa = next;
        if moved <= 4.0 * f64::EPSILON * kappa {
            break;
        }
    }
    let (_, curvature) = slopes(&numbers, labels, kappa);
    let inside = kappa > BOUNDS[0] * (1.0 + 1e-9) && kappa < BOUNDS[1] * (1.0 - 1e-9);
    let kappa = S::constant(kappa);
    if S::PARTS == 1 || !inside || curvature <= 0.0 {
        return kappa;
    }
    let (slope, _) = slopes(scores, labels, kappa);
    kappa - slope.times(1.0 / curvature)
}

/// h' and h''.
fn slopes<S: Number>(scores: &[Vec<S>], labels: &[usize], kappa: S) -> (S, S) {
    let (mut slope, mut curvature) = (S::default(), S::default());
    let mut probabilities: Vec<S> = Vec::new();
    for (z, &label) in scores.iter().zip(labels) {
        let scaled: Vec<S> = z.iter().map(|&z| z * kappa).collect();
        probabilities.resize(z.len(), S::default());
        S::softmax(&scaled, &mut probabilities);
        let mean = S::dot(&probabilities, z);
        let mut variance = S::default();
        for (&p, &z) in probabilities.iter().zip(z) {
            variance += p * (z - mean).squared();
        }
        slope += mean - z[label];
        curvature += variance;
    }
    let share = 1.0 / scores.len().max(1) as f64;
    (slope.times(share), curvature.times(share))
}
