//! Image denoising as a bilevel problem: the lower level denoises an image, the upper level compares it with a clean one.

pub mod blur;
pub mod deblurring;
mod finite_differences;
pub mod foe;
mod ssim;
pub mod sure;
#[cfg(feature = "direct")]
pub mod tikhonov;
mod transform;
pub mod tv;

pub use crate::data::Image;
pub use blur::{Blur, Boundary, Kernel};
pub use deblurring::Deblurring;
pub use foe::{Experts, FoeDenoising, FoeModel, FoeOracle, Potential, foe_denoising};
pub use sure::{Pair, PerturbedPair, Sure, SureOracle, sure};
#[cfg(feature = "direct")]
pub use tikhonov::Tikhonov;
pub use tv::{Norm, Preconditioner, TvDenoising, Weights};

use bilevel::{
    Element, Error, Implicit, LowerLevel, Mean, Trust, UpperCurvature, UpperLevel, Vector,
};

use crate::support::checks::check_pixels;
use crate::support::fingerprint::fingerprint;
use crate::support::sums::lane_sum;

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
            fingerprint: fingerprint(clean.pixels()),
            clean: clean.pixels().to_vec(),
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
                0.5 * lane_sum(
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
pub type PairsOracle<P, E> = Mean<Implicit<P, SquaredError<E>>>;

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
        if (clean.rows(), clean.cols()) != (rows, cols) {
            return Err(Error::invalid(
                format!("noisy image {i}"),
                format!("{rows}×{cols}"),
                format!(
                    "{}×{}, the shape of its clean image",
                    clean.rows(),
                    clean.cols()
                ),
            ));
        }
        check_pixels(clean, &format!("clean image {i}, pixel"), f64::MAX)?;
        Ok(Implicit::new(lower, SquaredError::new(clean)).with_trust(trust))
    });
    Mean::new(terms.collect::<Result<Vec<_>, Error>>()?)
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
