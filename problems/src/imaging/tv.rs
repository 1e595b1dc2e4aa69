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

use bilevel::{Curvature, Element, Error, Linearization, LowerLevel};
use std::sync::Mutex;

use super::Image;
use super::bands::{Bands, Base, Differences, Pool, lane_sum};
use crate::fingerprint::fingerprint;

/// How the two differences at a pixel are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// φ(t_h) + φ(t_v): favours edges along the axes.
    Anisotropic,
    /// √(t_h² + t_v² + ν²): treats all directions alike.
    Isotropic,
}

/// What θ holds beside the logarithm of the smoothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The logarithm of one weight: θ ∈ ℝ².
    Global,
    /// The logarithm of a weight for every pixel, row after row: θ ∈ ℝⁿ⁺¹.
    PerPixel,
}

/// The largest |φ'''| is this over ν².
const MAX_THIRD: f64 = 0.858_650_103_355_036_9; // 48/(25√5)
/// The largest |∂φ'/∂log ν| = |t| ν²/φ³, at t = ν/√2.
const MAX_CROSS: f64 = 0.384_900_179_459_750_5; // 2/(3√3)
/// Entries of θ beyond this size make e^θ, its powers up to the fifth and their products leave the normal numbers of the type.
const MAX_LOG_F64: f64 = 120.0;
const MAX_LOG_F32: f64 = 20.0;
/// Pixels beyond this size make the squares of their differences leave them.
const MAX_PIXEL: f64 = 1e15;

/// The lower level of total-variation denoising of one image. See the [module](self).
pub struct TvDenoising<E> {
    noisy: Vec<E>,
    rows: usize,
    cols: usize,
    norm: Norm,
    weights: Weights,
    bands: Bands<E>,
    /// Arrays lent to linearisations, so that a loop over them allocates once.
    arrays: Pool<Vec<E>>,
    /// The last weights per pixel, beside the θ that they were computed from.
    pixel_weights: Mutex<Vec<PixelWeights<E>>>,
    identity: String,
}

#[derive(Default)]
struct PixelWeights<E> {
    theta: Vec<f64>,
    weights: Vec<E>,
}

/// θ, as the kernels use it.
struct Parameters<'a, E> {
    /// w for [`Weights::Global`]; the largest for [`Weights::PerPixel`].
    weight: f64,
    /// Empty for [`Weights::Global`].
    weights: &'a [E],
    nu: f64,
}

impl<E: Element> Parameters<'_, E> {
    /// The weights of row i, or `None` for a global weight.
    #[inline(always)]
    fn row(&self, i: usize, cols: usize) -> Option<&[E]> {
        (!self.weights.is_empty()).then(|| &self.weights[i * cols..(i + 1) * cols])
    }
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
        let unusable = |p: &E| p.to_f64().is_nan() || p.to_f64().abs() > MAX_PIXEL;
        if let Some(i) = noisy.pixels().iter().position(unusable) {
            return Err(Error::invalid(
                format!("noisy pixel ({}, {})", i / cols, i % cols),
                noisy.pixels()[i].to_f64(),
                format!("a finite number of at most {MAX_PIXEL:e}"),
            ));
        }
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
            bands: Bands::new(rows, cols),
            arrays: Pool::default(),
            pixel_weights: Mutex::new(Vec::new()),
        })
    }

    /// The same with one weight a pixel, or with one for all.
    pub fn with_weights(mut self, weights: Weights) -> Self {
        self.weights = weights;
        self
    }

    /// The length of θ.
    pub fn theta_len(&self) -> usize {
        match self.weights {
            Weights::Global => 2,
            Weights::PerPixel => self.noisy.len() + 1,
        }
    }

    /// N ≥ ‖D‖².
    fn difference_norm(&self) -> f64 {
        if self.rows == 1 || self.cols == 1 {
            4.0
        } else {
            8.0
        }
    }

    /// How much of ‖e‖ can be in the difference(s) at one pixel that share a Φ: |De|ᵢ ≤ spread · ‖e‖.
    fn spread(&self) -> f64 {
        match self.norm {
            Norm::Isotropic if self.rows > 1 && self.cols > 1 => 3f64.sqrt(),
            _ => 2f64.sqrt(),
        }
    }

    /// Calls `f` with the parameters that θ stands for. Weights per pixel are kept from call to call while θ is the same.
    fn with_parameters<R>(&self, theta: &[f64], f: impl FnOnce(&Parameters<'_, E>) -> R) -> R {
        let nu = theta[theta.len() - 1].exp();
        match self.weights {
            Weights::Global => f(&Parameters {
                weight: theta[0].exp(),
                weights: &[],
                nu,
            }),
            Weights::PerPixel => {
                let lock = || {
                    self.pixel_weights
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                };
                let logs = &theta[..theta.len() - 1];
                let mut kept = lock().pop().unwrap_or_default();
                if kept.theta != logs {
                    kept.theta.clear();
                    kept.theta.extend_from_slice(logs);
                    kept.weights.clear();
                    kept.weights
                        .extend(logs.iter().map(|t| E::from_f64(t.exp())));
                }
                let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let result = f(&Parameters {
                    weight: largest.exp(),
                    weights: &kept.weights,
                    nu,
                });
                lock().push(kept);
                result
            }
        }
    }

    /// out ← ∇ₓg, and g where `VALUE`.
    fn pass<const VALUE: bool>(&self, x: &[E], theta: &[f64], out: &mut [E]) -> f64 {
        self.with_parameters(theta, |p| match self.norm {
            Norm::Anisotropic => self.pass_of::<false, VALUE>(x, p, out),
            Norm::Isotropic => self.pass_of::<true, VALUE>(x, p, out),
        })
    }

    fn pass_of<const ISOTROPIC: bool, const VALUE: bool>(
        &self,
        x: &[E],
        p: &Parameters<'_, E>,
        out: &mut [E],
    ) -> f64 {
        let cols = self.cols;
        let nu2 = E::from_f64(p.nu * p.nu);
        let weight = E::from_f64(p.weight);
        let variation = self.bands.divergence::<VALUE, _>(
            x,
            Base::Difference(x, &self.noisy),
            out,
            #[inline(always)]
            |i| {
                let weights = p.row(i, cols);
                #[inline(always)]
                move |j: usize, th: E, tv: E| {
                    let weight = match weights {
                        Some(w) => w[j],
                        None => weight,
                    };
                    if ISOTROPIC {
                        let phi = (th * th + (tv * tv + nu2)).sqrt();
                        let scale = weight / phi;
                        (scale * th, scale * tv, phi)
                    } else {
                        // One division for both: 1/φ_h = φ_v/(φ_h φ_v).
                        let phi_h = (th * th + nu2).sqrt();
                        let phi_v = (tv * tv + nu2).sqrt();
                        let scale = weight / (phi_h * phi_v);
                        (scale * phi_v * th, scale * phi_h * tv, phi_h + phi_v)
                    }
                }
            },
            #[inline(always)]
            |i, j, phi| match p.row(i, cols) {
                Some(w) => w[j].to_f64() * phi,
                None => p.weight * phi,
            },
        );
        if VALUE {
            variation + 0.5 * self.squared_distance(x)
        } else {
            0.0
        }
    }

    /// ‖x − y‖².
    fn squared_distance(&self, x: &[E]) -> f64 {
        let cols = self.cols;
        self.bands.rows(
            &mut [] as &mut [E],
            0,
            #[inline(always)]
            |i, _, _, _| {
                let y = &self.noisy[i * cols..(i + 1) * cols];
                lane_sum(
                    &x[i * cols..(i + 1) * cols],
                    #[inline(always)]
                    |j, x| {
                        let d = x - y[j].to_f64();
                        d * d
                    },
                )
            },
        )
    }
}

impl<E: Element> LowerLevel for TvDenoising<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        self.noisy.clone()
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        if theta.len() != self.theta_len() {
            return Err(Error::invalid(
                "theta",
                format!("{} numbers", theta.len()),
                match self.weights {
                    Weights::Global => "2 numbers: log weight, log smoothing".to_owned(),
                    Weights::PerPixel => format!(
                        "{} numbers: a log weight for each pixel, then the log smoothing",
                        self.theta_len()
                    ),
                },
            ));
        }
        let limit = if E::NAME == "f32" {
            MAX_LOG_F32
        } else {
            MAX_LOG_F64
        };
        match theta.iter().position(|t| t.is_nan() || t.abs() > limit) {
            None => Ok(()),
            Some(i) => Err(Error::invalid(
                format!("theta[{i}]"),
                theta[i],
                format!("a logarithm between -{limit} and {limit}"),
            )),
        }
    }

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        let mut gradient = self.arrays.take(x.len());
        let value = self.pass::<true>(x, theta, &mut gradient);
        self.arrays.put(gradient);
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
        TvLinearization::new(self, x, theta)
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let nu = theta[theta.len() - 1].exp();
        let logs = &theta[..theta.len() - 1];
        let w = logs
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
            .exp();
        let n = self.difference_norm();
        let pixels = self.noisy.len() as f64;
        // ∇Φ has norm at most 1 for each Φ; the anisotropic form has two at a pixel.
        let terms = match self.norm {
            Norm::Anisotropic => 2.0,
            Norm::Isotropic => 1.0,
        };
        let smoothing_column = n * pixels * terms * MAX_CROSS * MAX_CROSS;
        let (weight_columns, weight_lipschitz) = match self.weights {
            Weights::Global => (n * pixels * terms, n),
            Weights::PerPixel => (n * terms, (3.0 * n).sqrt()),
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
        let w = theta[..theta.len() - 1]
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max)
            .exp();
        let size = 5.0 * gradient_norm + 80.0 * w * (self.noisy.len() as f64).sqrt();
        E::UNIT_ROUNDOFF * size
    }

    fn identity(&self) -> String {
        format!("{} ({:?} weights)", self.identity, self.weights)
    }
}

/// A and B at one image: A = I + Dᵀ W D with the 2×2 blocks W = w ∇²Φ(Dx), kept as two or three numbers a pixel.
struct TvLinearization<'a, E: Element> {
    problem: &'a TvDenoising<E>,
    x: &'a [E],
    theta: &'a [f64],
    /// Row after row: W_hh, W_vv, and for the isotropic form W_hv.
    blocks: Vec<E>,
}

impl<E: Element> Drop for TvLinearization<'_, E> {
    fn drop(&mut self) {
        self.problem.arrays.put(std::mem::take(&mut self.blocks));
    }
}

/// What a local bound is made of at one pixel: `third` ≥ |Φ'''|, `first` ≥ the Lipschitz constant of ∇Φ, `smoothing` ≥ that of
/// ∂∇Φ/∂log ν, all within `reach` of a difference of size `t`.
#[inline(always)]
fn local_constants(t: f64, reach: f64, nu: f64, isotropic: bool) -> (f64, f64, f64) {
    let lo = (t - reach).max(0.0);
    let hi = t + reach;
    let nu2 = nu * nu;
    // |Φ'''| rises to |t| = ν/2 and falls after, so its largest value in [lo, hi] is at the point closest to ν/2.
    let peak = (0.5 * nu).clamp(lo, hi);
    let phi2 = peak * peak + nu2;
    let along = 3.0 * peak * nu2 / (phi2 * phi2 * phi2.sqrt());
    // In two dimensions a direction oblique to t is worse once t² > ν²/2: then the supremum is 2/(√3 φ²).
    let third = if isotropic && peak * peak > 0.5 * nu2 {
        2.0 / (3f64.sqrt() * phi2)
    } else {
        along
    };
    let phi2 = lo * lo + nu2;
    let phi = phi2.sqrt();
    if isotropic {
        (third, 1.0 / phi, 1.0 / phi)
    } else {
        let first = nu2 / (phi2 * phi);
        let ratio = hi * hi / (hi * hi + nu2);
        (third, first, first * (3.0 * ratio - 1.0).max(1.0))
    }
}

/// ⟨∇Φ(t), d⟩ and ⟨∂∇Φ(t)/∂log ν, d⟩ for the differences t of x and d of another image.
#[inline(always)]
fn cross_products([th, tv, dh, dv]: [f64; 4], nu2: f64, isotropic: bool) -> (f64, f64) {
    if isotropic {
        let phi2 = th * th + tv * tv + nu2;
        let s = (th * dh + tv * dv) / phi2.sqrt();
        (s, -s * nu2 / phi2)
    } else {
        let (a, b) = (th * th + nu2, tv * tv + nu2);
        let (h, v) = (th * dh / a.sqrt(), tv * dv / b.sqrt());
        (h + v, -nu2 * (h / a + v / b))
    }
}

impl<'a, E: Element> TvLinearization<'a, E> {
    fn new(problem: &'a TvDenoising<E>, x: &'a [E], theta: &'a [f64]) -> Self {
        let cols = problem.cols;
        let numbers = match problem.norm {
            Norm::Anisotropic => 2,
            Norm::Isotropic => 3,
        };
        let mut blocks = problem.arrays.take(numbers * x.len());
        problem.with_parameters(theta, |p| {
            let nu2 = E::from_f64(p.nu * p.nu);
            let weight = E::from_f64(p.weight);
            problem.bands.rows(
                &mut blocks,
                numbers * cols,
                #[inline(always)]
                |i, differences: &mut Differences<E>, _: &mut Differences<E>, out: &mut [E]| {
                    let (th, tv) = differences.of(x, i);
                    let (th, tv) = (&th[..cols], &tv[..cols]);
                    let (hh, rest) = out.split_at_mut(cols);
                    let (vv, hv) = rest.split_at_mut(cols);
                    if hv.is_empty() {
                        for j in 0..cols {
                            let a = th[j] * th[j] + nu2;
                            let b = tv[j] * tv[j] + nu2;
                            hh[j] = weight * nu2 / (a * a.sqrt());
                            vv[j] = weight * nu2 / (b * b.sqrt());
                        }
                    } else {
                        let hv = &mut hv[..cols];
                        for j in 0..cols {
                            let (h2, v2) = (th[j] * th[j], tv[j] * tv[j]);
                            let phi2 = h2 + v2 + nu2;
                            let scale = weight / (phi2 * phi2.sqrt());
                            hh[j] = scale * (v2 + nu2);
                            vv[j] = scale * (h2 + nu2);
                            hv[j] = E::default() - scale * (th[j] * tv[j]);
                        }
                    }
                    if let Some(w) = p.row(i, cols) {
                        for plane in out.chunks_exact_mut(cols) {
                            for j in 0..cols {
                                plane[j] = plane[j] * (w[j] / weight);
                            }
                        }
                    }
                    0.0
                },
            );
        });
        TvLinearization {
            problem,
            x,
            theta,
            blocks,
        }
    }

    /// The weight of pixel i.
    #[inline(always)]
    fn weight(&self, p: &Parameters<'_, E>, i: usize) -> f64 {
        if p.weights.is_empty() {
            p.weight
        } else {
            p.weights[i].to_f64()
        }
    }
}

impl<E: Element> Linearization for TvLinearization<'_, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn hvp(&self, v: &Vec<E>, out: &mut Vec<E>) {
        let cols = self.problem.cols;
        let isotropic = self.problem.norm == Norm::Isotropic;
        let stride = cols * if isotropic { 3 } else { 2 };
        let no_sum = |_, _, _| 0.0;
        let planes = |i: usize| {
            let w = &self.blocks[i * stride..(i + 1) * stride];
            (&w[..cols], &w[cols..2 * cols], &w[stride - cols..])
        };
        let (bands, base) = (&self.problem.bands, Base::Image(v));
        if isotropic {
            bands.divergence::<false, _>(
                v,
                base,
                out,
                #[inline(always)]
                |i| {
                    let (hh, vv, hv) = planes(i);
                    #[inline(always)]
                    move |j: usize, dh: E, dv: E| {
                        let (ph, pv) = (hh[j] * dh + hv[j] * dv, hv[j] * dh + vv[j] * dv);
                        (ph, pv, E::default())
                    }
                },
                no_sum,
            );
        } else {
            bands.divergence::<false, _>(
                v,
                base,
                out,
                #[inline(always)]
                |i| {
                    let (hh, vv, _) = planes(i);
                    #[inline(always)]
                    move |j: usize, dh: E, dv: E| (hh[j] * dh, vv[j] * dv, E::default())
                },
                no_sum,
            );
        }
    }

    fn cross_vjp(&self, w: &Vec<E>, out: &mut Vec<f64>) {
        let isotropic = self.problem.norm == Norm::Isotropic;
        self.problem.with_parameters(self.theta, |p| {
            let nu2 = p.nu * p.nu;
            let last = out.len() - 1;
            match self.problem.weights {
                Weights::Global => {
                    let [a, b, _] = self.problem.bands.totals(
                        self.x,
                        w,
                        #[inline(always)]
                        |_, d| {
                            let (s, r) = cross_products(d, nu2, isotropic);
                            [s, r, 0.0]
                        },
                    );
                    out[0] = p.weight * a;
                    out[1] = p.weight * b;
                }
                Weights::PerPixel => {
                    let cols = self.problem.cols;
                    let (per_pixel, smoothing) = out.split_at_mut(last);
                    smoothing[0] = self.problem.bands.rows(
                        per_pixel,
                        cols,
                        #[inline(always)]
                        |i, of_x: &mut Differences<E>, of_w: &mut Differences<E>, out: &mut [f64]| {
                            let (th, tv) = of_x.of(self.x, i);
                            let (wh, wv) = of_w.of(w, i);
                            let mut total = 0.0;
                            for j in 0..cols {
                                let weight = self.weight(p, i * cols + j);
                                let d = [th[j], tv[j], wh[j], wv[j]].map(E::to_f64);
                                let (s, r) = cross_products(d, nu2, isotropic);
                                out[j] = weight * s;
                                total += weight * r;
                            }
                            total
                        },
                    );
                }
            }
        });
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<E>) {
        let cols = self.problem.cols;
        let isotropic = self.problem.norm == Norm::Isotropic;
        self.problem.with_parameters(self.theta, |p| {
            let nu2 = E::from_f64(p.nu * p.nu);
            let smoothing = E::from_f64(u[u.len() - 1]);
            let global = E::from_f64(p.weight);
            self.problem.bands.divergence::<false, _>(
                self.x,
                Base::Zero,
                out,
                #[inline(always)]
                |i| {
                    let weights = p.row(i, cols);
                    #[inline(always)]
                    move |j: usize, th: E, tv: E| {
                        let (weight, along) = match weights {
                            Some(w) => (w[j], u[i * cols + j]),
                            None => (global, u[0]),
                        };
                        let along = E::from_f64(along);
                        let (h2, v2) = (th * th, tv * tv);
                        let (a, b) = if isotropic {
                            (h2 + v2 + nu2, h2 + v2 + nu2)
                        } else {
                            (h2 + nu2, v2 + nu2)
                        };
                        (
                            weight * (along - smoothing * nu2 / a) * th / a.sqrt(),
                            weight * (along - smoothing * nu2 / b) * tv / b.sqrt(),
                            E::default(),
                        )
                    }
                },
                |_, _, _| 0.0,
            );
        });
    }

    fn hessian_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        let n = self.problem.difference_norm();
        let reach = self.problem.spread() * radius;
        let isotropic = self.problem.norm == Norm::Isotropic;
        Some(self.problem.with_parameters(self.theta, |p| {
            let [_, _, largest] = self.problem.bands.totals(
                self.x,
                q,
                #[inline(always)]
                |i, [th, tv, qh, qv]| {
                    let bound = if isotropic {
                        let t = (th * th + tv * tv).sqrt();
                        local_constants(t, reach, p.nu, true).0 * (qh * qh + qv * qv).sqrt()
                    } else {
                        let h = local_constants(th.abs(), reach, p.nu, false).0 * qh.abs();
                        let v = local_constants(tv.abs(), reach, p.nu, false).0 * qv.abs();
                        h.max(v)
                    };
                    [0.0, 0.0, self.weight(p, i) * bound]
                },
            );
            (1.0 + 32.0 * E::UNIT_ROUNDOFF) * n * radius * largest
        }))
    }

    fn cross_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        let n = self.problem.difference_norm();
        let reach = self.problem.spread() * radius;
        let isotropic = self.problem.norm == Norm::Isotropic;
        Some(self.problem.with_parameters(self.theta, |p| {
            // Sums of squares over the pixels for the two columns, and the largest square of the first.
            let [first, smoothing, largest] = self.problem.bands.totals(
                self.x,
                q,
                #[inline(always)]
                |i, [th, tv, qh, qv]| {
                    let (f2, s2) = if isotropic {
                        let t = (th * th + tv * tv).sqrt();
                        let (_, f, s) = local_constants(t, reach, p.nu, true);
                        let q2 = qh * qh + qv * qv;
                        (f * f * q2, s * s * q2)
                    } else {
                        let (_, fh, sh) = local_constants(th.abs(), reach, p.nu, false);
                        let (_, fv, sv) = local_constants(tv.abs(), reach, p.nu, false);
                        let (h2, v2) = (qh * qh, qv * qv);
                        (fh * fh * h2 + fv * fv * v2, sh * sh * h2 + sv * sv * v2)
                    };
                    let w2 = self.weight(p, i) * self.weight(p, i);
                    [w2 * f2, w2 * s2, w2 * f2]
                },
            );
            // One weight a pixel makes the first column a diagonal: its norm is its largest entry.
            let columns = match self.problem.weights {
                Weights::Global => first + smoothing,
                Weights::PerPixel => largest + smoothing,
            };
            (1.0 + 32.0 * E::UNIT_ROUNDOFF) * radius * (n * columns).sqrt()
        }))
    }

    /// The spectral norm of the n×2 matrix, from its Gram matrix; the constant of the problem for one weight a pixel.
    fn cross_norm(&self, room: &mut Vec<E>) -> Option<f64> {
        if self.problem.weights == Weights::PerPixel {
            return None;
        }
        let mut gram = [vec![1.0, 0.0], vec![0.0, 1.0]];
        for column in &mut gram {
            self.cross_jvp(column, room);
            self.cross_vjp(room, column);
        }
        let (aa, ab, bb) = (gram[0][0], gram[0][1], gram[1][1]);
        let largest = 0.5 * (aa + bb) + (0.5 * (aa - bb)).hypot(ab);
        // An entry of a column is a difference of four terms of at most w, which may cancel.
        let weight = self.theta[0].exp();
        let rounding = 80.0 * E::UNIT_ROUNDOFF * weight * (self.x.len() as f64).sqrt();
        Some(largest.max(0.0).sqrt() + 2.0 * rounding)
    }
}
