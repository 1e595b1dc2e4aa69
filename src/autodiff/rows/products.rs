//! The products of [`Rows`] with matrices of real numbers.

use pulp::{Arch, Simd, WithSimd};

use super::Rows;
use crate::autodiff::number::Real;
use crate::problem::minibatch::Batch;
use crate::simd::Registers;

/// The bytes of a block: the widest register.
const BLOCK: usize = 64;

/// The registers that hold a block: a constant, so that only the loops for it are compiled.
const fn registers<E: Real, S: Simd>() -> usize {
    BLOCK / size_of::<E::V<S>>()
}

/// out ← W dᵢ for every row, by a matrix of `outputs` rows.
pub(super) fn scores<E: Real>(w: &[E], rows: Rows<'_, E>, outputs: usize, out: &mut [E]) {
    Arch::new().dispatch(Forwards {
        w,
        rows,
        outputs,
        out,
    });
}

/// out ← W d.
pub(in super::super) fn scores_of_one<E: Real>(w: &[E], d: &[E], out: &mut [E]) {
    Arch::new().dispatch(Forwards {
        w,
        rows: Rows::new(d, d.len(), Batch::all(1)),
        outputs: out.len(),
        out,
    });
}

/// W ← W + Σᵢ yᵢ dᵢᵀ.
pub(super) fn add_outer<E: Real>(w: &mut [E], y: &[E], rows: Rows<'_, E>) {
    Arch::new().dispatch(Backwards { w, y, rows });
}

struct Forwards<'a, E> {
    w: &'a [E],
    rows: Rows<'a, E>,
    outputs: usize,
    out: &'a mut [E],
}

impl<E: Real> WithSimd for Forwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Rows and outputs of a block, as many as there are registers for.
        match const { BLOCK / size_of::<E>() } {
            8 => match const { registers::<E, S>() } {
                1 => self.run::<S, 8, 1, 4, 5>(simd),
                2 => self.run::<S, 8, 2, 2, 3>(simd),
                4 => self.run::<S, 8, 4, 1, 2>(simd),
                _ => self.run::<S, 8, 8, 1, 1>(simd),
            },
            _ => match const { registers::<E, S>() } {
                1 => self.run::<S, 16, 1, 4, 5>(simd),
                2 => self.run::<S, 16, 2, 2, 3>(simd),
                4 => self.run::<S, 16, 4, 1, 2>(simd),
                _ => self.run::<S, 16, 16, 1, 1>(simd),
            },
        }
    }
}

impl<E: Real> Forwards<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
        &mut self,
        simd: S,
    ) {
        let m = self.rows.len();
        for i in (0..m / R * R).step_by(R) {
            self.outputs::<S, L, N, R, C>(simd, i);
        }
        for i in m / R * R..m {
            self.outputs::<S, L, N, 1, C>(simd, i);
        }
    }

    /// All scores of R rows.
    #[inline(always)]
    fn outputs<S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        i: usize,
    ) {
        let mut k = 0;
        while k + C <= self.outputs {
            self.block::<S, L, N, R, C>(simd, i, k);
            k += C;
        }
        while k < self.outputs {
            self.block::<S, L, N, R, 1>(simd, i, k);
            k += 1;
        }
    }

    #[inline(always)]
    fn block<S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
        &mut self,
        simd: S,
        i: usize,
        k: usize,
    ) {
        let n = self.rows.columns;
        let chunks = n / L;
        let rows: [&[E]; R] = std::array::from_fn(
            #[inline(always)]
            |r| self.rows.row(i + r),
        );
        let weights: [&[E]; C] = std::array::from_fn(
            #[inline(always)]
            |c| &self.w[(k + c) * n..][..n],
        );
        let d: [&[[E; L]]; R] = rows.map(
            #[inline(always)]
            |row| &row.as_chunks().0[..chunks],
        );
        let w: [&[[E; L]]; C] = weights.map(
            #[inline(always)]
            |row| &row.as_chunks().0[..chunks],
        );
        let mut sums = [[[E::splat(simd, E::default()); N]; C]; R];
        for t in 0..chunks {
            let d = d.map(
                #[inline(always)]
                |d| &d[t],
            );
            let w = w.map(
                #[inline(always)]
                |w| &w[t],
            );
            sums = fuse::<E, S, L, N, R, C>(simd, d, w, sums);
        }
        if chunks * L < n {
            let d = rows.map(
                #[inline(always)]
                |row| padded(&row[chunks * L..]),
            );
            let w = weights.map(
                #[inline(always)]
                |row| padded(&row[chunks * L..]),
            );
            sums = fuse::<E, S, L, N, R, C>(simd, d.each_ref(), w.each_ref(), sums);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            let out = &mut self.out[(i + r) * self.outputs + k..][..C];
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = total(simd, sum);
            }
        }
    }
}

/// Sums held in registers.
type Sums<E, S, const N: usize, const C: usize, const R: usize> =
    [[[<E as Registers>::V<S>; N]; C]; R];

/// sums ← sums + the products of R blocks with C others.
#[inline(always)]
fn fuse<E: Real, S: Simd, const L: usize, const N: usize, const R: usize, const C: usize>(
    simd: S,
    d: [&[E; L]; R],
    w: [&[E; L]; C],
    mut sums: Sums<E, S, N, C, R>,
) -> Sums<E, S, N, C, R> {
    let d = d.map(
        #[inline(always)]
        |d| E::load::<S, N>(simd, d),
    );
    for c in 0..C {
        let w = E::load::<S, N>(simd, w[c]);
        for r in 0..R {
            for n in 0..N {
                sums[r][c][n] = E::multiply_add(simd, d[r][n], w[n], sums[r][c][n]);
            }
        }
    }
    sums
}

/// sums ← sums + K numbers times J blocks.
#[inline(always)]
fn spread<E: Real, S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
    simd: S,
    y: &[E; K],
    d: [&[E; L]; J],
    mut sums: Sums<E, S, N, J, K>,
) -> Sums<E, S, N, J, K> {
    let d = d.map(
        #[inline(always)]
        |d| E::load::<S, N>(simd, d),
    );
    for k in 0..K {
        let y = E::splat(simd, y[k]);
        for j in 0..J {
            for n in 0..N {
                sums[k][j][n] = E::multiply_add(simd, y, d[j][n], sums[k][j][n]);
            }
        }
    }
    sums
}

/// The first K numbers.
#[inline(always)]
fn first<E, const K: usize>(of: &[E]) -> &[E; K] {
    &of.as_chunks().0[0]
}

/// The sum of N registers: of the two halves of their lanes, of the halves of that, and so on.
#[inline(always)]
fn total<E: Real, S: Simd, const N: usize>(simd: S, mut sums: [E::V<S>; N]) -> E {
    let mut count = N / 2;
    while count > 0 {
        for k in 0..count {
            sums[k] = <E as Registers>::plus(simd, sums[k], sums[k + count]);
        }
        count /= 2;
    }
    E::total(simd, sums[0])
}

/// A part of a block, padded with zeros.
#[inline(always)]
fn padded<E: Copy + Default, const L: usize>(part: &[E]) -> [E; L] {
    let mut block = [E::default(); L];
    block[..part.len()].copy_from_slice(part);
    block
}

struct Backwards<'a, E> {
    w: &'a mut [E],
    y: &'a [E],
    rows: Rows<'a, E>,
}

impl<E: Real> WithSimd for Backwards<'_, E> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Outputs and blocks of features, as many as there are registers for.
        match const { BLOCK / size_of::<E>() } {
            8 => match const { registers::<E, S>() } {
                1 => self.run::<S, 8, 1, 5, 4>(simd),
                2 => self.run::<S, 8, 2, 5, 1>(simd),
                4 => self.run::<S, 8, 4, 2, 1>(simd),
                _ => self.run::<S, 8, 8, 1, 1>(simd),
            },
            _ => match const { registers::<E, S>() } {
                1 => self.run::<S, 16, 1, 5, 4>(simd),
                2 => self.run::<S, 16, 2, 5, 1>(simd),
                4 => self.run::<S, 16, 4, 2, 1>(simd),
                _ => self.run::<S, 16, 16, 1, 1>(simd),
            },
        }
    }
}

impl<E: Real> Backwards<'_, E> {
    #[inline(always)]
    fn run<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &mut self,
        simd: S,
    ) {
        let n = self.rows.columns;
        let end = n / (J * L) * (J * L);
        for j in (0..end).step_by(J * L) {
            self.features::<S, L, N, K, J>(simd, j);
        }
        for j in (end..n).step_by(L) {
            self.features::<S, L, N, K, 1>(simd, j);
        }
    }

    /// J blocks of features for all outputs: their data stay in the first-level cache.
    #[inline(always)]
    fn features<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &mut self,
        simd: S,
        j: usize,
    ) {
        let outputs = self.w.len() / self.rows.columns;
        let mut k = 0;
        while k + K <= outputs {
            self.block::<S, L, N, K, J>(simd, k, j, outputs);
            k += K;
        }
        while k < outputs {
            self.block::<S, L, N, 1, J>(simd, k, j, outputs);
            k += 1;
        }
    }

    #[inline(always)]
    fn block<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &mut self,
        simd: S,
        k: usize,
        j: usize,
        outputs: usize,
    ) {
        let n = self.rows.columns;
        // Less than a block is left at the end of a row.
        let len = (J * L).min(n - j);
        let sums = self.sums::<S, L, N, K, J>(simd, k, j, outputs);
        // Written in a loop of their own, which is unrolled, so that they are in registers until then.
        let mut blocks = [[[E::default(); L]; J]; K];
        for a in 0..K {
            for b in 0..J {
                E::store::<S, N>(simd, &mut blocks[a][b], sums[a][b]);
            }
        }
        for (a, blocks) in blocks.iter().enumerate() {
            let w = &mut self.w[(k + a) * n + j..][..len];
            for (w, &more) in w.iter_mut().zip(blocks.as_flattened()) {
                *w += more;
            }
        }
    }

    /// Σᵢ yᵢ dᵢᵀ of K outputs and J blocks of features.
    #[inline(always)]
    fn sums<S: Simd, const L: usize, const N: usize, const K: usize, const J: usize>(
        &self,
        simd: S,
        k: usize,
        j: usize,
        outputs: usize,
    ) -> Sums<E, S, N, J, K> {
        let mut sums = [[[E::splat(simd, E::default()); N]; J]; K];
        if j + J * L <= self.rows.columns {
            for i in 0..self.rows.len() {
                let d: &[[E; L]] = self.rows.row(i)[j..][..J * L].as_chunks().0;
                let d = std::array::from_fn(
                    #[inline(always)]
                    |b| &d[b],
                );
                let y = first(&self.y[i * outputs + k..]);
                sums = spread::<E, S, L, N, K, J>(simd, y, d, sums);
            }
        } else {
            for i in 0..self.rows.len() {
                let d = padded(&self.rows.row(i)[j..]);
                let y = first(&self.y[i * outputs + k..]);
                sums = spread::<E, S, L, N, K, J>(simd, y, [&d; J], sums);
            }
        }
        sums
    }
}
