//! The second derivatives of a field of experts at one point.
//!
//! ```text
//! A v  = v + Σₖ Cₖᵀ(hₖ ∘ Cₖv)                                hₖ = wₖψₖ''(rₖ),  rₖ = Cₖx
//! Bᵀw: by wₖ  ⟨ψₖ'(rₖ), sₖ⟩                                  sₖ = Cₖw
//!      by νₖ  wₖ⟨∂ψₖ'/∂νₖ(rₖ), sₖ⟩, and by κₖ likewise
//!      by cₖ  Σᵢ (hₖsₖ)ᵢ x̄_{i+·} + (wₖψₖ'(rₖ))ᵢ w̄_{i+·}
//! B u  = Σₖ Cₖᵀ(dwₖψₖ' + wₖ(∂ψₖ'/∂νₖ dνₖ + ∂ψₖ'/∂κₖ dκₖ) + hₖ ∘ dCₖx) + dCₖᵀ(wₖψₖ')
//! ```
//!
//! hₖ is computed once: K images, read again by every product.

use bilevel::simd::dispatch;
use bilevel::{Element, Linearization};
use std::sync::Arc;

use super::FoeDenoising;
use super::bounds::Bounds;
use super::field::Bank;
use super::parameters::Effective;
use super::potential::Expert;
use super::prepared::Prepared;
use crate::support::lanes::Lanes;
use crate::support::sums::lane_sum;

pub(super) struct FoeLinearization<'a, E: Element> {
    problem: &'a FoeDenoising<E>,
    x: &'a [E],
    prepared: Arc<Prepared<E>>,
    /// wₖψₖ''(rₖ), row after row, in each row filter after filter.
    curvatures: Vec<E>,
}

impl<E: Element> Drop for FoeLinearization<'_, E> {
    fn drop(&mut self) {
        self.problem
            .field
            .arrays
            .put(std::mem::take(&mut self.curvatures));
    }
}

impl<'a, E: Lanes> FoeLinearization<'a, E> {
    pub(super) fn new(problem: &'a FoeDenoising<E>, x: &'a [E], theta: &[f64]) -> Self {
        let prepared = problem.prepared(theta);
        let field = &problem.field;
        let g = field.geometry;
        let count = prepared.experts.len();
        let mut curvatures = field.arrays.take(g.rows * count * g.cols);
        let extended = field.extend(x);
        field.each(
            count,
            &mut curvatures,
            field.band_rows() * count * g.cols,
            &mut [0.0],
            |range, out, buffers, _| {
                for (i, out) in range.zip(out.chunks_exact_mut(count * g.cols)) {
                    prepared.bank.respond(&g, &extended, i, &mut buffers.first);
                    let inside = problem.inside(i);
                    dispatch(
                        #[inline(always)]
                        || {
                            let rows = buffers.first.chunks_exact(g.response_stride);
                            for ((expert, t), h) in prepared
                                .experts
                                .iter()
                                .zip(rows)
                                .zip(out.chunks_exact_mut(g.cols))
                            {
                                expert.curvature(&t[g.offset..g.offset + g.cols], h, &inside);
                            }
                        },
                    );
                }
            },
        );
        field.arrays.put(extended);
        FoeLinearization {
            problem,
            x,
            prepared,
            curvatures,
        }
    }
}

/// ‖hₖ‖ for every expert, without an array of them.
pub(super) fn curvature_norms<E: Lanes>(
    problem: &FoeDenoising<E>,
    prepared: &Prepared<E>,
    x: &[E],
) -> Vec<f64> {
    let field = &problem.field;
    let g = field.geometry;
    let mut squares = vec![0.0; prepared.experts.len()];
    let extended = field.extend(x);
    field.each(
        squares.len(),
        &mut [] as &mut [E],
        0,
        &mut squares,
        |range, _, buffers, squares| {
            for i in range {
                prepared.bank.respond(&g, &extended, i, &mut buffers.first);
                let inside = problem.inside(i);
                let (h, rows) = (
                    &mut buffers.row,
                    buffers.first.chunks_exact(g.response_stride),
                );
                dispatch(
                    #[inline(always)]
                    || {
                        for ((expert, t), square) in prepared
                            .experts
                            .iter()
                            .zip(rows.clone())
                            .zip(squares.iter_mut())
                        {
                            expert.curvature(&t[g.offset..g.offset + g.cols], h, &inside);
                            *square += lane_sum(
                                h,
                                #[inline(always)]
                                |_, h| h * h,
                            );
                        }
                    },
                );
            }
        },
    );
    field.arrays.put(extended);
    squares.into_iter().map(f64::sqrt).collect()
}

impl<E: Lanes> FoeLinearization<'_, E> {
    fn bounds(&self) -> Bounds<'_, E> {
        Bounds::new(self.problem, &self.prepared, self.x)
    }
}

impl<E: Lanes> Linearization for FoeLinearization<'_, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn hvp(&self, v: &Vec<E>, out: &mut Vec<E>) {
        let field = &self.problem.field;
        let g = field.geometry;
        let count = self.prepared.experts.len();
        let extended = field.extend(v);
        field.project(
            &self.prepared.bank,
            &extended,
            |i| v[i],
            out,
            |i, responses, _| {
                let h = &self.curvatures[i * count * g.cols..(i + 1) * count * g.cols];
                dispatch(
                    #[inline(always)]
                    || {
                        let rows = responses.chunks_exact_mut(g.response_stride);
                        for (row, h) in rows.zip(h.chunks_exact(g.cols)) {
                            let row = &mut row[g.offset..g.offset + g.cols];
                            for (r, h) in row.iter_mut().zip(h) {
                                *r = *r * *h;
                            }
                        }
                    },
                );
                0.0
            },
        );
        field.arrays.put(extended);
    }

    fn cross_vjp(&self, w: &Vec<E>, out: &mut Vec<f64>) {
        let field = &self.problem.field;
        let g = field.geometry;
        let p = &self.prepared.parameters;
        let count = self.prepared.experts.len();
        let s2 = g.size * g.size;
        let extended = field.extend(self.x);
        let along = field.extend(w);
        // By w, ν, κ and the filters.
        let mut sums = vec![0.0; count * (3 + s2)];
        field.each(
            count,
            &mut [] as &mut [E],
            0,
            &mut sums,
            |range, _, buffers, sums| {
                let (scalars, filters) = sums.split_at_mut(3 * count);
                buffers.second.resize(buffers.first.len(), E::default());
                for i in range {
                    let bank = &self.prepared.bank;
                    bank.respond(&g, &extended, i, &mut buffers.first);
                    bank.respond(&g, &along, i, &mut buffers.second);
                    let inside = self.problem.inside(i);
                    // The responses r and s become u = h s and the first derivative wψ'.
                    let rows = buffers
                        .first
                        .chunks_exact_mut(g.response_stride)
                        .zip(buffers.second.chunks_exact_mut(g.response_stride));
                    for (k, (r, s)) in rows.enumerate() {
                        let r = &mut r[g.offset..g.offset + g.cols];
                        let s = &mut s[g.offset..g.offset + g.cols];
                        let expert = &self.prepared.experts[k];
                        let [by_w, by_nu, by_kappa] = dispatch(
                            #[inline(always)]
                            || expert.cross(r, s, &inside),
                        );
                        scalars[k] += by_w;
                        scalars[count + k] += by_nu;
                        scalars[2 * count + k] += by_kappa;
                    }
                    Bank::filter_products(&g, &buffers.second, &extended, i, filters);
                    Bank::filter_products(&g, &buffers.first, &along, i, filters);
                }
            },
        );
        field.arrays.put(extended);
        field.arrays.put(along);
        let gradient = Effective {
            weights: sums[..count].to_vec(),
            nu: sums[count..2 * count].to_vec(),
            kappa: sums[2 * count..3 * count].to_vec(),
            filters: sums.split_off(3 * count),
        };
        p.pull_back(self.problem.experts(), &gradient, out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<E>) {
        let field = &self.problem.field;
        let g = field.geometry;
        let p = &self.prepared.parameters;
        let change = p.push_forward(self.problem.experts(), u);
        let changed = Bank::new(&change.filters, g.size);
        let extended = field.extend(self.x);
        field.project_both(
            [&self.prepared.bank, &changed],
            &extended,
            |_| E::default(),
            out,
            |i, first, second, _| {
                let inside = self.problem.inside(i);
                let rows = first
                    .chunks_exact_mut(g.response_stride)
                    .zip(second.chunks_exact_mut(g.response_stride));
                for (k, (r, d)) in rows.enumerate() {
                    let r = &mut r[g.offset..g.offset + g.cols];
                    let d = &mut d[g.offset..g.offset + g.cols];
                    let kappa = p.kappa.get(k).copied().unwrap_or(1.0);
                    let dkappa = change.kappa.get(k).copied().unwrap_or(0.0);
                    for (j, (r, d)) in r.iter_mut().zip(d).enumerate() {
                        let (t, dt) = (r.to_f64(), d.to_f64());
                        let (nu2, kappa2) = (p.nu[k] * p.nu[k], kappa * kappa);
                        let (mut first, mut second, by_nu) = Expert::<E>::parts(t, nu2);
                        let mut by_smoothing = by_nu * change.nu[k];
                        if inside.contains(&j) {
                            let (a, b, by_kappa) = Expert::<E>::parts(t, kappa2);
                            first -= p.concavity * a;
                            second -= p.concavity * b;
                            by_smoothing -= p.concavity * by_kappa * dkappa;
                        }
                        *r = E::from_f64(
                            change.weights[k] * first + p.weights[k] * (by_smoothing + second * dt),
                        );
                        *d = E::from_f64(p.weights[k] * first);
                    }
                }
                0.0
            },
        );
        field.arrays.put(extended);
    }

    fn hessian_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        Some(self.bounds().hessian_change(q, radius))
    }

    fn cross_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        Some(self.bounds().cross_change(q, radius))
    }

    fn cross_change_norm(&self, radius: f64) -> Option<f64> {
        Some(self.bounds().cross_change_norm(radius))
    }

    fn cross_norm(&self, _room: &mut Vec<E>) -> Option<f64> {
        Some(self.bounds().cross_norm())
    }
}
