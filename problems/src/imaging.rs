//! Image denoising as a bilevel problem: the lower level denoises an image, the upper level compares it with a clean one.

mod bands;
pub mod blur;
mod checks;
pub mod deblurring;
pub mod foe;
mod ssim;
pub mod sure;
pub mod tikhonov;
mod transform;
pub mod tv;

pub use blur::{Blur, Boundary, Kernel};
pub use deblurring::Deblurring;
pub use foe::{Experts, FoeDenoising, FoeModel, FoeOracle, Potential, foe_denoising};
pub use sure::{Pair, Sure, SureOracle, Twice, sure};
pub use tikhonov::Tikhonov;
pub use tv::{Norm, Preconditioner, TvDenoising, Weights};

use bilevel::{
    Element, Error, Implicit, LowerLevel, Sum, Trust, UpperCurvature, UpperLevel, Vector,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use crate::fingerprint::fingerprint;
pub(crate) use bands::lane_sum;
pub(crate) use checks::check_logarithms;
use checks::check_pixels;

/// A grey image, row after row; black is 0, white is 1. A signal is an image of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Image<E> {
    rows: usize,
    cols: usize,
    pixels: Vec<E>,
}

impl<E: Element> Image<E> {
    /// An image from its pixels, row after row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there are not `rows · cols` of them, or none.
    pub fn new(rows: usize, cols: usize, pixels: Vec<E>) -> Result<Self, Error> {
        if pixels.is_empty() || Some(pixels.len()) != rows.checked_mul(cols) {
            return Err(Error::invalid(
                "pixels",
                format!("{} numbers", pixels.len()),
                format!("{rows}×{cols} of them, at least one"),
            ));
        }
        Ok(Image { rows, cols, pixels })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The pixels, row after row.
    pub fn pixels(&self) -> &[E] {
        &self.pixels
    }

    /// The same image with other storage.
    pub fn cast<F: Element>(&self) -> Image<F> {
        Image {
            rows: self.rows,
            cols: self.cols,
            pixels: self
                .pixels
                .iter()
                .map(|p| F::from_f64(p.to_f64()))
                .collect(),
        }
    }

    /// The image with white Gaussian noise of standard deviation `sigma`; the same noise for the same seed and stream.
    pub fn with_noise(&self, sigma: f64, seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let pixels = self
            .pixels
            .iter()
            .map(|p| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                E::from_f64(p.to_f64() + sigma * noise)
            })
            .collect();
        Image {
            rows: self.rows,
            cols: self.cols,
            pixels,
        }
    }

    /// Peak signal-to-noise ratio of `other` against this image, in dB, for the peak 1.
    pub fn psnr(&self, other: &[E]) -> f64 {
        let squares: f64 = self
            .pixels
            .iter()
            .zip(other)
            .map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2))
            .sum();
        -10.0 * (squares / self.pixels.len() as f64).log10()
    }
}

/// A lower level that restores one image.
pub trait Restoration: LowerLevel {
    /// The rows and columns of the image.
    fn shape(&self) -> (usize, usize);
}

/// A lower level that denoises one image: g(x, θ) = ½‖x − y‖² + R(x, θ) with the image y that it was made from.
///
/// [`Deblurring`] replaces the first term of any of them.
pub trait Denoiser: Restoration {
    /// y, the image that is denoised.
    fn noisy(&self) -> &Self::X;
}

/// f(x) = ½‖x − x_clean‖²: the error of a denoised image.
#[derive(Debug, Clone)]
pub struct SquaredError<E> {
    clean: Vec<E>,
    fingerprint: u32,
}

impl<E: Element> SquaredError<E> {
    /// The squared distance to `clean`.
    pub fn new(clean: &Image<E>) -> Self {
        SquaredError {
            fingerprint: fingerprint(&clean.pixels),
            clean: clean.pixels.clone(),
        }
    }
}

impl<E: Element> UpperLevel for SquaredError<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn value(&self, x: &Vec<E>, _theta: &Vec<f64>) -> f64 {
        bilevel::simd::dispatch(
            #[inline(always)]
            || {
                0.5 * bands::lane_sum(
                    x,
                    #[inline(always)]
                    |i, x| {
                        let d = x - self.clean[i].to_f64();
                        d * d
                    },
                )
            },
        )
    }

    fn gradient_x(&self, x: &Vec<E>, _theta: &Vec<f64>, out: &mut Vec<E>) {
        out.copy_from(x);
        out.axpy(-1.0, &self.clean);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature {
            gradient_x_lipschitz: Some(1.0),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    fn identity(&self) -> String {
        format!("squared error ({:08x})", self.fingerprint)
    }
}

/// The oracle of a lower level for each of several images, compared with clean ones.
pub type PairsOracle<P, E> = Sum<Implicit<P, SquaredError<E>>>;

/// The oracle of TV denoising: the mean over pairs of images.
pub type TvOracle<E> = PairsOracle<TvDenoising<E>, E>;

/// The mean over pairs of ½‖x*ᵢ(θ) − cleanᵢ‖²: `lowers` are the problems that restore the images, in the order of the `clean`
/// ones.
///
/// # Errors
/// [`Error::InvalidArgument`] when there are no pairs, their shapes differ, or an entry is not finite.
pub fn pairs<E: Element, P: Restoration<Theta = Vec<f64>, X = Vec<E>>>(
    lowers: Vec<P>,
    clean: &[Image<E>],
    trust: Trust,
) -> Result<PairsOracle<P, E>, Error> {
    if clean.len() != lowers.len() {
        return Err(Error::invalid(
            "noisy",
            format!("{} images", lowers.len()),
            format!("{}, as many as clean ones", clean.len()),
        ));
    }
    let terms = lowers.into_iter().zip(clean).enumerate();
    let terms = terms.map(|(i, (lower, clean))| {
        let (rows, cols) = lower.shape();
        if (clean.rows, clean.cols) != (rows, cols) {
            return Err(Error::invalid(
                format!("noisy image {i}"),
                format!("{rows}×{cols}"),
                format!(
                    "{}×{}, the shape of its clean image",
                    clean.rows, clean.cols
                ),
            ));
        }
        check_pixels(clean, &format!("clean image {i}, pixel"), f64::MAX)?;
        Ok(Implicit::new(lower, SquaredError::new(clean)).with_trust(trust))
    });
    Sum::new(terms.collect::<Result<Vec<_>, Error>>()?)
}

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
