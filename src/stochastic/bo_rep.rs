//! BO-REP: bilevel optimisation with initialisation refinement and periodic updates, for F whose smoothness grows with its gradient.
//!
//! ```text
//! x₀ ← refine(θ₀)
//! if k > 0 and k mod I = 0:  x ← average of N steps of SGD on g(·, θ), each projected on the ball of radius R around the current x
//! v ← v − νₖ (A(x, θ; ξ) v − ∇ₓf(x, θ; ξ'))
//! m ← β m + (1 − β)(∇θf(x, θ; ξ'') − B(x, θ; ξ'')ᵀv)
//! θ ← θ − ηₖ m/‖m‖
//!
//! refine:  epochs s = 0 … S−1 of Tₛ steps of SGD on g(·, θ₀), each projected on the ball of radius Dₛ around the epoch's start;
//!          the next start is the average of the steps.     Tₛ = 2ˢT₀,  step 2⁻ˢγ₀,  Dₛ = 2⁻ˢD₀
//! ```
//!
//! A normalised step has length ηₖ for any gradient. So where the smoothness of F grows with ‖∇F‖, as for recurrent networks, a step that
//! suits the neighbourhood of the minimiser remains stable far from it. Because θ moves by at most ηₖ, x*(θ) moves little, and updates of x
//! every I iterations suffice. SGD's steps are γₖ = γ₀/(1+k/κ)^¼, νₖ is a multiple of γₖ, and ηₖ = η₀/(k+1)^⅔ is a length. Every ξ above is
//! a separate batch.
//!
//! # The text and the prototype
//! This file implements the algorithm as published. The program that was released with it differs: the gradients of its inner loop
//! accumulate from step to step, and its weight penalty is the norm of the weights, not the squared norm of the formula.
//!
//! # Assumptions
//! g(·, θ) strongly convex, with Lipschitz gradient, A and B; f with ‖∇²F‖ ≤ L₀ + L₁‖∇F‖ in the wide sense of the paper; noise bounded.
//! Then ‖∇F‖ ≤ ε after Õ(ε⁻⁴) calls, with constant steps that depend on ε. Decaying steps do not need ε.
//!
//! # Cost
//! An iteration: N/I gradients of g, one product with A and one with Bᵀ, two gradients of f. At the start: (2^S − 1)T₀ gradients of g.
//! Memory: five vectors like x, five like θ.
//!
//! # Reference
//! J. Hao, X. Gong, M. Liu: Bilevel optimization under unbounded smoothness: a new algorithm and convergence analysis. ICLR 2024,
//! [arXiv:2401.09587](https://arxiv.org/abs/2401.09587).

use serde::{Deserialize, Serialize};

use super::iterate::{Iterate, MethodMemory, Momentum};
use super::levels::Levels;
use super::method::Method;
use super::parts::{Sgd, adjoint_step, at_least_one, momentum, momentum_step, normalised_step};
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Normalised momentum, a refined start and periodic updates of x. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoRep {
    /// I: iterations from one update of x to the next (default 2).
    pub period: u64,
    /// N: steps of SGD of an update (default 5).
    pub inner_steps: u64,
    /// R: the radius of the ball of an update (default: no ball, since a few steps do not lead far).
    pub radius: Option<f64>,
    /// β, at least 0 and below 1 (default 0.9).
    pub momentum: f64,
    /// νₖ/γₖ (default 1).
    pub adjoint_ratio: f64,
    /// S: epochs of the refinement, at most 32 (default 5; 0 skips it).
    pub epochs: u32,
    /// T₀: steps of its first epoch (default 20).
    pub first_epoch: u64,
    /// D₀: the radius of its first ball (default: γ₀T₀‖∇ₓg‖ at the start, the length of an epoch of such steps).
    pub first_radius: Option<f64>,
}

impl Default for BoRep {
    fn default() -> Self {
        BoRep {
            period: 2,
            inner_steps: 5,
            radius: None,
            momentum: 0.9,
            adjoint_ratio: 1.0,
            epochs: 5,
            first_epoch: 20,
            first_radius: None,
        }
    }
}

impl BoRep {
    fn refine<P, U>(&self, levels: Levels<'_, P, U>, at: &mut Iterate<P::Theta, P::X>, step: f64)
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        if self.epochs == 0 {
            return;
        }
        let first = self.first_radius.unwrap_or_else(|| {
            let mut gradient = at.take_x();
            let all = at.lower.all();
            levels.gradient(all, &at.x, &at.theta, &mut gradient, &mut at.work);
            let length = gradient.norm();
            at.put_x(gradient);
            step * self.first_epoch as f64 * length
        });
        for s in 0..self.epochs {
            let double = f64::from(s).exp2();
            Sgd {
                steps: self.first_epoch << s,
                step: step / double,
                radius: Some(first / double),
                average: true,
            }
            .run(levels, at);
        }
    }
}

impl Method for BoRep {
    type Memory<T: Vector, X: Vector> = Momentum<T>;

    fn name(&self) -> String {
        "BO-REP".into()
    }

    fn check(&self) -> Result<(), Error> {
        at_least_one("period", self.period)?;
        at_least_one("inner_steps", self.inner_steps)?;
        at_least_one("first_epoch", self.first_epoch)?;
        positive("radius", self.radius.unwrap_or(1.0))?;
        positive("first_radius", self.first_radius.unwrap_or(1.0))?;
        positive("adjoint_ratio", self.adjoint_ratio)?;
        if self.epochs > 32 {
            return Err(Error::invalid("epochs", self.epochs, "at most 32"));
        }
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
        self.refine(levels, at, now.lower);
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
        if now.k > 0 && now.k.is_multiple_of(self.period) {
            Sgd {
                steps: self.inner_steps,
                step: now.lower,
                radius: self.radius,
                average: true,
            }
            .run(levels, at);
        }
        let nu = self.adjoint_ratio * now.lower;
        adjoint_step(levels, at, nu);
        momentum_step(levels, at, self.momentum, &mut s.m);
        normalised_step(&mut at.theta, now.upper, &s.m);
        at.note(&s.m);
    }
}
