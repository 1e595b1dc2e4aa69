//! F2SA: fully first-order stochastic approximation, no product with A or B.
//!
//! ```text
//! L_λ(θ) = min_y [f(y, θ) + λ g(y, θ)] − λ min_x g(x, θ)  →  F(θ)   as λ grows
//! T times:  x ← x − γₖ ∇ₓg(x, θ; ξ);   y ← y − γₖ (∇ₓg(y, θ; ξ) + ∇ₓf(y, θ; ξ')/λₖ)
//! d ← ∇θf(y, θ; ξ') + λₖ(∇θg(y, θ; ξ) − ∇θg(x, θ; ξ))
//! θ ← θ − ηₖ d                                                          γₖ = γ₀/(k+1)^¼,  ηₖ = η₀/(k+1)^⅖,  λₖ = λ₀(k+1)^c
//! ```
//!
//! x tracks argmin g and y the minimiser of f + λg; λ(y − x) tends to −A⁻¹∇ₓf, so the difference of two gradients replaces the mixed
//! derivative. The second lower variable y is stored in v.
//!
//! # Where this departs from the paper
//! The gradients of x and y are on the same batch, and so are those of the difference in d. With separate batches, as in the paper, the
//! noise of d grows with λ; on the same batch most of it cancels.
//!
//! # Assumptions
//! g(·, θ) strongly convex; f and g with Lipschitz gradients, g with Lipschitz second derivatives, λ₀ > 2 L_f/μ. ‖∇L_λ − ∇F‖ = O(1/λ), so λ
//! must grow for ∇F to vanish. The steps decay more slowly than in the paper. Then ‖∇F‖² ≤ ε after Õ(ε^{−7/2}) calls with noise in both levels, Õ(ε^{−3/2})
//! without noise.
//!
//! # Cost
//! An iteration: 2T gradients of g in x and two in θ, T + 1 gradients of f. Memory: five vectors like x, four like θ.
//!
//! # Reference
//! J. Kwon, D. Kwon, S. Wright, R. Nowak: A fully first-order method for stochastic bilevel optimization. ICML 2023,
//! [arXiv:2301.10945](https://arxiv.org/abs/2301.10945).

use serde::{Deserialize, Serialize};

use super::iterate::Iterate;
use super::levels::Levels;
use super::method::Method;
use super::parts::at_least_one;
use super::steps::{StepDefaults, StepSizes};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// First order only: two lower variables and a growing multiplier. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct F2sa {
    /// T: steps of x and y per iteration (default 5).
    pub inner_steps: u64,
    /// λ₀ (default 10).
    pub multiplier: f64,
    /// c: the exponent of λ's growth, at least 0 (default 0.25).
    pub growth: f64,
}

impl Default for F2sa {
    fn default() -> Self {
        F2sa {
            inner_steps: 5,
            multiplier: 10.0,
            growth: 0.25,
        }
    }
}

impl Method for F2sa {
    type Memory<T: Vector, X: Vector> = ();

    fn name(&self) -> String {
        "F2SA".into()
    }

    fn check(&self) -> Result<(), Error> {
        at_least_one("inner_steps", self.inner_steps)?;
        positive("multiplier", self.multiplier)?;
        if !(self.growth >= 0.0 && self.growth.is_finite()) {
            let expected = "a finite number of at least 0";
            return Err(Error::invalid("growth", self.growth, expected));
        }
        Ok(())
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults {
            lower_exponent: 0.25,
            ..StepDefaults::decaying(0.4)
        }
    }

    fn start<P, U>(
        &self,
        _levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        _now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        // y starts at x.
        at.v.copy_from(&at.x);
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
        let lambda = self.multiplier * ((now.k + 1) as f64).powf(self.growth);
        let mut by_x = at.take_x();
        let mut by_y = at.take_x();
        let mut upper_y = at.take_x();
        let mut d = at.take_theta();
        let mut other = at.take_theta();
        for _ in 0..self.inner_steps {
            let [lower, upper] = at.draw();
            let batch = at.lower.batch(lower);
            levels.gradient(batch, &at.x, &at.theta, &mut by_x, &mut at.work);
            levels.gradient(batch, &at.v, &at.theta, &mut by_y, &mut at.work);
            let batch = at.upper.batch(upper);
            levels.upper_gradients(batch, &at.v, &at.theta, &mut upper_y, &mut d, &mut at.work);
            by_y.axpy(1.0 / lambda, &upper_y);
            at.x.axpy(-now.lower, &by_x);
            at.v.axpy(-now.lower, &by_y);
        }
        let [lower, upper] = at.draw();
        let batch = at.upper.batch(upper);
        levels.upper_gradients(batch, &at.v, &at.theta, &mut upper_y, &mut d, &mut at.work);
        let batch = at.lower.batch(lower);
        levels.gradient_theta(batch, &at.v, &at.theta, &mut other, &mut at.work);
        d.axpy(lambda, &other);
        levels.gradient_theta(batch, &at.x, &at.theta, &mut other, &mut at.work);
        d.axpy(-lambda, &other);
        at.theta.axpy(-now.upper, &d);
        at.note(&d);
        [by_x, by_y, upper_y].into_iter().for_each(|x| at.put_x(x));
        at.put_theta(d);
        at.put_theta(other);
    }
}
