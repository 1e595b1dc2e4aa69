//! TTSA: two time scales. x moves by a larger and θ by a smaller step of SGD; v comes from a Neumann series.
//!
//! ```text
//! x ← x − γₖ ∇ₓg(x, θ; ξ)                                            γₖ = γ₀/(k+1)^⅖
//! v ← h Q p_J,   p₀ = ∇ₓf(x, θ; ξ'),   pⱼ₊₁ = pⱼ − h A(x, θ; ξⱼ) pⱼ     h = γ₀,  J uniform on 0 … Q−1
//! θ ← θ − ηₖ (∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv)                          ηₖ = η₀/(k+1)^⅗, every ξ drawn anew
//! ```
//!
//! # Assumptions
//! g(·, θ) strongly convex, g and its second derivatives and f Lipschitz, variance bounded. Then K iterations find a θ that is
//! O(K^−⅖) stationary, and with other exponents (1 and 2/3) O(K^−⅔) optimal where F is strongly convex, up to the bias of the series, for
//! which Q grows like log K in theory. The paper projects θ on a convex set; here θ is unconstrained.
//!
//! θ moves slowly by design: on a finite sum with condition number 10 it needs about five times the iterations of the other methods to
//! reduce ‖∇F‖² by a factor of a thousand.
//!
//! # Cost
//! An iteration: one gradient, (Q − 1)/2 products with A on average and one with Bᵀ, each on a separate ξ, one gradient of f. Memory: five
//! vectors like x, four like θ.
//!
//! # Reference
//! M. Hong, H.-T. Wai, Z. Wang, Z. Yang: A two-timescale stochastic algorithm framework for bilevel optimization: complexity analysis
//! and application to actor-critic. SIAM Journal on Optimization 33, 2023, [arXiv:2007.05170](https://arxiv.org/abs/2007.05170).

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use super::method::Method;
use super::neumann::{Series, Truncation};
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Two time scales and a Neumann series. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ttsa {
    /// Q, the terms of the series (default 40).
    pub terms: u64,
    /// The truncation of the series (default random).
    pub truncation: Truncation,
}

impl Default for Ttsa {
    fn default() -> Self {
        Ttsa {
            terms: 40,
            truncation: Truncation::Random,
        }
    }
}

impl Ttsa {
    fn series(&self, step: f64) -> Series {
        Series {
            terms: self.terms,
            truncation: self.truncation,
            step,
            all: false,
        }
    }
}

impl Method for Ttsa {
    type Memory<T: Vector, X: Vector> = ();

    fn name(&self) -> String {
        "TTSA".into()
    }

    fn check(&self) -> Result<(), Error> {
        positive("terms", self.terms as f64).map(drop)
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults {
            lower_exponent: 0.4,
            upper_exponent: 0.6,
            ..StepDefaults::constant()
        }
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
        levels.step_x(at, now.lower);
        self.series(now.first).step(levels, at, now.upper);
    }
}
