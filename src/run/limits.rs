//! Budgets of a run, by kind of work.

use serde::{Deserialize, Serialize};

use super::clock::HAS_TIME;
use crate::error::Error;
use crate::status::Budget;
use crate::work::Work;

/// The budgets of a run; `None` is no limit. They are checked between iterations, so the last iteration may exceed them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Iterations of the upper level.
    pub iterations: Option<u64>,
    /// Gradients of the lower level, over all samples.
    pub lower_gradients: Option<u64>,
    /// Products with the Hessian, over all samples.
    pub hessian_products: Option<u64>,
    /// Gradients of the lower level and products with the Hessian together, over all samples: [`Work::iterations`].
    pub work: Option<u64>,
    /// Products with the mixed derivative, over all samples.
    pub cross_products: Option<u64>,
    /// Lower-level problems solved, over all samples.
    pub lower_solves: Option<u64>,
    /// Samples of both levels visited by methods on batches: [`Work::samples`].
    pub samples: Option<u64>,
    /// Wall-clock seconds, on targets with a clock. A run ended by this limit is not reproducible to the byte.
    pub seconds: Option<f64>,
}

impl Limits {
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.seconds {
            Some(seconds) if seconds.is_nan() || seconds < 0.0 => Err(Error::invalid(
                "limits.seconds",
                seconds,
                "a number of at least 0",
            )),
            Some(seconds) if !HAS_TIME => Err(Error::invalid(
                "limits.seconds",
                seconds,
                "none: this platform has no clock",
            )),
            _ => Ok(()),
        }
    }

    /// The first exhausted limit, in the order of the fields.
    pub(super) fn exceeded(&self, iterations: u64, work: &Work, seconds: f64) -> Option<Budget> {
        let over = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
        [
            (over(iterations, self.iterations), Budget::Iterations),
            (
                over(work.lower_gradients, self.lower_gradients),
                Budget::LowerGradients,
            ),
            (
                over(work.hessian_products, self.hessian_products),
                Budget::HessianProducts,
            ),
            (over(work.iterations(), self.work), Budget::Work),
            (
                over(work.cross_products, self.cross_products),
                Budget::CrossProducts,
            ),
            (
                over(work.lower_solves, self.lower_solves),
                Budget::LowerSolves,
            ),
            (over(work.samples(), self.samples), Budget::Samples),
            (
                self.seconds.is_some_and(|limit| seconds >= limit),
                Budget::Seconds,
            ),
        ]
        .into_iter()
        .find_map(|(over, budget)| over.then_some(budget))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_budget_that_is_used_up_is_named() {
        let limits = Limits {
            iterations: Some(10),
            hessian_products: Some(5),
            ..Limits::default()
        };
        let mut work = Work::default();
        assert_eq!(limits.exceeded(9, &work, 1e9), None);
        work.hessian_products = 5;
        assert_eq!(
            limits.exceeded(9, &work, 0.0),
            Some(Budget::HessianProducts)
        );
        assert_eq!(limits.exceeded(10, &work, 0.0), Some(Budget::Iterations));
    }

    #[test]
    fn gradients_and_products_are_limited_together() {
        let limits = Limits {
            work: Some(10),
            ..Limits::default()
        };
        let mut work = Work {
            lower_gradients: 6,
            hessian_products: 3,
            ..Work::default()
        };
        assert_eq!(limits.exceeded(0, &work, 0.0), None);
        work.hessian_products = 4;
        assert_eq!(limits.exceeded(0, &work, 0.0), Some(Budget::Work));
    }
}
