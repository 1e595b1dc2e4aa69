//! Truncated Neumann series: A⁻¹∇ₓf by products on batches, without a linear solver. Shared by stocBiO, TTSA, BSA, MRBO, SUSTAIN and VRBO.
//!
//! ```text
//! A⁻¹ = h Σ_{j ≥ 0} (I − hA)ʲ                                          for 0 < h < 2/L
//!
//! p₀ = ∇ₓf(x, θ; ξ'),   pⱼ₊₁ = pⱼ − h A(x, θ; ξⱼ) pⱼ
//! fixed:    v = h Σ_{j < Q} pⱼ                                          Q terms, Q − 1 products
//! random:   v = h Q p_J,   J uniform on 0 … Q−1                         one term times Q, (Q − 1)/2 products on average
//! d_θ = ∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv                                   all batches independent
//! ```
//!
//! Both have the same mean. Random truncation halves the products and multiplies the variance by about Q. h is γ₀ unless set, the first step
//! of the lower level, and does not decay. J is a function of the seed and of k alone.
//!
//! Recursive estimators evaluate the series at two points on the same batches. Both series advance together, because a shuffled sampler
//! keeps the batches of the current epoch only.
//!
//! # Bias
//! The series is truncated: ‖E v − A⁻¹∇ₓf‖ ≤ (1 − hμ)^Q ‖∇ₓf‖/μ. The hypergradient keeps ‖B‖ times this error, however small the steps become,
//! so θ comes to rest where ∇F has about that norm. A relative bias of ε takes Q ≈ (L/μ) log(1/ε)/c_γ terms.

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// The truncation of the series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// The sum of all terms.
    Fixed,
    /// One term, drawn at random, times the number of terms.
    #[default]
    Random,
}

/// The series of a method.
#[derive(Debug, Clone, Copy)]
pub(super) struct Series {
    /// Q.
    pub(super) terms: u64,
    pub(super) truncation: Truncation,
    /// h.
    pub(super) step: f64,
    /// Whether every batch consists of all samples.
    pub(super) all: bool,
}

/// A point, and the vector that receives its d_θ.
pub(super) struct Point<'a, T, X> {
    pub(super) theta: &'a T,
    pub(super) x: &'a X,
    pub(super) out: &'a mut T,
}

impl Series {
    /// out ← d_θ at the iterate, and at the other point from the same batches. Returns v at the iterate, a buffer of `at`.
    pub(super) fn hypergradient<P, U>(
        self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        out: &mut P::Theta,
        other: Option<Point<'_, P::Theta, P::X>>,
    ) -> P::X
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let h = self.step;
        let mut product = at.take_x();
        let mut cross = at.take_theta();
        let mut p = [at.take_x(), at.take_x()];
        let mut v = [at.take_x(), at.take_x()];
        let Iterate {
            theta,
            x,
            k,
            lower,
            upper,
            work,
            ..
        } = at;
        let mut points = [Some(Point { theta, x, out }), other];
        // `None` is the batch of all samples.
        let number = (!self.all).then(|| upper.draw());
        for (point, p) in points.iter_mut().zip(&mut p) {
            if let Some(Point { theta, x, out }) = point {
                let batch = number.map_or(upper.all(), |number| upper.batch(number));
                levels.upper_gradients(batch, x, theta, p, out, work);
            }
        }
        let products = match self.truncation {
            Truncation::Fixed => self.terms - 1,
            Truncation::Random => lower.number(*k, self.terms),
        };
        for j in 0..=products {
            let number = (j > 0 && !self.all).then(|| lower.draw());
            for ((point, p), v) in points.iter().zip(&mut p).zip(&mut v) {
                let Some(Point { theta, x, .. }) = point else {
                    continue;
                };
                if j > 0 {
                    let batch = number.map_or(lower.all(), |number| lower.batch(number));
                    levels.hvp(batch, x, theta, p, &mut product, work);
                    p.axpy(-h, &product);
                }
                match self.truncation {
                    Truncation::Fixed => v.axpby(h, p, if j > 0 { 1.0 } else { 0.0 }),
                    Truncation::Random if j == products => {
                        v.axpby(h * self.terms as f64, p, 0.0);
                    }
                    Truncation::Random => {}
                }
            }
        }
        let number = (!self.all).then(|| lower.draw());
        for (point, v) in points.iter_mut().zip(&v) {
            if let Some(Point { theta, x, out }) = point {
                let batch = number.map_or(lower.all(), |number| lower.batch(number));
                levels.cross_vjp(batch, x, theta, v, &mut cross, work);
                out.axpy(-1.0, &cross);
            }
        }
        let [v, unused] = v;
        p.into_iter()
            .chain([product, unused])
            .for_each(|x| at.put_x(x));
        at.put_theta(cross);
        v
    }

    /// θ ← θ − η d_θ, and v ← the adjoint of the series.
    pub(super) fn step<P, U>(
        self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        eta: f64,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let mut direction = at.take_theta();
        let v = self.hypergradient(levels, at, &mut direction, None);
        let before = std::mem::replace(&mut at.v, v);
        at.put_x(before);
        at.theta.axpy(-eta, &direction);
        at.note(&direction);
        at.put_theta(direction);
    }
}
