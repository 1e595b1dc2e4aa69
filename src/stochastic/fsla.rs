//! FSLA: fully single loop. One step of x, one of v, and a direction of θ with the momentum of STORM.
//!
//! ```text
//! x ← x − γₖ ∇ₓg(x, θ; ξ₁)                                              γₖ = γ₀/√(k+1)
//! v ← v − γₖ (A(x, θ; ξ₂) v − ∇ₓf(x, θ; ξ'₂))
//! m ← d_θ(x, v, θ) + (1 − wₖ)(m − d_θ(x⁻, v⁻, θ⁻))                      both on ξ₃ and ξ'₃;  wₖ = w/√(k+1)
//! θ ← θ − ηₖ m                                                          ηₖ = η₀/√(k+1)
//! ```
//!
//! d_θ(x, v, θ) = ∇θf(x, θ) − B(x, θ)ᵀv, and (x⁻, v⁻, θ⁻) is the point of its evaluation in the previous iteration. The difference on one
//! batch corrects m for the change of the variables, so m has the variance of an average without its delay.
//!
//! # Assumptions
//! g(·, θ) strongly convex, g and its second derivatives and f Lipschitz on every batch, variance bounded. Then O(ε⁻²) iterations reach
//! a mean of ‖∇F‖² ≤ ε.
//!
//! # Cost
//! An iteration: one gradient, one product with A and two with Bᵀ, three gradients of f. Memory: seven vectors like x, six like θ.
//!
//! # Reference
//! J. Li, B. Gu, H. Huang: A fully single loop algorithm for bilevel optimization without Hessian inverse. AAAI 2022,
//! [arXiv:2112.04660](https://arxiv.org/abs/2112.04660).

use serde::{Deserialize, Serialize};

use super::iterate::{Iterate, MethodMemory};
use super::levels::Levels;
use super::method::Method;
use super::parts::{adjoint_step, weight};
use super::steps::{StepDefaults, StepSizes};
use crate::error::Error;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// One step of x and v, and momentum on θ. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fsla {
    /// w, the weight of the first direction, above 0 and at most 1 (default 1).
    pub weight: f64,
}

impl Default for Fsla {
    fn default() -> Self {
        Fsla { weight: 1.0 }
    }
}

/// The memory of [`Fsla`].
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct FslaMemory<T: Vector, X: Vector> {
    /// m.
    momentum: T,
    /// x⁻, v⁻ and θ⁻.
    x: X,
    v: X,
    theta: T,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for FslaMemory<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        FslaMemory {
            momentum: at.theta.zeros_like(),
            x: at.x.clone(),
            v: at.v.clone(),
            theta: at.theta.clone(),
        }
    }
}

impl Method for Fsla {
    type Memory<T: Vector, X: Vector> = FslaMemory<T, X>;

    fn name(&self) -> String {
        "FSLA".into()
    }

    fn check(&self) -> Result<(), Error> {
        weight("weight", self.weight)
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::noisy(0.5)
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut FslaMemory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let m = &mut memory.momentum;
        levels.step_x(at, now.lower);
        adjoint_step(levels, at, now.lower);

        let mut by_x = at.take_x();
        let mut by_theta = at.take_theta();
        let mut cross = at.take_theta();
        let [lower, upper] = at.draw();
        let (lower, upper) = (at.lower.batch(lower), at.upper.batch(upper));
        let weight = self.weight / ((now.k + 1) as f64).sqrt();
        // A weight of 1, as in the first iteration, discards m.
        if weight < 1.0 {
            let (x, v, theta) = (&memory.x, &memory.v, &memory.theta);
            levels.upper_gradients(upper, x, theta, &mut by_x, &mut by_theta, &mut at.work);
            levels.cross_vjp(lower, x, theta, v, &mut cross, &mut at.work);
            m.axpy(-1.0, &by_theta);
            m.axpy(1.0, &cross);
        }
        let (x, theta) = (&at.x, &at.theta);
        levels.upper_gradients(upper, x, theta, &mut by_x, &mut by_theta, &mut at.work);
        levels.cross_vjp(lower, x, theta, &at.v, &mut cross, &mut at.work);
        m.axpby(1.0, &by_theta, 1.0 - weight);
        m.axpy(-1.0, &cross);
        at.put_x(by_x);
        at.put_theta(by_theta);
        at.put_theta(cross);

        memory.x.copy_from(&at.x);
        memory.v.copy_from(&at.v);
        memory.theta.copy_from(&at.theta);
        at.theta.axpy(-now.upper, m);
        at.note(m);
    }
}
