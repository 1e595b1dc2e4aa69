//! MRBO: momentum-based recursive bilevel optimiser, with recursive momentum on both levels and a Neumann hypergradient.
//!
//! ```text
//! u ← ∇ₓg(x, θ; ξ) + (1 − bₖ)(u − ∇ₓg(x⁻, θ⁻; ξ))
//! w ← h(x, θ; ξ) + (1 − aₖ)(w − h(x⁻, θ⁻; ξ))                          h: Q terms of the Neumann series for A⁻¹∇ₓf
//! (x⁻, θ⁻) ← (x, θ);   x ← x − γₖ u;   θ ← θ − ηₖ w
//! γₖ = γ₀/(k+1)^⅓,  ηₖ = η₀/(k+1)^⅓,  aₖ = c_a/(k+1)^⅔,  bₖ = c_b/(k+1)^⅔            u = ∇ₓg, w = h at k = 0
//! ```
//!
//! The [recursion](super::storm), its assumptions and its cost are shared with SUSTAIN.
//!
//! # Reference
//! J. Yang, K. Ji, Y. Liang: Provably faster algorithms for bilevel optimization. NeurIPS 2021,
//! [arXiv:2106.04692](https://arxiv.org/abs/2106.04692), algorithm 1.

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use super::method::Method;
use super::steps::{StepDefaults, StepSizes};
use super::storm::{Storm, StormState};
use crate::error::Error;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Recursive momentum on both levels, with a Neumann series. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mrbo {
    /// Q: terms of the Neumann series (default 20).
    pub terms: u64,
    /// τ, the step of the series (default: γ₀).
    pub neumann_step: Option<f64>,
    /// c_a: the forgetting rate of the momentum of θ, above 0 and at most 1 (default 1).
    pub upper_forgetting: f64,
    /// c_b: the forgetting rate of the momentum of x, above 0 and at most 1 (default 1).
    pub lower_forgetting: f64,
}

impl Default for Mrbo {
    fn default() -> Self {
        Mrbo {
            terms: 20,
            neumann_step: None,
            upper_forgetting: 1.0,
            lower_forgetting: 1.0,
        }
    }
}

impl Mrbo {
    fn core(&self) -> Storm {
        Storm {
            terms: self.terms,
            neumann_step: self.neumann_step,
            upper_forgetting: self.upper_forgetting,
            lower_forgetting: self.lower_forgetting,
        }
    }
}

impl Method for Mrbo {
    type Memory<T: Vector, X: Vector> = StormState<T, X>;

    fn name(&self) -> String {
        "MRBO".into()
    }

    fn check(&self) -> Result<(), Error> {
        self.core().check()
    }

    fn scale(&self) -> StepDefaults {
        Storm::step_defaults()
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut StormState<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        self.core().iterate(levels, at, memory, now);
    }
}
