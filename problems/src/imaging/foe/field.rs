//! Passes of a bank of filters over an image, row by row, so that what a pass needs of a row stays in the second-level cache.
//!
//! ```text
//! forwards    r_k(i, j) = Σ_ab c_k[a, b] x̄(i + a − p, j + b − p)         x̄: the image, reflected at its borders, p = size/2
//! backwards   x̄ᵀ: each response is spread over the pixels under the filter, and what falls beyond the border is folded back
//! ```
//!
//! The responses of all filters at one row are computed, changed pixel by pixel, and spread at once; the responses of the whole image are
//! never stored. Bands of rows run in parallel. Each spreads into an accumulator of its own, and the accumulators are added in the order
//! of the bands: the same bits on any number of threads.

use bilevel::parallel;
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

use super::correlation::{GRANULE, Packed, shifted_products};
use crate::support::lanes::Lanes;
use crate::support::pool::Pool;

/// Rows of a band.
const BAND: usize = 32;

/// The shapes of an image, of its extension, and of the rows of responses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Geometry {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) size: usize,
    /// p
    pub(super) pad: usize,
    /// Columns, padded.
    pub(super) wide: usize,
    /// From row to row of the extended image.
    pub(super) source_stride: usize,
    /// Columns of the extended image, padded.
    spread: usize,
    /// From filter to filter of a row of responses; the response of column j lies at `offset + j`, between zeros.
    pub(super) response_stride: usize,
    pub(super) offset: usize,
}

impl Geometry {
    pub(super) fn new(rows: usize, cols: usize, size: usize) -> Self {
        let wide = cols.next_multiple_of(GRANULE);
        let spread = (cols + size - 1).next_multiple_of(GRANULE);
        Geometry {
            rows,
            cols,
            size,
            pad: size / 2,
            wide,
            source_stride: wide + size - 1,
            spread,
            response_stride: spread + size - 1,
            offset: size - 1,
        }
    }

    fn bands(&self) -> usize {
        self.rows.div_ceil(BAND)
    }

    fn band(&self, band: usize) -> Range<usize> {
        band * BAND..((band + 1) * BAND).min(self.rows)
    }

    /// Entries of a band's accumulator.
    fn share(&self) -> usize {
        (BAND + self.size - 1) * self.spread
    }

    /// The row or column to which `at − p` is reflected.
    fn reflected(&self, at: usize, len: usize) -> usize {
        let at = at.abs_diff(self.pad);
        if at < len { at } else { 2 * (len - 1) - at }
    }

    /// Whether the filter's support lies within the image at row i (or column j) of `len`.
    pub(super) fn inside(&self, at: usize, len: usize) -> bool {
        at >= self.pad && at + self.pad < len
    }
}

/// Buffers for the rows that one thread works on.
pub(super) struct Buffers<E> {
    /// Responses of one row, filter after filter.
    pub(super) first: Vec<E>,
    /// The same of a second bank or image; empty until used.
    pub(super) second: Vec<E>,
    /// A number for each column.
    pub(super) row: Vec<E>,
}

impl<E: Lanes> Buffers<E> {
    fn fit(&mut self, responses: usize, cols: usize) {
        self.first.resize(responses, E::default());
        self.row.resize(cols, E::default());
    }
}

/// A bank of filters, packed for both directions.
pub(super) struct Bank<E> {
    forwards: Packed<E>,
    backwards: Packed<E>,
    count: usize,
}

struct Correlate<'a, E, const ADD: bool> {
    packed: &'a Packed<E>,
    from: &'a [E],
    from_stride: usize,
    out: &'a mut [E],
    out_stride: usize,
    wide: usize,
}

impl<E: Lanes, const ADD: bool> WithSimd for Correlate<'_, E, ADD> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.packed.correlate::<S, ADD>(
            simd,
            self.from,
            self.from_stride,
            self.out,
            self.out_stride,
            self.wide,
        );
    }
}

struct Shifted<'a, E> {
    geometry: &'a Geometry,
    u: &'a [E],
    x: &'a [E],
    out: &'a mut [f64],
}

impl<E: Lanes> WithSimd for Shifted<'_, E> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let g = self.geometry;
        let filters = self.out.chunks_exact_mut(g.size * g.size);
        for (u, out) in self.u.chunks_exact(g.response_stride).zip(filters) {
            for (a, out) in out.chunks_exact_mut(g.size).enumerate() {
                let x = &self.x[a * g.source_stride..];
                shifted_products(simd, &u[g.offset..], x, g.wide, out);
            }
        }
    }
}

impl<E: Lanes> Bank<E> {
    /// The bank of `filters`, each of size × size coefficients, row after row.
    pub(super) fn new(filters: &[f64], size: usize) -> Self {
        let (s, s2) = (size, size * size);
        let count = filters.len() / s2;
        Bank {
            forwards: Packed::new(count, s, s, |a, b, k| filters[k * s2 + a * s + b]),
            backwards: Packed::new(s, count, s, |k, b, a| filters[k * s2 + a * s + (s - 1 - b)]),
            count,
        }
    }

    /// The responses of row i of the extended image `source`, between zeros.
    pub(super) fn respond(&self, g: &Geometry, source: &[E], i: usize, responses: &mut [E]) {
        Arch::new().dispatch(Correlate::<E, false> {
            packed: &self.forwards,
            from: &source[i * g.source_stride..],
            from_stride: g.source_stride,
            out: &mut responses[g.offset..],
            out_stride: g.response_stride,
            wide: g.wide,
        });
        for row in responses.chunks_exact_mut(g.response_stride) {
            row[..g.offset].fill(E::default());
            row[g.offset + g.cols..].fill(E::default());
        }
    }

    /// Spreads a row of responses over the `size` rows of the accumulator that begin at `out`.
    fn spread(&self, g: &Geometry, responses: &[E], out: &mut [E]) {
        Arch::new().dispatch(Correlate::<E, true> {
            packed: &self.backwards,
            from: responses,
            from_stride: g.response_stride,
            out,
            out_stride: g.spread,
            wide: g.spread,
        });
    }

    /// out[k, a, b] += Σ_j u_k[j] x̄(i + a − p, j + b − p) for the responses u of row i: the derivative by the filters.
    pub(super) fn filter_products(
        g: &Geometry,
        responses: &[E],
        source: &[E],
        i: usize,
        out: &mut [f64],
    ) {
        Arch::new().dispatch(Shifted {
            geometry: g,
            u: responses,
            x: &source[i * g.source_stride..],
            out,
        });
    }
}

/// The passes over images of one shape, and their buffers.
pub(super) struct Field<E> {
    pub(super) geometry: Geometry,
    pub(super) arrays: Pool<Vec<E>>,
    buffers: Pool<Box<Buffers<E>>>,
    sums: Pool<Vec<f64>>,
}

impl<E: Lanes> Field<E> {
    pub(super) fn new(rows: usize, cols: usize, size: usize) -> Self {
        Field {
            geometry: Geometry::new(rows, cols, size),
            arrays: Pool::default(),
            buffers: Pool::default(),
            sums: Pool::default(),
        }
    }

    /// The image, reflected at its borders, in a buffer of `arrays`.
    pub(super) fn extend(&self, x: &[E]) -> Vec<E> {
        let g = &self.geometry;
        let mut out = self.arrays.take((g.rows + g.size - 1) * g.source_stride);
        let fill = |q: usize, out: &mut [E]| {
            let i = g.reflected(q, g.rows);
            let row = &x[i * g.cols..(i + 1) * g.cols];
            out[g.pad..g.pad + g.cols].copy_from_slice(row);
            for at in (0..g.pad).chain(g.pad + g.cols..g.cols + g.size - 1) {
                out[at] = row[g.reflected(at, g.cols)];
            }
            out[g.cols + g.size - 1..].fill(E::default());
        };
        let height = (g.rows + g.size - 1).div_ceil(g.bands());
        parallel::for_each_piece(&mut out, height * g.source_stride, |band, out| {
            let rows = out.chunks_exact_mut(g.source_stride).enumerate();
            rows.for_each(|(k, out)| fill(band * height + k, out));
        });
        out
    }

    /// Rows of a band.
    pub(super) fn band_rows(&self) -> usize {
        BAND
    }

    /// Calls `f` for every band with its `share` entries of `out` and partial sums, and adds these to `sums` (at least one) in the order of
    /// the bands.
    pub(super) fn each<T: Send>(
        &self,
        responses: usize,
        out: &mut [T],
        share: usize,
        sums: &mut [f64],
        f: impl Fn(Range<usize>, &mut [T], &mut Buffers<E>, &mut [f64]) + Sync,
    ) {
        let g = &self.geometry;
        let width = sums.len();
        let mut partial = self.sums.take_or(Vec::new);
        partial.clear();
        partial.resize(g.bands() * width, 0.0);
        let run = |band: usize, out: &mut [T], sums: &mut [f64]| {
            let mut buffers = self.buffers.take_or(|| {
                Box::new(Buffers {
                    first: Vec::new(),
                    second: Vec::new(),
                    row: Vec::new(),
                })
            });
            buffers.fit(responses * g.response_stride, g.cols);
            f(g.band(band), out, &mut buffers, sums);
            self.buffers.put(buffers);
        };
        if out.is_empty() {
            parallel::for_each_piece(&mut partial, width, |band, sums| run(band, &mut [], sums));
        } else {
            parallel::for_each_pair((out, share), (&mut partial, width), run);
        }
        for part in partial.chunks_exact(width) {
            sums.iter_mut().zip(part).for_each(|(s, p)| *s += p);
        }
        self.sums.put(partial);
    }

    /// out ← base + Σₖ Cₖᵀ pₖ, with p made row by row: `change(i, responses, buffer)` turns the responses of the extended image
    /// `source` at row i into p and returns a number. Returns the sum of these numbers; `buffer` has one entry per column.
    pub(super) fn project(
        &self,
        bank: &Bank<E>,
        source: &[E],
        base: impl Fn(usize) -> E + Sync,
        out: &mut [E],
        change: impl Fn(usize, &mut [E], &mut [E]) -> f64 + Sync,
    ) -> f64 {
        self.project_both([bank], source, base, out, |i, first, _, row| {
            change(i, first, row)
        })
    }

    /// The same for one or two banks, whose responses are changed together and spread by their own filters.
    pub(super) fn project_both<const N: usize>(
        &self,
        banks: [&Bank<E>; N],
        source: &[E],
        base: impl Fn(usize) -> E + Sync,
        out: &mut [E],
        change: impl Fn(usize, &mut [E], &mut [E], &mut [E]) -> f64 + Sync,
    ) -> f64 {
        let g = &self.geometry;
        let mut accumulators = self.arrays.take(g.bands() * g.share());
        let mut sum = [0.0];
        self.each(
            banks[0].count,
            &mut accumulators,
            g.share(),
            &mut sum,
            |range, out, buffers, sum| {
                out.fill(E::default());
                let start = range.start;
                if N == 2 {
                    buffers.second.resize(buffers.first.len(), E::default());
                }
                for i in range {
                    banks[0].respond(g, source, i, &mut buffers.first);
                    if N == 2 {
                        banks[1].respond(g, source, i, &mut buffers.second);
                    }
                    sum[0] += change(i, &mut buffers.first, &mut buffers.second, &mut buffers.row);
                    let out = &mut out[(i - start) * g.spread..];
                    banks[0].spread(g, &buffers.first, out);
                    if N == 2 {
                        banks[1].spread(g, &buffers.second, out);
                    }
                }
            },
        );
        self.fold(&accumulators, base, out);
        self.arrays.put(accumulators);
        sum[0]
    }

    /// out ← base + the accumulators of the bands, folded back at the borders.
    fn fold(&self, accumulators: &[E], base: impl Fn(usize) -> E + Sync, out: &mut [E]) {
        let g = &self.geometry;
        let fold_row = |i: usize, out: &mut [E]| {
            for (j, out) in out.iter_mut().enumerate() {
                *out = base(i * g.cols + j);
            }
            // The extended rows that row i stands at: its own place, and its images beyond the borders.
            let own = i + g.pad;
            let above = (1..=g.pad).contains(&i).then(|| g.pad - i);
            let last = g.rows - 1;
            let below = (last - i >= 1 && last - i <= g.pad).then(|| g.pad + 2 * last - i);
            for q in [Some(own), above, below].into_iter().flatten() {
                // The bands that reach row q.
                for band in q.saturating_sub(g.size - 1) / BAND..=(q / BAND).min(g.bands() - 1) {
                    let range = g.band(band);
                    if q < range.start || q >= range.end + g.size - 1 {
                        continue;
                    }
                    let at = band * g.share() + (q - range.start) * g.spread;
                    let row = &accumulators[at..at + g.spread];
                    for (out, a) in out.iter_mut().zip(&row[g.pad..]) {
                        *out = *out + *a;
                    }
                    for j in 1..=g.pad {
                        out[j] = out[j] + row[g.pad - j];
                        let right = g.cols - 1 - j;
                        out[right] = out[right] + row[g.pad + g.cols - 1 + j];
                    }
                }
            }
        };
        parallel::for_each_piece(out, BAND * g.cols, |band, out| {
            let rows = out.chunks_exact_mut(g.cols).enumerate();
            rows.for_each(|(k, out)| fold_row(band * BAND + k, out));
        });
    }
}
