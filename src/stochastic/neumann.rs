//! Truncated Neumann series: A⁻¹∇ₓf by products on batches, with no linear solver. Shared by stocBiO, TTSA and BSA.
//!
//! ```text
//! A⁻¹ = h Σ_{j ≥ 0} (I − hA)ʲ                                          for 0 < h < 2/L
//!
//! p₀ = ∇ₓf(x, θ; ξ'),   pⱼ₊₁ = pⱼ − h A(x, θ; ξⱼ) pⱼ
//! fixed:    v = h Σ_{j < Q} pⱼ                                          Q terms, Q − 1 products
//! random:   v = h Q p_J,   J uniform on 0 … Q−1                         one term that stands for all, (Q − 1)/2 products on average
//! d_θ = ∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv
//! ```
//!
//! Both have the same mean. Random truncation halves the products and multiplies the variance by about Q. h is γ₀, the first step of the
//! lower level, and does not decay. J is a function of the seed and of k alone.
//!
//! # Bias
//! The series is cut: ‖E v − A⁻¹∇ₓf‖ ≤ (1 − hμ)^Q ‖∇ₓf‖/μ. The hypergradient keeps ‖B‖ times this, however small the steps become, so θ
//! comes to rest where ∇F has about that norm. Q ≈ (L/μ) log(1/ε)/c_γ terms are needed for a relative bias of ε.

use serde::{Deserialize, Serialize};

use super::{Directions, Iterate, Levels};
use crate::error::{Error, positive};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// Where the series is cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// The sum of all terms.
    Fixed,
    /// One term, drawn at random, times their number.
    #[default]
    Random,
}

/// The series of a method.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Series {
    /// Q.
    pub(super) terms: u64,
    pub(super) truncation: Truncation,
}

impl Series {
    pub(super) fn check(self) -> Result<(), Error> {
        positive("terms", self.terms as f64).map(|_| ())
    }

    /// v ← the truncated series at (θ, x) with steps of h, d_θ ← the direction with it.
    pub(super) fn direction<P, U>(
        self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        d: &mut Directions<P::Theta, P::X>,
        h: f64,
    ) where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    {
        let number = at.upper.draw();
        let batch = at.upper.batch(number);
        let (p, theta) = (&mut d.upper_x, &mut d.theta);
        levels.upper_gradients(batch, &at.x, &at.theta, p, theta, &mut at.work);
        let products = match self.truncation {
            Truncation::Fixed => self.terms - 1,
            Truncation::Random => at.lower.number(at.k, self.terms),
        };
        at.v.axpby(h, p, 0.0);
        for _ in 0..products {
            let number = at.lower.draw();
            let batch = at.lower.batch(number);
            levels.hvp(batch, &at.x, &at.theta, p, &mut d.v, &mut at.work);
            p.axpy(-h, &d.v);
            if self.truncation == Truncation::Fixed {
                at.v.axpy(h, p);
            }
        }
        if self.truncation == Truncation::Random {
            at.v.axpby(h * self.terms as f64, p, 0.0);
        }
        let number = at.lower.draw();
        let batch = at.lower.batch(number);
        levels.cross_vjp(batch, &at.x, &at.theta, &at.v, &mut d.cross, &mut at.work);
        d.theta.axpy(-1.0, &d.cross);
    }
}
