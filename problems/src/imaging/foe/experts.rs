//! The layout of θ for a field of experts (filters, weights, smoothings), and starting points.

use bilevel::Error;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// The potential ψ of a filter's response, with φ_ν(t) = √(t² + ν²).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Potential {
    /// φ_ν: the energy is convex.
    Convex,
    /// φ_ν − ρ φ_κ with κ > ν, which grows little beyond κ and so preserves strong edges. The parametrisation keeps the weights so small
    /// that the energy as a whole is strongly convex with modulus μ.
    WeaklyConvex {
        /// ρ ∈ (0, 1].
        concavity: f64,
        /// μ ∈ (0, 1).
        modulus: f64,
    },
}

impl Potential {
    /// The weakly convex potential with ρ = 1 and μ = 0.1.
    pub fn weakly_convex() -> Self {
        Potential::WeaklyConvex {
            concavity: 1.0,
            modulus: 0.1,
        }
    }
}

/// K experts with filters of size × size, and the layout of θ:
///
/// ```text
/// θ = (θ₀,  θ₁ … θ_K,  log ν₁ … log ν_K,  [τ₁ … τ_K,]  c₁ … c_K row after row)
/// wₖ = e^{θ₀ + θₖ},   κₖ = νₖ(1 + e^{τₖ})   (τ for the weakly convex potential only)
/// ```
///
/// With [`zero_mean`](Experts::zero_mean) the filters are cₖ minus their means: a constant image has no energy, for any θ.
///
/// For the weakly convex potential the weights are wₖ = e^{θ₀ + θₖ} (1 − μ)/((1 − μ) + S), where S ≥ max_ω Σₖ
/// e^{θ₀ + θₖ} (ρ/κₖ) |ĉₖ(ω)|² is a smooth function of θ. Then Σₖ wₖ (ρ/κₖ)‖cₖ ∗ x‖² < (1 − μ)‖x‖² for every x and every θ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Experts {
    count: usize,
    size: usize,
    potential: Potential,
    zero_mean: bool,
}

/// Most coefficients of one filter and of all filters together; larger arguments are taken for mistakes.
const MOST_COEFFICIENTS: usize = 1 << 20;

impl Experts {
    /// `count` experts with filters of `size` × `size`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an even size or one below 3, no experts, or more of them than a filter has coefficients.
    pub fn new(count: usize, size: usize) -> Result<Self, Error> {
        if size.is_multiple_of(2) || size < 3 || size.saturating_mul(size) > MOST_COEFFICIENTS {
            return Err(Error::invalid(
                "filter size",
                size,
                "an odd number from 3 to 1023, so that a filter has a centre",
            ));
        }
        if count == 0 || count > size * size || count * size * size > MOST_COEFFICIENTS {
            return Err(Error::invalid(
                "filters",
                count,
                format!(
                    "at least one and at most {}, the coefficients of a filter of {size}×{size}",
                    (size * size).min(MOST_COEFFICIENTS / (size * size))
                ),
            ));
        }
        Ok(Experts {
            count,
            size,
            potential: Potential::Convex,
            zero_mean: false,
        })
    }

    /// The same with another potential.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for ρ outside (0, 1] or μ outside (0, 1).
    pub fn with_potential(mut self, potential: Potential) -> Result<Self, Error> {
        if let Potential::WeaklyConvex { concavity, modulus } = potential {
            if !(concavity > 0.0 && concavity <= 1.0) {
                return Err(Error::invalid("concavity", concavity, "a number in (0, 1]"));
            }
            if !(modulus > 0.0 && modulus < 1.0) {
                return Err(Error::invalid("modulus", modulus, "a number in (0, 1)"));
            }
        }
        self.potential = potential;
        Ok(self)
    }

    /// The same with the means of the filters subtracted.
    pub fn zero_mean(mut self) -> Self {
        self.zero_mean = true;
        self
    }

    /// K.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The width and height of a filter.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The potential.
    pub fn potential(&self) -> Potential {
        self.potential
    }

    /// Whether the means of the filters are subtracted.
    pub fn is_zero_mean(&self) -> bool {
        self.zero_mean
    }

    pub(super) fn is_convex(&self) -> bool {
        self.potential == Potential::Convex
    }

    /// The index in θ of the first filter coefficient.
    pub(super) fn first_filter(&self) -> usize {
        1 + self.count * if self.is_convex() { 2 } else { 3 }
    }

    /// The length of θ: 1 + 2K + K size², and K more for the weakly convex potential.
    pub fn theta_len(&self) -> usize {
        self.first_filter() + self.count * self.size * self.size
    }

    /// θ with the given filters, of equal weights and smoothings.
    fn with_filters(&self, filters: impl Iterator<Item = f64>) -> Vec<f64> {
        // For noise of a tenth of white. Training takes ν further down: from ten times as large a ν it takes twice as long to the same
        // value. A response beyond κ is an edge.
        const WEIGHT: f64 = 0.1;
        const SMOOTHING: f64 = 0.003;
        const RATIO: f64 = 30.0;
        let k = self.count;
        let mut theta = vec![0.0; 1 + k];
        theta[0] = (WEIGHT / (k as f64).sqrt()).ln();
        theta.extend(std::iter::repeat_n(SMOOTHING.ln(), k));
        if !self.is_convex() {
            // The weights are scaled down to what the modulus allows.
            theta[0] += 2.0;
            theta.extend(std::iter::repeat_n(RATIO.ln(), k));
        }
        theta.extend(filters);
        theta
    }

    /// A starting θ whose filters are the two-dimensional discrete cosine basis in order of increasing frequency, with the constant last,
    /// so that it is used only when there are as many filters as coefficients.
    pub fn dct(&self) -> Vec<f64> {
        let s = self.size;
        let wave = |f: usize, i: usize| {
            let scale = if f == 0 { 1.0 } else { 2.0 } / s as f64;
            let phase = std::f64::consts::PI * f as f64 * (i as f64 + 0.5) / s as f64;
            scale.sqrt() * phase.cos()
        };
        let mut order: Vec<(usize, usize)> = (0..s * s).map(|at| (at / s, at % s)).collect();
        order.sort_by_key(|&(u, v)| (u * u + v * v, u));
        order.rotate_left(1);
        let filters = order
            .into_iter()
            .take(self.count)
            .flat_map(|(u, v)| (0..s * s).map(move |at| wave(u, at / s) * wave(v, at % s)));
        self.with_filters(filters)
    }

    /// A starting θ with random filters: Gaussian, with mean zero and norm one.
    pub fn random(&self, seed: u64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let filters = (0..self.count).flat_map(|_| {
            let mut c: Vec<f64> = (0..self.size * self.size)
                .map(|_| StandardNormal.sample(&mut rng))
                .collect();
            subtract_mean(&mut c);
            let norm = c.iter().map(|c| c * c).sum::<f64>().sqrt();
            c.iter_mut().for_each(|c| *c /= norm);
            c
        });
        self.with_filters(filters)
    }

    pub(super) fn check_length(&self, theta: &[f64]) -> Result<(), Error> {
        if theta.len() == self.theta_len() {
            return Ok(());
        }
        Err(Error::invalid(
            "theta",
            format!("{} numbers", theta.len()),
            format!(
                "{} of them for {} filters of {s}×{s}",
                self.theta_len(),
                self.count,
                s = self.size
            ),
        ))
    }
}

pub(super) fn subtract_mean(filter: &mut [f64]) {
    let mean = filter.iter().sum::<f64>() / filter.len() as f64;
    filter.iter_mut().for_each(|c| *c -= mean);
}
