//! The truncated Neumann series.
//!
//! ```text
//! q_{k+1} = q_k + τ (b − A q_k),   k = 0 … K−1        converges to A⁻¹b for 0 < τ < 2/‖A‖
//! ```
//!
//! Bias: ‖q_K − q‖ ≤ (1 − τμ)ᴷ ‖q₀ − q‖ for μ I ≤ A ≤ I/τ. The attained residual measures the remaining bias and enters the error bound
//! like that of any other solver.
//!
//! # Reference
//! J. Lorraine, P. Vicol, D. Duvenaud: Optimizing millions of hyperparameters by implicit differentiation. AISTATS 2020,
//! [arXiv:1911.02590](https://arxiv.org/abs/1911.02590).

use serde::{Deserialize, Serialize};

use super::{LinearReport, LinearSolver, System};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// K terms of the Neumann series, or fewer if they meet the tolerance. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neumann {
    /// The largest number of terms K.
    pub terms: u64,
    /// The step τ: below 2/‖A‖, best at 2/(μ + L).
    pub step: f64,
}

impl Neumann {
    /// K terms with step τ.
    pub fn new(terms: u64, step: f64) -> Self {
        Neumann { terms, step }
    }
}

impl LinearSolver for Neumann {
    fn solve<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> LinearReport {
        let mut r = scratch.take(q);
        let mut products = 1;
        let mut norm = system.residual(q, &mut r);
        let status = loop {
            if !norm.is_finite() {
                break SolveStatus::NotFinite;
            }
            if norm <= system.tolerance {
                break SolveStatus::Converged;
            }
            if products > self.terms {
                break SolveStatus::IterationLimit;
            }
            q.axpy(self.step, &r);
            norm = system.residual(q, &mut r);
            products += 1;
        };
        scratch.put(r);
        LinearReport::new("Neumann", norm, products, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Spectrum, rhs, solve};
    use super::*;

    #[test]
    fn the_bias_obeys_its_bound_and_is_reported() {
        let a = Spectrum::new(vec![1.0, 2.0, 4.0]);
        let exact = a.solve(&rhs(3));
        for terms in [1, 5, 20] {
            let mut q = vec![0.0; 3];
            let report = solve(&Neumann::new(terms, 0.25), &a, 1e-12, &mut q);
            q.axpy(-1.0, &exact);
            assert!(q.norm() <= 0.75f64.powi(terms as i32) * exact.norm() * (1.0 + 1e-12));
            assert_eq!(report.status, SolveStatus::IterationLimit);
        }
        let report = solve(&Neumann::new(500, 0.25), &a, 1e-12, &mut vec![0.0; 3]);
        assert_eq!(report.status, SolveStatus::Converged);
    }

    #[test]
    fn a_step_too_long_is_named() {
        let a = Spectrum::new(vec![1.0, 2.0, 4.0]);
        let report = solve(&Neumann::new(100_000, 10.0), &a, 1e-12, &mut vec![0.0; 3]);
        assert_eq!(report.status, SolveStatus::NotFinite);
    }
}
