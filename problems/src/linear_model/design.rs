//! Products with the features of a batch of samples, and with their transpose.
//!
//! Dense rows are padded with zeros to whole chunks, so that no kernel has a remainder. For one output a row is reduced in eight lanes;
//! for several see [`panels`]. The results are the same bits on every processor.

use bilevel::Element;
use bilevel::problem::minibatch::Batch;
use bilevel::simd::dispatch;

use super::panels::{self, CHUNK as LANES};
use crate::data::{Csr, Features, Table};
use crate::lanes::Lanes;

/// The features of all samples.
pub(crate) enum Design<E> {
    Dense { values: Vec<E>, stride: usize },
    Sparse(Csr<E>),
}

fn as_chunks<E>(row: &[E]) -> &[[E; LANES]] {
    row.as_chunks().0
}

impl<E: Lanes> Design<E> {
    pub(crate) fn new(table: &Table<E>) -> Self {
        match table.features() {
            Features::Sparse(rows) => Design::Sparse(rows.clone()),
            Features::Dense(values) => {
                let columns = table.columns();
                let stride = columns.next_multiple_of(LANES);
                let mut padded = Vec::with_capacity(table.samples() * stride);
                for row in values.chunks_exact(columns) {
                    padded.extend_from_slice(row);
                    padded.resize(padded.len() + stride - columns, E::default());
                }
                Design::Dense {
                    values: padded,
                    stride,
                }
            }
        }
    }

    /// The entries stored, zeros of the padding included.
    pub(crate) fn entries(&self) -> &[E] {
        match self {
            Design::Dense { values, .. } => values,
            Design::Sparse(rows) => &rows.values,
        }
    }

    /// The entries of a sample.
    pub(crate) fn row(&self, i: usize) -> &[E] {
        match self {
            Design::Dense { values, stride } => &values[i * stride..(i + 1) * stride],
            Design::Sparse(rows) => rows.row(i).1,
        }
    }

    /// The length of what [`transpose`](Design::transpose) writes.
    pub(crate) fn back_len(&self, columns: usize, c: usize) -> usize {
        match self {
            Design::Dense { stride, .. } if c == 1 => *stride,
            _ => columns * c,
        }
    }

    /// What [`forward`](Design::forward) wants of its inputs, matrices of columns × c.
    pub(crate) fn pack(&self, inputs: &[&[E]], columns: usize, c: usize, packed: &mut Vec<E>) {
        let Design::Dense { stride, .. } = self else {
            return;
        };
        if c == 1 {
            packed.resize(inputs.len() * stride, E::default());
            for (to, from) in packed.chunks_exact_mut(*stride).zip(inputs) {
                to[..columns].copy_from_slice(from);
                to[columns..].fill(E::default());
            }
        } else {
            panels::pack(inputs, c, packed);
        }
    }

    /// scoresₖ ← rows · inputₖ, for the K inputs in `packed` (or as they are, where rows are sparse).
    pub(crate) fn forward<const K: usize>(
        &self,
        batch: Batch<'_>,
        c: usize,
        inputs: [&[E]; K],
        packed: &[E],
        scores: &mut [Vec<E>; 2],
    ) {
        match self {
            Design::Sparse(rows) => {
                for (input, scores) in inputs.iter().zip(scores) {
                    sparse_forward(rows, batch, c, input, scores);
                }
            }
            Design::Dense { values, stride } if c == 1 => {
                let row = |k| as_chunks(&values[batch.get(k) * stride..][..*stride]);
                let packed: [&[[E; LANES]]; K] =
                    std::array::from_fn(|k| as_chunks(&packed[k * stride..][..*stride]));
                dispatch(
                    #[inline(always)]
                    || {
                        for k in 0..batch.len() {
                            let sums = dots(row(k), packed);
                            for (scores, sum) in scores.iter_mut().zip(sums) {
                                scores[k] = sum;
                            }
                        }
                    },
                );
            }
            Design::Dense { values, stride } => {
                let rows = panels::Rows::new(values, *stride, batch);
                panels::forward(rows, K * c, c, packed, scores);
            }
        }
    }

    /// outⱼ ← rowsᵀ · scoresⱼ, for the first J scores. `packed` is overwritten.
    pub(crate) fn transpose<const J: usize>(
        &self,
        batch: Batch<'_>,
        columns: usize,
        c: usize,
        scores: &[Vec<E>; 2],
        packed: &mut Vec<E>,
        out: &mut [Vec<E>; 2],
    ) {
        let m = batch.len();
        match self {
            Design::Sparse(rows) => {
                for (scores, out) in scores.iter().zip(out).take(J) {
                    sparse_transpose(rows, batch, c, scores, out);
                }
            }
            Design::Dense { values, stride } if c == 1 => {
                let row = |k| as_chunks(&values[batch.get(k) * stride..][..*stride]);
                let [first, second] = out;
                let mut outs = [first, second].into_iter();
                let mut outs: [&mut [[E; LANES]]; J] = std::array::from_fn(|_| {
                    outs.next().map_or(&mut [][..], |o| o.as_chunks_mut().0)
                });
                dispatch(
                    #[inline(always)]
                    || {
                        outs.iter_mut().for_each(|o| o.fill([E::default(); LANES]));
                        for start in (0..m).step_by(LANES) {
                            // Rows behind the last are the last, times zero.
                            let rows = std::array::from_fn(|i| row((start + i).min(m - 1)));
                            let factors = std::array::from_fn(|j| {
                                std::array::from_fn(|i| {
                                    scores[j].get(start + i).copied().unwrap_or_default()
                                })
                            });
                            add_rows(rows, factors, &mut outs);
                        }
                    },
                );
            }
            Design::Dense { values, stride } => {
                let parts: [&[E]; J] = std::array::from_fn(|j| &scores[j][..m * c]);
                panels::pack(&parts, c, packed);
                let rows = panels::Rows::new(values, *stride, batch);
                panels::transpose(rows, columns, J * c, c, packed, out);
            }
        }
    }
}

#[inline(always)]
fn dots<E: Element, const K: usize>(row: &[[E; LANES]], inputs: [&[[E; LANES]]; K]) -> [E; K] {
    let inputs = inputs.map(|x| &x[..row.len()]);
    let mut sums = [[E::default(); LANES]; K];
    for (j, a) in row.iter().enumerate() {
        for k in 0..K {
            for l in 0..LANES {
                sums[k][l] = sums[k][l] + a[l] * inputs[k][j][l];
            }
        }
    }
    sums.map(
        #[inline(always)]
        |s| ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])),
    )
}

/// outⱼ ← outⱼ + Σᵢ factorⱼᵢ rowᵢ.
#[inline(always)]
fn add_rows<E: Element, const J: usize>(
    rows: [&[[E; LANES]]; LANES],
    factors: [[E; LANES]; J],
    outs: &mut [&mut [[E; LANES]]; J],
) {
    let chunks = rows[0].len();
    let rows = rows.map(|r| &r[..chunks]);
    for at in 0..chunks {
        for (out, factors) in outs.iter_mut().zip(&factors) {
            let mut sum = out[at];
            for (row, &factor) in rows.iter().zip(factors) {
                for l in 0..LANES {
                    sum[l] = sum[l] + factor * row[at][l];
                }
            }
            out[at] = sum;
        }
    }
}

fn sparse_forward<E: Element>(
    rows: &Csr<E>,
    batch: Batch<'_>,
    c: usize,
    input: &[E],
    scores: &mut [E],
) {
    for (k, i) in batch.iter().enumerate() {
        let (columns, values) = rows.row(i);
        let out = &mut scores[k * c..(k + 1) * c];
        out.fill(E::default());
        for (&column, &value) in columns.iter().zip(values) {
            let weights = &input[column as usize * c..][..c];
            for (out, &weight) in out.iter_mut().zip(weights) {
                *out = *out + value * weight;
            }
        }
    }
}

fn sparse_transpose<E: Element>(
    rows: &Csr<E>,
    batch: Batch<'_>,
    c: usize,
    scores: &[E],
    out: &mut [E],
) {
    out.fill(E::default());
    for (k, i) in batch.iter().enumerate() {
        let (columns, values) = rows.row(i);
        let factors = &scores[k * c..(k + 1) * c];
        for (&column, &value) in columns.iter().zip(values) {
            let out = &mut out[column as usize * c..][..c];
            for (out, &factor) in out.iter_mut().zip(factors) {
                *out = *out + value * factor;
            }
        }
    }
}
