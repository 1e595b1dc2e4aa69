//! The hypergradient by a truncated Neumann series on batches, at one point or at two.
//!
//! ```text
//! q = τ Σ_{t<Q} Πᵢ₌₁ᵗ (I − τA_ξᵢ) ∇ₓf_ξ',     h = ∇θf_ξ' − B_ξᵀq          ξ', ξ₁ … ξ_{Q−1}, ξ independent
//! ```
//!
//! The mean of q over the batches is (I − (I − τA)^Q) A⁻¹∇ₓf: short of the adjoint by at most (1 − τμ)^Q of its length. Two points
//! share every batch, as recursive estimators need it; a shuffled sampler forgets a batch with its epoch, so both series advance
//! together.

use super::{Iterate, Levels};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// A series of a fixed number of terms.
#[derive(Debug, Clone, Copy)]
pub(super) struct Neumann {
    /// Q.
    pub(super) terms: u64,
    /// τ.
    pub(super) step: f64,
    /// Whether every batch is that of all samples.
    pub(super) all: bool,
}

/// A point, and where its hypergradient goes.
pub(super) struct Point<'a, T, X> {
    pub(super) theta: &'a T,
    pub(super) x: &'a X,
    pub(super) out: &'a mut T,
}

impl Neumann {
    /// out ← h at the iterate, and at the other point from the same batches.
    pub(super) fn hypergradient<P, U>(
        self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        out: &mut P::Theta,
        other: Option<Point<'_, P::Theta, P::X>>,
    ) where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    {
        let mut r = [at.take_x(), at.take_x()];
        let mut q = [at.take_x(), at.take_x()];
        let mut product = at.take_x();
        let mut cross = at.take_theta();
        let Iterate {
            theta,
            x,
            lower,
            upper,
            work,
            ..
        } = at;
        let mut points = [Some(Point { theta, x, out }), other];
        // `None` is the batch of all samples.
        let number = (!self.all).then(|| upper.draw());
        for (point, r) in points.iter_mut().zip(&mut r) {
            if let Some(Point { theta, x, out }) = point {
                let batch = number.map_or(upper.all(), |number| upper.batch(number));
                levels.upper_gradients(batch, x, theta, r, out, work);
            }
        }
        for t in 0..self.terms {
            let number = (t > 0 && !self.all).then(|| lower.draw());
            for ((point, r), q) in points.iter().zip(&mut r).zip(&mut q) {
                let Some(Point { theta, x, .. }) = point else {
                    continue;
                };
                if t > 0 {
                    let batch = number.map_or(lower.all(), |number| lower.batch(number));
                    levels.hvp(batch, x, theta, r, &mut product, work);
                    r.axpy(-self.step, &product);
                }
                q.axpby(self.step, r, if t > 0 { 1.0 } else { 0.0 });
            }
        }
        let number = (!self.all).then(|| lower.draw());
        for (point, q) in points.iter_mut().zip(&q) {
            if let Some(Point { theta, x, out }) = point {
                let batch = number.map_or(lower.all(), |number| lower.batch(number));
                levels.cross_vjp(batch, x, theta, q, &mut cross, work);
                out.axpy(-1.0, &cross);
            }
        }
        r.into_iter().chain(q).for_each(|v| at.put_x(v));
        at.put_x(product);
        at.put_theta(cross);
    }
}
