//! The Hessian of TV denoising as a sparse matrix.
//!
//! A = I + DᵀWD couples a pixel with its four neighbours and, in the isotropic form, with two diagonal ones, below to the left and above to
//! the right, with which it shares a Φ. The entries that W at pixel i contributes to i and its neighbours to the right and below:
//!
//! ```text
//! (i, i)  W_hh + W_vv + 2W_hv       (right, i)  −W_hh − W_hv       (below, i)  −W_vv − W_hv
//! (right, right)  W_hh              (below, below)  W_vv           (below, right)  W_hv
//! ```

use bilevel::Element;
use bilevel::linear::{Pattern, SparseMatrix};
use std::sync::Arc;

use super::blocks::block;
use super::linearization::TvLinearization;
use super::{Norm, TvDenoising};

impl<E: Element> TvDenoising<E> {
    /// Three entries per pixel on and below the diagonal, four in the isotropic form.
    fn hessian_pattern(&self) -> Pattern {
        let (rows, cols) = (self.rows, self.cols);
        Pattern::of_neighbours(rows * cols, |at, out| {
            let (i, j) = (at / cols, at % cols);
            if j + 1 < cols {
                out.push(at + 1);
            }
            if i + 1 < rows {
                out.push(at + cols);
                if j > 0 && self.norm == Norm::Isotropic {
                    out.push(at + cols - 1);
                }
            }
        })
    }
}

impl<E: Element> SparseMatrix for TvLinearization<'_, E> {
    fn pattern(&self) -> Arc<Pattern> {
        let made = || Arc::new(self.problem.hessian_pattern());
        self.problem.pattern.get_or_init(made).clone()
    }

    fn values(&self, out: &mut [f64]) {
        let problem = self.problem;
        let (rows, cols) = (problem.rows, problem.cols);
        let at = |i: usize, j: usize| block(problem, &self.blocks, i, j);
        let mut places = out.iter_mut();
        let mut push = |value: f64| {
            if let Some(place) = places.next() {
                *place = value;
            }
        };
        for i in 0..rows {
            for j in 0..cols {
                let (right, below, both) = at(i, j);
                let left = if j > 0 {
                    at(i, j - 1)
                } else {
                    Default::default()
                };
                let above = if i > 0 { at(i - 1, j).1 } else { 0.0 };
                push(1.0 + right + below + 2.0 * both + left.0 + above);
                if j + 1 < cols {
                    push(-right - both);
                }
                if i + 1 < rows {
                    if j > 0 && problem.norm == Norm::Isotropic {
                        push(left.2);
                    }
                    push(-below - both);
                }
            }
        }
    }
}
