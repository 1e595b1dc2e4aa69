//! stocBiO: steps of SGD on x, a Neumann series for v, one step of θ.
//!
//! ```text
//! T times:  x ← x − γₖ ∇ₓg(x, θ; ξ)
//! v ← h Σ_{j < Q} pⱼ,   p₀ = ∇ₓf(x, θ; ξ'),   pⱼ₊₁ = pⱼ − h A(x, θ; ξⱼ) pⱼ          h = γ₀
//! θ ← θ − ηₖ (∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv)                                         every ξ drawn anew
//! ```
//!
//! # Assumptions
//! g(·, θ) strongly convex, g and its second derivatives and f Lipschitz, variance bounded. With constant steps and batches of size S
//! the mean of ‖∇F‖² over K iterations is O(1/K + 1/S) plus the bias of the series: a neighbourhood, which larger batches and a longer
//! series reduce. In the paper the batches shrink along the series; here all have the same size.
//!
//! By default γ = 1/(2L) and η = 1/(10 L_F), or less where x could not follow in ten steps ([`steps`](super::steps)), both constant as in
//! the theory. For convergence to a limit rather than a neighbourhood, set decaying steps with exponents of ½.
//!
//! # Cost
//! An iteration: T gradients, Q − 1 products with A and one with Bᵀ, each on a separate ξ, one gradient of f. Memory: five vectors like
//! x, four like θ.
//!
//! # Reference
//! K. Ji, J. Yang, Y. Liang: Bilevel optimization: convergence analysis and enhanced design. ICML 2021,
//! [arXiv:2010.07962](https://arxiv.org/abs/2010.07962). Its Q counts products, one less than our terms.

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use super::method::Method;
use super::neumann::{Series, Truncation};
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Steps of SGD on x and a Neumann series. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StocBio {
    /// T, the steps of x in one iteration (default 10).
    pub steps: u64,
    /// Q, the terms of the series (default 40).
    pub terms: u64,
}

impl Default for StocBio {
    fn default() -> Self {
        StocBio {
            steps: 10,
            terms: 40,
        }
    }
}

impl StocBio {
    fn series(&self, step: f64) -> Series {
        Series {
            terms: self.terms,
            truncation: Truncation::Fixed,
            step,
            all: false,
        }
    }
}

impl Method for StocBio {
    type Memory<T: Vector, X: Vector> = ();

    fn name(&self) -> String {
        "stocBiO".into()
    }

    fn check(&self) -> Result<(), Error> {
        positive("steps", self.steps as f64)?;
        positive("terms", self.terms as f64).map(drop)
    }

    fn scale(&self) -> StepDefaults {
        // Constant steps never become small enough for x and v to catch up.
        StepDefaults {
            upper: 0.1,
            follow: 20.0,
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
        for _ in 0..self.steps {
            levels.step_x(at, now.lower);
        }
        self.series(now.first).step(levels, at, now.upper);
    }
}
