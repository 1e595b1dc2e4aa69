//! Sums of a formula along slices, evaluated in [`Jet`]s block by block.

use std::array::from_fn;

use super::Jet;
use crate::autodiff::number::{self, Number};
use crate::simd::dispatch;
use crate::vector::Element;

/// The common length of slices of these lengths, where a slice of one entry fits any; `None` if they do not match.
pub(in super::super) fn common_len<const K: usize, const M: usize>(
    lens: [usize; K],
    of_data: [usize; M],
) -> Option<usize> {
    let mut long = lens.into_iter().chain(of_data).filter(|&len| len != 1);
    let len = long.next().unwrap_or(1);
    long.all(|other| other == len).then_some(len)
}

/// The i-th entry; of a slice of one entry, that entry.
pub(super) fn entry<T: Copy>(x: &[T], i: usize) -> T {
    if x.len() == 1 { x[0] } else { x[i] }
}

/// block ← the entries from `start` on; a slice of one entry is repeated.
pub(in super::super) fn copy<T: Copy>(x: &[T], start: usize, block: &mut [T]) {
    match x {
        &[one] => block.fill(one),
        _ => block.copy_from_slice(&x[start..start + block.len()]),
    }
}

/// Σᵢ φ(x₀ᵢ, x₁ᵢ, …) of numbers.
pub(in super::super) fn sum_of_numbers<S: Number, const K: usize, const M: usize>(
    x: [&[S]; K],
    data: [&[f64]; M],
    phi: impl Fn([Jet<K, S::Real>; K], [f64; M]) -> Jet<K, S::Real>,
) -> S {
    let Some(n) = common_len(x.map(<[S]>::len), data.map(<[f64]>::len)) else {
        return S::constant(f64::NAN);
    };
    let fetch = |k: usize, start: usize, numbers: &mut [S]| copy(x[k], start, numbers);
    sum_each(n, fetch, data, phi, |_, _, _| {})
}

/// Σᵢ φ(x₀ᵢ, x₁ᵢ, …) over n terms, block by block. `fetch(k, start, to)` copies the entries of the k-th slice from `start` on into a block, and
/// `keep(k, start, slopes)` receives the derivatives of the terms by them.
pub(in super::super) fn sum_each<S: Number, const K: usize, const M: usize>(
    n: usize,
    fetch: impl FnMut(usize, usize, &mut [S]),
    data: [&[f64]; M],
    phi: impl Fn([Jet<K, S::Real>; K], [f64; M]) -> Jet<K, S::Real>,
    keep: impl FnMut(usize, usize, &[S]),
) -> S {
    // The arrays of a block fit the first-level cache for formulas of a few variables, and short sums use short arrays.
    match (n, size_of::<S>()) {
        (..=16, _) => blocks::<S, K, M, 16>(n, fetch, data, phi, keep),
        (_, ..=8) => blocks::<S, K, M, 256>(n, fetch, data, phi, keep),
        _ => blocks::<S, K, M, 128>(n, fetch, data, phi, keep),
    }
}

/// The same with blocks of this many entries.
fn blocks<S: Number, const K: usize, const M: usize, const BLOCK: usize>(
    n: usize,
    mut fetch: impl FnMut(usize, usize, &mut [S]),
    data: [&[f64]; M],
    phi: impl Fn([Jet<K, S::Real>; K], [f64; M]) -> Jet<K, S::Real>,
    mut keep: impl FnMut(usize, usize, &[S]),
) -> S {
    let mut points = [[S::default(); BLOCK]; K];
    // In the type itself, so that it fills registers.
    let mut constants = [[S::Real::default(); BLOCK]; M];
    let mut terms = [S::default(); BLOCK];
    let mut derivatives = [[S::default(); BLOCK]; K];
    let mut total = S::default();
    for start in (0..n).step_by(BLOCK) {
        let len = (n - start).min(BLOCK);
        for (k, points) in points.iter_mut().enumerate() {
            fetch(k, start, &mut points[..len]);
        }
        for (constants, data) in constants.iter_mut().zip(data) {
            match data {
                &[one] => constants[..len].fill(S::Real::from_f64(one)),
                _ => number::convert(&data[start..], &mut constants[..len]),
            }
        }
        dispatch(
            #[inline(always)]
            || {
                // The bound is visible to the compiler: with a check in the loop, the last entries would not be vectorised.
                for i in 0..len.min(BLOCK) {
                    let at: [S; K] = from_fn(
                        #[inline(always)]
                        |k| points[k][i],
                    );
                    let jets = from_fn(
                        #[inline(always)]
                        |k| Jet::variable(at[k].real_part(), k),
                    );
                    let constants = from_fn(
                        #[inline(always)]
                        |m| constants[m][i].to_f64(),
                    );
                    let jet = phi(jets, constants);
                    terms[i] = along(jet.value, jet.gradient, at);
                    for (k, of_slice) in derivatives.iter_mut().enumerate() {
                        of_slice[i] = along(jet.gradient[k], jet.hessian[k], at);
                    }
                }
            },
        );
        for (k, derivatives) in derivatives.iter().enumerate() {
            keep(k, start, &derivatives[..len]);
        }
        total += lane_sum(&terms[..len]);
    }
    total
}

/// A value with the tangent given by its gradient.
#[inline(always)]
fn along<S: Number, const K: usize>(value: S::Real, gradient: [S::Real; K], at: [S; K]) -> S {
    let mut tangent = S::Real::default();
    for k in 0..K {
        tangent += gradient[k] * at[k].tangent();
    }
    S::with_tangent(value, tangent)
}

/// The sum of the entries, in 16 lanes.
pub(in super::super) fn lane_sum<S: Number>(x: &[S]) -> S {
    const LANES: usize = 16;
    let (head, tail) = x.as_chunks::<LANES>();
    let mut lanes = dispatch(
        #[inline(always)]
        || {
            let mut lanes = [S::default(); LANES];
            for chunk in head {
                for k in 0..LANES {
                    lanes[k] += chunk[k];
                }
            }
            lanes
        },
    );
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane += x;
    }
    let mut width = LANES / 2;
    while width > 0 {
        for k in 0..width {
            lanes[k] += lanes[k + width];
        }
        width /= 2;
    }
    lanes[0]
}
