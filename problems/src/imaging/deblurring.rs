//! Deblurring: any denoising lower level with a blurred data term.
//!
//! ```text
//! denoising    g_P(x, θ) = ½‖x − y‖² + R(x, θ)
//! deblurring   g(x, θ)   = ½‖Hx − y‖² + (γ/2)‖x‖² + R(x, θ)
//! ```
//!
//! y is the blurred and noisy image, H a [`Blur`], γ ≥ 0. R is the regulariser of the [`Denoiser`] P, which is made from y as well:
//!
//! ```text
//! ∇ₓg = ∇ₓg_P − (x − y) + Hᵀ(Hx − y) + γx        A = A_P − I + HᵀH + γI        B = B_P
//! ```
//!
//! # Curvature
//! μ = μ_P − 1 + γ + min|ĥ|², L = L_P − 1 + γ + max|ĥ|², with the eigenvalues ĥ of H. The data term is quadratic and does not
//! depend on θ, so `L_A`, `L_B`, ‖B‖ and their local forms are those of P. A blur often has an eigenvalue near 0; then γ
//! alone makes the problem strongly convex, and the condition number grows like 1/γ.
//!
//! # Cost
//! A gradient or a Hessian product costs one of P and two two-dimensional transforms. The value of the data term is computed from the
//! coefficients of the gradient by Parseval's identity, without a further transform.
//!
//! ```
//! use bilevel::{Maid, Run, Trust};
//! use bilevel_problems::data::{photograph, resized};
//! use bilevel_problems::imaging::{Blur, Boundary, Deblurring, Kernel, Norm, TvDenoising, pairs};
//!
//! let clean = resized(&photograph("camera")?, 32)?;
//! let blur = || Blur::new(&Kernel::gaussian(1.0)?, Boundary::Reflecting, 32, 32);
//! let observed = blur()?.apply(&clean)?.with_noise(0.01, 0, 0);
//!
//! let denoiser = TvDenoising::new(&observed, Norm::Isotropic)?;
//! let lower = Deblurring::new(denoiser, blur()?, 1e-2)?; // γ = 1e-2
//! let oracle = pairs(vec![lower], &[clean], Trust::Estimated)?;
//! let report = Run::new(&oracle, Maid::default()).max_iterations(5).start(vec![-7.0, -3.0])?;
//! println!("{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use bilevel::{Curvature, Element, Error, Linearization, LowerLevel, Vector};
use rustdct::rustfft::num_complex::Complex;

use super::blur::{Blur, Diagonal, Kind};
use super::transform::{Axes, Coefficient};
use super::{Denoiser, Restoration};
use crate::support::pool::Pool;

/// An entry of a transform of length n undergoes this times log₂ n roundings of `f64`.
const ROUNDINGS: f64 = 4.0;

/// The coefficients of y, column after column.
enum Data {
    Periodic(Vec<Complex<f64>>),
    Reflecting(Vec<f64>),
}

/// The deblurring problem with the regulariser of a denoising one. See the [module](self).
pub struct Deblurring<P: Denoiser> {
    denoiser: P,
    blur: Blur,
    ridge: f64,
    data: Data,
    /// ‖y‖.
    size: f64,
    arrays: Pool<P::X>,
}

impl<E: Element, P: Denoiser<X = Vec<E>>> Deblurring<P> {
    /// The problem of restoring the image that `denoiser` was made from, assuming that `blur` blurred it, with γ = `ridge`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a blur of another shape, a γ that is negative or not finite, and a γ for which γ + min|ĥ|² is not
    /// above 1e-12, so that the problem is not strongly convex.
    pub fn new(denoiser: P, blur: Blur, ridge: f64) -> Result<Self, Error> {
        let (rows, cols) = denoiser.shape();
        if blur.shape() != (rows, cols) {
            let (found_rows, found_cols) = blur.shape();
            return Err(Error::invalid(
                "blur",
                format!("{found_rows}×{found_cols}"),
                format!("{rows}×{cols}, the shape of the image"),
            ));
        }
        if !(0.0..=1e6).contains(&ridge) {
            return Err(Error::invalid(
                "ridge",
                format!("{ridge:?}"),
                "at least 0 and at most 1e6",
            ));
        }
        let (least, _) = blur.range();
        if ridge + least <= 1e-12 {
            return Err(Error::invalid(
                "ridge",
                format!("{ridge:?}"),
                format!(
                    "above 0: the blur keeps {least:.1e} of some images, so that without it the problem is not strongly convex"
                ),
            ));
        }
        let y = denoiser.noisy();
        Ok(Deblurring {
            data: match &blur.kind {
                Kind::Periodic(d) => Data::Periodic(d.transform.coefficients(y)),
                Kind::Reflecting(d) => Data::Reflecting(d.transform.coefficients(y)),
            },
            size: y.norm(),
            denoiser,
            blur,
            ridge,
            arrays: Pool::default(),
        })
    }

    /// P, the denoising problem whose regulariser is used.
    pub fn denoiser(&self) -> &P {
        &self.denoiser
    }

    /// H.
    pub fn blur(&self) -> &Blur {
        &self.blur
    }

    /// out ← out − (x − y) + Hᵀ(Hx − y) + γx; returns ½‖Hx − y‖² + (γ/2)‖x‖².
    fn data_term(&self, x: &[E], out: &mut [E]) -> f64 {
        match (&self.blur.kind, &self.data) {
            (Kind::Periodic(d), Data::Periodic(y)) => self.data_term_by(d, y, x, out),
            (Kind::Reflecting(d), Data::Reflecting(y)) => self.data_term_by(d, y, x, out),
            _ => f64::NAN, // made together, of one kind
        }
    }

    fn data_term_by<A: Axes>(
        &self,
        diagonal: &Diagonal<A>,
        data: &[A::Coefficient],
        x: &[E],
        out: &mut [E],
    ) -> f64 {
        let (rows, _) = self.blur.shape();
        let y = self.denoiser.noisy();
        let transform = &diagonal.transform;
        0.5 * transform.apply(
            x,
            out,
            |j, column| {
                let data = &data[j * rows..(j + 1) * rows];
                let each = column.iter_mut().zip(diagonal.column(j, rows)).zip(data);
                let terms = each.enumerate().map(|(i, ((c, &h), &data))| {
                    let residual = *c * h - data;
                    let square = residual.square() + self.ridge * c.square();
                    *c = residual * h.conjugate() + *c * self.ridge;
                    transform.axes().share(i, j) * square
                });
                terms.sum()
            },
            |i, value, out| E::from_f64(out.to_f64() + (value - (x[i].to_f64() - y[i].to_f64()))),
        )
    }

    /// out ← out − v + HᵀHv + γv.
    fn data_hessian<A: Axes>(&self, diagonal: &Diagonal<A>, v: &[E], out: &mut [E]) {
        let (rows, _) = self.blur.shape();
        diagonal.transform.apply(
            v,
            out,
            |j, column| {
                for (c, h) in column.iter_mut().zip(diagonal.column(j, rows)) {
                    *c = *c * (h.square() + self.ridge);
                }
                0.0
            },
            |i, value, out| E::from_f64(out.to_f64() + (value - v[i].to_f64())),
        );
    }
}

/// A = A_P − I + HᵀH + γI and B = B_P.
struct DeblurringLinearization<'a, P: Denoiser, D> {
    problem: &'a Deblurring<P>,
    of_denoiser: D,
}

impl<E, P, D> Linearization for DeblurringLinearization<'_, P, D>
where
    E: Element,
    P: Denoiser<X = Vec<E>>,
    D: Linearization<Theta = P::Theta, X = Vec<E>>,
{
    type Theta = P::Theta;
    type X = Vec<E>;

    fn hvp(&self, v: &Vec<E>, out: &mut Vec<E>) {
        self.of_denoiser.hvp(v, out);
        match &self.problem.blur.kind {
            Kind::Periodic(d) => self.problem.data_hessian(d, v, out),
            Kind::Reflecting(d) => self.problem.data_hessian(d, v, out),
        }
    }

    fn cross_vjp(&self, w: &Vec<E>, out: &mut P::Theta) {
        self.of_denoiser.cross_vjp(w, out);
    }

    fn cross_jvp(&self, u: &P::Theta, out: &mut Vec<E>) {
        self.of_denoiser.cross_jvp(u, out);
    }

    fn hessian_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        self.of_denoiser.hessian_change(q, radius)
    }

    fn cross_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        self.of_denoiser.cross_change(q, radius)
    }

    fn cross_change_norm(&self, radius: f64) -> Option<f64> {
        self.of_denoiser.cross_change_norm(radius)
    }

    fn cross_norm(&self, buffer: &mut Vec<E>) -> Option<f64> {
        self.of_denoiser.cross_norm(buffer)
    }
}

impl<E: Element, P: Denoiser<X = Vec<E>>> LowerLevel for Deblurring<P> {
    type Theta = P::Theta;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        self.denoiser.start()
    }

    fn check(&self, theta: &P::Theta) -> Result<(), Error> {
        self.denoiser.check(theta)
    }

    fn value(&self, x: &Vec<E>, theta: &P::Theta) -> f64 {
        let mut gradient = self.arrays.take(x.len());
        let value = self.value_and_gradient(x, theta, &mut gradient);
        self.arrays.put(gradient);
        value
    }

    fn gradient(&self, x: &Vec<E>, theta: &P::Theta, out: &mut Vec<E>) {
        self.denoiser.gradient(x, theta, out);
        self.data_term(x, out);
    }

    fn value_and_gradient(&self, x: &Vec<E>, theta: &P::Theta, out: &mut Vec<E>) -> f64 {
        let mut step = self.arrays.take(x.len());
        step.copy_from(x);
        step.axpy(-1.0, self.denoiser.noisy());
        let squares = step.dot(&step);
        self.arrays.put(step);
        let value = self.denoiser.value_and_gradient(x, theta, out) - 0.5 * squares;
        value + self.data_term(x, out)
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<E>,
        theta: &'a P::Theta,
    ) -> impl Linearization<Theta = P::Theta, X = Vec<E>> + 'a {
        DeblurringLinearization {
            problem: self,
            of_denoiser: self.denoiser.linearize(x, theta),
        }
    }

    fn curvature(&self, theta: &P::Theta) -> Curvature {
        let known = self.denoiser.curvature(theta);
        let (least, largest) = self.blur.range();
        let mu = known
            .strong_convexity
            .map(|mu| mu - 1.0 + self.ridge + least);
        Curvature {
            // A regulariser that is concave somewhere may leave nothing.
            strong_convexity: mu.filter(|&mu| mu > 0.0),
            smoothness: known.smoothness.map(|l| l - 1.0 + self.ridge + largest),
            ..known
        }
    }

    /// ∇g is ∇g_P with another data term, so the rounding errors of ∇g_P, which may be larger than ∇g, remain. Added to them are one
    /// rounding of the storage type and those of the transforms.
    fn gradient_rounding(&self, x: &Vec<E>, theta: &P::Theta, gradient_norm: f64) -> f64 {
        let (_, largest) = self.blur.range();
        let norm = x.norm();
        // ≥ ‖Hᵀ(Hx − y) + γx‖.
        let data = (largest + self.ridge) * norm + largest.sqrt() * self.size;
        let of_denoiser = gradient_norm + data + norm + self.size;
        let transforms = ROUNDINGS * (x.len() as f64).log2().max(1.0) * 0.5 * f64::EPSILON;
        self.denoiser.gradient_rounding(x, theta, of_denoiser)
            + E::UNIT_ROUNDOFF * gradient_norm
            + (transforms + 2.0 * f64::EPSILON) * (data + of_denoiser)
    }

    fn identity(&self) -> String {
        format!(
            "deblurring ({}, ridge {:?}) with {}",
            self.blur.identity(),
            self.ridge,
            self.denoiser.identity()
        )
    }
}

impl<E: Element, P: Denoiser<X = Vec<E>>> Restoration for Deblurring<P> {
    fn shape(&self) -> (usize, usize) {
        self.blur.shape()
    }
}
