//! The Hessian as a matrix, for one score per sample and few features: its smallest eigenvalue, and its factor as a preconditioner.
//!
//! # The smallest eigenvalue, in spite of rounding
//! Bisection on the exponent starts from a lower bound and the smallest diagonal entry, an upper bound. A Cholesky factorisation of A − m I
//! that runs to its end proves A ⪰ m I. The factor is that of a matrix which differs from A − m I by
//! γ √(aⱼⱼaₖₖ) at most in entry (j, k), with γ = (d + 1)u/(1 − 2(d + 1)u) for d features, whatever the order of its sums; the entries of A
//! are off by κ √(aⱼⱼaₖₖ). As quadratic forms both are at most d times as much on the diagonal, and that is taken off the diagonal first.
//! The result is the same on every processor.
//!
//! # References
//! N. Higham: Accuracy and stability of numerical algorithms. SIAM 2002, [doi:10.1137/1.9780898718027](https://doi.org/10.1137/1.9780898718027),
//! theorems 10.3 and 10.5.
//! S. Rump: Verification of positive definiteness. BIT 46 (2006),
//! [doi:10.1007/s10543-006-0056-1](https://doi.org/10.1007/s10543-006-0056-1).

use bilevel::LowerLevel;
use bilevel::simd::dispatch;

use super::LogisticRegression;
use crate::support::lanes::Lanes;
use crate::support::sums::dot;

/// The most features for which a Hessian pays: it costs about a quarter as many products.
const MOST_COLUMNS: usize = 256;
/// Below this condition number, from the penalties alone, the lower level is solved as fast as a Hessian is formed.
const GOOD_CONDITION: f64 = 100.0;
/// The smallest eigenvalue is found up to this factor.
const RESOLUTION: f64 = 1.1;
/// Relative rounding errors above this are no longer of first order.
const LARGEST_ERROR: f64 = 1e-3;

/// A less its error bound, and a buffer for the factor.
pub(super) struct Hessian {
    /// Row after row; what is above the diagonal is unspecified.
    matrix: Vec<f64>,
    factor: Vec<f64>,
    columns: usize,
    /// Whether A is at least the matrix by proof.
    is_proved: bool,
}

impl<E: Lanes> LogisticRegression<E> {
    /// Whether forming a Hessian pays.
    pub(super) fn forms_hessian(&self, theta: &Vec<f64>) -> bool {
        let model = &self.model;
        // With fewer samples than features there are directions that no sample tells of.
        if model.outputs() > 1 || model.columns() > MOST_COLUMNS.min(model.samples()) {
            return false;
        }
        let known = self.curvature(theta);
        let bounds = known.smoothness.zip(known.strong_convexity);
        bounds.is_some_and(|(largest, smallest)| largest > GOOD_CONDITION * smallest)
    }

    /// A(x, θ), which [`done_with`](Self::done_with) takes back.
    pub(super) fn hessian(&self, x: &[E], theta: &[f64]) -> Hessian {
        let model = &self.model;
        let columns = model.columns();
        let gram = model.gram(x);
        let mut penalties = model.numbers.take(columns);
        self.groups.weights(theta, &mut penalties);
        let mut matrix = model.numbers.take(columns * columns);
        // Penalties in storage precision are rounded.
        let kept = 1.0 - 4.0 * E::UNIT_ROUNDOFF;
        let d = columns as f64;
        let of_factor = 2.0 * d * (d + 4.0) * f64::EPSILON;
        let of_data = 2.0 * d * gram.relative_error;
        for (j, row) in matrix.chunks_exact_mut(columns).enumerate() {
            row[..=j].copy_from_slice(gram.row(j));
            let penalty = kept * penalties[j];
            row[j] = (1.0 - of_data) * row[j] + penalty - of_factor * (row[j] + penalty);
        }
        let hessian = Hessian {
            matrix,
            factor: model.numbers.take(columns * columns),
            columns,
            is_proved: gram.relative_error <= LARGEST_ERROR,
        };
        model.done_with(gram);
        model.numbers.put(penalties);
        hessian
    }

    pub(super) fn done_with(&self, hessian: Hessian) {
        self.model.numbers.put(hessian.matrix);
        self.model.numbers.put(hessian.factor);
    }
}

impl Hessian {
    /// A lower bound of the smallest eigenvalue, sharp to the factor [`RESOLUTION`], from a given lower bound; `None` where it finds no
    /// better one.
    pub(super) fn smallest_eigenvalue(&mut self, low: f64) -> Option<f64> {
        let n = self.columns;
        let diagonal = (0..n).map(|j| self.matrix[j * n + j]);
        let mut high = diagonal.fold(f64::INFINITY, f64::min);
        let mut low = low.max(f64::MIN_POSITIVE);
        let mut found = None;
        if !(self.is_proved && high.is_finite()) {
            return None;
        }
        while high > RESOLUTION * low {
            let middle = (low * high).sqrt();
            if self.factor(middle) {
                low = middle;
                found = Some(low);
            } else {
                high = middle;
            }
        }
        found
    }

    /// Factors the matrix less `shift` on its diagonal; whether that is positive definite.
    pub(super) fn factor(&mut self, shift: f64) -> bool {
        let n = self.columns;
        let Hessian { matrix, factor, .. } = self;
        dispatch(
            #[inline(always)]
            || {
                for j in 0..n {
                    let (above, row) = factor.split_at_mut(j * n);
                    let row = &mut row[..=j];
                    row.copy_from_slice(&matrix[j * n..][..=j]);
                    for (k, other) in above.chunks_exact(n).enumerate() {
                        row[k] = (row[k] - dot(&row[..k], &other[..k])) / other[k];
                    }
                    let pivot = row[j] - shift - dot(&row[..j], &row[..j]);
                    if pivot.is_nan() || pivot <= 0.0 {
                        return false;
                    }
                    row[j] = pivot.sqrt();
                }
                true
            },
        )
    }

    /// out ← A⁻¹ out, by the last factor.
    pub(super) fn solve(&self, out: &mut [f64]) {
        let rows = || self.factor.chunks_exact(self.columns).enumerate();
        for (j, row) in rows() {
            out[j] = (out[j] - dot(&row[..j], &out[..j])) / row[j];
        }
        for (j, row) in rows().rev() {
            out[j] /= row[j];
            let solved = out[j];
            for (o, r) in out.iter_mut().zip(&row[..j]) {
                *o -= solved * r;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q diag(λ) Q with a Householder reflection Q.
    fn with_spectrum(eigenvalues: &[f64]) -> Hessian {
        let n = eigenvalues.len();
        let v: Vec<f64> = (0..n).map(|i| (1.0 + i as f64).sin()).collect();
        let square: f64 = v.iter().map(|v| v * v).sum();
        let q = |i: usize, j: usize| f64::from(u8::from(i == j)) - 2.0 * v[i] * v[j] / square;
        let entry = |i: usize, j: usize| -> f64 {
            let terms = eigenvalues.iter().enumerate();
            terms.map(|(k, l)| l * q(i, k) * q(k, j)).sum()
        };
        Hessian {
            matrix: (0..n * n).map(|at| entry(at / n, at % n)).collect(),
            factor: vec![f64::NAN; n * n],
            columns: n,
            is_proved: true,
        }
    }

    #[test]
    fn the_smallest_eigenvalue_is_found_from_below_and_within_the_resolution() {
        for n in [1usize, 2, 9, 22, 40] {
            for smallest in [1e-9, 1e-4, 0.3] {
                let mut eigenvalues: Vec<f64> = (0..n).map(|i| 1.0 + i as f64).collect();
                eigenvalues[n / 2] = smallest;
                let found = with_spectrum(&eigenvalues).smallest_eigenvalue(1e-12);
                let found = found.unwrap();
                assert!(
                    found <= smallest * (1.0 + 1e-5) && smallest <= found * (RESOLUTION + 1e-5),
                    "{n}: {found:e} {smallest:e}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_claimed_of_a_matrix_that_is_indefinite_or_not_finite() {
        for smallest in [-1e-9, -1.0, f64::NAN] {
            let mut matrix = with_spectrum(&[1.0, smallest, 2.0]);
            assert_eq!(matrix.smallest_eigenvalue(1e-12), None);
        }
        let mut unproved = with_spectrum(&[1.0, 1.0]);
        unproved.is_proved = false;
        assert_eq!(unproved.smallest_eigenvalue(1e-12), None);
    }

    #[test]
    fn a_factor_solves() {
        for n in [1usize, 7, 8, 30] {
            let eigenvalues: Vec<f64> = (0..n).map(|i| 1.5f64.powi(i as i32)).collect();
            let mut hessian = with_spectrum(&eigenvalues);
            assert!(hessian.factor(0.0));
            let exact: Vec<f64> = (0..n).map(|i| (i as f64).cos()).collect();
            let rows = hessian.matrix.chunks_exact(n);
            let mut out: Vec<f64> = rows
                .map(|row| row.iter().zip(&exact).map(|(a, x)| a * x).sum())
                .collect();
            hessian.solve(&mut out);
            for (out, exact) in out.iter().zip(&exact) {
                assert!((out - exact).abs() <= 1e-9, "{n}: {out} {exact}");
            }
        }
    }
}
