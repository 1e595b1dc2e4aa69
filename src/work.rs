//! Work, counted by kind. Methods are compared by counts, because seconds depend on the machine.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Calls of each kind, summed over the samples of a [`Mean`](crate::Mean).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Lower-level problems solved.
    pub lower_solves: u64,
    /// Values of g. One pass that gives value and gradient counts as both.
    pub lower_values: u64,
    /// Gradients ∇ₓg.
    pub lower_gradients: u64,
    /// Linear systems solved.
    pub linear_solves: u64,
    /// Products with the Hessian A. Forming A as a matrix, for a local modulus or a preconditioner, counts as the number of products with as
    /// many multiplications.
    pub hessian_products: u64,
    /// Products with the mixed derivative B or Bᵀ.
    pub cross_products: u64,
    /// Values of f.
    pub upper_values: u64,
    /// Gradients of f.
    pub upper_gradients: u64,
    /// Samples visited by batched lower-level gradients and products. Methods that use the whole level do not count them.
    pub lower_samples: u64,
    /// Samples visited by batched upper-level values and gradients.
    pub upper_samples: u64,
}

impl Work {
    /// The names of the kinds, in the order of [`counts`](Work::counts).
    pub const KINDS: [&'static str; 10] = [
        "lower_solves",
        "lower_values",
        "lower_gradients",
        "linear_solves",
        "hessian_products",
        "cross_products",
        "upper_values",
        "upper_gradients",
        "lower_samples",
        "upper_samples",
    ];

    /// The counts, in the order of [`KINDS`](Work::KINDS).
    pub fn counts(&self) -> [u64; 10] {
        [
            self.lower_solves,
            self.lower_values,
            self.lower_gradients,
            self.linear_solves,
            self.hessian_products,
            self.cross_products,
            self.upper_values,
            self.upper_gradients,
            self.lower_samples,
            self.upper_samples,
        ]
    }

    /// Work from its counts, in the order of [`KINDS`](Work::KINDS).
    pub(crate) fn of_counts(counts: [u64; 10]) -> Self {
        let [
            lower_solves,
            lower_values,
            lower_gradients,
            linear_solves,
            hessian_products,
            cross_products,
            upper_values,
            upper_gradients,
            lower_samples,
            upper_samples,
        ] = counts;
        Work {
            lower_solves,
            lower_values,
            lower_gradients,
            linear_solves,
            hessian_products,
            cross_products,
            upper_values,
            upper_gradients,
            lower_samples,
            upper_samples,
        }
    }

    /// Lower gradients plus Hessian products, called lower-plus-linear iterations in papers.
    pub fn iterations(&self) -> u64 {
        // Saturating, because a trace from a file may hold any numbers.
        self.lower_gradients.saturating_add(self.hessian_products)
    }

    /// Gradients and products of both levels, by which methods on batches are compared.
    pub fn calls(&self) -> u64 {
        self.iterations() + self.cross_products + self.upper_gradients
    }

    /// Samples of both levels visited by methods on batches.
    pub fn samples(&self) -> u64 {
        self.lower_samples + self.upper_samples
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        self.lower_solves += other.lower_solves;
        self.lower_values += other.lower_values;
        self.lower_gradients += other.lower_gradients;
        self.linear_solves += other.linear_solves;
        self.hessian_products += other.hessian_products;
        self.cross_products += other.cross_products;
        self.upper_values += other.upper_values;
        self.upper_gradients += other.upper_gradients;
        self.lower_samples += other.lower_samples;
        self.upper_samples += other.upper_samples;
    }
}
