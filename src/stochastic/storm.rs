//! Recursive momentum on both levels, the core of MRBO and SUSTAIN.
//!
//! ```text
//! u ← ∇ₓg(x, θ; ξ) + (1 − bₖ)(u − ∇ₓg(x⁻, θ⁻; ξ)),     w ← h(x, θ; ξ) + (1 − aₖ)(w − h(x⁻, θ⁻; ξ))
//! (x⁻, θ⁻) ← (x, θ);   x ← x − γₖ u;   θ ← θ − ηₖ w
//! γₖ = γ₀/(k+1)^⅓,  ηₖ = η₀/(k+1)^⅓,  aₖ = a₀/(k+1)^⅔,  bₖ = b₀/(k+1)^⅔            u = ∇ₓg, w = h at k = 0
//! ```
//!
//! x⁻ and θ⁻ are the previous iterates, and h sums Q terms of the [Neumann series](super::neumann) for A⁻¹∇ₓf. Both gradients of a recursion
//! are on the same batches, so their noise cancels as the steps shrink: the variance decreases without large batches.
//!
//! # Assumptions
//! g(·, θ) strongly convex; every sample of g and f with Lipschitz gradients, Hessians and mixed derivatives (not only their mean). Then
//! ‖∇F‖² ≤ ε after O(ε^{−3/2}) samples, against O(ε^{−2}) of SGD. The series of Q terms leaves a bias of the hypergradient of up to
//! (1 − τμ)^Q of ‖B‖‖A⁻¹∇ₓf‖: the method comes to rest beside the minimiser, the closer the more terms.
//!
//! # Cost
//! An iteration: two gradients of g, 2(Q − 1) products with A, two with Bᵀ, two gradients of f. Memory: nine vectors like x, seven like θ.
//! The adjoint is not stored: v stays zero.

use serde::{Deserialize, Serialize};

use super::iterate::{Iterate, MethodMemory};
use super::levels::Levels;
use super::neumann::{Point, Series, Truncation};
use super::parts::{at_least_one, weight};
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// The settings of a recursive momentum, named as in its methods.
pub(super) struct Storm {
    pub(super) terms: u64,
    pub(super) neumann_step: Option<f64>,
    pub(super) upper_forgetting: f64,
    pub(super) lower_forgetting: f64,
}

/// The memory of a recursive momentum.
#[doc(hidden)]
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

impl<T: Vector, X: Vector> MethodMemory<T, X> for StormState<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        StormState {
            u: at.x.zeros_like(),
            w: at.theta.zeros_like(),
            x: at.x.clone(),
            theta: at.theta.clone(),
        }
    }
}

impl Storm {
    pub(super) fn check(&self) -> Result<(), Error> {
        at_least_one("terms", self.terms)?;
        positive("neumann_step", self.neumann_step.unwrap_or(1.0))?;
        weight("upper_forgetting", self.upper_forgetting)?;
        weight("lower_forgetting", self.lower_forgetting)
    }

    pub(super) fn step_defaults() -> StepDefaults {
        StepDefaults::decaying(1.0 / 3.0)
    }

    /// u and w at the iterate, from one batch each in the first iteration and by the recursion after it. Then a step of both variables.
    pub(super) fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        s: &mut StormState<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let first = at.k == 0;
        let mut here = at.take_x();
        let mut there = at.take_x();
        let number = at.lower.draw();
        let batch = at.lower.batch(number);
        levels.gradient(batch, &at.x, &at.theta, &mut here, &mut at.work);
        if first {
            s.u.copy_from(&here);
        } else {
            levels.gradient(batch, &s.x, &s.theta, &mut there, &mut at.work);
            recur(
                &mut s.u,
                forgetting(self.lower_forgetting, now.k),
                &here,
                &there,
            );
        }
        at.put_x(here);
        at.put_x(there);

        let mut here = at.take_theta();
        let mut there = at.take_theta();
        let other = Point {
            theta: &s.theta,
            x: &s.x,
            out: &mut there,
        };
        let series = Series {
            terms: self.terms,
            truncation: Truncation::Fixed,
            step: self.neumann_step.unwrap_or(now.first),
            all: false,
        };
        let q = series.hypergradient(levels, at, &mut here, (!first).then_some(other));
        at.put_x(q);
        if first {
            s.w.copy_from(&here);
        } else {
            recur(
                &mut s.w,
                forgetting(self.upper_forgetting, now.k),
                &here,
                &there,
            );
        }
        at.put_theta(here);
        at.put_theta(there);

        s.x.copy_from(&at.x);
        s.theta.copy_from(&at.theta);
        at.x.axpy(-now.lower, &s.u);
        at.theta.axpy(-now.upper, &s.w);
        at.note(&s.w);
    }
}

/// d ← here + (1 − a)(d − there).
pub(super) fn recur<V: Vector>(d: &mut V, a: f64, here: &V, there: &V) {
    d.axpy(-1.0, there);
    d.axpby(1.0, here, 1.0 - a);
}

/// c/(k + 1)^⅔, the weight of the new gradient.
fn forgetting(c: f64, k: u64) -> f64 {
    c / ((k + 1) as f64).powf(2.0 / 3.0)
}
