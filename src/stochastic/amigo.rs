//! AmIGO: amortised implicit gradient. A few steps of SGD on x, then a few on v, both warm-started, then one step of θ.
//!
//! ```text
//! T times:  x ← x − γₖ ∇ₓg(x, θ; ξ)                                       γₖ = γ₀/√(k+1)
//! Q times:  v ← v − γₖ (A(x, θ; ξ) v − ∇ₓf(x, θ; ξ'))                     one ξ' for all of them, ξ drawn anew
//! θ ← θ − ηₖ (∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv)                               ηₖ = η₀/√(k+1)
//! ```
//!
//! # Assumptions
//! g(·, θ) strongly convex, g and its second derivatives and f Lipschitz, variance bounded. With warm starts, fixed T and Q of the order
//! of the condition number suffice, and O(ε⁻²) samples reach ‖∇F‖² ≤ ε, as many as with an unbiased gradient of F. The paper has constant
//! steps, whose size and batches depend on the target ε; decaying steps need no such choice.
//!
//! # Cost
//! An iteration: T gradients, Q products with A and one with Bᵀ, each on a separate ξ, one gradient of f. Memory: five vectors like
//! x, four like θ.
//!
//! # Reference
//! M. Arbel, J. Mairal: Amortized implicit differentiation for stochastic bilevel optimization. ICLR 2022,
//! [arXiv:2111.14580](https://arxiv.org/abs/2111.14580).

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use super::method::Method;
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Warm-started loops of SGD on x and on v. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Amigo {
    /// T, the steps of x in one iteration (default 10).
    pub steps: u64,
    /// Q, the steps of v in one iteration (default 10).
    pub adjoint_steps: u64,
}

impl Default for Amigo {
    fn default() -> Self {
        Amigo {
            steps: 10,
            adjoint_steps: 10,
        }
    }
}

impl Method for Amigo {
    type Memory<T: Vector, X: Vector> = ();

    fn name(&self) -> String {
        "AmIGO".into()
    }

    fn check(&self) -> Result<(), Error> {
        positive("steps", self.steps as f64)?;
        positive("adjoint_steps", self.adjoint_steps as f64)?;
        Ok(())
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::noisy(0.5)
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        (): &mut (),
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        for _ in 0..self.steps {
            levels.step_x(at, now.lower);
        }
        let mut by_x = at.take_x();
        let mut product = at.take_x();
        let mut direction = at.take_theta();
        let mut cross = at.take_theta();
        let number = at.upper.draw();
        let batch = at.upper.batch(number);
        let (x, theta) = (&at.x, &at.theta);
        levels.upper_gradients(batch, x, theta, &mut by_x, &mut direction, &mut at.work);
        for _ in 0..self.adjoint_steps {
            let number = at.lower.draw();
            let batch = at.lower.batch(number);
            levels.hvp(batch, &at.x, &at.theta, &at.v, &mut product, &mut at.work);
            at.v.axpy(-now.lower, &product);
            at.v.axpy(now.lower, &by_x);
        }
        let number = at.lower.draw();
        let batch = at.lower.batch(number);
        levels.cross_vjp(batch, &at.x, &at.theta, &at.v, &mut cross, &mut at.work);
        direction.axpy(-1.0, &cross);
        at.theta.axpy(-now.upper, &direction);
        at.note(&direction);
        at.put_x(by_x);
        at.put_x(product);
        at.put_theta(direction);
        at.put_theta(cross);
    }
}
