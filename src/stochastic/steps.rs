//! Step sizes: given, decaying, or estimated.
//!
//! ```text
//! γₖ = γ₀/(1 + k/κ)ᵃ,   ηₖ = η₀/(1 + k/κ)ᵇ        κ = 1 where γ₀ and η₀ are given, else some epochs
//! γ₀ = c_γ/L,           η₀ = min(c_η/L_F, c_f γ₀ μ̂/L_x)
//! ```
//!
//! The constants of the last line come from a [`curvature_probe`](super::curvature_probe). For a method that normalises its direction, ηₖ is
//! the length of a step, and η₀ = c_η‖z₀‖/L_F is the length of the first step without normalisation. No step along −∇F is longer than 0.1 in the root mean square over the entries of θ.

use serde::{Deserialize, Serialize};

use crate::error::{Error, positive};

/// The defaults of c_η and c_f.
const UPPER: f64 = 1.0;
const FOLLOW: f64 = 2.0;

/// A first step and its decay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepSize {
    /// The first step; `None` (the default) estimates it.
    pub first: Option<f64>,
    /// The exponent of the decay, at least 0; `None` (the default) is that of the method's theory.
    pub exponent: Option<f64>,
    /// κ: the number of iterations until the decay begins, positive; `None` (the default) is one for a given first step, else some epochs.
    pub delay: Option<f64>,
}

impl StepSize {
    /// A constant step.
    pub fn constant(step: f64) -> Self {
        StepSize {
            first: Some(step),
            exponent: Some(0.0),
            delay: None,
        }
    }

    /// step/(k + 1)^exponent.
    pub fn decaying(step: f64, exponent: f64) -> Self {
        StepSize {
            first: Some(step),
            exponent: Some(exponent),
            delay: None,
        }
    }

    pub(super) fn check(self, name: &str) -> Result<(), Error> {
        if let Some(first) = self.first {
            positive(&format!("{name}.first"), first)?;
        }
        if let Some(delay) = self.delay {
            positive(&format!("{name}.delay"), delay)?;
        }
        match self.exponent {
            Some(e) if !(e >= 0.0 && e.is_finite()) => Err(Error::invalid(
                format!("{name}.exponent"),
                e,
                "a finite number of at least 0",
            )),
            _ => Ok(()),
        }
    }

    /// κ, with the number of batches per epoch.
    fn delay(self, epochs: f64, batches: usize) -> f64 {
        self.delay.unwrap_or(match self.first {
            Some(_) => 1.0,
            None => (epochs * batches as f64).max(1.0),
        })
    }

    /// The step of iteration k, with the default exponent where it is not set.
    pub(super) fn at(self, first: f64, exponent: f64, delay: f64, k: u64) -> f64 {
        let exponent = self.exponent.unwrap_or(exponent);
        let n = 1.0 + k as f64 / delay;
        // The common exponents without a power function.
        let decay = if exponent == 0.0 {
            1.0
        } else if exponent == 0.5 {
            n.sqrt()
        } else {
            n.powf(exponent)
        };
        first / decay
    }
}

/// The default step sizes of a method: exponents, c_γ, and c_η.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepDefaults {
    /// a.
    pub lower_exponent: f64,
    /// b.
    pub upper_exponent: f64,
    /// c_γ.
    pub lower: f64,
    /// c_η.
    pub upper: f64,
    /// c_f: the limit of the speed of θ relative to x and v.
    pub follow: f64,
    /// κ of γₖ and of ηₖ, in epochs.
    pub delay: [f64; 2],
    /// Whether the direction of θ is normalised, so that ηₖ is a length.
    pub normalised: bool,
}

impl StepDefaults {
    /// Both steps decay with the same exponent, from 1/(2L) and 1/L_F, and θ moves no faster than 2γμ̂.
    pub fn decaying(exponent: f64) -> Self {
        StepDefaults {
            lower_exponent: exponent,
            upper_exponent: exponent,
            lower: 0.5,
            upper: UPPER,
            follow: FOLLOW,
            delay: [256.0; 2],
            normalised: false,
        }
    }

    /// [`decaying`](StepDefaults::decaying) from 1/(10L), for methods with stochastic steps of v: where A is ill-conditioned the noise of v is
    /// large, and proportional to γ.
    pub fn noisy(exponent: f64) -> Self {
        StepDefaults {
            lower: 0.1,
            ..StepDefaults::decaying(exponent)
        }
    }

    /// γₖ = γ₀/(1 + k/κ)^¼, and ηₖ = η₀/(k + 1)^⅔ is the length of a normalised step. x lags behind x*(θ) by about ηₖ‖dx*/dθ‖/(γₖμ), which
    /// must vanish, and soon where A is ill-conditioned: so γₖ decays late, and more slowly than the square root of the theory. ηₖ decays more
    /// slowly than the ¾ power of the theory, whose sum grows only like the fourth root of k.
    pub fn normalised() -> Self {
        StepDefaults {
            lower_exponent: 0.25,
            normalised: true,
            delay: [256.0, 0.0],
            ..StepDefaults::decaying(2.0 / 3.0)
        }
    }

    /// Constant steps, from the estimates of [`decaying`](StepDefaults::decaying).
    pub fn constant() -> Self {
        StepDefaults::decaying(0.0)
    }
}

/// The iteration and its step sizes.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSizes {
    /// k, from 0.
    pub k: u64,
    /// γ₀, which does not decay.
    pub first: f64,
    /// γₖ.
    pub lower: f64,
    /// ηₖ.
    pub upper: f64,
}

/// κ of both steps.
pub(super) fn delays(steps: [StepSize; 2], scale: StepDefaults, batches: usize) -> [f64; 2] {
    std::array::from_fn(|i| steps[i].delay(scale.delay[i], batches))
}
