//! Ridge regression with a penalty of its own for every feature: a problem written by hand.
//! On training samples g(w, θ) = 1/(2n) ‖Xw − y‖² + ½ Σⱼ e^θⱼ wⱼ², on others f(w) = 1/(2n) ‖Xw − y‖².

use bilevel::{Curvature, Linearization, LowerLevel, UpperCurvature, UpperLevel};
use bilevel::{Error, Implicit, Maid, Run, Vector, check_lower, check_upper};

type V = Vec<f64>;
/// ‖XᵀX/n‖ is at most the trace, which is at most 5 for five features in (−1, 1).
const TRACE: f64 = 5.0;

/// The rows of X and the labels y.
struct Samples(Vec<V>, V);

impl Samples {
    /// n samples; the first two features matter, and noise.
    fn new(n: usize, seed: f64) -> Self {
        let hash = |i, j| (4e4 * (seed + 12.9898 * i as f64 + 78.233 * j as f64).sin()).fract();
        let row = |i| (0..5).map(|j| hash(i, j)).collect();
        let label = |i| 2.0 * hash(i, 0) - hash(i, 1) + 0.5 * hash(i, 5);
        Samples((0..n).map(row).collect(), (0..n).map(label).collect())
    }
    /// Xw − s y.
    fn residual(&self, w: &V, s: f64) -> V {
        let pairs = self.0.iter().zip(&self.1);
        pairs.map(|(row, y)| row.dot(w) - s * y).collect()
    }
    /// out ← out + Xᵀr / n.
    fn pull_back(&self, r: &V, out: &mut V) {
        for (row, r) in self.0.iter().zip(r) {
            out.axpy(r / self.1.len() as f64, row);
        }
    }
    /// 1/(2n) ‖Xw − y‖².
    fn loss(&self, w: &V) -> f64 {
        0.5 * self.residual(w, 1.0).norm().powi(2) / self.1.len() as f64
    }
}

impl LowerLevel for Samples {
    type Theta = V;
    type X = V;
    fn start(&self) -> V {
        vec![0.0; 5]
    }
    fn check(&self, theta: &V) -> Result<(), Error> {
        let fits = (theta.len() == 5).then_some(());
        fits.ok_or_else(|| Error::invalid("theta", theta.len(), "5 numbers"))
    }
    fn value(&self, w: &V, theta: &V) -> f64 {
        self.loss(w) + 0.5 * (0..5).map(|j| theta[j].exp() * w[j] * w[j]).sum::<f64>()
    }
    fn gradient(&self, w: &V, theta: &V, out: &mut V) {
        out.assign(&mut |j| theta[j].exp() * w[j]);
        self.pull_back(&self.residual(w, 1.0), out);
    }
    fn linearize<'a>(&'a self, w: &'a V, t: &'a V) -> impl Linearization<Theta = V, X = V> + 'a {
        AtPoint(self, w, t.iter().map(|t| t.exp()).collect())
    }
    fn curvature(&self, theta: &V) -> Curvature {
        let most = theta.iter().fold(f64::MIN, |m, t| m.max(*t)).exp();
        Curvature {
            strong_convexity: Some(theta.iter().fold(f64::MAX, |m, t| m.min(*t)).exp()),
            smoothness: Some(TRACE + most),
            hessian_lipschitz: Some(0.0), // A does not depend on w
            cross_norm: None,             // no bound for all w; AtPoint knows one at its w
            cross_lipschitz: Some(most),
        }
    }
}

/// X, w and e^θ: A = XᵀX/n + diag(e^θⱼ) and B = diag(e^θⱼ wⱼ).
struct AtPoint<'a>(&'a Samples, &'a V, V);

impl Linearization for AtPoint<'_> {
    type Theta = V;
    type X = V;
    fn hvp(&self, v: &V, out: &mut V) {
        out.assign(&mut |j| self.2[j] * v[j]);
        self.0.pull_back(&self.0.residual(v, 0.0), out);
    }
    fn cross_vjp(&self, v: &V, out: &mut V) {
        out.assign(&mut |j| self.2[j] * self.1[j] * v[j]);
    }
    fn cross_jvp(&self, u: &V, out: &mut V) {
        self.cross_vjp(u, out); // B is diagonal
    }
    fn cross_norm(&self, _room: &mut V) -> Option<f64> {
        Some((0..5).fold(0.0, |m, j| (self.2[j] * self.1[j].abs()).max(m)))
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
