//! The minimal residual method, for symmetric matrices that are indefinite or singular.
//!
//! Lanczos vectors v_k with A V_k = V_{k+1} T_k; the residual ‖β₁e₁ − T_k y‖ is minimised by Givens rotations, one per
//! step, and q is updated by short recurrences. For a positive definite A use [`Cg`](super::Cg): it needs half the memory and as many
//! products.
//!
//! # Reference
//! C. C. Paige, M. A. Saunders: Solution of sparse indefinite systems of linear equations. SIAM J. Numer. Anal. 12
//! (1975), [doi:10.1137/0712047](https://doi.org/10.1137/0712047).

use serde::{Deserialize, Serialize};

use super::{LinearReport, LinearSolver, System};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// MINRES for a symmetric A. It ignores preconditioners. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Minres {
    /// The largest number of products with A (default 10,000).
    pub max_iterations: u64,
}

impl Default for Minres {
    fn default() -> Self {
        Minres {
            max_iterations: 10_000,
        }
    }
}

impl LinearSolver for Minres {
    fn solve<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> LinearReport {
        let mut work: [V; 6] = std::array::from_fn(|_| scratch.take(q));
        let mut products = 0;
        let mut last = f64::INFINITY;
        // Each sweep starts from the true residual; the recurrence of a sweep only claims to have met the tolerance.
        let (status, residual) = loop {
            products += 1;
            let norm = system.residual(q, &mut work[0]);
            if !norm.is_finite() {
                break (SolveStatus::NotFinite, norm);
            }
            if norm <= system.tolerance {
                break (SolveStatus::Converged, norm);
            }
            if products >= self.max_iterations {
                break (SolveStatus::IterationLimit, norm);
            }
            if norm > 0.5 * last {
                break (SolveStatus::Stagnated, norm);
            }
            last = norm;
            // In exact arithmetic n steps suffice. A sweep that needs many more has lost orthogonality; the next one starts afresh.
            let longest = 5 * q.len() as u64 + 50;
            let limit = longest.min(self.max_iterations - products);
            products += self.sweep(system, q, &mut work, norm, limit);
        };
        work.into_iter().for_each(|v| scratch.put(v));
        LinearReport::new("MINRES", residual, products, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

impl Minres {
    /// One sweep from the residual in `work[0]`, of norm `beta`; returns the products used.
    fn sweep<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        work: &mut [V; 6],
        mut beta: f64,
        limit: u64,
    ) -> u64 {
        let [v, v_old, w, w_old, w_older, av] = work;
        v.scale(1.0 / beta);
        for z in [&mut *v_old, &mut *w, &mut *w_old, &mut *w_older] {
            z.axpby(0.0, v, 0.0);
        }
        // The rotations of the last two steps, and the rotated right-hand side.
        let (mut c, mut s, mut c_old, mut s_old) = (1.0f64, 0.0f64, 1.0f64, 0.0f64);
        let mut eta = beta;
        beta = 0.0;
        let mut scale = 0.0f64;
        for k in 1..=limit {
            (system.product)(v, av);
            let alpha = v.dot(av);
            av.axpy(-alpha, v);
            av.axpy(-beta, v_old);
            let beta_new = av.norm();
            scale = scale.max(alpha.abs()).max(beta_new);
            // Rotate the new column (β, α, β₊) of the tridiagonal matrix.
            let rho_3 = s_old * beta;
            let rho_2 = s * alpha + c_old * c * beta;
            let rho_bar = c * alpha - c_old * s * beta;
            let rho_1 = rho_bar.hypot(beta_new);
            if !rho_1.is_finite() || rho_1 <= f64::EPSILON * scale {
                return k;
            }
            (c_old, s_old) = (c, s);
            (c, s) = (rho_bar / rho_1, beta_new / rho_1);
            // w ← (v − ρ₃ w₋₂ − ρ₂ w₋₁)/ρ₁
            std::mem::swap(w_older, w_old);
            std::mem::swap(w_old, w);
            w.axpby(1.0 / rho_1, v, 0.0);
            w.axpy(-rho_3 / rho_1, w_older);
            w.axpy(-rho_2 / rho_1, w_old);
            q.axpy(c * eta, w);
            eta *= -s;
            if eta.abs() <= system.tolerance || beta_new <= f64::EPSILON * scale {
                return k;
            }
            std::mem::swap(v_old, v);
            v.axpby(1.0 / beta_new, av, 0.0);
            beta = beta_new;
        }
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Spectrum, solve};
    use super::*;

    #[test]
    fn solves_definite_and_indefinite_systems() {
        for spectrum in [
            vec![1.0, 2.0, 3.0, 10.0, 100.0],
            vec![-1.0, 2.0, -3.0, 10.0, 100.0],
            (0..50)
                .map(|i| (i as f64 + 0.5) * if i % 3 == 0 { -1.0 } else { 1.0 })
                .collect(),
        ] {
            let a = Spectrum::new(spectrum);
            let mut q = vec![0.0; a.eigenvalues.len()];
            let report = solve(&Minres::default(), &a, 1e-9, &mut q);
            assert_eq!(report.status, SolveStatus::Converged, "{:?}", report);
        }
    }

    #[test]
    fn an_inconsistent_singular_system_stagnates_by_name() {
        let a = Spectrum::new(vec![0.0, 1.0, 2.0, 3.0]);
        let report = solve(&Minres::default(), &a, 1e-9, &mut vec![0.0; 4]);
        assert_eq!(report.status, SolveStatus::Stagnated);
        assert!(report.residual.is_finite() && report.residual > 1e-3);
    }
}
