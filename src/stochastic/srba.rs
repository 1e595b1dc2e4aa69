//! SRBA: stochastic recursive bilevel algorithm. The three directions are carried from iterate to iterate, as in SARAH and SPIDER.
//!
//! ```text
//! k divisible by q:   (Δ_x, Δ_v, Δ_θ) ← directions at (θ, x, v) on all samples
//! otherwise:          Δ ← Δ + d(θ, x, v; ξ, ξ') − d(θ⁻, x⁻, v⁻; ξ, ξ')       for each of the three
//! (θ⁻, x⁻, v⁻) ← (θ, x, v)
//! x ← x − γ Δ_x;   v ← Π(v − γ Δ_v);   θ ← θ − η Δ_θ                      Π projects on the ball of radius R
//! ```
//!
//! # Assumptions
//! Both levels are finite sums of n and m terms; g(·, θ) strongly convex, its third derivatives and the second of f bounded. With constant
//! steps O(√(n+m)/ε + n + m) samples reach a mean of ‖∇F‖² ≤ ε, which is optimal where n and m are of the same order. q is then of the order
//! √(n+m) for batches of one sample, and the directions become exact as the iterates come to rest: θ converges to rounding accuracy with
//! constant steps.
//!
//! By default γ = 1/(2L) and η = 0.3/(√b L_F), with the larger number b of batches of the two levels, and less where x could not follow
//! ([`steps`](super::steps)); the theory has 1/√(n+m) too.
//!
//! The paper projects v on a ball that contains A⁻¹∇ₓf, of radius sup ‖∇ₓf‖/μ, which bounds its moments in the proof. Neither number is
//! known for a general problem, and too small a ball changes the limit, so R is infinite unless set.
//!
//! # Cost
//! An iteration: two gradients, two products with A and two with Bᵀ on ξ, two gradients of f on ξ'; every q-th iteration instead one of each on all
//! samples. Memory: ten vectors like x, seven like θ.
//!
//! # Reference
//! M. Dagréou, T. Moreau, S. Vaiter, P. Ablin: A lower bound and a near-optimal algorithm for bilevel empirical risk minimization.
//! 2023, [arXiv:2302.08766](https://arxiv.org/abs/2302.08766).

use serde::{Deserialize, Serialize};

use super::iterate::{Directions, Iterate, MethodMemory};
use super::levels::Levels;
use super::method::Method;
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Recursive directions. See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Srba {
    /// q, the number of iterations from one pass over all samples to the next; `None` (the default) is the number of batches of both levels,
    /// with which the passes are a fifth of the work.
    pub period: Option<u64>,
    /// R, the radius of the ball for v; `None` (the default) does not project.
    pub radius: Option<f64>,
}

/// The memory of [`Srba`].
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SrbaMemory<T: Vector, X: Vector> {
    /// Δ.
    directions: Directions<T, X>,
    /// The directions on a batch.
    fresh: Directions<T, X>,
    /// x⁻, v⁻ and θ⁻.
    x: X,
    v: X,
    theta: T,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for SrbaMemory<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        SrbaMemory {
            directions: Directions::new(&at.theta, &at.x),
            fresh: Directions::new(&at.theta, &at.x),
            x: at.x.clone(),
            v: at.v.clone(),
            theta: at.theta.clone(),
        }
    }
}

impl Method for Srba {
    type Memory<T: Vector, X: Vector> = SrbaMemory<T, X>;

    fn name(&self) -> String {
        "SRBA".into()
    }

    fn check(&self) -> Result<(), Error> {
        if let Some(period) = self.period {
            positive("period", period as f64)?;
        }
        if let Some(radius) = self.radius {
            positive("radius", radius)?;
        }
        Ok(())
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::constant()
    }

    fn scale_on(&self, [lower, upper]: [usize; 2]) -> StepDefaults {
        // The error of the directions grows between passes over all samples, in proportion to the steps.
        StepDefaults {
            upper: (0.3 / (lower.max(upper) as f64).sqrt()).min(1.0),
            ..StepDefaults::constant()
        }
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut SrbaMemory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let (d, fresh) = (&mut memory.directions, &mut memory.fresh);
        let both = (at.lower.batches() + at.upper.batches()) as u64;
        if now.k.is_multiple_of(self.period.unwrap_or(both)) {
            let all = [at.lower.all(), at.upper.all()];
            levels.directions_at(all, [&at.x, &at.v], &at.theta, d, &mut at.work);
        } else {
            let [lower, upper] = at.draw();
            let batches = [at.lower.batch(lower), at.upper.batch(upper)];
            for (sign, x, v, theta) in [
                (1.0, &at.x, &at.v, &at.theta),
                (-1.0, &memory.x, &memory.v, &memory.theta),
            ] {
                levels.directions_at(batches, [x, v], theta, fresh, &mut at.work);
                d.x.axpy(sign, &fresh.x);
                d.v.axpy(sign, &fresh.v);
                d.theta.axpy(sign, &fresh.theta);
            }
        }
        memory.x.copy_from(&at.x);
        memory.v.copy_from(&at.v);
        memory.theta.copy_from(&at.theta);
        at.x.axpy(-now.lower, &d.x);
        at.v.axpy(-now.lower, &d.v);
        at.theta.axpy(-now.upper, &d.theta);
        if let Some(radius) = self.radius {
            let norm = at.v.norm();
            if norm > radius {
                at.v.scale(radius / norm);
            }
        }
        at.note(&d.theta);
    }
}
