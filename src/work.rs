//! Work, counted by kind. Counts are what methods are compared by; seconds depend on the machine.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// How often each kind of oracle was called, summed over the samples of a [`Mean`](crate::Mean).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Lower-level problems solved.
    pub lower_solves: u64,
    /// Values of g (a value that comes with a gradient in one pass counts as both).
    pub lower_values: u64,
    /// Gradients ∇ₓg.
    pub lower_gradients: u64,
    /// Linear systems solved.
    pub linear_solves: u64,
    /// Products with the Hessian A. Where a problem forms A as a matrix, for its local modulus or to precondition, that counts as the
    /// number of products with as many multiplications.
    pub hessian_products: u64,
    /// Products with the mixed derivative B or Bᵀ.
    pub cross_products: u64,
    /// Values of f.
    pub upper_values: u64,
    /// Gradients of f.
    pub upper_gradients: u64,
    /// Samples that gradients and products of batches of the lower level went over, once for each of them. Only methods on batches count
    /// them: for the others it is the number of samples times that of the calls.
    pub lower_samples: u64,
    /// The same of the upper level.
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

    /// The work of these counts, in the order of [`KINDS`](Work::KINDS).
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

    /// Lower gradients plus Hessian products: the axis that papers call lower-plus-linear iterations.
    pub fn iterations(&self) -> u64 {
        // Of a trace from a file, which may hold any numbers.
        self.lower_gradients.saturating_add(self.hessian_products)
    }

    /// Gradients and products of both levels: the axis on which methods on batches are compared.
    pub fn calls(&self) -> u64 {
        self.iterations() + self.cross_products + self.upper_gradients
    }

    /// Samples of both levels that gradients and products of batches went over.
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
