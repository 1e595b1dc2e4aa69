//! Two-dimensional transforms of images in which some linear operators are diagonal, and products with such operators.
//!
//! ```text
//! out ← T⁻¹ f(T x)        f: a function of the coefficients, one at a time
//! ```
//!
//! T = [`Cosine`] diagonalises the differences and the symmetric blurs with a reflecting border, T = [`Fourier`] the periodic
//! blurs. The one-dimensional transforms are those of rustdct, realfft and rustfft, planned once. They work in `f64` whatever
//! the storage of the image: a product of an `f32` image is then rounded once, at its end.
//!
//! A product has three passes: rows forward; columns forward, f, columns back; rows back. Each pass works on blocks of [`BLOCK`] rows or
//! columns and transposes them while it copies. The result does not depend on the number of threads; its last digits may differ between
//! processors, because the libraries choose their instructions by the processor.

mod cosine;
mod fourier;

pub(super) use cosine::Cosine;
pub(super) use fourier::Fourier;

use bilevel::{Element, parallel};
use rustdct::rustfft::num_complex::Complex;
use std::ops::{Add, Mul, Sub};

use crate::support::pool::Pool;

/// Rows or columns of a block: as many as there are numbers in a cache line.
const BLOCK: usize = 8;

/// A coefficient of a transform: real or complex.
pub(super) trait Coefficient:
    Copy
    + Default
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Mul<f64, Output = Self>
{
    fn conjugate(self) -> Self;
    /// |z|².
    fn square(self) -> f64;
}

impl Coefficient for f64 {
    fn conjugate(self) -> Self {
        self
    }

    fn square(self) -> f64 {
        self * self
    }
}

impl Coefficient for Complex<f64> {
    fn conjugate(self) -> Self {
        self.conj()
    }

    fn square(self) -> f64 {
        self.norm_sqr()
    }
}

/// The one-dimensional transforms that a two-dimensional one consists of, without normalisation.
pub(super) trait Axes: Send + Sync {
    type Coefficient: Coefficient;
    /// Coefficients in a row.
    fn width(&self) -> usize;
    /// The length of the scratch buffer that the one-dimensional transforms need.
    fn buffer_len(&self) -> usize;
    /// Pixels → coefficients; the pixels may be overwritten.
    fn row(
        &self,
        pixels: &mut [f64],
        out: &mut [Self::Coefficient],
        scratch: &mut [Self::Coefficient],
    );
    /// Coefficients → pixels; the coefficients may be overwritten.
    fn row_back(
        &self,
        from: &mut [Self::Coefficient],
        pixels: &mut [f64],
        scratch: &mut [Self::Coefficient],
    );
    fn column(&self, column: &mut [Self::Coefficient], scratch: &mut [Self::Coefficient]);
    fn column_back(&self, column: &mut [Self::Coefficient], scratch: &mut [Self::Coefficient]);
    /// The factor by which a transform followed by its unnormalised inverse multiplies an image.
    fn gain(&self) -> f64;
    /// The share of |coefficient|² of row i and column j in the squared norm of the image.
    fn share(&self, i: usize, j: usize) -> f64;
}

/// Buffers for one block.
struct Buffers<C> {
    pixels: Vec<f64>,
    block: Vec<C>,
    work: Vec<C>,
}

/// A transform of images of one shape.
pub(super) struct Transform<A: Axes> {
    axes: A,
    rows: usize,
    cols: usize,
    buffers: Pool<Buffers<A::Coefficient>>,
    /// Coefficients row after row, and column after column.
    planes: Pool<Vec<A::Coefficient>>,
    sums: Pool<Vec<f64>>,
}

impl<A: Axes> Transform<A> {
    pub(super) fn new(rows: usize, cols: usize, axes: A) -> Self {
        Transform {
            axes,
            rows,
            cols,
            buffers: Pool::default(),
            planes: Pool::default(),
            sums: Pool::default(),
        }
    }

    pub(super) fn axes(&self) -> &A {
        &self.axes
    }

    /// The number of coefficients. They lie column after column.
    pub(super) fn len(&self) -> usize {
        self.rows * self.axes.width()
    }

    fn with_buffers(&self, f: impl FnOnce(&mut Buffers<A::Coefficient>)) {
        let mut buffers = self.buffers.take_or(|| Buffers {
            pixels: vec![0.0; self.cols],
            block: vec![A::Coefficient::default(); BLOCK * self.axes.width()],
            work: vec![A::Coefficient::default(); self.axes.buffer_len()],
        });
        f(&mut buffers);
        self.buffers.put(buffers);
    }

    fn take_plane(&self) -> Vec<A::Coefficient> {
        self.planes
            .take_or(|| vec![A::Coefficient::default(); self.len()])
    }

    /// Transforms the rows of x, then its columns, and passes each transformed column to `edit`; returns the sum of the results of `edit`.
    fn forward<E: Element>(
        &self,
        x: &[E],
        columns: &mut [A::Coefficient],
        edit: impl Fn(usize, &mut [A::Coefficient], &mut [A::Coefficient]) -> f64 + Sync,
    ) -> f64 {
        let (rows, cols, width) = (self.rows, self.cols, self.axes.width());
        let mut plane = self.take_plane();
        parallel::for_each_piece(&mut plane, BLOCK * width, |block, plane| {
            self.with_buffers(|buffers| {
                for (k, out) in plane.chunks_exact_mut(width).enumerate() {
                    let row = &x[(block * BLOCK + k) * cols..][..cols];
                    for (p, x) in buffers.pixels.iter_mut().zip(row) {
                        *p = x.to_f64();
                    }
                    self.axes.row(&mut buffers.pixels, out, &mut buffers.work);
                }
            });
        });
        let mut sums = self.sums.take_or(|| vec![0.0; width]);
        {
            // A column with its sum, so that both are written by the thread that works on them.
            let work = |block: usize, columns: &mut [A::Coefficient], sums: &mut [f64]| {
                self.with_buffers(|buffers| {
                    let first = block * BLOCK;
                    let count = sums.len();
                    for i in 0..rows {
                        let from = &plane[i * width + first..][..count];
                        for (k, &c) in from.iter().enumerate() {
                            columns[k * rows + i] = c;
                        }
                    }
                    let each = columns.chunks_exact_mut(rows).zip(sums);
                    for (k, (column, sum)) in each.enumerate() {
                        self.axes.column(column, &mut buffers.work);
                        *sum = edit(first + k, column, &mut buffers.work);
                    }
                });
            };
            parallel::for_each_pair((columns, BLOCK * rows), (&mut sums, BLOCK), work);
        }
        let total = sums.iter().sum();
        self.sums.put(sums);
        self.planes.put(plane);
        total
    }

    /// T x, column after column.
    pub(super) fn coefficients<E: Element>(&self, x: &[E]) -> Vec<A::Coefficient> {
        let mut columns = vec![A::Coefficient::default(); self.len()];
        self.forward(x, &mut columns, |_, _, _| 0.0);
        columns
    }

    /// out_i ← merge(i, (T⁻¹ f(T x))_i, out_i), where `edit(j, column)` applies f to the j-th column of coefficients in place; returns the
    /// sum of the results of `edit`.
    pub(super) fn apply<E: Element>(
        &self,
        x: &[E],
        out: &mut [E],
        edit: impl Fn(usize, &mut [A::Coefficient]) -> f64 + Sync,
        merge: impl Fn(usize, f64, E) -> E + Sync,
    ) -> f64 {
        let (rows, cols, width) = (self.rows, self.cols, self.axes.width());
        let mut columns = self.take_plane();
        let total = self.forward(x, &mut columns, |j, column, scratch| {
            let sum = edit(j, column);
            self.axes.column_back(column, scratch);
            sum
        });
        let normalise = 1.0 / self.axes.gain();
        parallel::for_each_piece(out, BLOCK * cols, |block, out| {
            self.with_buffers(|buffers| {
                let first = block * BLOCK;
                let count = out.len() / cols;
                for j in 0..width {
                    let from = &columns[j * rows + first..][..count];
                    for (k, &c) in from.iter().enumerate() {
                        buffers.block[k * width + j] = c;
                    }
                }
                let each = out.chunks_exact_mut(cols);
                for (k, (out, from)) in each.zip(buffers.block.chunks_exact_mut(width)).enumerate()
                {
                    self.axes
                        .row_back(from, &mut buffers.pixels, &mut buffers.work);
                    let start = (first + k) * cols;
                    for (j, (out, p)) in out.iter_mut().zip(&buffers.pixels).enumerate() {
                        *out = merge(start + j, normalise * p, *out);
                    }
                }
            });
        });
        self.planes.put(columns);
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bilevel::Vector;

    fn ramp(n: usize) -> Vec<f64> {
        (0..n).map(|i| (0.7 * i as f64 + 0.3).sin() + 0.2).collect()
    }

    fn forth_and_back<A: Axes>(rows: usize, cols: usize, axes: A) {
        let transform = Transform::new(rows, cols, axes);
        let x = ramp(rows * cols);
        let mut out = vec![0.0; x.len()];
        let squares = transform.apply(
            &x,
            &mut out,
            |j, column| {
                let terms = column.iter().enumerate();
                terms
                    .map(|(i, c)| transform.axes().share(i, j) * c.square())
                    .sum()
            },
            |_, value, _| value,
        );
        let norm = x.dot(&x);
        assert!(
            (squares - norm).abs() <= 1e-12 * norm,
            "the norm of an image of {rows}×{cols}: {squares} for {norm}"
        );
        out.axpy(-1.0, &x);
        assert!(out.norm() <= 1e-13 * norm.sqrt(), "{rows}×{cols}");
    }

    #[test]
    fn transforms_are_undone_and_keep_the_norm_for_all_shapes() {
        for (rows, cols) in [
            (1, 1),
            (1, 7),
            (9, 1),
            (2, 2),
            (8, 8),
            (13, 21),
            (30, 16),
            (17, 9),
        ] {
            forth_and_back(rows, cols, Cosine::new(rows, cols));
            forth_and_back(rows, cols, Fourier::new(rows, cols));
        }
    }

    #[test]
    fn the_threads_do_not_show_in_the_result() {
        let x = ramp(61 * 47);
        let result = |threads| {
            bilevel::parallel::with_threads(threads, || {
                let transform = Transform::new(61, 47, Fourier::new(61, 47));
                let mut out = vec![0.0; x.len()];
                let sum = transform.apply(
                    &x,
                    &mut out,
                    |j, c| {
                        c[0] *= 0.5;
                        c[0].square() + j as f64
                    },
                    |_, value, _| value,
                );
                (sum, out)
            })
            .unwrap()
        };
        assert_eq!(result(1), result(3));
    }
}
