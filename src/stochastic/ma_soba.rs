//! MA-SOBA: SOBA with θ moved along a moving average of its directions.
//!
//! ```text
//! d_x, d_v, d_θ ← directions at (θ, x, v) on ξ and ξ'
//! h ← (1 − wₖ) h + wₖ d_θ                                               wₖ = w/√(k+1)
//! x ← x − γₖ d_x;   v ← v − γₖ d_v;   θ ← θ − ηₖ h                      γₖ = γ₀/√(k+1),  ηₖ = η₀/√(k+1)
//! ```
//!
//! The weight decays like the steps, so the average covers about the last √k/w directions. It contains d_θ of the same iteration, and with
//! w = 1 it starts with d_θ, without the bias of a start at zero. Where w > 4 η₀ L_F it does not overshoot; the estimated η₀ is at
//! most 1/L_F and, where A is ill-conditioned, much less ([`steps`](super::steps)).
//!
//! # Assumptions
//! g(·, θ) strongly convex; the second derivatives of g and the first of f Lipschitz: one order of smoothness less than SOBA needs for the
//! same rate, because the average removes the bias from x and v. The mean of ‖∇F‖² over K iterations is O(1/√K), that of SGD.
//!
//! # Cost
//! An iteration: one gradient, one product with A and one with Bᵀ on ξ in one pass, one gradient of f on ξ'. Memory: five vectors like x,
//! five like θ.
//!
//! # Reference
//! X. Chen, T. Xiao, K. Balasubramanian: Optimal algorithms for stochastic bilevel optimization under relaxed smoothness conditions.
//! Journal of Machine Learning Research 25, 2024, [arXiv:2306.12067](https://arxiv.org/abs/2306.12067).

use serde::{Deserialize, Serialize};

use super::iterate::{Directions, Iterate, MethodMemory};
use super::levels::Levels;
use super::method::Method;
use super::parts::weight;
use super::steps::{StepDefaults, StepSizes};
use crate::error::Error;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// SOBA with an averaged direction of θ. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MaSoba {
    /// w, the weight of the first direction, above 0 and at most 1 (default 1).
    pub weight: f64,
}

impl Default for MaSoba {
    fn default() -> Self {
        MaSoba { weight: 1.0 }
    }
}

/// The memory of [`MaSoba`].
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct MaSobaMemory<T: Vector, X: Vector> {
    directions: Directions<T, X>,
    /// h.
    average: T,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for MaSobaMemory<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        MaSobaMemory {
            directions: Directions::new(&at.theta, &at.x),
            average: at.theta.zeros_like(),
        }
    }
}

impl Method for MaSoba {
    type Memory<T: Vector, X: Vector> = MaSobaMemory<T, X>;

    fn name(&self) -> String {
        "MA-SOBA".into()
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
        memory: &mut MaSobaMemory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let d = &mut memory.directions;
        let batches = at.draw();
        levels.directions(at, batches, d);
        let weight = self.weight / ((now.k + 1) as f64).sqrt();
        memory.average.axpby(weight, &d.theta, 1.0 - weight);
        at.x.axpy(-now.lower, &d.x);
        at.v.axpy(-now.lower, &d.v);
        at.theta.axpy(-now.upper, &memory.average);
        at.note(&memory.average);
    }
}
