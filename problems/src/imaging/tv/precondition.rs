//! Preconditioners of the Hessian A = I + DᵀWD of TV denoising.
//!
//! | [`Preconditioner`] | M | a product with M⁻¹ |
//! |---|---|---|
//! | `Diagonal` | the diagonal of A | one multiplication a pixel |
//! | `Cosine` | I + c DᵀD, c the mean of the diagonal entries of W | two cosine transforms: DᵀD is diagonal under the DCT-II |
//!
//! A Hessian product costs about as much as a few vector operations, so a preconditioner has to save many of them to pay.

use bilevel::Element;
use std::f64::consts::PI;

use super::linearization::TvLinearization;
use super::{Norm, TvDenoising};

/// How the linear systems of TV denoising are preconditioned. See [`tv`](crate::imaging::tv).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preconditioner {
    /// Not at all.
    #[default]
    None,
    /// By the diagonal of the Hessian.
    Diagonal,
    /// By I + c DᵀD with the mean diffusivity c, inverted by the discrete cosine transform.
    Cosine,
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
    /// From the blocks of W, two or three numbers a pixel.
    pub(super) fn new(problem: &TvDenoising<E>, blocks: &[E]) -> Self {
        let (rows, cols) = (problem.rows, problem.cols);
        let planes = match problem.norm {
            Norm::Anisotropic => 2,
            Norm::Isotropic => 3,
        };
        // W_hh, W_vv and W_hv at a pixel; zero where there is no difference.
        let at = |i: usize, j: usize| {
            let row = &blocks[i * planes * cols..];
            let of = |plane: usize| row[plane * cols + j].to_f64();
            let right = if j + 1 < cols { of(0) } else { 0.0 };
            let below = if i + 1 < rows { of(1) } else { 0.0 };
            let both = if planes == 3 { of(2) } else { 0.0 };
            (right, below, both)
        };
        match problem.preconditioner {
            super::Preconditioner::None => Prepared::None,
            super::Preconditioner::Diagonal => {
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
            super::Preconditioner::Cosine => {
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
}

/// The eigenvalue 2 − 2 cos(πk/n) of the second difference with a free end on both sides.
fn eigenvalue(k: usize, n: usize) -> f64 {
    2.0 - 2.0 * (PI * k as f64 / n as f64).cos()
}

impl<E: Element> TvLinearization<'_, E> {
    pub(super) fn apply_preconditioner(&self, r: &[E], out: &mut [E]) {
        match (&self.preconditioner, &self.problem.cosine) {
            (Prepared::Diagonal(inverse), _) => {
                for ((out, &r), &d) in out.iter_mut().zip(r).zip(inverse) {
                    *out = r * d;
                }
            }
            (&Prepared::Cosine(c), Some(transform)) => {
                let (rows, cols) = (self.problem.rows, self.problem.cols);
                transform.apply(
                    r,
                    out,
                    |j, column| {
                        let across = eigenvalue(j, cols);
                        for (i, value) in column.iter_mut().enumerate() {
                            *value /= 1.0 + c * (across + eigenvalue(i, rows));
                        }
                        0.0
                    },
                    |_, value, _| E::from_f64(value),
                );
            }
            _ => out.copy_from_slice(r),
        }
    }
}
