//! Training and validation samples, and the upper level f(w) = 1/(2n) ‖Xw − y‖².

use bilevel::{UpperCurvature, UpperLevel, Vector};

pub(crate) type V = Vec<f64>;
/// ‖XᵀX/n‖ is at most the trace, which is at most 5 for five features in (−1, 1).
pub(crate) const TRACE: f64 = 5.0;

/// The rows of X and the labels y.
pub(crate) struct Samples(Vec<V>, V);

impl Samples {
    /// n samples; the first two features matter, and noise.
    pub(crate) fn new(n: usize, seed: f64) -> Self {
        let hash = |i, j| (4e4 * (seed + 12.9898 * i as f64 + 78.233 * j as f64).sin()).fract();
        let row = |i| (0..5).map(|j| hash(i, j)).collect();
        let label = |i| 2.0 * hash(i, 0) - hash(i, 1) + 0.5 * hash(i, 5);
        Samples((0..n).map(row).collect(), (0..n).map(label).collect())
    }
    /// Xw − s y.
    pub(crate) fn residual(&self, w: &V, s: f64) -> V {
        let pairs = self.0.iter().zip(&self.1);
        pairs.map(|(row, y)| row.dot(w) - s * y).collect()
    }
    /// out ← out + Xᵀr / n.
    pub(crate) fn pull_back(&self, r: &V, out: &mut V) {
        for (row, r) in self.0.iter().zip(r) {
            out.axpy(r / self.1.len() as f64, row);
        }
    }
    /// 1/(2n) ‖Xw − y‖².
    pub(crate) fn loss(&self, w: &V) -> f64 {
        0.5 * self.residual(w, 1.0).norm().powi(2) / self.1.len() as f64
    }
}

impl UpperLevel for Samples {
    type Theta = V;
    type X = V;
    fn value(&self, w: &V, _theta: &V) -> f64 {
        self.loss(w)
    }
    fn gradient_x(&self, w: &V, _theta: &V, out: &mut V) {
        out.fill(0.0);
        self.pull_back(&self.residual(w, 1.0), out);
    }
    fn curvature(&self, _theta: &V) -> UpperCurvature {
        UpperCurvature {
            gradient_x_lipschitz: Some(TRACE),
            gradient_theta_lipschitz: Some(0.0), // f does not depend on θ
            convex: true,
        }
    }
}
