//! Step sizes: given, decaying, or estimated.
//!
//! ```text
//! γₖ = γ₀/(1 + k/κ)ᵃ,   ηₖ = η₀/(1 + k/κ)ᵇ        κ = 1 where γ₀ and η₀ are given, else some epochs
//! γ₀ = c_γ/L,           η₀ = min(c_η/L_F, c_f γ₀ μ̂/L_x)
//! ```
//!
//! The constants of the last line come from [`curvature_probe`](super::curvature_probe) at the curvature of F. For a method that normalises its direction ηₖ is the
//! length of a step, and η₀ = c_η‖z₀‖/L_F: the length that the first step would have without normalisation. No step along −∇F is
//! longer than [`LONGEST`](super::curvature_probe::LONGEST).

use serde::{Deserialize, Serialize};

use crate::error::{Error, positive};

/// c_η and c_f where the method says nothing else.
const UPPER: f64 = 1.0;
const FOLLOW: f64 = 2.0;

/// A first step and how it decays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepSize {
    /// The first step; `None` (the default) estimates it.
    pub first: Option<f64>,
    /// The exponent of the decay, at least 0; `None` (the default) is that of the method's theory.
    pub exponent: Option<f64>,
    /// κ: iterations after which the decay sets in, positive; `None` (the default) is one for a given first step, else some epochs.
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

    /// κ, where an epoch has so many batches.
    fn delay(self, epochs: f64, batches: usize) -> f64 {
        self.delay.unwrap_or(match self.first {
            Some(_) => 1.0,
            None => (epochs * batches as f64).max(1.0),
        })
    }

    /// The step of iteration k, with the first step and the exponent that hold where they are not set.
    pub(super) fn at(self, first: f64, exponent: f64, delay: f64, k: u64) -> f64 {
        let exponent = self.exponent.unwrap_or(exponent);
        let n = 1.0 + k as f64 / delay;
        // The usual ones without a power.
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

/// The steps of a method by default: exponents, and c_γ, c_η.
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
    /// c_f: how much slower θ is than x and v.
    pub follow: f64,
    /// κ of γₖ and of ηₖ, in epochs.
    pub delay: [f64; 2],
    /// Whether the direction of θ is normalised, so that ηₖ is a length.
    pub normalised: bool,
}

impl StepDefaults {
    /// Both decay by the same exponent, from half of 1/L and C of 1/L_F, and θ no faster than 2γμ̂.
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

    /// The same from a tenth of 1/L, for methods whose v goes by stochastic steps: where A is ill-conditioned the noise of v is large, and
    /// in proportion to γ.
    pub fn noisy(exponent: f64) -> Self {
        StepDefaults {
            lower: 0.1,
            ..StepDefaults::decaying(exponent)
        }
    }

    /// γₖ = γ₀/(1 + k/κ)^¼, and ηₖ = η₀/(k + 1)^⅔ is the length of a normalised step. x lags behind x*(θ) by about ηₖ‖dx*/dθ‖/(γₖμ), which
    /// has to vanish, and soon where A is ill-conditioned: so γₖ falls late, and by less than the root that the theories of these methods
    /// have. And ηₖ falls by less than their ¾ power, with which the steps hardly reach far: their sum grows like the fourth root of k.
    pub fn normalised() -> Self {
        StepDefaults {
            lower_exponent: 0.25,
            normalised: true,
            delay: [256.0, 0.0],
            ..StepDefaults::decaying(2.0 / 3.0)
        }
    }

    /// Constant steps from the same estimates.
    pub fn constant() -> Self {
        StepDefaults::decaying(0.0)
    }
}

/// The iteration and its step sizes.
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
