//! A bound of the largest eigenvalue of a positive semidefinite matrix that is known by its products.
//!
//! ```text
//! P[ ρₖ < (1 − ε) λ ] ≤ 1.648 √n e^{−√ε (2k − 1)}        ρₖ: the largest Ritz value after k steps of Lanczos from a random start
//! ```
//!
//! k is chosen so that the probability is at most 10⁻⁹ for ε = 0.1; then λ ≤ ρₖ/(1 − ε).
//!
//! # Reference
//! J. Kuczyński, H. Woźniakowski: Estimating the largest eigenvalue by the power and Lanczos algorithms with a random start. SIAM J.
//! Matrix Anal. Appl. 13 (1992), [doi:10.1137/0613066](https://doi.org/10.1137/0613066), theorem 4.2.

use bilevel::{Element, Vector};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// ε.
const MARGIN: f64 = 0.1;
const FAILURE: f64 = 1e-9;

/// λ at most, for a matrix of n rows: `product(v, out)` writes its product with v.
pub(crate) fn largest_eigenvalue<E: Element>(n: usize, product: impl Fn(&[E], &mut Vec<E>)) -> f64 {
    let steps = 0.5 + 0.5 * (1.648 * (n as f64).sqrt() / FAILURE).ln() / MARGIN.sqrt();
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut v: Vec<E> = (0..n)
        .map(|_| {
            let z: f64 = StandardNormal.sample(&mut rng);
            E::from_f64(z)
        })
        .collect();
    v.scale(1.0 / v.norm());
    let mut before = v.zeros_like();
    let mut next = v.zeros_like();
    let (mut diagonal, mut beside) = (Vec::new(), Vec::<f64>::new());
    for _ in 0..steps.ceil() as usize {
        product(&v, &mut next);
        let along = next.dot(&v);
        next.axpy(-along, &v);
        if let Some(&beta) = beside.last() {
            next.axpy(-beta, &before);
        }
        diagonal.push(along);
        let beta = next.norm();
        // The space is exhausted, up to rounding.
        if beta <= 1e2 * E::UNIT_ROUNDOFF * along.abs() {
            break;
        }
        beside.push(beta);
        next.scale(1.0 / beta);
        std::mem::swap(&mut before, &mut v);
        std::mem::swap(&mut v, &mut next);
    }
    largest_of_tridiagonal(&diagonal, &beside) / (1.0 - MARGIN)
}

/// The largest eigenvalue of a symmetric tridiagonal matrix, by bisection on the signs of its factorisation.
fn largest_of_tridiagonal(diagonal: &[f64], beside: &[f64]) -> f64 {
    let at = |i: usize| beside.get(i).copied().unwrap_or_default();
    let radius = |i: usize| at(i) + if i > 0 { at(i - 1) } else { 0.0 };
    let bounds = diagonal.iter().enumerate().map(|(i, d)| d + radius(i));
    let mut high = bounds.fold(0.0, f64::max);
    let mut low = diagonal.iter().copied().fold(0.0, f64::max);
    let is_above_all = |shift: f64| {
        let mut pivot = 1.0;
        diagonal.iter().enumerate().all(|(i, d)| {
            let off = if i > 0 { at(i - 1) } else { 0.0 };
            pivot = shift - d - off * off / pivot;
            pivot > 0.0
        })
    };
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if is_above_all(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_lies_above_and_close() {
        for n in [1usize, 2, 7, 400] {
            for power in [0.0, 1.0, 4.0] {
                let diagonal: Vec<f64> = (0..n)
                    .map(|i| 3.0 * ((i + 1) as f64 / n as f64).powf(power))
                    .collect();
                let found = largest_eigenvalue::<f64>(n, |v, out| {
                    for ((o, v), d) in out.iter_mut().zip(v).zip(&diagonal) {
                        *o = d * v;
                    }
                });
                let ratio = found / 3.0;
                assert!(
                    (1.0..1.0 / (1.0 - MARGIN) + 1e-9).contains(&ratio),
                    "{ratio}"
                );
            }
        }
        let zero = largest_eigenvalue::<f64>(3, |_, out| out.fill(0.0));
        assert_eq!(zero, 0.0);
    }
}
