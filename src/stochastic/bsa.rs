//! BSA: a loop of SGD with decaying steps on x, a Neumann series for v, one step of θ. The first method with a rate.
//!
//! ```text
//! t = 0 … tₖ−1:  x ← x − γₖ 2/(t+2) ∇ₓg(x, θ; ξ)                          tₖ = ⌈T (k+1)ᵍ⌉
//! v ← h Q p_J,   p₀ = ∇ₓf(x, θ; ξ'),   pⱼ₊₁ = pⱼ − h A(x, θ; ξⱼ) pⱼ          h = γ₀,  J uniform on 0 … Q−1
//! θ ← θ − ηₖ (∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv)                               γₖ = γ₀,  ηₖ = η₀/√(k+1), every ξ drawn anew
//! ```
//!
//! # Assumptions
//! g(·, θ) strongly convex, g and its second derivatives and f Lipschitz, variance bounded. With tₖ growing like √k, which is g = ½, K
//! iterations give a mean of ‖∇F‖² of O(log K/√K), up to the bias of the series; the loops take O(K^{3/2}) gradients. With a fixed
//! count (g = 0) x keeps a constant error, which the warm start of x makes small. The paper's steps are 2/(μ(t+2)): γ₀ replaces 1/μ, which
//! is seldom known.
//!
//! # Cost
//! An iteration: tₖ gradients, (Q − 1)/2 products with A on average and one with Bᵀ, each on a separate ξ, one gradient of f. Memory:
//! five vectors like x, four like θ.
//!
//! # Reference
//! S. Ghadimi, M. Wang: Approximation methods for bilevel programming. 2018, [arXiv:1802.02246](https://arxiv.org/abs/1802.02246).

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use super::method::Method;
use super::neumann::{Series, Truncation};
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// A loop of SGD on x and a Neumann series. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bsa {
    /// T, the steps of x in the first iteration (default 10).
    pub steps: u64,
    /// g, the exponent of the growth of T, from 0 to 1 (default 0, no growth; the theory has T = 1 and g = ½).
    pub growth: f64,
    /// Q, the terms of the series (default 40).
    pub terms: u64,
    /// The truncation of the series (default random).
    pub truncation: Truncation,
}

impl Default for Bsa {
    fn default() -> Self {
        Bsa {
            steps: 10,
            growth: 0.0,
            terms: 40,
            truncation: Truncation::Random,
        }
    }
}

impl Bsa {
    fn series(&self, step: f64) -> Series {
        Series {
            terms: self.terms,
            truncation: self.truncation,
            step,
            all: false,
        }
    }

    /// tₖ.
    pub fn steps_at(&self, k: u64) -> u64 {
        (self.steps as f64 * ((k + 1) as f64).powf(self.growth)).ceil() as u64
    }
}

impl Method for Bsa {
    type Memory<T: Vector, X: Vector> = ();

    fn name(&self) -> String {
        "BSA".into()
    }

    fn check(&self) -> Result<(), Error> {
        positive("steps", self.steps as f64)?;
        if !(0.0..=1.0).contains(&self.growth) {
            return Err(Error::invalid(
                "growth",
                self.growth,
                "a number from 0 to 1",
            ));
        }
        positive("terms", self.terms as f64).map(drop)
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults {
            lower_exponent: 0.0,
            ..StepDefaults::decaying(0.5)
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
        for t in 0..self.steps_at(now.k) {
            let step = now.lower * 2.0 / (t + 2) as f64;
            levels.step_x(at, step);
        }
        self.series(now.first).step(levels, at, now.upper);
    }
}
