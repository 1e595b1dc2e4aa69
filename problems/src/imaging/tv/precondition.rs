//! Preconditioners of the Hessian A = I + DᵀWD of TV denoising.
//!
//! | [`Preconditioner`] | M | a product with M⁻¹ |
//! |---|---|---|
//! | `Diagonal` | the diagonal of A | one multiplication per pixel |
//! | `Cosine` | I + c DᵀD, c the mean of the diagonal entries of W | two cosine transforms: DᵀD is diagonal under the DCT-II |
//!
//! A Hessian product costs about as much as a few vector operations, so a preconditioner pays only if it saves many products. The
//! diagonal saves a fifth of them at the θ that denoise well; the cosine transform saves nine tenths where the weight is so large that
//! most of the image is smoothed uniformly. The book has the table.

use bilevel::Element;
use std::f64::consts::PI;

use super::super::transform::{Cosine, Transform};
use super::TvDenoising;
use super::blocks::block;

/// The preconditioner of the linear systems of TV denoising. See [`tv`](crate::imaging::tv).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preconditioner {
    /// No preconditioner.
    #[default]
    None,
    /// The diagonal of the Hessian.
    Diagonal,
    /// I + c DᵀD with the mean diffusivity c, inverted by the discrete cosine transform.
    Cosine,
}

/// I + c DᵀD, whose eigenvalues under the cosine transform are 1 + c (λᵢ + λⱼ).
pub(super) struct Laplacian {
    transform: Transform<Cosine>,
    /// λᵢ of the rows and λⱼ of the columns.
    down: Vec<f64>,
    across: Vec<f64>,
}

impl Laplacian {
    pub(super) fn new(rows: usize, cols: usize) -> Self {
        // The second difference with a free end on both sides.
        let eigenvalues = |n: usize| {
            let all = (0..n).map(|k| 2.0 - 2.0 * (PI * k as f64 / n as f64).cos());
            all.collect()
        };
        Laplacian {
            transform: Transform::new(rows, cols, Cosine::new(rows, cols)),
            down: eigenvalues(rows),
            across: eigenvalues(cols),
        }
    }

    /// out ← (I + c DᵀD)⁻¹ r.
    fn solve<E: Element>(&self, c: f64, r: &[E], out: &mut [E]) {
        self.transform.apply(
            r,
            out,
            |j, column| {
                let across = 1.0 + c * self.across[j];
                for (value, down) in column.iter_mut().zip(&self.down) {
                    *value /= across + c * down;
                }
                0.0
            },
            |_, value, _| E::from_f64(value),
        );
    }
}

/// A preconditioner of the Hessian at one image.
pub(super) enum Prepared<E> {
    None,
    /// One over the diagonal.
    Diagonal(Vec<E>),
    /// c.
    Cosine(f64),
}

impl<E: Element> Prepared<E> {
    /// From the blocks of W, two or three numbers per pixel.
    pub(super) fn new(problem: &TvDenoising<E>, blocks: &[E]) -> Self {
        let (rows, cols) = (problem.rows, problem.cols);
        let at = |i: usize, j: usize| block(problem, blocks, i, j);
        match problem.preconditioner {
            Preconditioner::None => Prepared::None,
            Preconditioner::Diagonal => {
                let mut inverse = problem.arrays.take(rows * cols);
                for i in 0..rows {
                    for j in 0..cols {
                        let (right, below, both) = at(i, j);
                        let left = if j > 0 { at(i, j - 1).0 } else { 0.0 };
                        let above = if i > 0 { at(i - 1, j).1 } else { 0.0 };
                        let entry = 1.0 + right + below + 2.0 * both + left + above;
                        inverse[i * cols + j] = E::from_f64(1.0 / entry);
                    }
                }
                Prepared::Diagonal(inverse)
            }
            Preconditioner::Cosine => {
                let mut sum = 0.0;
                for i in 0..rows {
                    for j in 0..cols {
                        let (right, below, _) = at(i, j);
                        sum += right + below;
                    }
                }
                let differences = rows * (cols - 1) + cols * (rows - 1);
                Prepared::Cosine(sum / differences as f64)
            }
        }
    }

    /// out ← M⁻¹ r; `laplacian` is that of the problem, which planned it for [`Preconditioner::Cosine`].
    pub(super) fn apply(&self, laplacian: Option<&Laplacian>, r: &[E], out: &mut [E]) {
        match (self, laplacian) {
            (Prepared::Diagonal(inverse), _) => {
                for ((out, &r), &d) in out.iter_mut().zip(r).zip(inverse) {
                    *out = r * d;
                }
            }
            (&Prepared::Cosine(c), Some(laplacian)) => laplacian.solve(c, r, out),
            _ => out.copy_from_slice(r),
        }
    }
}
