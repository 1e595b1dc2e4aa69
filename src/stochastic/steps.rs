//! Step sizes: given, decaying, or from curvature estimates.
//!
//! ```text
//! γₖ = γ₀/(k + 1)ᵃ,   ηₖ = η₀/(k + 1)ᵇ
//! γ₀ = c_γ/L,         η₀ = c_η/L_F            where they are not given
//! ```
//!
//! L is the largest eigenvalue of A at the start, by power iterations on several batches: the largest of them, because a step must be
//! stable on every batch. L_F = ‖z₁ − z₀‖/‖θ₁ − θ₀‖ is the change of the hypergradient along a short step of steepest descent from
//! θ₀, both computed by the oracle to a low accuracy. The first step is at most as long as [`LONGEST`] in the root mean square over the entries of θ,
//! where F is too flat for curvature to say anything. For a method that normalises its direction ηₖ is the length of a step, and
//! η₀ = c_η‖z₀‖/L_F: the length that the first step would have without normalisation, with the same bound.

use serde::{Deserialize, Serialize};

use super::{Iterate, Levels, Method, MinibatchOracle, Stochastic, ThetaOf, XOf};
use crate::error::{Error, positive};
use crate::hypergradient::Accuracy;
use crate::problem::LowerLevel;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;
use crate::work::Work;

/// Batches whose largest eigenvalues are estimated.
const BATCHES: usize = 8;
/// Power iterations on each.
const POWER_ITERATIONS: usize = 10;
/// The accuracy of the two hypergradients, relative to the distance that one gradient step moves x.
const RELATIVE: f64 = 0.1;
/// The length of the step along which L_F is measured, in the root mean square over the entries of θ.
const PROBE: f64 = 0.05;
/// The longest first step, in the root mean square over the entries of θ.
pub const LONGEST: f64 = 0.1;

/// A first step and how it decays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepSize {
    /// The first step; `None` (the default) estimates it.
    pub first: Option<f64>,
    /// The exponent of the decay, at least 0; `None` (the default) is that of the method's theory.
    pub exponent: Option<f64>,
}

impl StepSize {
    /// A constant step.
    pub fn constant(step: f64) -> Self {
        StepSize {
            first: Some(step),
            exponent: Some(0.0),
        }
    }

    /// step/(k + 1)^exponent.
    pub fn decaying(step: f64, exponent: f64) -> Self {
        StepSize {
            first: Some(step),
            exponent: Some(exponent),
        }
    }

    pub(super) fn check(self, name: &str) -> Result<(), Error> {
        if let Some(first) = self.first {
            positive(&format!("{name}.first"), first)?;
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

    /// The step of iteration k, with the first step and the exponent that hold where they are not set.
    pub(super) fn at(self, first: f64, exponent: f64, k: u64) -> f64 {
        let exponent = self.exponent.unwrap_or(exponent);
        let n = (k + 1) as f64;
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
pub struct Scale {
    /// a.
    pub lower_exponent: f64,
    /// b.
    pub upper_exponent: f64,
    /// c_γ.
    pub lower: f64,
    /// c_η.
    pub upper: f64,
    /// Whether the direction of θ is normalised, so that ηₖ is a length.
    pub normalised: bool,
}

impl Scale {
    /// Both decay by the same exponent, from half of 1/L and 0.03 of 1/L_F: θ moves slowly enough for x and v to follow. By measurement
    /// on finite sums whose ∇F comes through x, a tenth lets SOBA diverge from a condition number of 30 on, this not at 100.
    pub fn decaying(exponent: f64) -> Self {
        Scale {
            lower_exponent: exponent,
            upper_exponent: exponent,
            lower: 0.5,
            upper: 0.03,
            normalised: false,
        }
    }

    /// γₖ = γ₀/(k + 1)^¼, and ηₖ = η₀/(k + 1)^⅔ is the length of a normalised step. x lags behind x*(θ) by about ηₖ‖dx*/dθ‖/(γₖμ), which
    /// has to vanish, and soon where A is ill-conditioned: so γₖ falls by less than the root that the theories of these methods have. And
    /// ηₖ falls by less than their ¾ power, with which the steps hardly reach far: their sum grows like the fourth root of k.
    pub fn normalised() -> Self {
        Scale {
            lower_exponent: 0.25,
            normalised: true,
            upper: 0.1,
            ..Scale::decaying(2.0 / 3.0)
        }
    }

    /// Constant steps from the same estimates.
    pub fn constant() -> Self {
        Scale::decaying(0.0)
    }
}

/// The iteration and its step sizes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Now {
    /// k, from 0.
    pub k: u64,
    /// γₖ.
    pub lower: f64,
    /// ηₖ.
    pub upper: f64,
}

/// γ₀ and η₀, and the work that their estimation took.
pub(super) struct First {
    pub(super) first: [f64; 2],
    pub(super) work: Work,
}

pub(super) fn first<O: MinibatchOracle, M: Method>(
    oracle: &O,
    solver: &Stochastic<M>,
    at: &Iterate<ThetaOf<O>, XOf<O>>,
) -> Result<First, Error> {
    let batches = [at.lower.batches(), at.upper.batches()];
    let scale = solver.method.scale_on(batches);
    let mut work = Work::default();
    let (lower, upper) = (solver.lower_step.first, solver.upper_step.first);
    if let (Some(lower), Some(upper)) = (lower, upper) {
        return Ok(First {
            first: [lower, upper],
            work,
        });
    }
    let largest = largest_eigenvalue(oracle.levels(), at, &mut work)?;
    let upper = match upper {
        Some(upper) => upper,
        None => upper_step(oracle, at, largest, scale, &mut work)?,
    };
    Ok(First {
        first: [lower.unwrap_or(scale.lower / largest), upper],
        work,
    })
}

/// The largest eigenvalue of A over several batches, at the start.
fn largest_eigenvalue<P, U>(
    levels: Levels<'_, P, U>,
    at: &Iterate<P::Theta, P::X>,
    work: &mut Work,
) -> Result<f64, Error>
where
    P: MinibatchLower,
    U: MinibatchUpper<Theta = P::Theta, X = P::X>,
{
    let mut sampler = at.lower.clone();
    let mut v = at.x.zeros_like();
    let mut product = at.x.zeros_like();
    let mut largest = 0.0f64;
    for _ in 0..BATCHES.min(sampler.batches()) {
        let number = sampler.draw();
        let batch = sampler.batch(number);
        // Entries of both signs, all of about the same size.
        v.assign(&mut |i| {
            if (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 0 {
                1.0
            } else {
                -1.0
            }
        });
        v.scale(1.0 / v.norm());
        let mut eigenvalue = 0.0;
        for _ in 0..POWER_ITERATIONS {
            levels.hvp(batch, &at.x, &at.theta, &v, &mut product, work);
            eigenvalue = product.norm();
            if !(eigenvalue > 0.0 && eigenvalue.is_finite()) {
                break;
            }
            std::mem::swap(&mut v, &mut product);
            v.scale(1.0 / eigenvalue);
        }
        largest = largest.max(eigenvalue);
    }
    if largest > 0.0 && largest.is_finite() {
        Ok(largest)
    } else if largest == 0.0 {
        Err(Error::invalid(
            "lower_step.first",
            "not set, and the Hessian of the lower level is zero at the start",
            "a step, or a lower level with curvature",
        ))
    } else {
        Err(Error::NotFinite {
            function: "a Hessian product of the lower level",
        })
    }
}

/// Work on all samples, with these counted.
fn with_samples<P: MinibatchLower, U: MinibatchUpper>(
    levels: Levels<'_, P, U>,
    work: Work,
) -> Work {
    let lower = work.iterations() + work.cross_products;
    Work {
        lower_samples: lower * levels.lower.samples() as u64,
        upper_samples: work.upper_gradients * levels.upper.samples() as u64,
        ..work
    }
}

/// η₀ = c_η/L_F, within reach, or that step's length.
fn upper_step<O: MinibatchOracle>(
    oracle: &O,
    at: &Iterate<ThetaOf<O>, XOf<O>>,
    largest: f64,
    scale: Scale,
    work: &mut Work,
) -> Result<f64, Error> {
    let levels = oracle.levels();
    let mut gradient = at.x.zeros_like();
    levels.lower.gradient(&at.x, &at.theta, &mut gradient);
    work.lower_gradients += 1;
    work.lower_samples += levels.lower.samples() as u64;
    let moved = gradient.norm() / largest;
    let epsilon = RELATIVE * if moved > 0.0 { moved } else { 1.0 };
    let accuracy = Accuracy::new(epsilon, epsilon * largest)?;
    let mut state = oracle.state_at(&at.x);
    let z = oracle.hypergradient(&at.theta, accuracy, &mut state)?;
    *work += with_samples(levels, z.work);
    let root = (at.theta.len() as f64).sqrt();
    let norm = z.gradient.norm();
    if norm == 0.0 {
        let length = LONGEST * root;
        return Ok(if scale.normalised {
            length
        } else {
            scale.upper
        });
    }
    let longest = LONGEST * root / norm;
    let probe = PROBE * root / norm;
    let mut there = at.theta.clone();
    there.axpy(-probe, &z.gradient);
    let lipschitz = match oracle.hypergradient(&there, accuracy, &mut state) {
        Ok(mut other) => {
            *work += with_samples(levels, other.work);
            other.gradient.axpy(-1.0, &z.gradient);
            other.gradient.norm() / (probe * norm)
        }
        // Beyond the domain, or not finite: the longest step it is.
        Err(Error::InvalidArgument { .. } | Error::NotFinite { .. }) => 0.0,
        Err(error) => return Err(error),
    };
    let step = (scale.upper / lipschitz).min(longest);
    Ok(if scale.normalised { step * norm } else { step })
}
