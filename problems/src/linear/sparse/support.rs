//! The Hessian on a support.

use bilevel::Vector;
use bilevel::linear::{Cg, LinearReport, LinearSolver, System};

use super::Samples;

/// The most products of an accurate solve.
pub(super) const MOST_PRODUCTS: u64 = 10_000;

/// A = ÃₛᵀÃₛ/n + D − Σ uuᵀ, with the features of a support S, as a product.
pub(crate) struct Support<'a> {
    samples: &'a Samples,
    pub(crate) places: Vec<usize>,
    /// D, of the penalty.
    diagonal: Vec<f64>,
    rays: Vec<Ray>,
}

/// A direction u in which the penalty curves less than D: zero except for `entries` from position `start` of the support on.
pub(crate) struct Ray {
    pub(crate) start: usize,
    pub(crate) entries: Vec<f64>,
}

impl<'a> Support<'a> {
    pub(crate) fn new(
        samples: &'a Samples,
        places: Vec<usize>,
        diagonal: Vec<f64>,
        rays: Vec<Ray>,
    ) -> Self {
        Support {
            samples,
            places,
            diagonal,
            rays,
        }
    }

    /// √Σ of the variances: a bound of ‖Ãₛ‖/√n.
    pub(super) fn spread(&self) -> f64 {
        let variances = self.places.iter().map(|&j| self.samples.variances()[j]);
        variances.sum::<f64>().sqrt()
    }

    /// out ← A v.
    pub(super) fn product(&self, v: &[f64], out: &mut [f64]) {
        self.samples.product(&self.places, v, out);
        for ((out, v), d) in out.iter_mut().zip(v).zip(&self.diagonal) {
            *out += d * v;
        }
        for Ray { start, entries } in &self.rays {
            let here = *start..start + entries.len();
            let along: f64 = entries
                .iter()
                .zip(&v[here.clone()])
                .map(|(u, v)| u * v)
                .sum();
            for (out, u) in out[here].iter_mut().zip(entries) {
                *out -= along * u;
            }
        }
    }

    /// Improves q until ‖A q − b‖ ≤ `relative` ‖b‖, with at most `products` products; the diagonal is the preconditioner.
    pub(crate) fn solve(
        &self,
        b: &Vec<f64>,
        relative: f64,
        products: u64,
        q: &mut Vec<f64>,
    ) -> LinearReport {
        let places = self.places.iter().zip(&self.diagonal);
        let mut diagonal: Vec<f64> = places
            .map(|(&j, d)| self.samples.variances()[j] + d)
            .collect();
        for Ray { start, entries } in &self.rays {
            for (d, u) in diagonal[*start..].iter_mut().zip(entries) {
                *d -= u * u;
            }
        }
        let product = |v: &Vec<f64>, out: &mut Vec<f64>| self.product(v, out);
        let precondition = |r: &Vec<f64>, out: &mut Vec<f64>| {
            for ((out, r), d) in out.iter_mut().zip(r).zip(&diagonal) {
                *out = r / d;
            }
        };
        let system = System {
            product: &product,
            preconditioner: Some(&precondition),
            sparse: None,
            rhs: b,
            tolerance: relative * b.norm(),
        };
        let cg = Cg {
            max_iterations: products,
            ..Cg::default()
        };
        cg.solve(&system, q, &mut bilevel::vector::Scratch::default())
    }
}
