//! The lower level g(w, θ) = 1/(2n) ‖Xw − y‖² + ½ Σⱼ e^θⱼ wⱼ², its derivatives and its constants.

use bilevel::{Curvature, Error, Linearization, LowerLevel, Vector};

use crate::samples::{Samples, TRACE, V};

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
    fn cross_norm(&self, _buffer: &mut V) -> Option<f64> {
        Some((0..5).fold(0.0, |m, j| (self.2[j] * self.1[j].abs()).max(m)))
    }
}
