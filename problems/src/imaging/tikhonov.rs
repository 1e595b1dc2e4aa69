//! Tikhonov denoising with learned weights: a linear problem whose solution is known in closed form.
//!
//! ```text
//! g(x, θ) = ½‖x − y‖² + ½ (w₁ ‖x‖² + w₂ ‖D_h x‖² + w₃ ‖D_v x‖²),   w = e^θ > 0,   θ ∈ ℝ³
//! x*(θ) = A⁻¹y,   A = I + w₁I + w₂ D_hᵀD_h + w₃ D_vᵀD_v
//! ```
//!
//! D_h and D_v are the forward differences to the right and downwards, zero at the border. Logarithms keep the weights positive.
//!
//! # Curvature
//! With N_k = ‖D_k‖² ≤ 1, 4, 4: μ = 1 + w₁, L = 1 + Σ w_k N_k, L_A = 0. The columns of B, w_k D_kᵀD_k x, are linear in x, so
//! L_B² = Σ w_k² N_k². No bound of ‖B(x)‖ holds for all x; the linearisation computes ‖B(x)‖² ≤ Σ w_k² ‖D_kᵀD_k x‖².
//!
//! # Reference
//! A. N. Tikhonov, V. Y. Arsenin: Solutions of ill-posed problems. Winston, 1977. As a bilevel problem: E. Haber, L. Tenorio: Learning
//! regularization functionals. Inverse Problems 19 (2003),
//! [doi:10.1088/0266-5611/19/3/309](https://doi.org/10.1088/0266-5611/19/3/309).

use bilevel::{Curvature, Element, Error, Linearization, LowerLevel, Vector};
use faer::linalg::solvers::{Llt, Solve};
use faer::{Col, Mat, Side};

use super::finite_differences::{Base, Difference, FiniteDifferences, Plain, Zero};
use super::{Denoiser, Image, Restoration};
use crate::support::checks::{check_logarithms, check_pixels};
use crate::support::fingerprint::fingerprint;
use crate::support::pool::Pool;

/// ‖D_k‖² is at most this.
const NORMS: [f64; 3] = [1.0, 4.0, 4.0];
/// Pixels of the largest image that is solved in closed form.
const DENSE: usize = 4096;

/// The lower level of Tikhonov denoising of one image. See the [module](self).
pub struct Tikhonov<E> {
    noisy: Vec<E>,
    rows: usize,
    cols: usize,
    differences: FiniteDifferences<E>,
    arrays: Pool<Vec<E>>,
}

impl<E: Element> Tikhonov<E> {
    /// The problem of denoising `noisy`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for entries that are not finite.
    pub fn new(noisy: &Image<E>) -> Result<Self, Error> {
        let (rows, cols) = (noisy.rows(), noisy.cols());
        check_pixels(noisy, "noisy pixel", f64::MAX)?;
        Ok(Tikhonov {
            noisy: noisy.pixels().to_vec(),
            rows,
            cols,
            differences: FiniteDifferences::new(rows, cols),
            arrays: Pool::default(),
        })
    }

    /// A⁻¹ r by a dense Cholesky factorisation, for small images: x*(θ) for r = y, the adjoint for r = ∇ₓf.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ that is refused, an r of another length, or an image of more than 4,096 pixels.
    pub fn solve(&self, r: &[f64], theta: &Vec<f64>) -> Result<Vec<f64>, Error> {
        self.check(theta)?;
        let n = self.noisy.len();
        if n > DENSE || r.len() != n {
            return Err(Error::invalid(
                "right-hand side",
                format!("{} numbers for {n} pixels", r.len()),
                format!("as many as pixels, at most {DENSE}"),
            ));
        }
        let [w, across, down] = weights(theta);
        let mut a = Mat::<f64>::from_fn(n, n, |i, j| if i == j { 1.0 + w } else { 0.0 });
        let mut couple = |i: usize, j: usize, w: f64| {
            a[(i, i)] += w;
            a[(j, j)] += w;
            a[(i, j)] -= w;
            a[(j, i)] -= w;
        };
        for i in 0..n {
            if (i + 1) % self.cols != 0 {
                couple(i, i + 1, across);
            }
            if i + self.cols < n {
                couple(i, i + self.cols, down);
            }
        }
        let factor = Llt::new(a.as_ref(), Side::Lower).map_err(|_| Error::NotFinite {
            function: "the Hessian of Tikhonov denoising",
            cause: None,
        })?;
        let x = factor.solve(Col::from_fn(n, |i| r[i]));
        Ok((0..n).map(|i| x[i]).collect())
    }

    /// out ← base + [w₁I + w₂ D_hᵀD_h + w₃ D_vᵀD_v] v.
    fn product(&self, [w, across, down]: [f64; 3], base: impl Base<E>, v: &[E], out: &mut [E]) {
        let (across, down) = (E::from_f64(across), E::from_f64(down));
        self.differences.divergence::<false, _>(
            v,
            base,
            out,
            #[inline(always)]
            |_| {
                #[inline(always)]
                move |_: usize, h: E, v: E| (across * h, down * v, E::default())
            },
            |_, _, _| 0.0,
        );
        let w = E::from_f64(w);
        for (out, &v) in out.iter_mut().zip(v) {
            *out = *out + w * v;
        }
    }

    /// ⟨x, z⟩, ⟨D_h x, D_h z⟩, ⟨D_v x, D_v z⟩.
    fn inner(&self, x: &Vec<E>, z: &Vec<E>) -> [f64; 3] {
        let [h, v, _] = self.differences.totals(
            x,
            z,
            #[inline(always)]
            |_, [xh, xv, zh, zv]| [xh * zh, xv * zv, 0.0],
        );
        [x.dot(z), h, v]
    }
}

fn weights(theta: &[f64]) -> [f64; 3] {
    [theta[0].exp(), theta[1].exp(), theta[2].exp()]
}

/// √Σ (w_k a_k)².
fn root(w: [f64; 3], a: [f64; 3]) -> f64 {
    let squares = w.iter().zip(a).map(|(w, a)| (w * a) * (w * a));
    squares.sum::<f64>().sqrt()
}

/// A and B at one image.
struct TikhonovLinearization<'a, E> {
    problem: &'a Tikhonov<E>,
    x: &'a Vec<E>,
    weights: [f64; 3],
}

impl<E: Element> Linearization for TikhonovLinearization<'_, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn hvp(&self, v: &Vec<E>, out: &mut Vec<E>) {
        self.problem.product(self.weights, Plain(v), v, out);
    }

    fn cross_vjp(&self, w: &Vec<E>, out: &mut Vec<f64>) {
        let inner = self.problem.inner(self.x, w);
        for ((out, w), inner) in out.iter_mut().zip(self.weights).zip(inner) {
            *out = w * inner;
        }
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<E>) {
        let scaled = std::array::from_fn(|k| u[k] * self.weights[k]);
        self.problem.product(scaled, Zero, self.x, out);
    }

    fn hessian_change(&self, _q: &Vec<E>, _radius: f64) -> Option<f64> {
        Some(0.0)
    }

    /// The Frobenius norm, column by column.
    fn cross_norm(&self, buffer: &mut Vec<E>) -> Option<f64> {
        let mut squares = 0.0;
        for (k, n) in NORMS.iter().enumerate() {
            let mut unit = [0.0; 3];
            unit[k] = self.weights[k];
            self.problem.product(unit, Zero, self.x, buffer);
            let rounding = 8.0 * E::UNIT_ROUNDOFF * self.weights[k] * n * self.x.norm();
            squares += (buffer.norm() + rounding).powi(2);
        }
        Some(squares.sqrt())
    }
}

impl<E: Element> LowerLevel for Tikhonov<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        self.noisy.clone()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        if theta.len() != 3 {
            return Err(Error::invalid(
                "theta",
                format!("{} numbers", theta.len()),
                "3 numbers: the log weights of the image, of its horizontal and of its vertical differences",
            ));
        }
        check_logarithms::<E>(theta)
    }

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        let mut step = self.arrays.take(x.len());
        step.copy_from(x);
        step.axpy(-1.0, &self.noisy);
        let data = step.dot(&step);
        self.arrays.put(step);
        let terms = self.inner(x, x).into_iter().zip(weights(theta));
        0.5 * (data + terms.map(|(a, w)| w * a).sum::<f64>())
    }

    fn gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.product(weights(theta), Difference(x, &self.noisy), x, out);
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<E>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<E>> + 'a {
        TikhonovLinearization {
            problem: self,
            x,
            weights: weights(theta),
        }
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let w = weights(theta);
        Curvature {
            strong_convexity: Some(1.0 + w[0]),
            smoothness: Some(1.0 + w[0] + NORMS[1] * w[1] + NORMS[2] * w[2]),
            hessian_lipschitz: Some(0.0),
            cross_norm: None,
            cross_lipschitz: Some(root(w, NORMS)),
        }
    }

    fn identity(&self) -> String {
        format!(
            "Tikhonov denoising of {}×{} in {} ({:08x})",
            self.rows,
            self.cols,
            E::NAME,
            fingerprint(&self.noisy)
        )
    }
}

impl<E: Element> Restoration for Tikhonov<E> {
    fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }
}

impl<E: Element> Denoiser for Tikhonov<E> {
    fn noisy(&self) -> &Vec<E> {
        &self.noisy
    }
}
