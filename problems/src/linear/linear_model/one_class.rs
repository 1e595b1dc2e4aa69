//! Products of dense rows with one or two columns, for models with one score per sample.
//!
//! ```text
//! scores_k[i] = ⟨row_i, input_k⟩,    out_j = Σ_i factors_j[i] row_i
//! ```
//!
//! A chunk of a row is one register or several. The eight partial sums of a forward product are added in halves,
//! ((0 + 4) + (2 + 6)) + ((1 + 5) + (3 + 7)), the order of registers of any width; for the transpose the sums of a few chunks stay in registers. So the bits do not depend on the
//! processor.

use pulp::{Arch, Simd, WithSimd};

use super::blocked::{CHUNK, Rows};
use crate::support::lanes::Lanes;

/// Runs a kernel with the widest registers that a chunk fills: a chunk of f32 would leave half of a 512-bit register empty.
fn dispatch<E: Lanes>(kernel: impl WithSimd<Output = ()>) {
    #[cfg(target_arch = "x86_64")]
    if size_of::<[E; CHUNK]>() == 32
        && let Some(simd) = pulp::x86::V3::try_new()
    {
        return Simd::vectorize(simd, kernel);
    }
    Arch::new().dispatch(kernel);
}

/// Registers of a chunk; a constant, so that only the branch of this register width is compiled.
const fn registers<E: Lanes, S: Simd>() -> usize {
    size_of::<[E; CHUNK]>() / size_of::<E::V<S>>()
}

/// scoresₖ ← rows · inputₖ. In `inputs` the first chunks of all inputs stand before the second ones, and so on.
pub(super) fn forward<E: Lanes, const K: usize>(
    rows: Rows<'_, E>,
    inputs: &[E],
    scores: &mut [Vec<E>; 2],
) {
    dispatch::<E>(Forward::<E, K> {
        rows,
        inputs,
        scores,
    });
}

struct Forward<'a, E, const K: usize> {
    rows: Rows<'a, E>,
    inputs: &'a [E],
    scores: &'a mut [Vec<E>; 2],
}

impl<E: Lanes, const K: usize> WithSimd for Forward<'_, E, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match const { registers::<E, S>() } {
            1 => self.run::<S, 1>(simd),
            2 => self.run::<S, 2>(simd),
            4 => self.run::<S, 4>(simd),
            _ => self.run::<S, 8>(simd),
        }
    }
}

impl<E: Lanes, const K: usize> Forward<'_, E, K> {
    #[inline(always)]
    fn run<S: Simd, const N: usize>(self, simd: S) {
        let [first, second] = self.scores;
        let mut scores = [&mut first[..], &mut second[..]];
        let inputs = self.inputs.as_chunks::<CHUNK>().0.as_chunks::<K>().0;
        for i in 0..self.rows.len() {
            let mut sums = [[E::splat(simd, E::default()); N]; K];
            for (a, inputs) in self.rows.row(i).iter().zip(inputs) {
                let a = E::load::<S, N>(simd, a);
                for (sums, input) in sums.iter_mut().zip(inputs) {
                    let input = E::load::<S, N>(simd, input);
                    for n in 0..N {
                        sums[n] = E::multiply_add(simd, a[n], input[n], sums[n]);
                    }
                }
            }
            for (scores, mut sums) in scores.iter_mut().zip(sums) {
                let mut n = N;
                while n > 1 {
                    n /= 2;
                    for l in 0..n {
                        sums[l] = E::plus(simd, sums[l], sums[l + n]);
                    }
                }
                scores[i] = E::total(simd, sums[0]);
            }
        }
    }
}

/// outⱼ ← rowsᵀ · factorsⱼ.
pub(super) fn transpose<E: Lanes, const J: usize>(
    rows: Rows<'_, E>,
    factors: [&[E]; J],
    out: &mut [Vec<E>; 2],
) {
    dispatch::<E>(Transpose { rows, factors, out });
}

struct Transpose<'a, E, const J: usize> {
    rows: Rows<'a, E>,
    factors: [&'a [E]; J],
    out: &'a mut [Vec<E>; 2],
}

impl<E: Lanes, const J: usize> WithSimd for Transpose<'_, E, J> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match const { registers::<E, S>() } {
            1 => self.run::<S, 1, 4>(simd),
            2 => self.run::<S, 2, 2>(simd),
            4 => self.run::<S, 4, 1>(simd),
            _ => self.run::<S, 8, 1>(simd),
        }
    }
}

impl<E: Lanes, const J: usize> Transpose<'_, E, J> {
    /// `C` chunks at a time.
    #[inline(always)]
    fn run<S: Simd, const N: usize, const C: usize>(mut self, simd: S) {
        let chunks = self.rows.chunks();
        let mut at = 0;
        while chunks - at >= C {
            self.columns::<S, N, C>(simd, at);
            at += C;
        }
        match chunks - at {
            3 => self.columns::<S, N, 3>(simd, at),
            2 => self.columns::<S, N, 2>(simd, at),
            1 => self.columns::<S, N, 1>(simd, at),
            _ => {}
        }
    }

    #[inline(always)]
    fn columns<S: Simd, const N: usize, const C: usize>(&mut self, simd: S, at: usize) {
        let rows = self.rows;
        let factors = self.factors.map(
            #[inline(always)]
            |f| &f[..rows.len()],
        );
        let mut sums = [[[E::splat(simd, E::default()); N]; C]; J];
        for i in 0..rows.len() {
            let row = &rows.row(i)[at..at + C];
            let factors: [E::V<S>; J] = std::array::from_fn(
                #[inline(always)]
                |j| E::splat(simd, factors[j][i]),
            );
            for c in 0..C {
                let a = E::load::<S, N>(simd, &row[c]);
                for j in 0..J {
                    for n in 0..N {
                        sums[j][c][n] = E::multiply_add(simd, factors[j], a[n], sums[j][c][n]);
                    }
                }
            }
        }
        for (out, sums) in self.out.iter_mut().zip(sums) {
            for (c, sums) in sums.into_iter().enumerate() {
                E::store(simd, &mut out[(at + c) * CHUNK..][..CHUNK], sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bilevel::problem::minibatch::Batch;

    /// Bit for bit, whatever the processor: entries that no short sum holds exactly.
    fn agrees<E: Lanes<V<pulp::Scalar> = E>>() {
        let (samples, stride) = (21, 5 * CHUNK);
        let entry = |k: usize| E::from_f64(((k * k + 3 * k) as f64).sin());
        let values: Vec<E> = (0..samples * stride).map(entry).collect();
        let inputs: [Vec<E>; 2] =
            std::array::from_fn(|k| (0..stride).map(|i| entry(7 * i + k)).collect());
        let packed: Vec<E> = (0..stride / CHUNK)
            .flat_map(|j| inputs.iter().flat_map(move |v| &v[j * CHUNK..][..CHUNK]))
            .copied()
            .collect();
        let list = [20, 3, 3, 0, 11];
        let fused = |a: E, b: E, c: E| E::multiply_add(pulp::Scalar::new(), a, b, c);
        for batch in [Batch::Range { start: 2, end: 21 }, Batch::List(&list)] {
            let rows = Rows::new(&values, stride, batch);
            let row = |i: usize| &values[batch.get(i) * stride..][..stride];
            let mut scores = [(); 2].map(|()| vec![E::default(); batch.len()]);
            forward::<E, 2>(rows, &packed, &mut scores);
            for (scores, input) in scores.iter().zip(&inputs) {
                for (i, &score) in scores.iter().enumerate() {
                    let mut s = [E::default(); CHUNK];
                    for (k, (&a, &b)) in row(i).iter().zip(input).enumerate() {
                        s[k % CHUNK] = fused(a, b, s[k % CHUNK]);
                    }
                    let total = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
                    assert!(score == total, "{} of {i}", E::NAME);
                }
            }
            let mut out = [(); 2].map(|()| vec![E::default(); stride]);
            let factors = scores.each_ref().map(|s| &s[..]);
            transpose(rows, factors, &mut out);
            for (out, factors) in out.iter().zip(factors) {
                for (k, &out) in out.iter().enumerate() {
                    let mut sum = E::default();
                    for (i, &factor) in factors.iter().enumerate() {
                        sum = fused(factor, row(i)[k], sum);
                    }
                    assert!(out == sum, "{} of {k}", E::NAME);
                }
            }
        }
    }

    #[test]
    fn products_are_the_same_bits_as_plain_loops() {
        agrees::<f64>();
        agrees::<f32>();
    }
}
