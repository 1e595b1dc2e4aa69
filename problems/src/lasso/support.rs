//! The Hessian on a support.

use bilevel::Vector;
use bilevel::linear::{Cg, LinearReport, LinearSolver, System};

use super::columns::Columns;

/// A = ÃₛᵀÃₛ/n + λ₂ I, with the features of a support, as a product.
pub(super) struct Support<'a> {
    columns: &'a Columns,
    pub(super) places: Vec<usize>,
    l2: f64,
}

impl<'a> Support<'a> {
    pub(super) fn new(columns: &'a Columns, places: Vec<usize>, l2: f64) -> Self {
        Support {
            columns,
            places,
            l2,
        }
    }

    /// out ← A v.
    pub(super) fn product(&self, v: &[f64], out: &mut [f64]) {
        let mut image = vec![0.0; self.columns.samples()];
        let mut mean = 0.0;
        for (&j, &v) in self.places.iter().zip(v) {
            self.columns.add(j, v, &mut image);
            mean += v * self.columns.means()[j];
        }
        let n = self.columns.samples() as f64;
        for ((&j, &v), out) in self.places.iter().zip(v).zip(out) {
            let along = self.columns.dot(j, &image) / n - mean * self.columns.means()[j];
            *out = along + self.l2 * v;
        }
    }

    /// Improves q until ‖A q − b‖ ≤ `relative` ‖b‖, with the diagonal as a preconditioner.
    pub(super) fn solve(&self, b: &Vec<f64>, relative: f64, q: &mut Vec<f64>) -> LinearReport {
        let product = |v: &Vec<f64>, out: &mut Vec<f64>| self.product(v, out);
        let precondition = |r: &Vec<f64>, out: &mut Vec<f64>| {
            for ((out, r), &j) in out.iter_mut().zip(r).zip(&self.places) {
                *out = r / (self.columns.variances()[j] + self.l2);
            }
        };
        let system = System {
            product: &product,
            preconditioner: Some(&precondition),
            sparse: None,
            rhs: b,
            tolerance: relative * b.norm(),
        };
        Cg::default().solve(&system, q, &mut bilevel::vector::Scratch::default())
    }
}
