//! Learning to denoise without clean images: Stein's unbiased risk estimate, with the divergence by Monte Carlo.
//!
//! This is [`crate::sure`] with images as data; see there for the formula, the guarantee and the references. [`PerturbedPair`], the lower
//! level, denoises y and y + τb with the same θ; [`Sure`] is the upper level.

use bilevel::{Element, Error, Implicit, Mean, Trust};

pub use crate::sure::{Pair, PerturbedPair, Sure};

use super::{Denoiser, Image};

impl<E: Element> Sure<E> {
    /// The risk estimate of images denoised from `noisy`, whose noise has the standard deviation `sigma`, and the perturbed image
    /// y + τb, which must be denoised with the same θ. b is drawn from the stream `stream` of the generator seeded with `seed`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a `sigma` that is not positive and finite.
    pub fn new(
        noisy: &Image<E>,
        sigma: f64,
        seed: u64,
        stream: u64,
    ) -> Result<(Self, Image<E>), Error> {
        let (sure, moved) = Sure::of_data(noisy.pixels(), sigma, seed, stream)?;
        let moved = Image::new(noisy.rows(), noisy.cols(), moved)?;
        Ok((sure, moved))
    }
}

/// The oracle of [`sure`].
#[doc(hidden)]
pub type SureOracle<P, E> = Mean<Implicit<PerturbedPair<P>, Sure<E>>>;

/// The oracle that learns a denoiser from noisy images alone: the mean over them of the risk estimate f. `denoiser` makes the lower
/// level of an image.
///
/// # Errors
/// [`Error::InvalidArgument`] when there are no images, `sigma` is not positive, or `denoiser` refuses an image.
pub fn sure<E: Element, P: Denoiser<Theta = Vec<f64>, X = Vec<E>>>(
    noisy: &[Image<E>],
    sigma: f64,
    seed: u64,
    trust: Trust,
    denoiser: impl Fn(&Image<E>) -> Result<P, Error>,
) -> Result<SureOracle<P, E>, Error> {
    let terms = noisy.iter().zip(0..).map(|(y, stream)| {
        let (upper, moved) = Sure::new(y, sigma, seed, stream)?;
        let lower = PerturbedPair(denoiser(y)?, denoiser(&moved)?);
        Ok(Implicit::new(lower, upper).with_trust(trust))
    });
    Mean::new(terms.collect::<Result<Vec<_>, Error>>()?)
}
