//! Bounds of the second derivatives of a field of experts near a point x, on which its certificates rest.
//!
//! For a change e of x, with sₖ = Cₖq, δₖ = Cₖe, p = size/2, and the patch of size² pixels of the extended image at position i:
//!
//! ```text
//! ‖Σₖ Cₖᵀvₖ‖² ≤ J(b) Σₖ ‖vₖ‖²/bₖ   and   Σₖ bₖ‖Cₖe‖² ≤ J(b) ‖e‖²        J(b) = 4 max_ω Σₖ bₖ|ĉₖ(ω)|²
//! |δₖ|ᵢ ≤ ρᵢ ‖cₖ‖ ‖e‖           ρᵢ = 1, √2 near one border, 2 near two
//! |(c ∗ x)ᵢ| ≤ ‖c‖ ‖patchᵢ‖,  ‖dCₖᵀv‖ ≤ 2 size ‖dcₖ‖ ‖v‖
//! ```
//!
//! # ‖(A(x+e) − A(x))q‖
//! is at most J(m)‖e‖ with mₖ = maxᵢ wₖ|ψ'''|ᵢ|sₖ|ᵢ, the supremum of |ψ'''| taken within the reach of e: with vₖ = wₖΔψ''∘sₖ, ‖vₖ‖ ≤ mₖ‖δₖ‖,
//! both inequalities with b = m.
//!
//! # ‖B‖
//! B u = Σₖ Cₖᵀvₖ + Σₖ dCₖᵀ(wₖψₖ') with vₖ the sum of the changes by the weight, the smoothings and the filter itself, wₖψₖ''∘(dcₖ ∗ x).
//! The latter has norm at most ‖dcₖ‖ √(Σᵢ hᵢ²‖patchᵢ‖²), with the patches less their means where the filters have mean zero. With σₖ the
//! root of the sum of the squares of all these, b = σ gives √(J(σ) max σ); the spread dCₖᵀ adds 2 size √Σ‖wₖψₖ'‖², and the direction
//! that moves all weights together ‖Σₖ Cₖᵀwₖψₖ'‖ ≤ √(J(α) Σα), αₖ = wₖ‖ψₖ'‖, times the norm of that functional.
//!
//! # Changes of B
//! are bounded in the same way, each factor replaced by its change: in [`Bounds::cross_change_norm`] by suprema over positions, in
//! [`Bounds::cross_change`], which carries the first order of the error of a hypergradient, by sums of squares along q.

use bilevel::simd::dispatch;

use super::super::finite_differences::larger;
use super::field::Geometry;
use super::parameters::Parameters;
use super::potential::{Expert, local_suprema};
use super::prepared::Prepared;
use super::spectrum::Spectrum;
use super::{EXTENSION, FoeDenoising};
use crate::support::lanes::Lanes;

/// Sums of squares over the positions, for each expert.
const SUMS: usize = 9;
/// Largest values over the positions, for each expert.
const MAXIMA: usize = 4;

/// The bounds at one point, of one problem.
pub(super) struct Bounds<'a, E> {
    problem: &'a FoeDenoising<E>,
    prepared: &'a Prepared<E>,
    x: &'a [E],
}

/// Norms (roots of sums of squares) and maxima over the positions, for one expert. `third`, `second`, `mixed` are the suprema of
/// |ψ'''|, |ψ''| and |∂ψ''/∂log ν| within reach, V the energies of the patches of x and Q those of q.
#[derive(Default, Clone, Copy)]
struct Gathered {
    /// wψ', wν∂ψ'/∂ν + wκ∂ψ'/∂κ, w(κ − ν)∂ψ'/∂κ and wψ''√V
    first: f64,
    smoothing: f64,
    ratio: f64,
    patch: f64,
    /// w second |s|, w mixed |s|, w third |s| √V, w second √Q and wψ''|s|
    second_along: f64,
    mixed_along: f64,
    third_patch_along: f64,
    second_patch_along: f64,
    curvature_along: f64,
    /// The largest w third |s|, w second, w mixed and w third √V
    largest_third_along: f64,
    largest_second: f64,
    largest_mixed: f64,
    largest_third_patch: f64,
}

fn root_of_squares(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|v| v * v).sum::<f64>().sqrt()
}

impl<'a, E: Lanes> Bounds<'a, E> {
    pub(super) fn new(problem: &'a FoeDenoising<E>, prepared: &'a Prepared<E>, x: &'a [E]) -> Self {
        Bounds {
            problem,
            prepared,
            x,
        }
    }

    fn parameters(&self) -> &Parameters {
        &self.prepared.parameters
    }

    /// J(b)
    fn joint(&self, b: impl Iterator<Item = f64>) -> f64 {
        let size = self.problem.experts().size();
        EXTENSION * EXTENSION * Spectrum::new(&self.parameters().filters, size, b).bound()
    }

    /// A bound of ‖(A(x+e) − A(x))q‖.
    pub(super) fn hessian_change(&self, q: &[E], radius: f64) -> f64 {
        let gathered = self.gather(Some(q), radius);
        radius * self.joint(gathered.iter().map(|g| g.largest_third_along))
    }

    /// A bound of ‖B‖.
    pub(super) fn cross_norm(&self) -> f64 {
        let gathered = self.gather(None, 0.0);
        let sigma =
            |g: &Gathered| root_of_squares([g.first, g.smoothing, g.ratio, g.patch].into_iter());
        self.combine(&gathered, sigma, |g| g.first)
    }

    /// √(J(σ) max σ) + 2 size √Σα² + the norm of the common functional times √(J(α) Σα).
    fn combine(
        &self,
        gathered: &[Gathered],
        sigma: impl Fn(&Gathered) -> f64,
        alpha: impl Fn(&Gathered) -> f64,
    ) -> f64 {
        let size = self.problem.experts().size() as f64;
        let largest = gathered.iter().map(&sigma).fold(0.0, larger);
        let own = (self.joint(gathered.iter().map(&sigma)) * largest).sqrt();
        let spread = EXTENSION * size * root_of_squares(gathered.iter().map(&alpha));
        let sum: f64 = gathered.iter().map(&alpha).sum();
        let common = (self.joint(gathered.iter().map(&alpha)) * sum).sqrt();
        own + spread + self.parameters().common_norm() * common
    }

    /// A bound of ‖B(x+e) − B(x)‖.
    pub(super) fn cross_change_norm(&self, radius: f64) -> f64 {
        let gathered = self.gather(None, radius);
        let size = self.problem.experts().size() as f64;
        let s2 = self.problem.experts().size().pow(2);
        let filters = self.parameters().filters.chunks_exact(s2);
        // ‖Cₖ‖ ≤ 2 max|ĉₖ| ≤ 2 size ‖cₖ‖.
        let norms: Vec<f64> = filters
            .map(|c| EXTENSION * size * root_of_squares(c.iter().copied()))
            .collect();
        let changes: Vec<Gathered> = gathered
            .iter()
            .zip(&norms)
            .map(|(g, norm)| Gathered {
                first: g.largest_second * norm * radius,
                smoothing: 2.0 * g.largest_mixed * norm * radius,
                patch: g.largest_third_patch * norm * radius
                    + EXTENSION * size * radius * g.largest_second,
                ..Gathered::default()
            })
            .collect();
        let sigma = |g: &Gathered| {
            root_of_squares([g.first, g.smoothing, g.smoothing, g.patch].into_iter())
        };
        self.combine(&changes, sigma, |g| g.first)
    }

    /// A bound of ‖(B(x+e) − B(x))ᵀq‖.
    pub(super) fn cross_change(&self, q: &[E], radius: f64) -> f64 {
        let gathered = self.gather(Some(q), radius);
        let size = self.problem.experts().size() as f64;
        let squares = |f: &dyn Fn(&Gathered) -> f64| {
            radius * self.joint(gathered.iter().map(|g| f(g).powi(2))).sqrt()
        };
        // The weights one by one, then together.
        let weights = squares(&|g| g.second_along);
        let sum: f64 = gathered.iter().map(|g| g.second_along).sum();
        let joint = self.joint(gathered.iter().map(|g| g.second_along));
        let common = self.parameters().common_norm() * radius * (joint * sum).sqrt();
        // By log ν and by τ, each with at most the sum of both suprema.
        let smoothings = 2.0 * squares(&|g| g.mixed_along);
        let filters = squares(&|g| g.third_patch_along + g.second_patch_along)
            + EXTENSION * size * radius * root_of_squares(gathered.iter().map(|g| g.curvature_along))
            // The change of ψ'' times that of x: of second order.
            + EXTENSION
                * size
                * radius
                * squares(&|g| g.largest_third_along);
        weights + common + smoothings + filters
    }

    /// The energies of the patches at every position, of the patches less their means where the filters have mean zero.
    fn patch_energies(&self, extended: &[E], centred: bool) -> Vec<f64> {
        let g = &self.problem.field.geometry;
        let count = (g.size * g.size) as f64;
        let mut out = vec![0.0; g.rows * g.cols];
        let width = g.cols + g.size - 1;
        let mut columns = vec![[0.0f64; 2]; width];
        for i in 0..g.rows {
            for (j, column) in columns.iter_mut().enumerate() {
                *column = [0.0; 2];
                for a in 0..g.size {
                    let v = extended[(i + a) * g.source_stride + j].to_f64();
                    column[0] += v;
                    column[1] += v * v;
                }
            }
            for j in 0..g.cols {
                let [sum, squares] = columns[j..j + g.size]
                    .iter()
                    .fold([0.0; 2], |[s, t], c| [s + c[0], t + c[1]]);
                let mean = if centred { sum * sum / count } else { 0.0 };
                // Squares that cancel leave a rounding error.
                out[i * g.cols + j] = (squares - mean).max(0.0) + 1e-14 * squares;
            }
        }
        out
    }

    fn gather(&self, q: Option<&[E]>, radius: f64) -> Vec<Gathered> {
        let field = &self.problem.field;
        let g = field.geometry;
        let experts = self.problem.experts();
        let (count, s2) = (experts.count(), experts.size() * experts.size());
        let p = self.parameters();
        let extended = field.extend(self.x);
        let along = q.map(|q| field.extend(q));
        let energies = self.patch_energies(&extended, experts.is_zero_mean());
        let energies_along = along.as_ref().map(|q| self.patch_energies(q, false));
        let largest = |v: &[E]| v.iter().fold(0.0f64, |m, v| larger(m, v.to_f64().abs()));
        let (size_x, size_q) = (largest(self.x), q.map_or(0.0, largest));
        // Rounding errors of a response, and norms of the filters.
        let norms: Vec<[f64; 2]> = p
            .filters
            .chunks_exact(s2)
            .map(|c| {
                let sum: f64 = c.iter().map(|c| c.abs()).sum();
                let rounding = 2.0 * s2 as f64 * E::UNIT_ROUNDOFF * sum;
                [root_of_squares(c.iter().copied()), rounding]
            })
            .collect();
        let mut sums = vec![0.0; count * SUMS];
        let mut maxima = vec![0.0; g.rows.div_ceil(field.band_rows()) * count * MAXIMA];
        field.each(
            count,
            &mut maxima,
            count * MAXIMA,
            &mut sums,
            |range, maxima, buffers, sums| {
                buffers.second.resize(buffers.first.len(), E::default());
                for i in range {
                    let bank = &self.prepared.bank;
                    bank.respond(&g, &extended, i, &mut buffers.first);
                    match &along {
                        Some(along) => bank.respond(&g, along, i, &mut buffers.second),
                        None => buffers.second.fill(E::default()),
                    }
                    let inside = self.problem.inside(i);
                    let row = i * g.cols..(i + 1) * g.cols;
                    let v = &energies[row.clone()];
                    let vq = energies_along.as_ref().map_or(&v[..0], |e| &e[row]);
                    for k in 0..count {
                        let at = k * g.response_stride + g.offset;
                        let row = ExpertRow {
                            r: &buffers.first[at..at + g.cols],
                            s: &buffers.second[at..at + g.cols],
                            v,
                            vq,
                            norm: norms[k][0] * radius,
                            rounding_x: norms[k][1] * size_x,
                            rounding_q: norms[k][1] * size_q,
                            parameters: [
                                p.weights[k],
                                p.nu[k],
                                p.kappa.get(k).copied().unwrap_or(1.0),
                                p.concavity,
                            ],
                        };
                        let sums = &mut sums[k * SUMS..(k + 1) * SUMS];
                        let maxima = &mut maxima[k * MAXIMA..(k + 1) * MAXIMA];
                        dispatch(
                            #[inline(always)]
                            || row.gather(&g, i, &inside, sums, maxima),
                        );
                    }
                }
            },
        );
        field.arrays.put(extended);
        if let Some(along) = along {
            field.arrays.put(along);
        }
        (0..count)
            .map(|k| {
                let s = |at: usize| sums[k * SUMS + at].sqrt() * (1.0 + 1e-6);
                let m = |at: usize| {
                    let bands = maxima.chunks_exact(count * MAXIMA);
                    bands.map(|b| b[k * MAXIMA + at]).fold(0.0, larger) * (1.0 + 1e-6)
                };
                Gathered {
                    first: s(0),
                    smoothing: s(1),
                    ratio: s(2),
                    patch: s(3),
                    second_along: s(4),
                    mixed_along: s(5),
                    third_patch_along: s(6),
                    second_patch_along: s(7),
                    curvature_along: s(8),
                    largest_third_along: m(0),
                    largest_second: m(1),
                    largest_mixed: m(2),
                    largest_third_patch: m(3),
                }
            })
            .collect()
    }
}

/// One row of responses of one expert.
struct ExpertRow<'a, E> {
    r: &'a [E],
    s: &'a [E],
    v: &'a [f64],
    /// Empty without q.
    vq: &'a [f64],
    /// ‖cₖ‖ ‖e‖
    norm: f64,
    rounding_x: f64,
    rounding_q: f64,
    /// w, ν, κ, ρ
    parameters: [f64; 4],
}

impl<E: Lanes> ExpertRow<'_, E> {
    #[inline(always)]
    fn gather(
        &self,
        g: &Geometry,
        i: usize,
        inside: &std::ops::Range<usize>,
        sums: &mut [f64],
        maxima: &mut [f64],
    ) {
        let [w, nu, kappa, concavity] = self.parameters;
        let row_factor = if g.inside(i, g.rows) {
            1.0
        } else {
            std::f64::consts::SQRT_2
        };
        for j in 0..g.cols {
            let column_factor = if g.inside(j, g.cols) {
                1.0
            } else {
                std::f64::consts::SQRT_2
            };
            let t = self.r[j].to_f64();
            let reach = row_factor * column_factor * self.norm + self.rounding_x;
            let s = self.s[j].to_f64().abs() + self.rounding_q;
            let (a1, a2, a3) = Expert::<E>::parts(t, nu * nu);
            let (third, second, mixed) = local_suprema(t, reach, nu * nu);
            let (mut third, mut second, mut mixed) = (third, second, mixed * nu);
            let (mut psi1, mut psi2, mut smoothing, mut ratio) = (a1, a2, nu * a3, 0.0);
            if inside.contains(&j) {
                let (b1, b2, b3) = Expert::<E>::parts(t, kappa * kappa);
                let (t3, t2, tm) = local_suprema(t, reach, kappa * kappa);
                psi1 -= concavity * b1;
                psi2 -= concavity * b2;
                smoothing -= concavity * kappa * b3;
                ratio = concavity * (kappa - nu) * b3;
                third += concavity * t3;
                second = second.max(concavity * t2);
                mixed += concavity * kappa * tm;
            }
            let v = self.v[j];
            let vq = self.vq.get(j).copied().unwrap_or(0.0);
            let squares = [
                psi1 * psi1,
                smoothing * smoothing,
                ratio * ratio,
                psi2 * psi2 * v,
                second * second * s * s,
                mixed * mixed * s * s,
                third * third * s * s * v,
                second * second * vq,
                psi2 * psi2 * s * s,
            ];
            for (sum, square) in sums.iter_mut().zip(squares) {
                *sum += w * w * square;
            }
            let values = [third * s, second, mixed, third * v.sqrt()];
            for (most, value) in maxima.iter_mut().zip(values) {
                *most = larger(*most, w * value);
            }
        }
    }
}
