//! The Hessian of the mean loss as a matrix, where there is one score per sample and few features.
//!
//! ```text
//! H = (1/n) Σᵢ s(tᵢ) aᵢaᵢᵀ,      s = σ(1 − σ) at the scores tᵢ = aᵢᵀx
//! ```
//!
//! Everything is computed in `f64` from the features as they are stored, whatever the storage: rows √s(tᵢ) aᵢ of a block, then the products of
//! their columns with each other, eight by four at a time, which stay in registers over the block. Sparse rows add the products of their
//! entries. Parts of the samples are summed in parallel and added in order.

use bilevel::simd::dispatch;
use bilevel::{Element, parallel};

use super::design::Design;
use super::link_functions::exp;
use super::{MOST_SUMS, Model};
use crate::data::Csr;
use crate::support::lanes::Lanes;

/// Features of a chunk: those of [`Design`].
const CHUNK: usize = super::blocked::CHUNK;
/// Rows of a block: few enough for the cache.
const BLOCK: usize = 128;
/// Scores beyond this count as infinite: their s would be lost below the smallest numbers.
const LARGEST_SCORE: f64 = 700.0;

/// The buffers of one part of the samples.
#[derive(Default)]
struct Buffers {
    /// √s a, for the rows of a block.
    rows: Vec<f64>,
    sum: Vec<f64>,
}

/// H and the buffers that it is formed in.
#[derive(Default)]
pub(crate) struct Gram {
    buffers: Vec<Buffers>,
    x: Vec<f64>,
    stride: usize,
    /// κ with |H − computed H|ⱼₖ ≤ κ √(HⱼⱼHₖₖ).
    pub(crate) relative_error: f64,
}

impl Gram {
    /// Row j of H, up to its diagonal.
    pub(crate) fn row(&self, j: usize) -> &[f64] {
        &self.buffers[0].sum[j * self.stride..][..=j]
    }
}

impl<E: Lanes> Model<E> {
    /// H at x, which [`done_with`](Model::done_with) takes back.
    pub(crate) fn gram(&self, x: &[E]) -> Gram {
        debug_assert_eq!(self.outputs, 1);
        let mut gram = self.grams.take_or(Gram::default);
        let stride = self.columns.next_multiple_of(CHUNK);
        gram.stride = stride;
        gram.x.resize(stride, 0.0);
        for (to, from) in gram.x.iter_mut().zip(x) {
            *to = from.to_f64();
        }
        let n = self.samples();
        let parts = self.parts(n).min(MOST_SUMS / (stride * stride)).max(1);
        let size = n.div_ceil(parts);
        let parts = n.div_ceil(size);
        gram.buffers.resize_with(parts, Buffers::default);
        let Gram { buffers, x, .. } = &mut gram;
        parallel::for_each(buffers, |part, buffers| {
            buffers.sum.resize(stride * stride, 0.0);
            buffers.sum.fill(0.0);
            let samples = part * size..((part + 1) * size).min(n);
            match &self.design {
                Design::Sparse(rows) => {
                    for i in samples {
                        add_sparse(rows, i, x, stride, &mut buffers.sum);
                    }
                }
                Design::Dense { values, .. } => {
                    buffers.rows.resize(BLOCK * stride, 0.0);
                    let values = &values[samples.start * stride..samples.end * stride];
                    for block in values.chunks(BLOCK * stride) {
                        let rows = &mut buffers.rows[..block.len()];
                        dispatch(
                            #[inline(always)]
                            || {
                                weigh(block, x, rows);
                                add_products(rows, stride, &mut buffers.sum);
                            },
                        );
                    }
                }
            }
        });
        if let Some((total, others)) = gram.buffers.split_first_mut() {
            for other in others {
                super::add(&mut total.sum, &other.sum);
            }
            let share = 1.0 / n as f64;
            total.sum.iter_mut().for_each(|h| *h *= share);
        }
        // A sum of m terms in a row of additions is off by m roundings of the sum of their sizes, which Cauchy's inequality bounds by the
        // diagonal. A score is off by as many roundings of ‖aᵢ‖‖x‖ as a row has entries, and s by as much of itself, to first order; the
        // 32 are for the exponential, the root and the products.
        let additions = size.div_ceil(BLOCK) + BLOCK.min(size) + parts;
        let additions = match &self.design {
            Design::Sparse(_) => size + parts,
            Design::Dense { .. } => additions,
        };
        let of_score = 2.0 * (stride + 2) as f64 * self.longest * norm(&gram.x);
        gram.relative_error = f64::EPSILON * (additions as f64 + 32.0 + of_score);
        gram
    }

    /// Takes back a Hessian and its buffers.
    pub(crate) fn done_with(&self, gram: Gram) {
        self.grams.put(gram);
    }

    /// The cost of [`gram`](Model::gram) in Hessian products: half the square of the entries of a sample, against two passes over them
    /// with two operands each.
    pub(crate) fn gram_products(&self) -> u64 {
        let entries = self.design.entries().len() / self.samples();
        (entries / 4 + 1) as u64
    }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// √s(t); 0 where s is negligible, which is less.
#[inline(always)]
fn root_of_slope(t: f64) -> f64 {
    // √(e/(1 + e)²) with e = e^−|t|, whose root is e^−|t|/2.
    let root = exp(-0.5 * t.abs());
    let root = root / (1.0 + root * root);
    if t.abs() > LARGEST_SCORE { 0.0 } else { root }
}

/// out ← √s(aᵀx) a for every row a.
#[inline(always)]
fn weigh<E: Element>(rows: &[E], x: &[f64], out: &mut [f64]) {
    let (x, _) = x.as_chunks::<CHUNK>();
    let chunks = x.len();
    let rows = rows.as_chunks::<CHUNK>().0.chunks_exact(chunks);
    let out = out.as_chunks_mut::<CHUNK>().0.chunks_exact_mut(chunks);
    for (row, out) in rows.zip(out) {
        let mut sums = [0.0; CHUNK];
        for ((row, x), out) in row.iter().zip(x).zip(&mut *out) {
            for l in 0..CHUNK {
                out[l] = row[l].to_f64();
                sums[l] += out[l] * x[l];
            }
        }
        let root = root_of_slope(sums.iter().sum());
        for out in out {
            for entry in out {
                *entry *= root;
            }
        }
    }
}

/// sum ← sum + Σ rᵢrᵢᵀ over the rows, in the chunks on and below the diagonal.
#[inline(always)]
fn add_products(rows: &[f64], stride: usize, sum: &mut [f64]) {
    const HALF: usize = CHUNK / 2;
    let chunks = stride / CHUNK;
    let (rows, _) = rows.as_chunks::<CHUNK>();
    for i in 0..chunks {
        for j in 0..=i {
            for half in 0..2 {
                let mut products = [[0.0; CHUNK]; HALF];
                for row in rows.chunks_exact(chunks) {
                    let (a, b) = (&row[i], &row[j]);
                    for k in 0..HALF {
                        for l in 0..CHUNK {
                            products[k][l] += a[half * HALF + k] * b[l];
                        }
                    }
                }
                for (k, products) in products.iter().enumerate() {
                    let at = (i * CHUNK + half * HALF + k) * stride + j * CHUNK;
                    for (sum, product) in sum[at..at + CHUNK].iter_mut().zip(products) {
                        *sum += product;
                    }
                }
            }
        }
    }
}

/// sum ← sum + s(aᵢᵀx) aᵢaᵢᵀ, on and below the diagonal.
fn add_sparse<E: Element>(rows: &Csr<E>, i: usize, x: &[f64], stride: usize, sum: &mut [f64]) {
    let (columns, values) = rows.row(i);
    let entries = || {
        columns
            .iter()
            .zip(values)
            .map(|(&j, v)| (j as usize, v.to_f64()))
    };
    let root = root_of_slope(entries().map(|(j, v)| v * x[j]).sum());
    let slope = root * root;
    for (j, v) in entries() {
        let row = &mut sum[j * stride..][..=j];
        for (k, w) in entries().take_while(|(k, _)| *k <= j) {
            row[k] += slope * v * w;
        }
    }
}
