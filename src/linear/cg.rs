//! The conjugate gradient method.
//!
//! ```text
//! r ← b − A q;  p ← M⁻¹r
//! repeat:  α = ⟨r, M⁻¹r⟩ / ⟨p, A p⟩;  q ← q + α p;  r ← r − α A p;  β = ⟨r, M⁻¹r⟩ₙₑ𝓌 / ⟨r, M⁻¹r⟩ₒₗ𝒹;  p ← M⁻¹r + β p
//! ```
//!
//! Departures from the textbook, and why:
//! 1. The iteration starts from the given q. The initial guess is rescaled to minimise the energy along it, at no extra product.
//! 2. The tolerance is absolute: it is the δ of the error bound.
//! 3. ⟨p, A p⟩ ≤ 0 ends the solve with [`SolveStatus::NegativeCurvature`]; the last q is kept, a descent direction for
//!    the quadratic, as Newton's method needs.
//! 4. When the recurrence meets the tolerance, the true residual is computed, and only that one counts. If it is larger, the method
//!    restarts from it; a restart that gains less than a factor 2 ends the solve as stagnated at rounding. (Replacing the residual
//!    within the recurrence would break ⟨r, p⟩ = ⟨r, M⁻¹r⟩, on which α rests.)
//!
//! # Reference
//! M. R. Hestenes, E. Stiefel: Methods of conjugate gradients for solving linear systems. J. Res. Nat. Bur. Standards 49
//! (1952), [doi:10.6028/jres.049.044](https://doi.org/10.6028/jres.049.044).

use serde::{Deserialize, Serialize};

use super::{LinearReport, LinearSolver, System};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// Conjugate gradients for a symmetric positive definite A. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cg {
    /// The largest number of products with A (default 10,000).
    pub max_iterations: u64,
    /// Whether to use the preconditioner of a system that has one (default true).
    pub precondition: bool,
}

impl Default for Cg {
    fn default() -> Self {
        Cg {
            max_iterations: 10_000,
            precondition: true,
        }
    }
}

impl LinearSolver for Cg {
    fn solve<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> LinearReport {
        let mut r = scratch.take(q);
        let mut p = scratch.take(q);
        let mut ap = scratch.take(q);
        let preconditioner = system.preconditioner.filter(|_| self.precondition);
        let mut z = preconditioner.map(|_| scratch.take(q));
        // ⟨r, M⁻¹r⟩; with a preconditioner, z ← M⁻¹r.
        let precondition = |r: &V, z: &mut Option<V>, norm: f64| match (preconditioner, z) {
            (Some(m), Some(z)) => {
                m(r, z);
                r.dot(z)
            }
            _ => norm * norm,
        };
        let mut products = 1;
        let mut norm = system.residual(q, &mut r);
        if norm > system.tolerance {
            norm = rescale(system.rhs, q, &mut r, norm);
            if norm <= system.tolerance {
                products += 1;
                norm = system.residual(q, &mut r);
            }
        }
        let mut last_true_norm = f64::INFINITY;
        let mut rho = precondition(&r, &mut z, norm);
        p.copy_from(z.as_ref().unwrap_or(&r));
        let status = loop {
            if !norm.is_finite() {
                break SolveStatus::NotFinite;
            }
            if norm <= system.tolerance {
                break SolveStatus::Converged;
            }
            if products >= self.max_iterations {
                break SolveStatus::IterationLimit;
            }
            (system.product)(&p, &mut ap);
            products += 1;
            let curvature = p.dot(&ap);
            if !curvature.is_finite() {
                break SolveStatus::NotFinite;
            }
            if curvature <= 0.0 {
                break SolveStatus::NegativeCurvature;
            }
            let alpha = rho / curvature;
            q.axpy(alpha, &p);
            r.axpy(-alpha, &ap);
            norm = r.norm();
            if norm <= system.tolerance {
                products += 1;
                norm = system.residual(q, &mut r);
                if norm > system.tolerance {
                    if norm > 0.5 * last_true_norm {
                        break SolveStatus::Stagnated;
                    }
                    last_true_norm = norm;
                    rho = precondition(&r, &mut z, norm);
                    p.copy_from(z.as_ref().unwrap_or(&r));
                }
                continue;
            }
            let rho_new = precondition(&r, &mut z, norm);
            p.axpby(1.0, z.as_ref().unwrap_or(&r), rho_new / rho);
            rho = rho_new;
        };
        if matches!(
            status,
            SolveStatus::IterationLimit | SolveStatus::NegativeCurvature
        ) {
            products += 1;
            norm = system.residual(q, &mut r);
        }
        for v in [Some(r), Some(p), Some(ap), z].into_iter().flatten() {
            scratch.put(v);
        }
        LinearReport::new("CG", norm, products, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

/// q ← s q with the s that minimises the energy ½⟨q, A q⟩ − ⟨b, q⟩ along q, and r = b − A q with it; returns ‖r‖.
fn rescale<V: Vector>(b: &V, q: &mut V, r: &mut V, norm: f64) -> f64 {
    let along = b.dot(q);
    // ⟨q, A q⟩ with A q = b − r.
    let curvature = along - r.dot(q);
    let s = along / curvature;
    // A zero guess cannot be rescaled, and an indefinite A may have no minimum along q.
    if !(curvature > 0.0 && s.is_finite()) {
        return norm;
    }
    q.scale(s);
    r.axpby(1.0 - s, b, s);
    r.norm()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Spectrum, rhs, solve};
    use super::*;

    fn spread(n: usize, condition: f64) -> Spectrum {
        Spectrum::new(
            (0..n)
                .map(|i| condition.powf(i as f64 / (n - 1) as f64))
                .collect(),
        )
    }

    #[test]
    fn reaches_the_absolute_tolerance_over_a_grid_of_conditioning() {
        for condition in [1.0, 1e2, 1e4, 1e6] {
            for tolerance in [1e-1, 1e-5, 1e-9] {
                let a = spread(60, condition);
                let mut q = vec![0.0; 60];
                let report = solve(&Cg::default(), &a, tolerance, &mut q);
                assert_eq!(report.status, SolveStatus::Converged);
                assert!(report.residual <= tolerance);
            }
        }
    }

    #[test]
    fn a_warm_start_at_the_solution_costs_one_product() {
        let a = spread(40, 1e3);
        let mut q = a.solve(&rhs(40));
        let report = solve(&Cg::default(), &a, 1e-8, &mut q);
        assert_eq!(
            (report.products, report.status),
            (1, SolveStatus::Converged)
        );
    }

    /// A regression test: with the true residual put into the running recurrence, these ended at the iteration limit, one with a residual
    /// of 0.5.
    #[test]
    fn tolerances_near_rounding_end_soon_and_close_to_it() {
        for (n, condition, tolerance, close) in [
            (50, 1e2, 1e-17, 1e-13),
            (60, 1e6, 1e-12, 1e-10),
            (200, 1e4, 1e-13, 1e-12),
            (200, 1e4, 1e-14, 1e-11),
            (400, 3e3, 1e-14, 1e-11),
        ] {
            let mut q = vec![0.0; n];
            let report = solve(&Cg::default(), &spread(n, condition), tolerance, &mut q);
            assert!(
                matches!(
                    report.status,
                    SolveStatus::Converged | SolveStatus::Stagnated
                ),
                "{report:?}"
            );
            assert!(
                report.residual <= close && report.products < 2_000,
                "{report:?}"
            );
        }
    }

    #[test]
    fn an_impossible_tolerance_ends_as_stagnated_at_rounding() {
        let a = spread(50, 1e3);
        let mut q = vec![0.0; 50];
        let report = solve(&Cg::default(), &a, 1e-300, &mut q);
        assert_eq!(report.status, SolveStatus::Stagnated);
        assert!(report.residual < 1e-11);
    }

    #[test]
    fn indefinite_and_non_finite_systems_are_named() {
        let a = Spectrum::new(vec![1.0, 2.0, -1.0, 3.0]);
        let report = solve(&Cg::default(), &a, 1e-10, &mut vec![0.0; 4]);
        assert_eq!(report.status, SolveStatus::NegativeCurvature);
        let a = Spectrum::new(vec![1.0, f64::NAN]);
        let report = solve(&Cg::default(), &a, 1e-10, &mut vec![0.0; 2]);
        assert_eq!(report.status, SolveStatus::NotFinite);
        let report = solve(
            &Cg {
                max_iterations: 3,
                ..Cg::default()
            },
            &spread(50, 1e6),
            1e-10,
            &mut vec![0.0; 50],
        );
        assert_eq!(report.status, SolveStatus::IterationLimit);
    }

    #[test]
    fn the_length_of_a_guess_costs_nothing_and_does_not_matter() {
        let a = spread(40, 1e3);
        let mut products = Vec::new();
        for length in [1.0, 1e-6, -3.0, 1e6] {
            let mut q = a.solve(&rhs(40));
            q.scale(length);
            products.push(solve(&Cg::default(), &a, 1e-8, &mut q).products);
        }
        // The residual of the guess, and, unless it was right already, the one that confirms the end.
        assert_eq!(products[0], 1);
        assert!(products[1..].iter().all(|&p| p <= 4), "{products:?}");
    }

    #[test]
    fn a_preconditioner_that_is_the_inverse_needs_one_step() {
        let a = spread(30, 1e5);
        let b = rhs(30);
        let product = |v: &Vec<f64>, out: &mut Vec<f64>| out.copy_from_slice(&a.apply(v));
        let inverse = |v: &Vec<f64>, out: &mut Vec<f64>| out.copy_from_slice(&a.solve(v));
        let system = System {
            product: &product,
            preconditioner: Some(&inverse),
            sparse: None,
            rhs: &b,
            tolerance: 1e-8,
        };
        let mut q = vec![0.0; 30];
        let report = Cg::default().solve(&system, &mut q, &mut Scratch::default());
        assert_eq!(report.status, SolveStatus::Converged);
        assert!(report.products <= 4, "{} products", report.products);
    }
}
