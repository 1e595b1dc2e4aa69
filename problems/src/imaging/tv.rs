//! Total-variation denoising.
//!
//! ```text
//! g(x, θ) = ½‖x − y‖² + Σᵢ wᵢ Φ((Dx)ᵢ)        y: the noisy image, i: the pixels, D: forward differences
//!
//! anisotropic  Φ(t) = φ(t_h) + φ(t_v)          φ(t) = √(t² + ν²)
//! isotropic    Φ(t) = √(t_h² + t_v² + ν²)
//! ```
//!
//! (Dx)ᵢ = (x_right − xᵢ, x_below − xᵢ) ∈ ℝ², with zeros at the right and the lower border, so Φ counts ν there: a constant
//! in x. A signal is an image of one row.
//!
//! # Hyperparameters
//! [`Weights::Global`]: θ = (log w, log ν) ∈ ℝ². [`Weights::PerPixel`]: θ = (log w₁, …, log wₙ, log ν) ∈ ℝⁿ⁺¹.
//! [`Weights::PerPatch`]: the same with one weight for each square patch.
//!
//! # Curvature
//! Let N ≥ ‖D‖² (8 for images, 4 for signals) and w the largest weight. μ = 1, L = 1 + N w/ν, and with the largest third
//! derivative of φ, 48/(25√5) ν⁻² at |t| = ν/2,
//!
//! ```text
//! ‖(A(x+e) − A(x)) q‖ ≤ √N ‖w c |De| |Dq|‖ ≤ N ‖e‖ maxᵢ wᵢ cᵢ |Dq|ᵢ,      cᵢ = sup |Φ'''| within √2 ‖e‖ (isotropic √3 ‖e‖) of (Dx)ᵢ
//! ```
//!
//! because |De|ᵢ ≤ √2‖e‖ for one difference and √3‖e‖ for the pair. This uses where the image is flat and where it has
//! edges, and is typically a hundred times tighter than the worst case L_A ‖e‖ ‖q‖.
//!
//! # Reference
//! L. Rudin, S. Osher, E. Fatemi: Nonlinear total variation based noise removal algorithms. Physica D 60 (1992),
//! [doi:10.1016/0167-2789(92)90242-F](https://doi.org/10.1016/0167-2789(92)90242-F).

use bilevel::linear::Pattern;
use bilevel::{Curvature, Element, Error, Linearization, LowerLevel, Trust};
use serde::{Deserialize, Serialize};
use std::sync::{Arc, OnceLock};

use super::finite_differences::FiniteDifferences;
use super::{Denoiser, Image, PairsOracle, Restoration, pairs};
use crate::support::checks::{check_logarithms, check_pixels};
use crate::support::fingerprint::fingerprint;
use crate::support::pool::Pool;
use linearization::TvLinearization;
use parameters::{PixelWeights, largest_weight};
use precondition::Laplacian;

/// Calls a method that is compiled for each kind of problem, so that no choice is left inside its loops.
macro_rules! by_kind {
    ($problem:expr, $object:ident.$method:ident($($argument:expr),*)) => {
        match ($problem.norm, $problem.weights) {
            (Norm::Anisotropic, Weights::Global) => $object.$method::<false, false>($($argument),*),
            (Norm::Anisotropic, _) => $object.$method::<false, true>($($argument),*),
            (Norm::Isotropic, Weights::Global) => $object.$method::<true, false>($($argument),*),
            (Norm::Isotropic, _) => $object.$method::<true, true>($($argument),*),
        }
    };
}

mod blocks;
mod bounds;
mod energy;
mod linearization;
mod parameters;
mod patches;
mod precondition;
mod sparse;

pub use parameters::Weights;
pub use precondition::Preconditioner;

/// The combination of the two differences at a pixel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Norm {
    /// φ(t_h) + φ(t_v): favours edges along the axes.
    #[default]
    Anisotropic,
    /// √(t_h² + t_v² + ν²): treats all directions alike.
    Isotropic,
}

/// The largest |φ'''| is this over ν².
const MAX_THIRD: f64 = 0.858_650_103_355_036_9; // 48/(25√5)
/// The largest |∂φ'/∂log ν| = |t| ν²/φ³, at t = ν/√2.
const MAX_CROSS: f64 = 0.384_900_179_459_750_5; // 2/(3√3)
/// Pixels beyond this size make powers of their differences overflow in `f32`.
const MAX_PIXEL: f64 = 1e15;

/// The lower level of total-variation denoising of one image. See the [module](self).
pub struct TvDenoising<E> {
    noisy: Vec<E>,
    rows: usize,
    cols: usize,
    norm: Norm,
    weights: Weights,
    preconditioner: Preconditioner,
    /// Present for [`Preconditioner::Cosine`].
    laplacian: Option<Laplacian>,
    /// The sparsity pattern of the Hessian, computed on first use.
    pattern: OnceLock<Arc<Pattern>>,
    differences: FiniteDifferences<E>,
    /// Buffers for linearisations, reused from one to the next.
    arrays: Pool<Vec<E>>,
    /// Buffers of `f64`, reused likewise.
    numbers: Pool<Vec<f64>>,
    /// The latest weights per pixel, with the θ that they were computed from.
    pixel_weights: Pool<PixelWeights<E>>,
    identity: String,
}

impl<E: Element> TvDenoising<E> {
    /// The problem of denoising `noisy` with one weight for all pixels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an image of fewer than two pixels or with entries that are not finite.
    pub fn new(noisy: &Image<E>, norm: Norm) -> Result<Self, Error> {
        let (rows, cols) = (noisy.rows(), noisy.cols());
        if rows * cols < 2 {
            return Err(Error::invalid(
                "noisy",
                format!("an image of {rows}×{cols} pixels"),
                "at least two pixels",
            ));
        }
        check_pixels(noisy, "noisy pixel", MAX_PIXEL)?;
        Ok(TvDenoising {
            identity: format!(
                "{norm:?} TV denoising of {rows}×{cols} in {} ({:08x})",
                E::NAME,
                fingerprint(noisy.pixels())
            ),
            noisy: noisy.pixels().to_vec(),
            rows,
            cols,
            norm,
            weights: Weights::Global,
            differences: FiniteDifferences::new(rows, cols),
            arrays: Pool::default(),
            numbers: Pool::default(),
            preconditioner: Preconditioner::default(),
            laplacian: None,
            pattern: OnceLock::new(),
            pixel_weights: Pool::default(),
        })
    }

    /// The same with one weight for all pixels, per pixel, or per patch.
    pub fn with_weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// The same with a preconditioner for the linear solvers that use one.
    pub fn with_preconditioner(mut self, preconditioner: Preconditioner) -> Self {
        self.preconditioner = preconditioner;
        self.laplacian = (preconditioner == Preconditioner::Cosine)
            .then(|| Laplacian::new(self.rows, self.cols));
        self
    }

    /// N ≥ ‖D‖².
    fn difference_norm(&self) -> f64 {
        if self.rows == 1 || self.cols == 1 {
            4.0
        } else {
            8.0
        }
    }

    /// The number of φ at a pixel, each of whose gradients has norm at most 1.
    fn terms(&self) -> f64 {
        match self.norm {
            Norm::Anisotropic => 2.0,
            Norm::Isotropic => 1.0,
        }
    }

    /// The columns of B for the weights have norm at most √this times the largest weight: N times the bound of ‖∇Φ‖² over the pixels that
    /// share a weight.
    fn weight_columns(&self) -> f64 {
        let shared = match self.weights {
            Weights::Global => self.noisy.len(),
            _ => self.patches().pixels(),
        };
        self.difference_norm() * self.terms() * shared as f64
    }

    /// The constant in |De|ᵢ ≤ spread · ‖e‖, for the differences at one pixel that share a Φ.
    fn spread(&self) -> f64 {
        match self.norm {
            Norm::Isotropic if self.rows > 1 && self.cols > 1 => 3f64.sqrt(),
            _ => 2f64.sqrt(),
        }
    }
}

impl<E: Element> LowerLevel for TvDenoising<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        self.noisy.clone()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        self.check_length(theta)?;
        check_logarithms::<E>(theta)
    }

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        let mut gradient = self.arrays.take(x.len());
        let value = self.value_and_gradient(x, theta, &mut gradient);
        self.arrays.put(gradient);
        value
    }

    fn gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        by_kind!(self, self.gradient_pass(x, theta, out));
    }

    fn value_and_gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) -> f64 {
        by_kind!(self, self.value_pass(x, theta, out))
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<E>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<E>> + 'a {
        TvLinearization::new(self, x, theta)
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let nu = theta[theta.len() - 1].exp();
        let w = largest_weight(theta);
        let n = self.difference_norm();
        let pixels = self.noisy.len() as f64;
        let weight_columns = self.weight_columns();
        let smoothing_column = n * pixels * self.terms() * MAX_CROSS * MAX_CROSS;
        let weight_lipschitz = match self.weights {
            Weights::PerPixel => (3.0 * n).sqrt(),
            _ => n,
        };
        Curvature {
            strong_convexity: Some(1.0),
            smoothness: Some(1.0 + n * w / nu),
            hessian_lipschitz: Some(n * self.spread() * w * MAX_THIRD / (nu * nu)),
            cross_norm: Some(w * (weight_columns + smoothing_column).sqrt()),
            cross_lipschitz: Some(w / nu * n.hypot(weight_lipschitz)),
        }
    }

    /// Every entry is x − y less four terms of size at most w, each rounded a dozen times; and ‖x − y‖ ≤ ‖∇g‖ + 4w√n.
    fn gradient_rounding(&self, _x: &Vec<E>, theta: &Vec<f64>, gradient_norm: f64) -> f64 {
        let w = largest_weight(theta);
        let size = 5.0 * gradient_norm + 80.0 * w * (self.noisy.len() as f64).sqrt();
        E::UNIT_ROUNDOFF * size
    }

    fn identity(&self) -> String {
        let preconditioner = match self.preconditioner {
            Preconditioner::None => String::new(),
            other => format!(", {other:?} preconditioner"),
        };
        format!(
            "{} ({:?} weights{preconditioner})",
            self.identity, self.weights
        )
    }
}

impl<E: Element> Restoration for TvDenoising<E> {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }
}

impl<E: Element> Denoiser for TvDenoising<E> {
    fn noisy(&self) -> &Vec<E> {
        &self.noisy
    }
}

/// The oracle of TV denoising: the mean over pairs of images.
#[doc(hidden)]
pub type TvOracle<E> = PairsOracle<TvDenoising<E>, E>;

/// The oracle that learns the weight and the smoothing of total variation from pairs of clean and noisy images: the mean over
/// the pairs of ½‖x*ᵢ(θ) − cleanᵢ‖².
///
/// # Errors
/// [`Error::InvalidArgument`] when there are no pairs, their shapes differ, or an entry is not finite.
pub fn tv_denoising<E: Element>(
    clean: &[Image<E>],
    noisy: &[Image<E>],
    norm: Norm,
    weights: Weights,
    trust: Trust,
) -> Result<TvOracle<E>, Error> {
    let lower = |noisy| Ok(TvDenoising::new(noisy, norm)?.with_weights(weights));
    let lowers = noisy.iter().map(lower).collect::<Result<Vec<_>, Error>>()?;
    pairs(lowers, clean, trust)
}
