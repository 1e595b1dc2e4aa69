//! SUSTAIN: single-timescale doubly momentum-assisted bilevel method.
//!
//! ```text
//! u ← ∇ₓg(x, θ; ξ) + (1 − bₖ)(u − ∇ₓg(x⁻, θ⁻; ξ))
//! w ← h(x, θ; ξ) + (1 − aₖ)(w − h(x⁻, θ⁻; ξ))                          h: Q terms of the Neumann series for A⁻¹∇ₓf
//! (x⁻, θ⁻) ← (x, θ);   x ← x − βₖ u;   θ ← θ − αₖ w
//! αₖ = η₀/(w₀+k)^⅓,  βₖ = c_β αₖ,  aₖ₊₁ = c_f αₖ²,  bₖ₊₁ = c_g αₖ²                    u = ∇ₓg, w = h at k = 0
//! ```
//!
//! The [recursion](super::storm), its assumptions and its cost are shared with MRBO, which was found at the same time. Both steps decay alike,
//! so both levels move at one timescale. The weights c_f αₖ² and c_g αₖ² are written c/(k+1)^⅔ here, with w₀ = 1, so that their constants do
//! not depend on the scale of θ. The two levels have separate forgetting rates.
//!
//! The published estimator draws the number of factors of the series at random and multiplies the one product by Q. Its mean is that of
//! the series; its variance grows with Q. We sum the series, which costs twice the products on average and has the smaller variance.
//!
//! # Reference
//! P. Khanduri, S. Zeng, M. Hong, H.-T. Wai, Z. Wang, Z. Yang: A near-optimal algorithm for stochastic bilevel optimization via
//! double-momentum. NeurIPS 2021, [arXiv:2102.07367](https://arxiv.org/abs/2102.07367).

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use super::method::Method;
use super::steps::{StepDefaults, StepSizes};
use super::storm::{Storm, StormState};
use crate::error::Error;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Double momentum at one timescale, with a Neumann series. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sustain {
    /// Q: terms of the Neumann series (default 20).
    pub terms: u64,
    /// τ, the step of the series (default: γ₀).
    pub neumann_step: Option<f64>,
    /// c_f: the forgetting rate of the momentum of θ, above 0 and at most 1 (default 1).
    pub upper_forgetting: f64,
    /// c_g: the forgetting rate of the momentum of x, above 0 and at most 1 (default 0.5).
    pub lower_forgetting: f64,
}

impl Default for Sustain {
    fn default() -> Self {
        Sustain {
            terms: 20,
            neumann_step: None,
            upper_forgetting: 1.0,
            lower_forgetting: 0.5,
        }
    }
}

impl Sustain {
    fn core(&self) -> Storm {
        Storm {
            terms: self.terms,
            neumann_step: self.neumann_step,
            upper_forgetting: self.upper_forgetting,
            lower_forgetting: self.lower_forgetting,
        }
    }
}

impl Method for Sustain {
    type Memory<T: Vector, X: Vector> = StormState<T, X>;

    fn name(&self) -> String {
        "SUSTAIN".into()
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
