//! Linear systems A q = b with a symmetric A, given by its products.
//!
//! | solver | for | memory (vectors) |
//! |---|---|---|
//! | [`Cg`] | positive definite A: the default | 3 |
//! | [`Minres`] | symmetric A, possibly indefinite or singular | 6 |
//! | [`Neumann`] | a cheap, biased solution in K products | 2 |
//! | `Cholesky` | small n: forms the matrix and factors it (feature `direct`) | n |
//! | `SparseCholesky` | sparse A given as a matrix (feature `direct`) | the factor |
//! | [`Fallback`] | several solvers in turn until one succeeds | that of its members |
//!
//! Every solver treats the tolerance as an absolute bound on ‖A q − b‖, starts from the given q, and returns the true residual: computed
//! from its definition, not from a recurrence.

pub mod cg;
#[cfg(feature = "direct")]
pub mod cholesky;
pub mod fallback;
pub mod minres;
pub mod neumann;
mod pattern;
#[cfg(feature = "direct")]
pub mod sparse_cholesky;

pub use cg::Cg;
#[cfg(feature = "direct")]
pub use cholesky::Cholesky;
pub use fallback::{Attempt, Fallback};
pub use minres::Minres;
pub use neumann::Neumann;
pub use pattern::{Pattern, SparseMatrix};
#[cfg(feature = "direct")]
pub use sparse_cholesky::SparseCholesky;

use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// A product out ← A·v.
#[doc(hidden)]
pub type Product<'a, V> = &'a dyn Fn(&V, &mut V);

/// A linear system A q = b to be solved to ‖A q − b‖ ≤ tolerance.
pub struct System<'a, V> {
    /// The product out ← A·v with the symmetric matrix A.
    pub product: Product<'a, V>,
    /// The product out ← M⁻¹·v with a symmetric positive definite M close to A, if there is one.
    pub preconditioner: Option<Product<'a, V>>,
    /// A as a matrix, if it is sparse and its entries are available.
    pub sparse: Option<&'a dyn SparseMatrix>,
    /// The right-hand side b.
    pub rhs: &'a V,
    /// Absolute bound on the Euclidean norm of the residual.
    pub tolerance: f64,
}

impl<V: Vector> System<'_, V> {
    /// r ← b − A q; returns ‖r‖.
    pub fn residual(&self, q: &V, r: &mut V) -> f64 {
        (self.product)(q, r);
        r.axpby(1.0, self.rhs, -1.0);
        r.norm()
    }
}

/// The result of a linear solve, except q itself.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearReport {
    /// ‖A q − b‖ of the returned q.
    pub residual: f64,
    /// Products with A. A factorisation counts as the number of products with as many multiplications.
    pub products: u64,
    /// How the solve ended.
    pub status: SolveStatus,
    /// The solver that computed the returned q.
    pub method: &'static str,
    /// All solvers tried, in order. Empty unless a [`Fallback`] went beyond its first member.
    pub attempts: Vec<Attempt>,
}

impl LinearReport {
    fn new(method: &'static str, residual: f64, products: u64, status: SolveStatus) -> Self {
        LinearReport {
            residual,
            products,
            status,
            method,
            attempts: Vec::new(),
        }
    }
}

/// A solver of linear systems with a symmetric matrix.
pub trait LinearSolver: Send + Sync {
    /// Improves `q`, whose content on entry is the first guess, until ‖A q − b‖ ≤ tolerance.
    fn solve<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> LinearReport;

    /// Name and settings, as part of the identity of a run.
    fn identity(&self) -> String;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A symmetric matrix with the given spectrum: two Householder reflections around a diagonal.
    pub(crate) struct Spectrum {
        pub(crate) eigenvalues: Vec<f64>,
        pub(crate) u: Vec<f64>,
    }

    impl Spectrum {
        pub(crate) fn new(eigenvalues: Vec<f64>) -> Self {
            let n = eigenvalues.len();
            let mut u: Vec<f64> = (0..n).map(|i| (1.0 + i as f64 * 0.7).cos()).collect();
            let norm = u.norm();
            u.scale(1.0 / norm);
            Spectrum { eigenvalues, u }
        }

        fn conjugate(&self, v: &[f64], diagonal: impl Fn(f64) -> f64) -> Vec<f64> {
            let reflect = |v: &[f64]| -> Vec<f64> {
                let c: f64 = 2.0 * v.iter().zip(&self.u).map(|(a, b)| a * b).sum::<f64>();
                v.iter().zip(&self.u).map(|(a, b)| a - c * b).collect()
            };
            let mut w = reflect(v);
            for (w, &e) in w.iter_mut().zip(&self.eigenvalues) {
                *w *= diagonal(e);
            }
            reflect(&w)
        }

        pub(crate) fn apply(&self, v: &[f64]) -> Vec<f64> {
            self.conjugate(v, |e| e)
        }

        pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
            self.conjugate(b, |e| 1.0 / e)
        }
    }

    pub(crate) fn rhs(n: usize) -> Vec<f64> {
        (0..n).map(|i| (0.3 + i as f64).sin()).collect()
    }

    pub(crate) fn solve(
        solver: &impl LinearSolver,
        a: &Spectrum,
        tolerance: f64,
        q: &mut Vec<f64>,
    ) -> LinearReport {
        let b = rhs(a.eigenvalues.len());
        let product = |v: &Vec<f64>, out: &mut Vec<f64>| out.copy_from_slice(&a.apply(v));
        let system = System {
            product: &product,
            preconditioner: None,
            sparse: None,
            rhs: &b,
            tolerance,
        };
        let report = solver.solve(&system, q, &mut Scratch::default());
        let mut r = b.clone();
        let true_residual = system.residual(q, &mut r);
        assert!(
            (report.residual - true_residual).abs() <= 1e-12 * (1.0 + true_residual)
                || !true_residual.is_finite(),
            "the residual that is reported is the true one"
        );
        report
    }
}
