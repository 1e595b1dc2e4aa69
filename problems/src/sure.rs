//! Choosing hyperparameters without clean data: Stein's unbiased risk estimate, with the divergence by Monte Carlo.
//!
//! ```text
//! supervised    ½‖Hx*(y) − μ‖²                                        y = μ + noise
//! SURE          ½‖Hx*(y) − y‖² − nσ²/2 + σ² div Hx*(y)                the same in the mean over the noise
//! here          f(x₁, x₂) = ½‖Hx₁ − y‖² − nσ²/2 + (σ²/τ) ⟨b, H(x₂ − x₁)⟩     x₁ = x*(y),  x₂ = x*(y + τb)
//! ```
//!
//! y ∈ ℝⁿ is white Gaussian noise of a known standard deviation σ around the unknown μ, b a random vector of normal entries, τ = σ/10. The
//! lower level is [`PerturbedPair`]: two problems of one kind with the same θ, one with the data y and one with y + τb, solved as one of twice the
//! size. [`Sure`] is the upper level, [`monte_carlo_sure`] the oracle of both.
//!
//! # Requirements on the problem
//! Any lower level that can be built from other data. Its prediction of the data is Hx with a linear map H, a [`Prediction`]: x [`Itself`] for
//! denoisers, features times weights for regressions. The data may enter g in any way. `imaging::sure` is the same for images.
//!
//! # Guarantee
//! Values and hypergradients of denoisers ([`Itself`]) are certified as those of f with the drawn b; for other predictions,
//! the rounding errors of Hx are not included. f itself differs from the supervised loss by a random
//! amount: the fluctuation of Stein's estimate and of the divergence, of the order σ²√n each for n data, and by O(τ) from the difference
//! quotient. Where x*(y) is linear in y the quotient is exact, ⟨b, Sb⟩ with Hx* = Sy, and its mean over b the trace of S.
//!
//! # References
//! S. Ramani, T. Blu, M. Unser: Monte-Carlo SURE: a black-box optimization of regularization parameters for general denoising
//! algorithms. IEEE Trans. Image Process. 17 (2008), [doi:10.1109/TIP.2008.2001404](https://doi.org/10.1109/TIP.2008.2001404).
//! Its gradient in θ: C.-A. Deledalle, S. Vaiter, J. Fadili, G. Peyré: Stein unbiased gradient estimator of the risk (SUGAR) for
//! multiple parameter selection. SIAM J. Imaging Sci. 7 (2014), [doi:10.1137/140968045](https://doi.org/10.1137/140968045).

mod perturbed_pair;

pub use perturbed_pair::{Pair, PerturbedPair};

use bilevel::{
    Element, Error, Implicit, LowerLevel, Mean, Trust, UpperCurvature, UpperLevel, Vector,
};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use std::borrow::Cow;

use crate::support::fingerprint::fingerprint;
use crate::support::sums::lane_sum;

/// τ/σ: small against the noise, yet so large that ‖∇f‖, about √(2n) σ²/τ, demands no extreme accuracy.
const STEP: f64 = 0.1;

/// The prediction Hx of the data from the solution x of a lower level, with a linear map H.
pub trait Prediction<E: Element>: Send + Sync {
    /// Where x lives.
    type X: Vector;
    /// Hx. Certified values do not include the rounding errors of this product.
    fn predict<'a>(&self, x: &'a Self::X) -> Cow<'a, [E]>;
    /// out ← Hᵀv.
    fn transposed(&self, v: Vec<E>, out: &mut Self::X);
    /// A bound of the spectral norm of H, where one is known; certificates need it.
    fn norm(&self) -> Option<f64>;
}

/// H = I: the prediction is x itself, as for denoisers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[doc(hidden)]
pub struct Itself;

impl<E: Element> Prediction<E> for Itself {
    type X = Vec<E>;

    fn predict<'a>(&self, x: &'a Vec<E>) -> Cow<'a, [E]> {
        Cow::Borrowed(x)
    }

    fn transposed(&self, v: Vec<E>, out: &mut Vec<E>) {
        *out = v;
    }

    fn norm(&self) -> Option<f64> {
        Some(1.0)
    }
}

/// The upper level: the risk estimate f. See the [module](self).
#[derive(Debug, Clone)]
pub struct Sure<E, H = Itself> {
    noisy: Vec<E>,
    /// b.
    probe: Vec<E>,
    prediction: H,
    /// σ² n/2 and σ²/τ.
    offset: f64,
    factor: f64,
    sigma: f64,
}

impl<E: Element> Sure<E> {
    /// The risk estimate for the data y, `noisy` with noise of standard deviation `sigma`, and the data y + τb of the second lower level. b is
    /// drawn from the seed and stream.
    ///
    /// # Errors
    /// As [`with_probe`](Sure::with_probe).
    pub fn of_data(
        noisy: &[E],
        sigma: f64,
        seed: u64,
        stream: u64,
    ) -> Result<(Self, Vec<E>), Error> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // Not the streams of simulated noise: a probe equal to the noise would spoil the estimate.
        rng.set_stream(!stream);
        let probe: Vec<f64> = (noisy.iter())
            .map(|_| StandardNormal.sample(&mut rng))
            .collect();
        Self::with_probe(noisy, sigma, &probe)
    }

    /// The same with a given b: independent entries of mean 0 and variance 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a `sigma` that is not positive and finite, no data, numbers that are not finite, and a b of another
    /// length.
    pub fn with_probe(noisy: &[E], sigma: f64, probe: &[f64]) -> Result<(Self, Vec<E>), Error> {
        if !(1e-9..=1e9).contains(&sigma) {
            return Err(Error::invalid(
                "sigma",
                format!("{sigma:?}"),
                "at least 1e-9 and at most 1e9",
            ));
        }
        if noisy.is_empty() || probe.len() != noisy.len() {
            let found = format!("{} numbers", probe.len());
            let expected = format!("{}, as many as there are data, at least one", noisy.len());
            return Err(Error::invalid("probe", found, expected));
        }
        let tau = STEP * sigma;
        let moved = noisy.iter().zip(probe);
        let moved: Vec<E> = moved
            .map(|(y, b)| E::from_f64(y.to_f64() + tau * b))
            .collect();
        if !moved.is_finite() {
            let expected = "finite numbers";
            return Err(Error::invalid(
                "noisy data or probe",
                "not finite",
                expected,
            ));
        }
        let sure = Sure {
            noisy: noisy.to_vec(),
            probe: probe.iter().map(|&b| E::from_f64(b)).collect(),
            prediction: Itself,
            offset: 0.5 * sigma * sigma * noisy.len() as f64,
            factor: sigma * sigma / tau,
            sigma,
        };
        Ok((sure, moved))
    }

    /// The same for predictions Hx.
    pub fn of_prediction<H: Prediction<E>>(self, prediction: H) -> Sure<E, H> {
        Sure {
            noisy: self.noisy,
            probe: self.probe,
            prediction,
            offset: self.offset,
            factor: self.factor,
            sigma: self.sigma,
        }
    }
}

impl<E: Element, H: Prediction<E>> Sure<E, H> {
    /// ½‖Hx₁ − y‖², and Σ `term` of the terms of ⟨b, H(x₂ − x₁)⟩.
    fn parts(&self, x: &Pair<H::X>, term: fn(f64) -> f64) -> (f64, f64) {
        let (first, second) = (self.prediction.predict(&x.0), self.prediction.predict(&x.1));
        let squares = lane_sum(&first, |i, x| (x - self.noisy[i].to_f64()).powi(2));
        let slope = lane_sum(&first, |i, first| {
            term(self.probe[i].to_f64() * (second[i].to_f64() - first))
        });
        (0.5 * squares, slope)
    }
}

impl<E: Element, H: Prediction<E>> UpperLevel for Sure<E, H> {
    type Theta = Vec<f64>;
    type X = Pair<H::X>;

    fn value(&self, x: &Self::X, _theta: &Vec<f64>) -> f64 {
        let (squares, slope) = self.parts(x, |term| term);
        squares - self.offset + self.factor * slope
    }

    fn gradient_x(&self, x: &Self::X, _theta: &Vec<f64>, out: &mut Self::X) {
        let mut first = self.prediction.predict(&x.0).into_owned();
        first.axpy(-1.0, &self.noisy);
        first.axpy(-self.factor, &self.probe);
        self.prediction.transposed(first, &mut out.0);
        let mut second = self.probe.clone();
        second.scale(self.factor);
        self.prediction.transposed(second, &mut out.1);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature {
            gradient_x_lipschitz: self.prediction.norm().map(|norm| norm * norm),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    /// The three terms cancel; each is computed in `f64` from the predictions.
    fn value_rounding(&self, x: &Self::X, _theta: &Vec<f64>, _value: f64) -> f64 {
        let (squares, slopes) = self.parts(x, f64::abs);
        let terms = squares + self.offset + self.factor * slopes;
        f64::EPSILON * (8.0 + (self.noisy.len() as f64).sqrt()) * terms
    }

    fn identity(&self) -> String {
        format!(
            "Monte-Carlo SURE for noise of {:?} ({:08x})",
            self.sigma,
            fingerprint(&self.noisy) ^ fingerprint(&self.probe)
        )
    }
}

/// The oracle that [`monte_carlo_sure`] returns.
#[doc(hidden)]
pub type MonteCarloSure<P, E, H> = Mean<Implicit<PerturbedPair<P>, Sure<E, H>>>;

/// The oracle that tunes θ from noisy data alone: the mean of f over `probes` vectors b. `lower` builds the lower level of given data; each
/// probe solves two of them.
///
/// # Errors
/// [`Error::InvalidArgument`] for no probes, and data that [`Sure::with_probe`] or `lower` refuses.
pub fn monte_carlo_sure<E, H, P>(
    noisy: &[E],
    sigma: f64,
    probes: u64,
    seed: u64,
    prediction: H,
    trust: Trust,
    lower: impl Fn(&[E]) -> Result<P, Error>,
) -> Result<MonteCarloSure<P, E, H>, Error>
where
    E: Element,
    H: Prediction<E> + Clone,
    P: LowerLevel<Theta = Vec<f64>, X = H::X>,
{
    let terms = (0..probes).map(|stream| {
        let (upper, moved) = Sure::of_data(noisy, sigma, seed, stream)?;
        let both = PerturbedPair(lower(noisy)?, lower(&moved)?);
        let upper = upper.of_prediction(prediction.clone());
        Ok(Implicit::new(both, upper).with_trust(trust))
    });
    Mean::new(terms.collect::<Result<Vec<_>, Error>>()?)
}
