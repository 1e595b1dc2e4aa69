//! SOBA: stochastic bilevel algorithm, one step of SGD on x, v and θ at once.
//!
//! ```text
//! d_x, d_v, d_θ ← directions at (θ, x, v) on ξ and ξ'
//! x ← x − γₖ d_x;   v ← v − γₖ d_v;   θ ← θ − ηₖ d_θ                   γₖ = γ₀/√(k+1),  ηₖ = η₀/√(k+1)
//! ```
//!
//! # Assumptions
//! g(·, θ) strongly convex; g twice and f once differentiable with Lipschitz derivatives of bounded variance. Then the mean of ‖∇F‖²
//! over K iterations is O(log K/√K), the rate of SGD on a single level. With constant steps it reaches a neighbourhood.
//!
//! # Cost
//! An iteration: one gradient, one product with A and one with Bᵀ on ξ in one pass, one gradient of f on ξ'. Memory: six vectors like x,
//! four like θ.
//!
//! # Reference
//! M. Dagréou, P. Ablin, S. Vaiter, T. Moreau: A framework for bilevel optimization that enables stochastic and global variance
//! reduction algorithms. NeurIPS 2022, [arXiv:2201.13409](https://arxiv.org/abs/2201.13409).

use serde::{Deserialize, Serialize};

use super::iterate::{Directions, Iterate};
use super::levels::Levels;
use super::method::Method;
use super::steps::{StepDefaults, StepSizes};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// One step of SGD on all three variables. See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Soba {}

impl Method for Soba {
    type Memory<T: Vector, X: Vector> = Directions<T, X>;

    fn name(&self) -> String {
        "SOBA".into()
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::noisy(0.5)
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        d: &mut Directions<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let batches = at.draw();
        levels.directions(at, batches, d);
        at.x.axpy(-now.lower, &d.x);
        at.v.axpy(-now.lower, &d.v);
        at.theta.axpy(-now.upper, &d.theta);
        at.note(&d.theta);
    }
}
