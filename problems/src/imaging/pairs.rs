//! Pairs of clean and restored images: the squared error as the upper level, and the mean over the pairs.

use bilevel::{Element, Error, Implicit, Mean, Trust, UpperCurvature, UpperLevel, Vector};

use super::{Image, Restoration};
use crate::support::checks::check_pixels;
use crate::support::fingerprint::fingerprint;
use crate::support::sums::lane_sum;

/// f(x) = ½‖x − x_clean‖²: the squared error of a restored image.
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

/// The oracle of [`pairs`]: a mean over images, each with a lower level P and its squared error.
#[doc(hidden)]
pub type PairsOracle<P, E> = Mean<Implicit<P, SquaredError<E>>>;

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
