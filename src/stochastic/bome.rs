//! BOME: bilevel optimisation made easy, a first-order method with a barrier on the value of the lower level.
//!
//! ```text
//! x_T ← T gradient steps γₖ on g(·, θ) from x
//! q(x, θ) = g(x, θ) − g(x_T, θ) with x_T held:  ∇q = (∇ₓg(x, θ),  ∇θg(x, θ) − ∇θg(x_T, θ))
//! λ ← max((c‖∇q‖² − ⟨∇f, ∇q⟩)/‖∇q‖², 0), but no more than lets x move by γ₀ along ∇ₓg
//! (x, θ) ← (x, θ) − ηₖ (∇f + λ∇q)                                         ηₖ = η₀/(k+1)^0.1
//! ```
//!
//! Every step decreases q at the rate c‖∇q‖², and f as far as that allows: λ is the smallest such multiplier. The lower level is never solved
//! accurately, and no second derivative is needed. v stays zero.
//!
//! # Where this departs from the paper
//! The paper uses one step size for x and θ, of at most 1/L. Here x moves by γₖ where that is smaller: η₀ is chosen for F, which may be
//! much flatter than g. The inner product and the norm in λ weight x accordingly, which preserves the rate of descent of q. λ is bounded: it
//! grows without limit as q decreases, and above 2/L divided by the step of x the iteration is unstable.
//!
//! # Assumptions
//! Deterministic: f and g with Lipschitz gradients, g(·, θ) with the Polyak–Łojasiewicz property (strong convexity is enough), exact
//! gradients. Then the sum of the stationarity gap and q decreases like K^{−1/4}. There is no theory for batches: ‖∇q‖ does not fall
//! below the noise, so λ stays bounded, x rests where f and λg balance, and the hypergradient keeps a bias of the order of 1/λ: expect
//! a tenth of ‖∇F‖² after some ten thousand iterations, not a thousandth. All gradients of an iteration are on one batch of each level,
//! because the noise of separate batches would dominate their differences.
//!
//! # Cost
//! An iteration: T gradients of g in x, two in θ, one gradient of f. Memory: five vectors like x, four like θ.
//!
//! # Reference
//! M. Ye, B. Liu, S. Wright, P. Stone, Q. Liu: BOME! Bilevel optimization made easy: a simple first-order approach. NeurIPS 2022,
//! [arXiv:2209.08709](https://arxiv.org/abs/2209.08709).

use serde::{Deserialize, Serialize};

use super::iterate::{Iterate, MethodMemory};
use super::levels::Levels;
use super::method::Method;
use super::parts::at_least_one;
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// A dynamic barrier on the lower level's value. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bome {
    /// T: gradient steps from x to x_T (default 1; more steps follow the lower level more closely and may need a smaller c).
    pub inner_steps: u64,
    /// c: the required rate of descent of q (default 0.1).
    pub barrier: f64,
}

impl Default for Bome {
    fn default() -> Self {
        Bome {
            inner_steps: 1,
            barrier: 0.1,
        }
    }
}

/// The memory of [`Bome`]: γ₀, the longest step along ∇ₓg, from the first iteration on.
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BomeMemory {
    longest: f64,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for BomeMemory {
    fn new(_: &Iterate<T, X>) -> Self {
        BomeMemory { longest: 0.0 }
    }
}

impl Method for Bome {
    type Memory<T: Vector, X: Vector> = BomeMemory;

    fn name(&self) -> String {
        "BOME".into()
    }

    fn check(&self) -> Result<(), Error> {
        at_least_one("inner_steps", self.inner_steps)?;
        positive("barrier", self.barrier).map(|_| ())
    }

    fn scale(&self) -> StepDefaults {
        // A small decay, enough to average the noise: the descent of q is proportional to the sum of the steps, and slow at best.
        StepDefaults {
            lower_exponent: 0.0,
            ..StepDefaults::decaying(0.1)
        }
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut BomeMemory,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        if now.k == 0 {
            memory.longest = now.lower;
        }
        let mut reached = at.take_x();
        let mut q_x = at.take_x();
        let mut f_x = at.take_x();
        let mut q_theta = at.take_theta();
        let mut f_theta = at.take_theta();
        let [lower, upper] = at.draw();
        let batch = at.lower.batch(lower);
        levels.gradient(batch, &at.x, &at.theta, &mut q_x, &mut at.work);
        reached.copy_from(&at.x);
        reached.axpy(-now.lower, &q_x);
        for _ in 1..self.inner_steps {
            levels.gradient(batch, &reached, &at.theta, &mut f_x, &mut at.work);
            reached.axpy(-now.lower, &f_x);
        }
        levels.gradient_theta(batch, &at.x, &at.theta, &mut q_theta, &mut at.work);
        levels.gradient_theta(batch, &reached, &at.theta, &mut f_theta, &mut at.work);
        q_theta.axpy(-1.0, &f_theta);
        let batch = at.upper.batch(upper);
        levels.upper_gradients(
            batch,
            &at.x,
            &at.theta,
            &mut f_x,
            &mut f_theta,
            &mut at.work,
        );

        // ⟨a, b⟩ = share·⟨aₓ, bₓ⟩ + ⟨aθ, bθ⟩ is the inner product in which the joint step is the steepest.
        let share = (now.lower / now.upper).min(1.0);
        let squared = share * q_x.dot(&q_x) + q_theta.dot(&q_theta);
        let along = share * f_x.dot(&q_x) + f_theta.dot(&q_theta);
        if squared > 0.0 {
            let most = memory.longest / (share * now.upper);
            let lambda = (self.barrier - along / squared).clamp(0.0, most);
            f_x.axpy(lambda, &q_x);
            f_theta.axpy(lambda, &q_theta);
        }
        at.x.axpy(-share * now.upper, &f_x);
        at.theta.axpy(-now.upper, &f_theta);
        at.note(&f_theta);
        [reached, q_x, f_x].into_iter().for_each(|x| at.put_x(x));
        at.put_theta(q_theta);
        at.put_theta(f_theta);
    }
}
