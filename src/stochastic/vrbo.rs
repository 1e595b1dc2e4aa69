//! VRBO: variance-reduced bilevel optimiser, SPIDER on both levels.
//!
//! ```text
//! every q iterations:  u ← ∇ₓg(x, θ),  w ← h(x, θ)                      on all samples
//! θ ← θ − ηₖ w
//! for t = 0 … M:       u ← u + ∇ₓg(x, θ; ξ) − ∇ₓg(x⁻, θ⁻; ξ)
//!                      w ← w + h(x, θ; ξ) − h(x⁻, θ⁻; ξ)                h: Q terms of the Neumann series for A⁻¹∇ₓf
//!                      x ← x − γₖ u          if t < M
//! ```
//!
//! x⁻ and θ⁻ are the iterates at the previous t. The refresh is exact, and between two refreshes the error grows only with the distance that
//! the iterates move. Steps are constant.
//!
//! # Assumptions
//! Those of MRBO: g(·, θ) strongly convex, every sample with Lipschitz derivatives. Then ‖∇F‖² ≤ ε after O(ε^{−3/2}) samples, with
//! constant steps, down to the bias of the series, (1 − τμ)^Q of ‖B‖‖A⁻¹∇ₓf‖ at most.
//!
//! # Cost
//! An iteration: 2(M + 1) gradients of g and of f, 2(M + 1)(Q − 1) products with A, 2(M + 1) with Bᵀ, on batches. A refresh: one
//! gradient of each, Q − 1 products with A and one with Bᵀ on all samples. Memory: eleven vectors like x, seven like θ. v stays zero.
//!
//! # Reference
//! J. Yang, K. Ji, Y. Liang: Provably faster algorithms for bilevel optimization. NeurIPS 2021,
//! [arXiv:2106.04692](https://arxiv.org/abs/2106.04692), algorithm 3.

use serde::{Deserialize, Serialize};

use super::iterate::{Iterate, MethodMemory};
use super::levels::Levels;
use super::method::Method;
use super::neumann::{Point, Series, Truncation};
use super::parts::at_least_one;
use super::steps::{StepDefaults, StepSizes};
use super::storm::recur;
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// SPIDER on both levels, with a Neumann series. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Vrbo {
    /// M: steps of x per iteration (default 3).
    pub inner_steps: u64,
    /// q: iterations from one refresh to the next (default: about one epoch of the lower level's batches in u).
    pub period: Option<u64>,
    /// Q: terms of the Neumann series (default 20).
    pub terms: u64,
    /// τ, the step of the series (default: γ₀).
    pub neumann_step: Option<f64>,
}

impl Default for Vrbo {
    fn default() -> Self {
        Vrbo {
            inner_steps: 3,
            period: None,
            terms: 20,
            neumann_step: None,
        }
    }
}

/// The memory of [`Vrbo`].
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct VrboMemory<T: Vector, X: Vector> {
    /// u and w.
    u: X,
    w: T,
    /// x⁻ and θ⁻.
    x: X,
    theta: T,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for VrboMemory<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        VrboMemory {
            u: at.x.zeros_like(),
            w: at.theta.zeros_like(),
            x: at.x.clone(),
            theta: at.theta.clone(),
        }
    }
}

impl Method for Vrbo {
    type Memory<T: Vector, X: Vector> = VrboMemory<T, X>;

    fn name(&self) -> String {
        "VRBO".into()
    }

    fn check(&self) -> Result<(), Error> {
        at_least_one("inner_steps", self.inner_steps)?;
        at_least_one("period", self.period.unwrap_or(1))?;
        at_least_one("terms", self.terms)?;
        positive("neumann_step", self.neumann_step.unwrap_or(1.0)).map(|_| ())
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::constant()
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        s: &mut VrboMemory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let series = |all| Series {
            terms: self.terms,
            truncation: Truncation::Fixed,
            step: self.neumann_step.unwrap_or(now.first),
            all,
        };
        let epoch = (at.lower.batches() as u64).div_ceil(self.inner_steps + 1);
        if now.k.is_multiple_of(self.period.unwrap_or(epoch)) {
            let all = at.lower.all();
            levels.gradient(all, &at.x, &at.theta, &mut s.u, &mut at.work);
            let q = series(true).hypergradient(levels, at, &mut s.w, None);
            at.put_x(q);
        }
        at.note(&s.w);
        s.theta.copy_from(&at.theta);
        s.x.copy_from(&at.x);
        at.theta.axpy(-now.upper, &s.w);
        let mut here = at.take_x();
        let mut there = at.take_x();
        let mut upper_here = at.take_theta();
        let mut upper_there = at.take_theta();
        for t in 0..=self.inner_steps {
            let number = at.lower.draw();
            let batch = at.lower.batch(number);
            levels.gradient(batch, &at.x, &at.theta, &mut here, &mut at.work);
            levels.gradient(batch, &s.x, &s.theta, &mut there, &mut at.work);
            recur(&mut s.u, 0.0, &here, &there);
            let other = Point {
                theta: &s.theta,
                x: &s.x,
                out: &mut upper_there,
            };
            let q = series(false).hypergradient(levels, at, &mut upper_here, Some(other));
            at.put_x(q);
            recur(&mut s.w, 0.0, &upper_here, &upper_there);
            s.theta.copy_from(&at.theta);
            if t < self.inner_steps {
                s.x.copy_from(&at.x);
                at.x.axpy(-now.lower, &s.u);
            }
        }
        at.put_x(here);
        at.put_x(there);
        at.put_theta(upper_here);
        at.put_theta(upper_there);
    }
}
