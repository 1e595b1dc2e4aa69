//! Recursive momentum on both levels: what MRBO and SUSTAIN share.
//!
//! ```text
//! u ← ∇ₓg(x, θ; ξ) + (1 − b)(u − ∇ₓg(x⁻, θ⁻; ξ)),     w ← h(x, θ; ξ) + (1 − a)(w − h(x⁻, θ⁻; ξ))
//! ```
//!
//! x⁻ and θ⁻ are the iterates before. Both gradients of a recursion are of the same batches, so their noise cancels as the steps shrink.

use serde::{Deserialize, Serialize};

use super::neumann_fixed::{Neumann, Point};
use super::{Iterate, Levels};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// The memory of a recursive momentum.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct StormState<T: Vector, X: Vector> {
    /// u, along which x moves.
    u: X,
    /// w, along which θ moves.
    w: T,
    /// x⁻ and θ⁻.
    x: X,
    theta: T,
}

impl<T: Vector, X: Vector> StormState<T, X> {
    pub(super) fn new(at: &Iterate<T, X>) -> Self {
        StormState {
            u: at.x.zeros_like(),
            w: at.theta.zeros_like(),
            x: at.x.clone(),
            theta: at.theta.clone(),
        }
    }

    /// u and w at the iterate, from `before` or, where there is nothing before, from one batch each. Then a step of both variables.
    pub(super) fn iterate<P, U>(
        &mut self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<T, X>,
        neumann: Neumann,
        [a, b]: [f64; 2],
        [gamma, eta]: [f64; 2],
    ) where
        P: MinibatchLower<Theta = T, X = X>,
        U: MinibatchUpper<Theta = T, X = X>,
    {
        let first = at.k == 0;
        let mut here = at.take_x();
        let mut there = at.take_x();
        let number = at.lower.draw();
        let batch = at.lower.batch(number);
        levels.gradient(batch, &at.x, &at.theta, &mut here, &mut at.work);
        if first {
            self.u.copy_from(&here);
        } else {
            levels.gradient(batch, &self.x, &self.theta, &mut there, &mut at.work);
            recur(&mut self.u, b, &here, &there);
        }
        at.put_x(here);
        at.put_x(there);

        let mut here = at.take_theta();
        let mut there = at.take_theta();
        let other = Point {
            theta: &self.theta,
            x: &self.x,
            out: &mut there,
        };
        neumann.hypergradient(levels, at, &mut here, (!first).then_some(other));
        if first {
            self.w.copy_from(&here);
        } else {
            recur(&mut self.w, a, &here, &there);
        }
        at.put_theta(here);
        at.put_theta(there);

        self.x.copy_from(&at.x);
        self.theta.copy_from(&at.theta);
        at.x.axpy(-gamma, &self.u);
        at.theta.axpy(-eta, &self.w);
        at.note(&self.w);
    }
}

/// d ← here + (1 − a)(d − there).
pub(super) fn recur<V: Vector>(d: &mut V, a: f64, here: &V, there: &V) {
    d.axpy(-1.0, there);
    d.axpby(1.0, here, 1.0 - a);
}

/// c/(k + 1)^⅔, the weight of the new gradient.
pub(super) fn forgetting(c: f64, k: u64) -> f64 {
    c / ((k + 1) as f64).powf(2.0 / 3.0)
}
