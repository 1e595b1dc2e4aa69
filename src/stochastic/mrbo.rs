//! MRBO: momentum-based recursive bilevel optimiser, with recursive momentum on both levels and a Neumann hypergradient.
//!
//! ```text
//! u ← ∇ₓg(x, θ; ξ) + (1 − bₖ)(u − ∇ₓg(x⁻, θ⁻; ξ))
//! w ← h(x, θ; ξ) + (1 − aₖ)(w − h(x⁻, θ⁻; ξ))                          h: Q terms of the Neumann series for A⁻¹∇ₓf
//! (x⁻, θ⁻) ← (x, θ);   x ← x − γₖ u;   θ ← θ − ηₖ w
//! γₖ = γ₀/(k+1)^⅓,  ηₖ = η₀/(k+1)^⅓,  aₖ = c_a/(k+1)^⅔,  bₖ = c_b/(k+1)^⅔            u = ∇ₓg, w = h at k = 0
//! ```
//!
//! The batch that gives a gradient at the new iterate gives it at the old one too, so the variance falls with the steps and no large
//! batch is ever needed.
//!
//! # Assumptions
//! g(·, θ) strongly convex; every sample of g and f with Lipschitz gradients, Hessians and mixed derivatives (not only their mean). Then
//! ‖∇F‖² ≤ ε after O(ε^{−3/2}) samples, against O(ε^{−2}) of SGD. The series of Q terms leaves a bias of the hypergradient of up to
//! (1 − τμ)^Q of ‖B‖‖A⁻¹∇ₓf‖ for ever: the method comes to rest beside the minimiser, not at it. More terms, less bias.
//!
//! # Cost
//! An iteration: two gradients of g, 2(Q − 1) products with A, two with Bᵀ, two gradients of f. Memory: nine vectors like x, seven like θ.
//! The adjoint is not remembered: v stays zero.
//!
//! # Reference
//! J. Yang, K. Ji, Y. Liang: Provably faster algorithms for bilevel optimization. NeurIPS 2021,
//! [arXiv:2106.04692](https://arxiv.org/abs/2106.04692), algorithm 1.

use serde::{Deserialize, Serialize};

use super::neumann_fixed::Neumann;
use super::parts::{at_least_one, weight};
use super::storm::{StormState, forgetting};
use super::{Iterate, Levels, Method, StepDefaults, StepSizes};
use crate::error::{Error, positive};
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
    /// c_a: how soon θ's momentum forgets, above 0 and at most 1 (default 1).
    pub upper_forgetting: f64,
    /// c_b: how soon x's momentum forgets, above 0 and at most 1 (default 1).
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

impl Method for Mrbo {
    type Memory<T: Vector, X: Vector> = StormState<T, X>;

    fn name(&self) -> String {
        "MRBO".into()
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
