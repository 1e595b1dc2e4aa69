//! Products of dense rows with several columns, in registers.
//!
//! ```text
//! out[i][q] = Σ_t a_i[t] · panel[t][q]
//! ```
//!
//! Forwards the a_i are eight rows and t runs over the features; for the transpose they are eight features and t runs over the rows.
//! The columns of all inputs stand side by side, divided into panels of a few registers that are packed row after row. The sums of a block
//! stay in eight accumulators.

use bilevel::Element;
use bilevel::problem::minibatch::Batch;
use pulp::{Arch, Simd, WithSimd};

use crate::support::lanes::Lanes;

/// Entries of a chunk of a row, and rows of a block.
pub(super) const CHUNK: usize = 8;
/// The widest panel.
const WIDEST: usize = 16;

/// Columns of a panel: one of the widest registers.
#[inline(always)]
const fn width<E>() -> usize {
    64 / size_of::<E>()
}

/// The rows of a batch, each of whole chunks.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, E> {
    chunks: &'a [[E; CHUNK]],
    /// Chunks of a row.
    of_row: usize,
    batch: Batch<'a>,
}

impl<'a, E> Rows<'a, E> {
    pub(super) fn new(values: &'a [E], stride: usize, batch: Batch<'a>) -> Self {
        Rows {
            chunks: values.as_chunks().0,
            of_row: stride / CHUNK,
            batch,
        }
    }

    /// The rows of the batch.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.batch.len()
    }

    /// Chunks of a row.
    #[inline(always)]
    pub(super) fn chunks(&self) -> usize {
        self.of_row
    }

    #[inline(always)]
    pub(super) fn row(&self, k: usize) -> &'a [[E; CHUNK]] {
        &self.chunks[self.batch.get(k) * self.of_row..][..self.of_row]
    }
}

/// The columns of matrices with c columns, side by side in panels, each row after row. Rows are padded with zeros to whole chunks.
pub(super) fn pack<E: Element>(parts: &[&[E]], c: usize, packed: &mut Vec<E>) {
    let width = width::<E>();
    let outputs = parts.len() * c;
    let rows = parts[0].len() / c;
    let of_panel = rows.next_multiple_of(CHUNK) * width;
    packed.resize(outputs.div_ceil(width) * of_panel, E::default());
    for (p, panel) in packed.chunks_exact_mut(of_panel).enumerate() {
        let first = p * width;
        // Runs of columns that come from one part.
        let mut l = 0;
        while l < width && first + l < outputs {
            let (part, column) = ((first + l) / c, (first + l) % c);
            let run = (c - column).min(width - l);
            let from = parts[part].chunks_exact(c);
            for (to, from) in panel.chunks_exact_mut(width).zip(from) {
                to[l..l + run].copy_from_slice(&from[column..column + run]);
            }
            l += run;
        }
        for row in panel.chunks_exact_mut(width).take(rows) {
            row[l..].fill(E::default());
        }
        panel[rows * width..].fill(E::default());
    }
}

/// Writes the outputs from `first` on of the rows from `start` on into matrices of c columns.
#[inline(always)]
fn write<E: Element>(
    first: usize,
    outputs: usize,
    c: usize,
    start: usize,
    sums: &[[E; WIDEST]],
    out: &mut [Vec<E>; 2],
) {
    // Divisions would take longer than the products.
    let (mut which, mut column) = (first / c, first % c);
    for l in 0..width::<E>().min(outputs - first) {
        let to = out[which][start * c + column..].iter_mut().step_by(c);
        for (to, sum) in to.zip(sums) {
            *to = sum[l];
        }
        column += 1;
        if column == c {
            (which, column) = (which + 1, 0);
        }
    }
}

/// scores ← rows · columns.
pub(super) fn forward<E: Lanes>(
    rows: Rows<'_, E>,
    outputs: usize,
    c: usize,
    packed: &[E],
    scores: &mut [Vec<E>; 2],
) {
    Arch::new().dispatch(Kernel::<E, false> {
        rows,
        columns: rows.of_row * CHUNK,
        outputs,
        c,
        packed,
        out: scores,
    });
}

/// out ← rowsᵀ · columns, for the first `columns` entries of the rows.
pub(super) fn transpose<E: Lanes>(
    rows: Rows<'_, E>,
    columns: usize,
    outputs: usize,
    c: usize,
    packed: &[E],
    out: &mut [Vec<E>; 2],
) {
    Arch::new().dispatch(Kernel::<E, true> {
        rows,
        columns,
        outputs,
        c,
        packed,
        out,
    });
}

struct Kernel<'a, E, const TRANSPOSE: bool> {
    rows: Rows<'a, E>,
    columns: usize,
    outputs: usize,
    c: usize,
    packed: &'a [E],
    out: &'a mut [Vec<E>; 2],
}

impl<E: Lanes, const TRANSPOSE: bool> WithSimd for Kernel<'_, E, TRANSPOSE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Registers of a panel, and rows of a block that eight accumulators hold.
        // A constant: only the branch of this register width is compiled.
        match const { 64 / size_of::<E::V<S>>() } {
            1 => self.run::<S, 1, 8>(simd),
            2 => self.run::<S, 2, 4>(simd),
            4 => self.run::<S, 4, 2>(simd),
            8 => self.run::<S, 8, 1>(simd),
            _ => self.run::<S, 16, 1>(simd),
        }
    }
}

impl<E: Lanes, const TRANSPOSE: bool> Kernel<'_, E, TRANSPOSE> {
    #[inline(always)]
    fn run<S: Simd, const N: usize, const R: usize>(&mut self, simd: S) {
        let m = self.rows.len();
        let (blocks, terms) = if TRANSPOSE {
            (self.columns.div_ceil(CHUNK), m)
        } else {
            (m.div_ceil(CHUNK), self.columns)
        };
        let end = if TRANSPOSE { self.columns } else { m };
        let of_panel = terms.next_multiple_of(CHUNK) * width::<E>();
        for block in 0..blocks {
            let start = block * CHUNK;
            for (p, panel) in self.packed.chunks_exact(of_panel).enumerate() {
                let mut sums = [[E::default(); WIDEST]; CHUNK];
                for (part, sums) in sums.chunks_exact_mut(R).enumerate() {
                    let registers = if TRANSPOSE {
                        self.features::<S, N, R>(simd, block, part * R, panel)
                    } else {
                        self.samples::<S, N, R>(simd, start + part * R, panel)
                    };
                    for (sum, registers) in sums.iter_mut().zip(registers) {
                        E::store(simd, sum, registers);
                    }
                }
                let count = (end - start).min(CHUNK);
                let first = p * width::<E>();
                write(first, self.outputs, self.c, start, &sums[..count], self.out);
            }
        }
    }

    /// R rows from `start` on times a panel. Past the end the last row is repeated.
    #[inline(always)]
    fn samples<S: Simd, const N: usize, const R: usize>(
        &self,
        simd: S,
        start: usize,
        panel: &[E],
    ) -> [[E::V<S>; N]; R] {
        let last = self.rows.len() - 1;
        let rows: [&[[E; CHUNK]]; R] = std::array::from_fn(
            #[inline(always)]
            |i| self.rows.row((start + i).min(last)),
        );
        let mut sums = [[E::splat(simd, E::default()); N]; R];
        for (t, eight) in panel.chunks_exact(CHUNK * width::<E>()).enumerate() {
            let a: [&[E; CHUNK]; R] = std::array::from_fn(
                #[inline(always)]
                |i| &rows[i][t],
            );
            for (l, w) in eight.chunks_exact(width::<E>()).enumerate() {
                let w = E::load::<S, N>(simd, w);
                for i in 0..R {
                    let a = E::splat(simd, a[i][l & (CHUNK - 1)]);
                    for n in 0..N {
                        sums[i][n] = E::multiply_add(simd, a, w[n], sums[i][n]);
                    }
                }
            }
        }
        sums
    }

    /// R features of a chunk, from `from` on, times a panel whose rows are those of the batch.
    #[inline(always)]
    fn features<S: Simd, const N: usize, const R: usize>(
        &self,
        simd: S,
        block: usize,
        from: usize,
        panel: &[E],
    ) -> [[E::V<S>; N]; R] {
        let mut sums = [[E::splat(simd, E::default()); N]; R];
        let rows = self.rows.len();
        for (k, w) in panel.chunks_exact(width::<E>()).take(rows).enumerate() {
            let chunk = &self.rows.chunks[self.rows.batch.get(k) * self.rows.of_row + block];
            let w = E::load::<S, N>(simd, w);
            for i in 0..R {
                let a = E::splat(simd, chunk[(from + i) & (CHUNK - 1)]);
                for n in 0..N {
                    sums[i][n] = E::multiply_add(simd, a, w[n], sums[i][n]);
                }
            }
        }
        sums
    }
}
