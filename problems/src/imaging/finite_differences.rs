//! Finite differences of an image, and passes that use them row by row.
//!
//! A pass divides the image into bands of rows: it is vectorised within a row and parallel over the bands. The bands depend on the size of
//! the image alone, so the result has the same bits on any number of threads. A kernel is a plain loop over the columns of one row,
//! compiled for several instruction sets, of which pulp chooses one at run time. The rows that it works on stay in the first-level cache.

use bilevel::simd::dispatch;
use bilevel::{Element, parallel};
use std::ops::Range;

use crate::support::pool::Pool;
use crate::support::sums::{LANES, lane_sum};

/// Approximate number of pixels in a band: a pass over it stays within a second-level cache.
const BAND_PIXELS: usize = 1 << 15;
/// Least number of rows in a band; each band recomputes one row of its neighbour.
const BAND_ROWS: usize = 16;

/// Buffers for the forward differences of one row.
pub(super) struct RowDifferences<E> {
    h: Vec<E>,
    v: Vec<E>,
}

impl<E: Element> RowDifferences<E> {
    fn new(cols: usize) -> Self {
        RowDifferences {
            h: vec![E::default(); cols],
            v: vec![E::default(); cols],
        }
    }

    /// The differences of row i to the right and downwards, zero at the right and the lower border.
    #[inline(always)]
    pub(super) fn of(&mut self, x: &[E], i: usize) -> (&[E], &[E]) {
        let cols = self.h.len();
        let row = &x[i * cols..(i + 1) * cols];
        let (h, v) = (&mut self.h[..cols], &mut self.v[..cols]);
        let (here, right) = (&row[..cols - 1], &row[1..]);
        for ((h, &a), &b) in h.iter_mut().zip(here).zip(right) {
            *h = b - a;
        }
        h[cols - 1] = E::default();
        if (i + 2) * cols <= x.len() {
            let below = &x[(i + 1) * cols..(i + 2) * cols];
            for ((v, &a), &b) in v.iter_mut().zip(row).zip(below) {
                *v = b - a;
            }
        } else {
            v.fill(E::default());
        }
        (&self.h, &self.v)
    }
}

/// Buffers for the rows that one thread works on.
pub(super) struct Rows<E> {
    first: RowDifferences<E>,
    second: RowDifferences<E>,
    /// The horizontal flux of the current row, after a zero for the left border.
    h: Vec<E>,
    /// The vertical flux of the current row, and of the row above.
    v: Vec<E>,
    above: Vec<E>,
    /// A number for each pixel of the current row, and the pixels to the right of it in the last row.
    values: Vec<E>,
    right: Vec<E>,
}

/// The image to which the divergence of a flux is added. Each kind is a type, so that a kernel is compiled with one loop and not with three.
pub(super) trait Base<E>: Sync {
    /// out_j ← base_{first + j} + divergence(j) for the `cols` pixels of a row of the image that begins at pixel `first`.
    fn add(&self, first: usize, cols: usize, divergence: impl Fn(usize) -> E, out: &mut [E]);
}

/// No image.
pub(super) struct Zero;

/// An image.
pub(super) struct Plain<'a, E>(pub(super) &'a [E]);

/// The difference of two images.
pub(super) struct Difference<'a, E>(pub(super) &'a [E], pub(super) &'a [E]);

impl<E: Element> Base<E> for Zero {
    #[inline(always)]
    fn add(&self, _first: usize, cols: usize, divergence: impl Fn(usize) -> E, out: &mut [E]) {
        for (j, out) in out[..cols].iter_mut().enumerate() {
            *out = divergence(j);
        }
    }
}

impl<E: Element> Base<E> for Plain<'_, E> {
    #[inline(always)]
    fn add(&self, first: usize, cols: usize, divergence: impl Fn(usize) -> E, out: &mut [E]) {
        let a = &self.0[first..first + cols];
        for j in 0..cols {
            out[j] = a[j] + divergence(j);
        }
    }
}

impl<E: Element> Base<E> for Difference<'_, E> {
    #[inline(always)]
    fn add(&self, first: usize, cols: usize, divergence: impl Fn(usize) -> E, out: &mut [E]) {
        let row = first..first + cols;
        let (a, b) = (&self.0[row.clone()], &self.1[row]);
        for j in 0..cols {
            out[j] = (a[j] - b[j]) + divergence(j);
        }
    }
}

/// The larger of two numbers, or NaN when one is.
#[inline(always)]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if b <= a || a.is_nan() { a } else { b }
}

/// Two sums and a largest value, over pixels.
pub(super) type Totals = [f64; 3];

/// The finite differences of images of one shape: the division into bands, and buffers for the passes.
pub(super) struct FiniteDifferences<E> {
    rows: usize,
    cols: usize,
    /// Rows in a band.
    height: usize,
    pool: Pool<Box<Rows<E>>>,
    partial: Pool<Vec<Totals>>,
}

impl<E: Element> FiniteDifferences<E> {
    pub(super) fn new(rows: usize, cols: usize) -> Self {
        FiniteDifferences {
            rows,
            cols,
            height: (BAND_PIXELS / cols).clamp(BAND_ROWS, rows.max(BAND_ROWS)),
            pool: Pool::default(),
            partial: Pool::default(),
        }
    }

    fn range(&self, band: usize) -> Range<usize> {
        band * self.height..((band + 1) * self.height).min(self.rows)
    }

    /// Calls `f` for every band with its part of `out` and row buffers, and combines the results in the order of the bands.
    fn each<T: Send>(
        &self,
        out: &mut [T],
        stride: usize,
        f: impl Fn(Range<usize>, &mut [T], &mut Rows<E>) -> Totals + Sync,
    ) -> Totals {
        let count = self.rows.div_ceil(self.height);
        let share = (self.height * stride).max(1);
        let mut partial = self.partial.take_or(Vec::new);
        partial.clear();
        partial.resize(count, Totals::default());
        let run = |band: usize, out: &mut [T]| {
            let cols = self.cols;
            let mut rows = self.pool.take_or(|| {
                Box::new(Rows {
                    first: RowDifferences::new(cols),
                    second: RowDifferences::new(cols),
                    h: vec![E::default(); cols + 1],
                    v: vec![E::default(); cols],
                    above: vec![E::default(); cols],
                    values: vec![E::default(); cols],
                    right: vec![E::default(); cols],
                })
            });
            let total = dispatch(
                #[inline(always)]
                || f(self.range(band), out, &mut rows),
            );
            self.pool.put(rows);
            total
        };
        if out.is_empty() {
            parallel::for_each(&mut partial, |band, total| *total = run(band, &mut []));
        } else {
            parallel::for_each_pair((&mut partial, 1), (out, share), |band, total, out| {
                total[0] = run(band, out);
            });
        }
        let joined = partial
            .iter()
            .fold(Totals::default(), |[a, b, c], [d, e, f]| {
                [a + d, b + e, larger(c, *f)]
            });
        self.partial.put(partial);
        joined
    }

    /// out ← base + Dᵀ p with the flux p = (p_h, p_v) of an image x; returns the sum of a number for each pixel.
    ///
    /// `flux(i)` makes the function (j, (Dx)_h, (Dx)_v) ↦ (p_h, p_v, number) of row i, which must give p_h = 0 for (Dx)_h = 0 and
    /// p_v = 0 for (Dx)_v = 0. The numbers count where `SUM`.
    pub(super) fn divergence<const SUM: bool, R: Fn(usize, E, E) -> (E, E, E)>(
        &self,
        x: &[E],
        base: impl Base<E>,
        out: &mut [E],
        flux: impl Fn(usize) -> R + Sync,
        weigh: impl Fn(usize, usize, f64) -> f64 + Sync,
    ) -> f64 {
        let cols = self.cols;
        let base = &base;
        let [sum, ..] = self.each(
            out,
            cols,
            #[inline(always)]
            |range, out, rows| {
                let mut sum = 0.0;
                let start = range.start;
                rows.v.fill(E::default());
                for i in start.saturating_sub(1)..range.end {
                    std::mem::swap(&mut rows.above, &mut rows.v);
                    let row = &x[i * cols..(i + 1) * cols];
                    // The pixels to the right, as a shifted slice: at the last column it holds the next row's first pixel, which is
                    // put right below. The last row has no next one.
                    let (right, below) = if i + 1 < self.rows {
                        (
                            &x[i * cols + 1..(i + 1) * cols + 1],
                            &x[(i + 1) * cols..(i + 2) * cols],
                        )
                    } else {
                        rows.right[..cols - 1].copy_from_slice(&row[1..]);
                        (&rows.right[..cols], row)
                    };
                    let flux = flux(i);
                    let h = &mut rows.h[1..cols + 1];
                    let v = &mut rows.v[..cols];
                    let values = &mut rows.values[..cols];
                    for j in 0..cols {
                        let (a, b, c) = flux(j, right[j] - row[j], below[j] - row[j]);
                        h[j] = a;
                        v[j] = b;
                        if SUM {
                            values[j] = c;
                        }
                    }
                    let last = cols - 1;
                    (h[last], v[last], values[last]) =
                        flux(last, E::default(), below[last] - row[last]);
                    if i < start {
                        continue;
                    }
                    if SUM {
                        sum += lane_sum(
                            values,
                            #[inline(always)]
                            |j, value| weigh(i, j, value),
                        );
                    }
                    let out = &mut out[(i - start) * cols..(i - start + 1) * cols];
                    let (h, left) = (&rows.h[1..cols + 1], &rows.h[..cols]);
                    let (v, above) = (&rows.v[..cols], &rows.above[..cols]);
                    base.add(
                        i * cols,
                        cols,
                        #[inline(always)]
                        |j| (left[j] - h[j]) + (above[j] - v[j]),
                        out,
                    );
                }
                [sum, 0.0, 0.0]
            },
        );
        sum
    }

    /// Calls `f` for every row with its `stride` numbers of `out`; returns the sum of the results.
    pub(super) fn rows<T: Send>(
        &self,
        out: &mut [T],
        stride: usize,
        f: impl Fn(usize, &mut RowDifferences<E>, &mut RowDifferences<E>, &mut [T]) -> f64 + Sync,
    ) -> f64 {
        let [sum, ..] = self.each(
            out,
            stride,
            #[inline(always)]
            |range, out, rows| {
                let start = range.start;
                let mut sum = 0.0;
                for i in range {
                    let out = &mut out[(i - start) * stride..(i - start + 1) * stride];
                    sum += f(i, &mut rows.first, &mut rows.second, out);
                }
                [sum, 0.0, 0.0]
            },
        );
        sum
    }

    /// Two sums and a largest value over the pixels, of `f(pixel, [x_h, x_v, q_h, q_v])` with the differences of x and q.
    ///
    /// `f` must return zeros where those of q are zero.
    pub(super) fn totals(
        &self,
        x: &[E],
        q: &[E],
        f: impl Fn(usize, [f64; 4]) -> Totals + Sync,
    ) -> Totals {
        let cols = self.cols;
        self.each(
            &mut [] as &mut [E],
            0,
            #[inline(always)]
            |range, _, rows| {
                let mut partial = [[0.0f64; LANES]; 3];
                for i in range {
                    let (xh, xv) = rows.first.of(x, i);
                    let (qh, qv) = rows.second.of(q, i);
                    for start in (0..cols).step_by(LANES) {
                        let width = LANES.min(cols - start);
                        let mut d = [[0.0f64; LANES]; 4];
                        for (d, from) in d.iter_mut().zip([xh, xv, qh, qv]) {
                            for (d, e) in d.iter_mut().zip(&from[start..start + width]) {
                                *d = e.to_f64();
                            }
                        }
                        for k in 0..LANES {
                            let pixel = i * cols + (start + k).min(cols - 1);
                            let [a, b, c] = f(pixel, [d[0][k], d[1][k], d[2][k], d[3][k]]);
                            partial[0][k] += a;
                            partial[1][k] += b;
                            // A NaN stays: no bound may come out of it.
                            partial[2][k] = larger(partial[2][k], c);
                        }
                    }
                }
                [
                    partial[0].iter().sum(),
                    partial[1].iter().sum(),
                    partial[2].iter().copied().fold(0.0, larger),
                ]
            },
        )
    }
}
