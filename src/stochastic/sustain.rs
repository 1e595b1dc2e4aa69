//! SUSTAIN: single-timescale doubly momentum-assisted bilevel method.
//!
//! ```text
//! u ← ∇ₓg(x, θ; ξ) + (1 − bₖ)(u − ∇ₓg(x⁻, θ⁻; ξ))
//! w ← h(x, θ; ξ) + (1 − aₖ)(w − h(x⁻, θ⁻; ξ))                          h: Q terms of the Neumann series for A⁻¹∇ₓf
//! (x⁻, θ⁻) ← (x, θ);   x ← x − βₖ u;   θ ← θ − αₖ w
//! αₖ = η₀/(w₀+k)^⅓,  βₖ = c_β αₖ,  aₖ₊₁ = c_f αₖ²,  bₖ₊₁ = c_g αₖ²                    u = ∇ₓg, w = h at k = 0
//! ```
//!
//! The recursion of MRBO, found at the same time; both steps decay alike, so both levels move at one timescale. The weights c_f αₖ² and
//! c_g αₖ² are written c/(k+1)^⅔ here, with w₀ = 1, so that their constants do not depend on the scale of θ. The two levels forget at
//! rates of their own.
//!
//! The published estimator draws the number of factors of the series at random and weighs the one product with Q. The mean is that of
//! the series; the variance grows with Q. We sum the series, which costs twice the products on average and has the smaller variance.
//!
//! # Assumptions
//! Those of MRBO: g(·, θ) strongly convex, every sample with Lipschitz derivatives. Then ‖∇F‖² ≤ ε after O(ε^{−3/2}) samples, down to
//! the bias of the series, which is (1 − τμ)^Q of ‖B‖‖A⁻¹∇ₓf‖ at most.
//!
//! # Cost
//! An iteration: two gradients of g, 2(Q − 1) products with A, two with Bᵀ, two gradients of f. Memory: nine vectors like x, seven like θ.
//! v stays zero.
//!
//! # Reference
//! P. Khanduri, S. Zeng, M. Hong, H.-T. Wai, Z. Wang, Z. Yang: A near-optimal algorithm for stochastic bilevel optimization via
//! double-momentum. NeurIPS 2021, [arXiv:2102.07367](https://arxiv.org/abs/2102.07367).

use serde::{Deserialize, Serialize};

use super::neumann_fixed::Neumann;
use super::parts::{at_least_one, weight};
use super::storm::{StormState, forgetting};
use super::{Iterate, Levels, Method, StepDefaults, StepSizes};
use crate::error::{Error, positive};
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
    /// c_f: how soon θ's momentum forgets, above 0 and at most 1 (default 1).
    pub upper_forgetting: f64,
    /// c_g: how soon x's momentum forgets, above 0 and at most 1 (default 0.5).
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

impl Method for Sustain {
    type Memory<T: Vector, X: Vector> = StormState<T, X>;

    fn name(&self) -> String {
        "SUSTAIN".into()
    }

    fn check(&self) -> Result<(), Error> {
        at_least_one("terms", self.terms)?;
        positive("neumann_step", self.neumann_step.unwrap_or(1.0))?;
        weight("upper_forgetting", self.upper_forgetting)?;
        weight("lower_forgetting", self.lower_forgetting)
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::decaying(1.0 / 3.0)
    }

    fn start<P, U>(
        &self,
        _levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        _now: StepSizes,
    ) -> StormState<P::Theta, P::X>
    where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    {
        StormState::new(at)
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut StormState<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    {
        let weights = [self.upper_forgetting, self.lower_forgetting];
        let weights = weights.map(|c| forgetting(c, now.k));
        let neumann = Neumann {
            terms: self.terms,
            step: self.neumann_step.unwrap_or(now.first),
            all: false,
        };
        memory.iterate(levels, at, neumann, weights, [now.lower, now.upper]);
    }
}
