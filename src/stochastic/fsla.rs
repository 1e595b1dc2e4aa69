//! FSLA: fully single loop. One step of x, one of v, and a direction of θ with the momentum of STORM.
//!
//! ```text
//! x ← x − γₖ ∇ₓg(x, θ; ξ₁)                                              γₖ = γ₀/√(k+1)
//! v ← v − γₖ (A(x, θ; ξ₂) v − ∇ₓf(x, θ; ξ'₂))
//! m ← d_θ(x, v, θ) + (1 − wₖ)(m − d_θ(x⁻, v⁻, θ⁻))                      both on ξ₃ and ξ'₃;  wₖ = w/√(k+1)
//! θ ← θ − ηₖ m                                                          ηₖ = η₀/√(k+1)
//! ```
//!
//! d_θ(x, v, θ) = ∇θf(x, θ) − B(x, θ)ᵀv, and (x⁻, v⁻, θ⁻) is where it was evaluated in the iteration before. The difference on one batch
//! carries m along with the variables, so m has the variance of an average and not its delay.
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

use super::ma_soba::check_weight;
use super::{Directions, Iterate, Levels, Method, StepDefaults, StepSizes};
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

/// What FSLA remembers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct FslaMemory<T: Vector, X: Vector> {
    /// Room.
    directions: Directions<T, X>,
    /// m.
    momentum: T,
    /// x⁻, v⁻ and θ⁻.
    x: X,
    v: X,
    theta: T,
}

impl Method for Fsla {
    type Memory<T: Vector, X: Vector> = FslaMemory<T, X>;

    fn name(&self) -> String {
        "FSLA".into()
    }

    fn check(&self) -> Result<(), Error> {
        check_weight("weight", self.weight)
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::noisy(0.5)
    }

    fn start<P, U>(
        &self,
        _levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        _now: StepSizes,
    ) -> FslaMemory<P::Theta, P::X>
    where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    {
        FslaMemory {
            directions: Directions::new(&at.theta, &at.x),
            momentum: at.theta.zeros_like(),
            x: at.x.clone(),
            v: at.v.clone(),
            theta: at.theta.clone(),
        }
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut FslaMemory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    {
        let (d, m) = (&mut memory.directions, &mut memory.momentum);
        levels.step_x(at, now.lower, &mut d.x);

        let [lower, upper] = at.draw();
        let (by_x, by_theta) = (&mut d.upper_x, &mut d.theta);
        let batch = at.upper.batch(upper);
        levels.upper_gradients(batch, &at.x, &at.theta, by_x, by_theta, &mut at.work);
        let batch = at.lower.batch(lower);
        levels.hvp(batch, &at.x, &at.theta, &at.v, &mut d.v, &mut at.work);
        at.v.axpy(-now.lower, &d.v);
        at.v.axpy(now.lower, &d.upper_x);

        let [lower, upper] = at.draw();
        let (lower, upper) = (at.lower.batch(lower), at.upper.batch(upper));
        let weight = self.weight / ((now.k + 1) as f64).sqrt();
        // A weight of 1, as in the first iteration, forgets what was.
        if weight < 1.0 {
            let (x, v, theta) = (&memory.x, &memory.v, &memory.theta);
            let (by_x, by_theta) = (&mut d.upper_x, &mut d.theta);
            levels.upper_gradients(upper, x, theta, by_x, by_theta, &mut at.work);
            levels.cross_vjp(lower, x, theta, v, &mut d.cross, &mut at.work);
            m.axpy(-1.0, &d.theta);
            m.axpy(1.0, &d.cross);
        }
        let (by_x, by_theta) = (&mut d.upper_x, &mut d.theta);
        levels.upper_gradients(upper, &at.x, &at.theta, by_x, by_theta, &mut at.work);
        levels.cross_vjp(lower, &at.x, &at.theta, &at.v, &mut d.cross, &mut at.work);
        m.axpby(1.0, &d.theta, 1.0 - weight);
        m.axpy(-1.0, &d.cross);

        memory.x.copy_from(&at.x);
        memory.v.copy_from(&at.v);
        memory.theta.copy_from(&at.theta);
        at.theta.axpy(-now.upper, m);
        at.note(m);
    }
}
