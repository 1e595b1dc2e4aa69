//! SLIP: single-loop bilevel optimiser for F whose smoothness grows with its gradient.
//!
//! ```text
//! x₀ ← T steps of SGD on g(·, θ₀)
//! x⁺ ← x − γₖ ∇ₓg(x, θ; ξ);   v⁺ ← v − νₖ (A(x, θ; ξ̂) v − ∇ₓf(x, θ; ξ'));   m ← β m + (1 − β)(∇θf(x, θ; ξ'') − B(x, θ; ξ'')ᵀv)
//! θ ← θ − ηₖ m/‖m‖;   x ← x⁺;   v ← v⁺
//! ```
//!
//! BO-REP without its inner loops: since a normalised step moves θ by ηₖ at most, one step of SGD per iteration follows x*(θ). All three
//! directions are computed at the same (θ, x, v). γₖ = γ₀/(1+k/κ)^¼, νₖ is a multiple of γₖ, and ηₖ = η₀/(k+1)^⅔ is a length.
//!
//! # Assumptions
//! The assumptions of BO-REP: g(·, θ) strongly convex with Lipschitz derivatives, ‖∇²F‖ ≤ L₀ + L₁‖∇F‖ in the wide sense of the paper. Then ‖∇F‖ ≤ ε
//! after Õ(ε⁻⁴) calls, with constant steps that depend on ε. Decaying steps do not need ε.
//!
//! # Cost
//! An iteration: one gradient of g, one product with A and one with Bᵀ, two gradients of f, each on a separate batch. At the start: T
//! gradients of g. Memory: five vectors like x, five like θ.
//!
//! # Reference
//! X. Gong, J. Hao, M. Liu: A nearly optimal single loop algorithm for stochastic bilevel optimization under unbounded smoothness.
//! ICML 2024, [arXiv:2412.20017](https://arxiv.org/abs/2412.20017).

use serde::{Deserialize, Serialize};

use super::iterate::{Iterate, MethodMemory, Momentum};
use super::levels::Levels;
use super::method::Method;
use super::parts::{Sgd, adjoint_step, momentum, momentum_step, normalised_step};
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Normalised momentum, and one step of SGD for each lower variable. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Slip {
    /// T: steps of SGD on x at θ₀ (default 200).
    pub warm_start: u64,
    /// β, at least 0 and below 1 (default 0.9).
    pub momentum: f64,
    /// νₖ/γₖ (default 1).
    pub adjoint_ratio: f64,
}

impl Default for Slip {
    fn default() -> Self {
        Slip {
            warm_start: 200,
            momentum: 0.9,
            adjoint_ratio: 1.0,
        }
    }
}

impl Method for Slip {
    type Memory<T: Vector, X: Vector> = Momentum<T>;

    fn name(&self) -> String {
        "SLIP".into()
    }

    fn check(&self) -> Result<(), Error> {
        positive("adjoint_ratio", self.adjoint_ratio)?;
        momentum("momentum", self.momentum)
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::normalised()
    }

    fn start<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        now: StepSizes,
    ) -> Momentum<P::Theta>
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        Sgd {
            steps: self.warm_start,
            step: now.lower,
            radius: None,
            average: false,
        }
        .run(levels, at);
        MethodMemory::new(at)
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        s: &mut Momentum<P::Theta>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        // The variables move in reverse order, so that every direction is computed at the old (θ, x, v).
        momentum_step(levels, at, self.momentum, &mut s.m);
        adjoint_step(levels, at, self.adjoint_ratio * now.lower);
        Sgd {
            steps: 1,
            step: now.lower,
            radius: None,
            average: false,
        }
        .run(levels, at);
        normalised_step(&mut at.theta, now.upper, &s.m);
        at.note(&s.m);
    }
}
