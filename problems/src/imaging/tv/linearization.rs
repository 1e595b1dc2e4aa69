//! The second derivatives of TV denoising at one image.

use bilevel::linear::SparseMatrix;
use bilevel::{Element, Linearization, Vector};

use super::super::finite_differences::{Plain, RowDifferences, Zero};
use super::blocks::planes;
use super::parameters::{Parameters, largest_weight};
use super::precondition::Prepared;
use super::{Norm, TvDenoising, Weights};

/// A and B at one image: A = I + Dᵀ W D with the 2×2 blocks W = w ∇²Φ(Dx), stored as two or three numbers per pixel.
pub(super) struct TvLinearization<'a, E: Element> {
    pub(super) problem: &'a TvDenoising<E>,
    pub(super) x: &'a [E],
    pub(super) theta: &'a [f64],
    /// Row after row: W_hh, W_vv, and for the isotropic form W_hv.
    pub(super) blocks: Vec<E>,
    pub(super) preconditioner: Prepared<E>,
}

impl<E: Element> Drop for TvLinearization<'_, E> {
    fn drop(&mut self) {
        self.problem.arrays.put(std::mem::take(&mut self.blocks));
        if let Prepared::Diagonal(inverse) = &mut self.preconditioner {
            self.problem.arrays.put(std::mem::take(inverse));
        }
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
    pub(super) fn new(problem: &'a TvDenoising<E>, x: &'a [E], theta: &'a [f64]) -> Self {
        let cols = problem.cols;
        let numbers = planes(problem.norm);
        let mut blocks = problem.arrays.take(numbers * x.len());
        problem.with_parameters(theta, |p| {
            let nu2 = E::from_f64(p.nu * p.nu);
            let weight = E::from_f64(p.weight);
            problem.differences.rows(
                &mut blocks,
                numbers * cols,
                #[inline(always)]
                |i,
                 differences: &mut RowDifferences<E>,
                 _: &mut RowDifferences<E>,
                 out: &mut [E]| {
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
            preconditioner: Prepared::new(problem, &blocks),
            problem,
            x,
            theta,
            blocks,
        }
    }

    fn cross_jvp_of<const ISOTROPIC: bool, const PER_PIXEL: bool>(&self, u: &[f64], out: &mut [E]) {
        let cols = self.problem.cols;
        self.problem.with_parameters(self.theta, |p| {
            let nu2 = E::from_f64(p.nu * p.nu);
            let smoothing = E::from_f64(u[u.len() - 1]);
            let global = E::from_f64(p.weight);
            let first = E::from_f64(u[0]);
            self.problem.differences.divergence::<false, _>(
                self.x,
                Zero,
                out,
                #[inline(always)]
                |i| {
                    let (weights, along) = if PER_PIXEL {
                        let row = i * cols..(i + 1) * cols;
                        (&p.weights[row.clone()], &u[row])
                    } else {
                        (&[] as &[E], &[] as &[f64])
                    };
                    #[inline(always)]
                    move |j: usize, th: E, tv: E| {
                        let (weight, along) = if PER_PIXEL {
                            (weights[j], E::from_f64(along[j]))
                        } else {
                            (global, first)
                        };
                        let (h2, v2) = (th * th, tv * tv);
                        let (a, b) = if ISOTROPIC {
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

    /// out_i ← wᵢ⟨∇Φ(Dᵢx), Dᵢw⟩; returns the entry of Bᵀw for the smoothing.
    fn per_pixel(&self, w: &[E], p: &Parameters<'_, E>, out: &mut [f64]) -> f64 {
        let cols = self.problem.cols;
        let isotropic = self.problem.norm == Norm::Isotropic;
        let nu2 = p.nu * p.nu;
        self.problem.differences.rows(
            out,
            cols,
            #[inline(always)]
            |i, of_x: &mut RowDifferences<E>, of_w: &mut RowDifferences<E>, out: &mut [f64]| {
                let (th, tv) = of_x.of(self.x, i);
                let (wh, wv) = of_w.of(w, i);
                let mut total = 0.0;
                for j in 0..cols {
                    let weight = p.at::<true>(i * cols + j);
                    let d = [th[j], tv[j], wh[j], wv[j]].map(E::to_f64);
                    let (s, r) = cross_products(d, nu2, isotropic);
                    out[j] = weight * s;
                    total += weight * r;
                }
                total
            },
        )
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
        let (differences, base) = (&self.problem.differences, Plain(v));
        if isotropic {
            differences.divergence::<false, _>(
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
            differences.divergence::<false, _>(
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
                    let [a, b, _] = self.problem.differences.totals(
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
                    let (per_pixel, smoothing) = out.split_at_mut(last);
                    smoothing[0] = self.per_pixel(w, p, per_pixel);
                }
                Weights::PerPatch { .. } => {
                    let (per_patch, smoothing) = out.split_at_mut(last);
                    let mut per_pixel = self.problem.numbers.take(self.x.len());
                    smoothing[0] = self.per_pixel(w, p, &mut per_pixel);
                    self.problem.patches().sum(&per_pixel, per_patch);
                    self.problem.numbers.put(per_pixel);
                }
            }
        });
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<E>) {
        if let Weights::PerPatch { .. } = self.problem.weights {
            let mut spread = self.problem.numbers.take(self.x.len() + 1);
            let patches = self.problem.patches();
            let of_pixels = patches.spread(u).chain(u.last().copied());
            spread.iter_mut().zip(of_pixels).for_each(|(s, u)| *s = u);
            by_kind!(self.problem, self.cross_jvp_of(&spread, out));
            self.problem.numbers.put(spread);
        } else {
            by_kind!(self.problem, self.cross_jvp_of(u, out));
        }
    }

    fn hessian_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        Some(by_kind!(self.problem, self.hessian_change_of(q, radius)))
    }

    fn cross_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        Some(by_kind!(self.problem, self.cross_change_of(q, radius)))
    }

    fn has_preconditioner(&self) -> bool {
        !matches!(self.preconditioner, Prepared::None)
    }

    fn precondition(&self, r: &Vec<E>, out: &mut Vec<E>) {
        self.preconditioner
            .apply(self.problem.laplacian.as_ref(), r, out);
    }

    fn sparse(&self) -> Option<&dyn SparseMatrix> {
        Some(self)
    }

    /// For one weight the spectral norm of the n×2 matrix, from its Gram matrix. For several weights the norm of their columns is bounded by
    /// the constant of the problem, and only the norm of the last column is computed.
    fn cross_norm(&self, buffer: &mut Vec<E>) -> Option<f64> {
        // An entry of a column is a difference of four terms of at most w, which may cancel.
        let weight = largest_weight(self.theta);
        let rounding = 80.0 * E::UNIT_ROUNDOFF * weight * (self.x.len() as f64).sqrt();
        if self.problem.weights != Weights::Global {
            let mut last = self.problem.numbers.take(self.problem.theta_len());
            last.fill(0.0);
            last[self.problem.theta_len() - 1] = 1.0;
            self.cross_jvp(&last, buffer);
            self.problem.numbers.put(last);
            let weights = weight * self.problem.weight_columns().sqrt();
            return Some(weights.hypot(buffer.norm() + rounding));
        }
        let mut gram = [vec![1.0, 0.0], vec![0.0, 1.0]];
        for column in &mut gram {
            self.cross_jvp(column, buffer);
            self.cross_vjp(buffer, column);
        }
        let (aa, ab, bb) = (gram[0][0], gram[0][1], gram[1][1]);
        let largest = 0.5 * (aa + bb) + (0.5 * (aa - bb)).hypot(ab);
        Some(largest.max(0.0).sqrt() + 2.0 * rounding)
    }
}
