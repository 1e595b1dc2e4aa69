//! Fields of Experts: denoising by a learned sum of potentials of learned filters.
//!
//! ```text
//! g(x, θ) = ½‖x − y‖² + Σₖ wₖ Σᵢ ψₖ((cₖ ∗ x)ᵢ)          y: the noisy image, cₖ ∗: correlation, i: the pixels
//!
//! convex          ψₖ(t) = φ_νₖ(t) = √(t² + νₖ²)
//! weakly convex   ψₖ(t) = φ_νₖ(t) − ρ φ_κₖ(t),  κₖ > νₖ
//! ```
//!
//! The image is reflected at its borders without repeating the border pixels: x₋₁ = x₁. Filters, weights and smoothings are all
//! learned; [`Experts`] defines their order in θ ∈ ℝ^{1 + 2K + K size²}.
//!
//! # Curvature
//! Let s_b = max_ω Σₖ bₖ|ĉₖ(ω)|², the maximum of the joint spectrum of the filters with weights bₖ. Reflection extends an image of
//! norm ‖x‖ to one of norm at most 2‖x‖, hence Σₖ bₖ‖cₖ ∗ x‖² ≤ 4 s_b‖x‖². The factor 4 disappears if only positions whose support lies
//! within the image are counted. With ψ'' between −ρ/κ and 1/ν this gives
//!
//! ```text
//! L = 1 + 4 s_b for bₖ = wₖ/νₖ;     μ = 1 for the convex potential
//! ```
//!
//! For the weakly convex potential the concave part −ρφ_κ counts only at positions whose support lies within the image, so that
//! μ = 1 − s_b for bₖ = wₖρ/κₖ, which the parametrisation of [`Experts`] keeps above the modulus of the potential. The energy is then
//! strongly convex although its regulariser is not convex, and every certificate holds.
//!
//! # References
//! S. Roth, M. J. Black: Fields of Experts. Int. J. Comput. Vis. 82 (2009),
//! [doi:10.1007/s11263-008-0197-6](https://doi.org/10.1007/s11263-008-0197-6).
//! Y. Chen, R. Ranftl, T. Pock: Insights into analysis operator learning: from patch-based sparse models to higher order MRFs.
//! IEEE Trans. Image Process. 23 (2014), [doi:10.1109/TIP.2014.2299065](https://doi.org/10.1109/TIP.2014.2299065).
//! A. Goujon, S. Neumayer, M. Unser: Learning weakly convex regularizers for convergent image-reconstruction algorithms.
//! SIAM J. Imaging Sci. 17 (2024), [doi:10.1137/23M1565243](https://doi.org/10.1137/23M1565243).

mod bounds;
mod correlation;
mod experts;
mod field;
mod linearization;
mod model;
mod parameters;
mod picture;
mod potential;
mod prepared;
mod spectrum;

#[doc(hidden)]
pub use crate::support::lanes::Lanes;
pub use experts::{Experts, Potential};
pub use model::FoeModel;

use bilevel::lower::Lbfgs;
use bilevel::{
    Curvature, Error, ErrorEstimator, Implicit, Linearization, LowerLevel, Mean, Trust, Vector,
};
use std::ops::Range;
use std::sync::Arc;

use super::{Denoiser, Image, Restoration, SquaredError, pairs};
use crate::support::checks::check_pixels;
use crate::support::fingerprint::fingerprint;
use crate::support::sums::lane_sum;
use field::Field;
use linearization::FoeLinearization;
use prepared::{Model, Prepared};

/// ‖x̄‖ ≤ 2‖x‖ for the extension x̄ by reflection: a pixel near one border occurs twice in it, near two borders four times.
const EXTENSION: f64 = 2.0;
/// Logarithms in θ beyond this size lead to results outside the normal numbers of the type.
const MAX_LOG_F64: f64 = 60.0;
const MAX_LOG_F32: f64 = 12.0;
/// Coefficients of filters beyond this size do the same.
const MAX_COEFFICIENT: f64 = 1e4;
/// Pixels beyond this size make the squares of their responses do the same.
const MAX_PIXEL: f64 = 1e9;

/// The lower level of denoising one image by a field of experts. See the [module](self).
pub struct FoeDenoising<E> {
    noisy: Vec<E>,
    field: Field<E>,
    model: Arc<Model<E>>,
    identity: String,
}

impl<E: Lanes> FoeDenoising<E> {
    /// The problem of denoising `noisy` with `experts`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an image no larger than the filters, or with entries that are not finite.
    pub fn new(noisy: &Image<E>, experts: &Experts) -> Result<Self, Error> {
        Self::with_model(noisy, Arc::new(Model::new(experts)))
    }

    /// The same problem for another image. Both share everything that is computed from θ alone.
    ///
    /// # Errors
    /// As those of [`new`](FoeDenoising::new).
    pub fn beside(&self, noisy: &Image<E>) -> Result<Self, Error> {
        Self::with_model(noisy, Arc::clone(&self.model))
    }

    fn with_model(noisy: &Image<E>, model: Arc<Model<E>>) -> Result<Self, Error> {
        let (rows, cols) = (noisy.rows(), noisy.cols());
        let size = model.experts.size();
        if rows <= size || cols <= size {
            return Err(Error::invalid(
                "noisy",
                format!("an image of {rows}×{cols} pixels"),
                format!("one larger than the filters of {size}×{size}"),
            ));
        }
        check_pixels(noisy, "noisy pixel", MAX_PIXEL)?;
        Ok(FoeDenoising {
            identity: format!(
                "{:?} denoising of {rows}×{cols} in {} ({:08x})",
                model.experts,
                E::NAME,
                fingerprint(noisy.pixels())
            ),
            noisy: noisy.pixels().to_vec(),
            field: Field::new(rows, cols, size),
            model,
        })
    }

    /// The experts.
    pub fn experts(&self) -> &Experts {
        &self.model.experts
    }

    /// θ as the kernels use it.
    fn prepared(&self, theta: &[f64]) -> Arc<Prepared<E>> {
        self.model.prepared(theta)
    }

    /// The columns of row i at which the concave part counts.
    fn inside(&self, i: usize) -> Range<usize> {
        let g = &self.field.geometry;
        if !self.model.experts.is_convex() && g.inside(i, g.rows) {
            g.pad..g.cols - g.pad
        } else {
            0..0
        }
    }

    /// out ← ∇ₓg; returns g where `VALUE`.
    fn pass<const VALUE: bool>(&self, x: &[E], theta: &[f64], out: &mut [E]) -> f64 {
        let prepared = self.prepared(theta);
        let g = self.field.geometry;
        let extended = self.field.extend(x);
        let value = self.field.project(
            &prepared.bank,
            &extended,
            |i| x[i] - self.noisy[i],
            out,
            |i, responses, energy| {
                let inside = self.inside(i);
                bilevel::simd::dispatch(
                    #[inline(always)]
                    || {
                        if VALUE {
                            for ((e, x), y) in energy
                                .iter_mut()
                                .zip(&x[i * g.cols..])
                                .zip(&self.noisy[i * g.cols..])
                            {
                                let d = *x - *y;
                                *e = E::from_f64(0.5) * d * d;
                            }
                        }
                        for (expert, row) in prepared
                            .experts
                            .iter()
                            .zip(responses.chunks_exact_mut(g.response_stride))
                        {
                            let t = &mut row[g.offset..g.offset + g.cols];
                            expert.gradient::<VALUE>(t, energy, &inside);
                        }
                        if VALUE {
                            lane_sum(
                                energy,
                                #[inline(always)]
                                |_, e| e,
                            )
                        } else {
                            0.0
                        }
                    },
                )
            },
        );
        self.field.arrays.put(extended);
        value
    }
}

impl<E: Lanes> Restoration for FoeDenoising<E> {
    fn shape(&self) -> (usize, usize) {
        (self.field.geometry.rows, self.field.geometry.cols)
    }
}

impl<E: Lanes> Denoiser for FoeDenoising<E> {
    fn noisy(&self) -> &Vec<E> {
        &self.noisy
    }
}

impl<E: Lanes> LowerLevel for FoeDenoising<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        self.noisy.clone()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        let experts = &self.model.experts;
        experts.check_length(theta)?;
        let largest = if E::NAME == "f32" {
            MAX_LOG_F32
        } else {
            MAX_LOG_F64
        };
        for (i, value) in theta.iter().enumerate() {
            let (what, largest) = if i < experts.first_filter() {
                ("a logarithm", largest)
            } else {
                ("a coefficient", MAX_COEFFICIENT)
            };
            if value.is_nan() || value.abs() > largest {
                return Err(Error::invalid(
                    format!("theta[{i}]"),
                    value,
                    format!("{what} of at most {largest} in size, in {}", E::NAME),
                ));
            }
        }
        Ok(())
    }

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        let mut buffer = self.field.arrays.take(x.len());
        let value = self.pass::<true>(x, theta, &mut buffer);
        self.field.arrays.put(buffer);
        value
    }

    fn gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.pass::<false>(x, theta, out);
    }

    fn value_and_gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) -> f64 {
        self.pass::<true>(x, theta, out)
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<E>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<E>> + 'a {
        FoeLinearization::new(self, x, theta)
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        self.prepared(theta).curvature
    }

    /// A response is a sum of size² products, whose roundings leave an error of about size u ‖cₖ‖ max|x|. The curvature hₖ = wₖψₖ'' at x
    /// multiplies it: hₖ is large where the response is near the kink of ψₖ, and nearly zero along edges. Errors of different responses are
    /// independent, so their squares add up, ‖Σₖ Cₖᵀ(hₖ∘δₖ)‖² ≈ Σₖ ‖cₖ‖²‖hₖ∘δₖ‖². The bound is twice that; measured, it is at least twenty
    /// times the true error. The worst case 8u L‖x‖ would be thousands of times larger.
    fn gradient_rounding(&self, x: &Vec<E>, theta: &Vec<f64>, gradient_norm: f64) -> f64 {
        let prepared = self.prepared(theta);
        let largest = x.iter().fold(0.0f64, |m, x| m.max(x.to_f64().abs()));
        let size = self.model.experts.size() as f64;
        let norms = linearization::curvature_norms(self, &prepared, x);
        let spread: f64 = norms
            .iter()
            .zip(&prepared.norms)
            .map(|(h, norm)| (norm * norm * h).powi(2))
            .sum();
        let responses = 2.0 * size * largest * spread.sqrt();
        // The difference to y and the sums over the filters are rounded as in any other problem.
        E::UNIT_ROUNDOFF * (responses + 8.0 * (gradient_norm + 2.0 * x.norm()))
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}

/// The oracle of denoising by a field of experts: the mean over pairs of images.
///
/// The lower solver is L-BFGS, which needs a third of the gradients of FISTA on fields of experts.
#[doc(hidden)]
pub type FoeOracle<E> = Mean<Implicit<FoeDenoising<E>, SquaredError<E>, Lbfgs>>;

/// The oracle that learns a field of experts from pairs of clean and noisy images (or patches): the mean over the pairs of
/// ½‖x*ᵢ(θ) − cleanᵢ‖².
///
/// # Errors
/// [`Error::InvalidArgument`] when there are no pairs, their shapes differ, an image is no larger than the filters, or an entry is
/// not finite.
pub fn foe_denoising<E: Lanes>(
    clean: &[Image<E>],
    noisy: &[Image<E>],
    experts: &Experts,
    trust: Trust,
) -> Result<FoeOracle<E>, Error> {
    let mut lowers: Vec<FoeDenoising<E>> = Vec::with_capacity(noisy.len());
    for noisy in noisy {
        lowers.push(match lowers.first() {
            Some(first) => first.beside(noisy)?,
            None => FoeDenoising::new(noisy, experts)?,
        });
    }
    Ok(pairs(lowers, clean, trust)?.map(|term| {
        term.with_lower_solver(Lbfgs::default())
            .with_estimator(ErrorEstimator::NewtonStep)
    }))
}
