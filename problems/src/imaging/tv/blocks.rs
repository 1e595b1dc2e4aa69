//! The 2×2 blocks of W = w ∇²Φ(Dx), as the linearisation stores them: row after row of the image, in each row one plane after the other.

use bilevel::Element;

use super::{Norm, TvDenoising};

/// The numbers stored for each pixel: W_hh and W_vv, and for the isotropic form W_hv.
pub(super) fn planes(norm: Norm) -> usize {
    match norm {
        Norm::Anisotropic => 2,
        Norm::Isotropic => 3,
    }
}

/// W_hh, W_vv and W_hv at a pixel; zero where there is no difference.
pub(super) fn block<E: Element>(
    problem: &TvDenoising<E>,
    blocks: &[E],
    i: usize,
    j: usize,
) -> (f64, f64, f64) {
    let (rows, cols) = (problem.rows, problem.cols);
    let planes = planes(problem.norm);
    let row = &blocks[i * planes * cols..];
    let of = |plane: usize| row[plane * cols + j].to_f64();
    let right = if j + 1 < cols { of(0) } else { 0.0 };
    let below = if i + 1 < rows { of(1) } else { 0.0 };
    let both = if planes == 3 { of(2) } else { 0.0 };
    (right, below, both)
}
