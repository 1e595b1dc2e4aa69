//! Two lower levels of one kind with the same θ, solved as one of twice the size.

use bilevel::{Curvature, Error, Linearization, LocalConvexity, LowerLevel, Vector, Work};
use serde::{Deserialize, Serialize};

/// Two vectors, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
#[doc(hidden)]
pub struct Pair<V: Vector>(pub V, pub V);

impl<V: Vector> Vector for Pair<V> {
    const UNIT_ROUNDOFF: f64 = V::UNIT_ROUNDOFF;

    fn len(&self) -> usize {
        self.0.len() + self.1.len()
    }

    fn zeros_like(&self) -> Self {
        Pair(self.0.zeros_like(), self.1.zeros_like())
    }

    fn copy_from(&mut self, x: &Self) {
        self.0.copy_from(&x.0);
        self.1.copy_from(&x.1);
    }

    fn axpby(&mut self, a: f64, x: &Self, b: f64) {
        self.0.axpby(a, &x.0, b);
        self.1.axpby(a, &x.1, b);
    }

    fn dot(&self, x: &Self) -> f64 {
        self.0.dot(&x.0) + self.1.dot(&x.1)
    }

    fn assign(&mut self, f: &mut dyn FnMut(usize) -> f64) {
        self.0.assign(f);
        let first = self.0.len();
        self.1.assign(&mut |i| f(first + i));
    }

    fn to_f64(&self) -> Vec<f64> {
        let mut all = self.0.to_f64();
        all.extend(self.1.to_f64());
        all
    }

    fn scale(&mut self, a: f64) {
        self.0.scale(a);
        self.1.scale(a);
    }

    fn is_finite(&self) -> bool {
        self.0.is_finite() && self.1.is_finite()
    }
}

/// g(x₁, x₂) = g₁(x₁) + g₂(x₂): two lower levels of one kind with the same θ.
#[doc(hidden)]
pub struct PerturbedPair<P>(pub P, pub P);

/// Both linearisations.
struct Both<D>(D, D);

/// √(a² + b²), where both are known.
fn together(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a?.hypot(b?))
}

/// The smaller or the larger of two constants, where both are known.
fn pick(a: Option<f64>, b: Option<f64>, of: fn(f64, f64) -> f64) -> Option<f64> {
    Some(of(a?, b?))
}

impl<D: Linearization> Linearization for Both<D>
where
    D::X: Vector,
    D::Theta: Vector,
{
    type Theta = D::Theta;
    type X = Pair<D::X>;

    fn hvp(&self, v: &Self::X, out: &mut Self::X) {
        self.0.hvp(&v.0, &mut out.0);
        self.1.hvp(&v.1, &mut out.1);
    }

    fn cross_vjp(&self, w: &Self::X, out: &mut D::Theta) {
        let mut second = out.zeros_like();
        self.0.cross_vjp(&w.0, out);
        self.1.cross_vjp(&w.1, &mut second);
        out.axpy(1.0, &second);
    }

    fn cross_jvp(&self, u: &D::Theta, out: &mut Self::X) {
        self.0.cross_jvp(u, &mut out.0);
        self.1.cross_jvp(u, &mut out.1);
    }

    fn hvp_terms(&self, v: &Self::X) -> Option<f64> {
        together(self.0.hvp_terms(&v.0), self.1.hvp_terms(&v.1))
    }

    fn has_preconditioner(&self) -> bool {
        self.0.has_preconditioner() && self.1.has_preconditioner()
    }

    fn precondition(&self, r: &Self::X, out: &mut Self::X) {
        self.0.precondition(&r.0, &mut out.0);
        self.1.precondition(&r.1, &mut out.1);
    }

    fn preparation(&self) -> u64 {
        self.0.preparation() + self.1.preparation()
    }

    /// A is block diagonal.
    fn hessian_change(&self, q: &Self::X, radius: f64) -> Option<f64> {
        let first = self.0.hessian_change(&q.0, radius);
        together(first, self.1.hessian_change(&q.1, radius))
    }

    /// Bᵀq is a sum.
    fn cross_change(&self, q: &Self::X, radius: f64) -> Option<f64> {
        Some(self.0.cross_change(&q.0, radius)? + self.1.cross_change(&q.1, radius)?)
    }

    /// One B is stacked on the other.
    fn cross_change_norm(&self, radius: f64) -> Option<f64> {
        let first = self.0.cross_change_norm(radius);
        together(first, self.1.cross_change_norm(radius))
    }

    fn cross_norm(&self, buffer: &mut Self::X) -> Option<f64> {
        let first = self.0.cross_norm(&mut buffer.0);
        together(first, self.1.cross_norm(&mut buffer.1))
    }
}

impl<P: LowerLevel> LowerLevel for PerturbedPair<P> {
    type Theta = P::Theta;
    type X = Pair<P::X>;

    fn start(&self) -> Self::X {
        Pair(self.0.start(), self.1.start())
    }

    fn check(&self, theta: &P::Theta) -> Result<(), Error> {
        self.0.check(theta)?;
        self.1.check(theta)
    }

    fn value(&self, x: &Self::X, theta: &P::Theta) -> f64 {
        self.0.value(&x.0, theta) + self.1.value(&x.1, theta)
    }

    fn gradient(&self, x: &Self::X, theta: &P::Theta, out: &mut Self::X) {
        self.0.gradient(&x.0, theta, &mut out.0);
        self.1.gradient(&x.1, theta, &mut out.1);
    }

    fn value_and_gradient(&self, x: &Self::X, theta: &P::Theta, out: &mut Self::X) -> f64 {
        let first = self.0.value_and_gradient(&x.0, theta, &mut out.0);
        first + self.1.value_and_gradient(&x.1, theta, &mut out.1)
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Self::X,
        theta: &'a P::Theta,
    ) -> impl Linearization<Theta = P::Theta, X = Self::X> + 'a {
        Both(self.0.linearize(&x.0, theta), self.1.linearize(&x.1, theta))
    }

    fn curvature(&self, theta: &P::Theta) -> Curvature {
        let (a, b) = (self.0.curvature(theta), self.1.curvature(theta));
        Curvature {
            strong_convexity: pick(a.strong_convexity, b.strong_convexity, f64::min),
            smoothness: pick(a.smoothness, b.smoothness, f64::max),
            hessian_lipschitz: pick(a.hessian_lipschitz, b.hessian_lipschitz, f64::max),
            cross_norm: together(a.cross_norm, b.cross_norm),
            cross_lipschitz: pick(a.cross_lipschitz, b.cross_lipschitz, f64::max),
        }
    }

    /// A is block diagonal, and the gradient of each half is at most as long as the whole.
    fn local_convexity(
        &self,
        x: &Self::X,
        theta: &P::Theta,
        work: &mut Work,
    ) -> Option<LocalConvexity> {
        let first = self.0.local_convexity(&x.0, theta, work)?;
        let second = self.1.local_convexity(&x.1, theta, work)?;
        Some(LocalConvexity {
            modulus: first.modulus.min(second.modulus),
            decay: first.decay.max(second.decay),
        })
    }

    fn gradient_rounding(&self, x: &Self::X, theta: &P::Theta, gradient_norm: f64) -> f64 {
        let first = self.0.gradient_rounding(&x.0, theta, gradient_norm);
        first.hypot(self.1.gradient_rounding(&x.1, theta, gradient_norm))
    }

    fn identity(&self) -> String {
        format!("{} and {}", self.0.identity(), self.1.identity())
    }
}
