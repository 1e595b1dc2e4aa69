//! Learning without clean images: Stein's unbiased risk estimate, with the divergence by Monte Carlo.
//!
//! ```text
//! supervised    ½‖x*(y) − x_clean‖²
//! SURE          ½‖x*(y) − y‖² − nσ²/2 + σ² div x*(y)                  the same in the mean over the noise
//! here          f(x₁, x₂) = ½‖x₁ − y‖² − nσ²/2 + (σ²/τ) ⟨b, x₂ − x₁⟩     x₁ = x*(y),  x₂ = x*(y + τb)
//! ```
//!
//! y is clean plus white Gaussian noise of a known standard deviation σ, b a random vector of normal entries, τ = σ/10. The lower
//! level is [`Twice`]: two denoising problems with the same θ, solved as one of twice the size. [`Sure`] is the upper level.
//!
//! # Guarantee
//! Values and hypergradients are certified as those of f with the b that was drawn. f itself differs from the supervised loss by a
//! random amount: the fluctuation of Stein's estimate and of the divergence, of the order σ²√n each for n pixels, and by O(τ) from
//! the difference quotient.
//!
//! # References
//! S. Ramani, T. Blu, M. Unser: Monte-Carlo SURE: a black-box optimization of regularization parameters for general denoising
//! algorithms. IEEE Trans. Image Process. 17 (2008), [doi:10.1109/TIP.2008.2001404](https://doi.org/10.1109/TIP.2008.2001404).
//! Its gradient in θ: C.-A. Deledalle, S. Vaiter, J. Fadili, G. Peyré: Stein unbiased gradient estimator of the risk (SUGAR) for
//! multiple parameter selection. SIAM J. Imaging Sci. 7 (2014), [doi:10.1137/140968045](https://doi.org/10.1137/140968045).

use bilevel::{Element, Error, Implicit, Sum, Trust, UpperCurvature, UpperLevel, Vector};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use super::bands::lane_sum;
use super::{Denoiser, Image, Pair, Twice};
use crate::fingerprint::fingerprint;

/// τ/σ: small against the noise, and large enough that ‖∇f‖, about √(2n) σ²/τ, asks for no extreme accuracy.
const STEP: f64 = 0.1;

/// The upper level f. See the [module](self).
#[derive(Debug, Clone)]
pub struct Sure<E> {
    noisy: Vec<E>,
    /// b.
    probe: Vec<E>,
    /// σ² n/2 and σ²/τ.
    offset: f64,
    factor: f64,
    sigma: f64,
}

impl<E: Element> Sure<E> {
    /// The risk estimate of images denoised from `noisy`, whose noise has the standard deviation `sigma`, and the image y + τb that is
    /// to be denoised beside it. b is drawn from the seed and its stream.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a `sigma` that is not positive and finite.
    pub fn new(
        noisy: &Image<E>,
        sigma: f64,
        seed: u64,
        stream: u64,
    ) -> Result<(Self, Image<E>), Error> {
        if !(1e-9..=1e9).contains(&sigma) {
            return Err(Error::invalid(
                "sigma",
                format!("{sigma:?}"),
                "at least 1e-9 and at most 1e9",
            ));
        }
        let tau = STEP * sigma;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Other streams than those of `Image::with_noise`: a probe that is the noise itself would spoil the estimate.
        rng.set_stream(!stream);
        let y = noisy.pixels();
        let probe: Vec<f64> = y.iter().map(|_| StandardNormal.sample(&mut rng)).collect();
        let moved = y.iter().zip(&probe);
        let moved = moved.map(|(y, b)| E::from_f64(y.to_f64() + tau * b));
        let moved = Image::new(noisy.rows(), noisy.cols(), moved.collect())?;
        let sure = Sure {
            noisy: y.to_vec(),
            probe: probe.into_iter().map(E::from_f64).collect(),
            offset: 0.5 * sigma * sigma * y.len() as f64,
            factor: sigma * sigma / tau,
            sigma,
        };
        Ok((sure, moved))
    }

    /// ½‖x₁ − y‖² and ⟨b, x₂ − x₁⟩.
    fn parts(&self, x: &Pair<Vec<E>>) -> (f64, f64) {
        let squares = lane_sum(&x.0, |i, x| (x - self.noisy[i].to_f64()).powi(2));
        let slope = lane_sum(&x.0, |i, first| {
            self.probe[i].to_f64() * (x.1[i].to_f64() - first)
        });
        (0.5 * squares, slope)
    }
}

impl<E: Element> UpperLevel for Sure<E> {
    type Theta = Vec<f64>;
    type X = Pair<Vec<E>>;

    fn value(&self, x: &Self::X, _theta: &Vec<f64>) -> f64 {
        let (squares, slope) = self.parts(x);
        squares - self.offset + self.factor * slope
    }

    fn gradient_x(&self, x: &Self::X, _theta: &Vec<f64>, out: &mut Self::X) {
        out.0.copy_from(&x.0);
        out.0.axpy(-1.0, &self.noisy);
        out.0.axpy(-self.factor, &self.probe);
        out.1.axpby(self.factor, &self.probe, 0.0);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature {
            gradient_x_lipschitz: Some(1.0),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    /// The three terms cancel; each is computed in `f64`.
    fn value_rounding(&self, x: &Self::X, _theta: &Vec<f64>, _value: f64) -> f64 {
        let (squares, _) = self.parts(x);
        let slopes = lane_sum(&x.0, |i, first| {
            (self.probe[i].to_f64() * (x.1[i].to_f64() - first)).abs()
        });
        let terms = squares + self.offset + self.factor * slopes;
        f64::EPSILON * (8.0 + (x.0.len() as f64).sqrt()) * terms
    }

    fn identity(&self) -> String {
        format!(
            "Monte-Carlo SURE for noise of {:?} ({:08x})",
            self.sigma,
            fingerprint(&self.noisy) ^ fingerprint(&self.probe)
        )
    }
}

/// The oracle of [`sure`].
pub type SureOracle<P, E> = Sum<Implicit<Twice<P>, Sure<E>>>;

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
        let lower = Twice(denoiser(y)?, denoiser(&moved)?);
        Ok(Implicit::new(lower, upper).with_trust(trust))
    });
    Sum::new(terms.collect::<Result<Vec<_>, Error>>()?)
}
