//! Dense Cholesky factorisation for small systems.
//!
//! The matrix is formed by n products with unit vectors and factored by faer; one step of iterative refinement follows.
//! The result is exact to rounding and costs n products and n³/3 operations.

use faer::linalg::solvers::{Llt, Solve};
use faer::{Col, Mat, Side};
use serde::{Deserialize, Serialize};

use super::{LinearReport, LinearSolver, System};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// Cholesky for a symmetric positive definite A of small size. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cholesky {
    /// The largest n to factor (default 2,000: 32 MB and about a second). Larger systems end at once with
    /// [`SolveStatus::IterationLimit`].
    pub max_size: usize,
}

impl Default for Cholesky {
    fn default() -> Self {
        Cholesky { max_size: 2_000 }
    }
}

impl LinearSolver for Cholesky {
    fn solve<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> LinearReport {
        let n = q.len();
        let mut r = scratch.take(q);
        let mut norm = system.residual(q, &mut r);
        let mut products = 1;
        let status = if norm <= system.tolerance {
            SolveStatus::Converged
        } else if !norm.is_finite() {
            SolveStatus::NotFinite
        } else if n > self.max_size {
            SolveStatus::IterationLimit
        } else {
            let mut unit = scratch.take(q);
            let mut column = scratch.take(q);
            let mut a = Mat::<f64>::zeros(n, n);
            let mut finite = true;
            for j in 0..n {
                unit.assign(&mut |i| f64::from(u8::from(i == j)));
                (system.product)(&unit, &mut column);
                finite &= column.is_finite();
                for (i, value) in column.to_f64().into_iter().enumerate() {
                    a[(i, j)] = value;
                }
            }
            products += n as u64;
            let status = match Llt::new(a.as_ref(), Side::Lower) {
                Err(_) if finite => SolveStatus::NegativeCurvature,
                Err(_) => SolveStatus::NotFinite,
                Ok(factor) => {
                    // Two corrections: the solution, and one step of refinement.
                    for _ in 0..2 {
                        let residual = r.to_f64();
                        let step = factor.solve(Col::from_fn(n, |i| residual[i]));
                        column.assign(&mut |i| step[i]);
                        q.axpy(1.0, &column);
                        norm = system.residual(q, &mut r);
                        products += 1;
                        if norm <= system.tolerance {
                            break;
                        }
                    }
                    if norm <= system.tolerance {
                        SolveStatus::Converged
                    } else if norm.is_finite() {
                        SolveStatus::Stagnated
                    } else {
                        SolveStatus::NotFinite
                    }
                }
            };
            scratch.put(unit);
            scratch.put(column);
            status
        };
        scratch.put(r);
        LinearReport::new("Cholesky", norm, products, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Spectrum, solve};
    use super::*;

    #[test]
    fn solves_to_rounding_where_iterations_are_slow() {
        let a = Spectrum::new((0..80).map(|i| 1.2f64.powi(i)).collect());
        let report = solve(&Cholesky::default(), &a, 1e-9, &mut vec![0.0; 80]);
        assert_eq!(report.status, SolveStatus::Converged, "{report:?}");
        assert!(report.products <= 84);
    }

    #[test]
    fn indefinite_or_oversized_systems_are_named() {
        let a = Spectrum::new(vec![1.0, -1.0, 2.0]);
        let report = solve(&Cholesky::default(), &a, 1e-9, &mut vec![0.0; 3]);
        assert_eq!(report.status, SolveStatus::NegativeCurvature);
        let report = solve(&Cholesky { max_size: 2 }, &a, 1e-9, &mut vec![0.0; 3]);
        assert_eq!(report.status, SolveStatus::IterationLimit);
    }
}
