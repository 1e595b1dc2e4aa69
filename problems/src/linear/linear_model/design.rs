//! Products with the features of a batch of samples, and with their transpose.
//!
//! Dense rows are padded with zeros to whole chunks, so that no kernel has a remainder. [`one_class`] multiplies with one column,
//! [`blocked`] with several. The results are the same bits on every processor.

use bilevel::Element;
use bilevel::problem::minibatch::Batch;

use super::blocked::{self, CHUNK};
use super::one_class;
use crate::data::{Csr, Features, LabelledData};
use crate::support::lanes::Lanes;

/// The features of all samples.
pub(crate) enum Design<E> {
    Dense { values: Vec<E>, stride: usize },
    Sparse(Csr<E>),
}

impl<E: Lanes> Design<E> {
    pub(crate) fn new(data: &LabelledData<E>) -> Self {
        match data.features() {
            Features::Sparse(rows) => Design::Sparse(rows.clone()),
            Features::Dense(values) => {
                let columns = data.columns();
                let stride = columns.next_multiple_of(CHUNK);
                let mut padded = Vec::with_capacity(data.samples() * stride);
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

    /// The number of entries that [`transpose`](Design::transpose) writes.
    pub(crate) fn back_len(&self, columns: usize, c: usize) -> usize {
        match self {
            Design::Dense { stride, .. } if c == 1 => *stride,
            _ => columns * c,
        }
    }

    /// Packs inputs, matrices of columns × c, in the order that [`forward`](Design::forward) reads.
    pub(crate) fn pack(&self, inputs: &[&[E]], columns: usize, c: usize, packed: &mut Vec<E>) {
        let Design::Dense { stride, .. } = self else {
            return;
        };
        if c == 1 {
            packed.resize(inputs.len() * stride, E::default());
            // The first chunks of all inputs, the second ones, …
            let of_chunk = inputs.len() * CHUNK;
            for (j, to) in packed.chunks_exact_mut(of_chunk).enumerate() {
                for (to, from) in to.chunks_exact_mut(CHUNK).zip(inputs) {
                    let from = &from[j * CHUNK..columns];
                    let count = from.len().min(CHUNK);
                    to[..count].copy_from_slice(&from[..count]);
                    to[count..].fill(E::default());
                }
            }
        } else {
            blocked::pack(inputs, c, packed);
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
                let rows = blocked::Rows::new(values, *stride, batch);
                one_class::forward::<E, K>(rows, packed, scores);
            }
            Design::Dense { values, stride } => {
                let rows = blocked::Rows::new(values, *stride, batch);
                blocked::forward(rows, K * c, c, packed, scores);
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
        let parts: [&[E]; J] = std::array::from_fn(|j| &scores[j][..batch.len() * c]);
        match self {
            Design::Sparse(rows) => {
                for (scores, out) in scores.iter().zip(out).take(J) {
                    sparse_transpose(rows, batch, c, scores, out);
                }
            }
            Design::Dense { values, stride } if c == 1 => {
                let rows = blocked::Rows::new(values, *stride, batch);
                one_class::transpose(rows, parts, out);
            }
            Design::Dense { values, stride } => {
                blocked::pack(&parts, c, packed);
                let rows = blocked::Rows::new(values, *stride, batch);
                blocked::transpose(rows, columns, J * c, c, packed, out);
            }
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
