//! Conjugate gradients with fallbacks.
//!
//! The order is [`Cg`] → [`Minres`] → dense Cholesky (feature `direct`). Each member starts from the best q so far, and the first to meet the
//! tolerance ends the solve. If none does, the q of the smallest residual is returned, with the status of the member that computed it.
//! [`LinearReport::attempts`] lists the attempts.

use serde::{Deserialize, Serialize};

#[cfg(feature = "direct")]
use super::Cholesky;
use super::{Cg, LinearReport, LinearSolver, Minres, System};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// The result of one member of a [`Fallback`].
#[derive(Debug, Clone, PartialEq)]
#[doc(hidden)]
pub struct Attempt {
    /// The solver.
    pub method: &'static str,
    /// The residual that it attained.
    pub residual: f64,
    /// The products that it used.
    pub products: u64,
    /// How its solve ended.
    pub status: SolveStatus,
}

/// Conjugate gradients with fallbacks: the default linear solver. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fallback {
    /// The first member.
    pub cg: Cg,
    /// The second member; `None` skips it.
    pub minres: Option<Minres>,
    /// The third member, with the feature `direct`; `None` skips it.
    #[cfg(feature = "direct")]
    pub cholesky: Option<Cholesky>,
}

impl Default for Fallback {
    fn default() -> Self {
        Fallback {
            cg: Cg::default(),
            minres: Some(Minres::default()),
            #[cfg(feature = "direct")]
            cholesky: Some(Cholesky::default()),
        }
    }
}

impl LinearSolver for Fallback {
    fn solve<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> LinearReport {
        let mut best = self.cg.solve(system, q, scratch);
        // A stagnated solve has reached the rounding error of the storage type; no other solver does better.
        let done =
            |r: &LinearReport| matches!(r.status, SolveStatus::Converged | SolveStatus::Stagnated);
        if done(&best) || (self.minres.is_none() && !self.has_cholesky()) {
            return best;
        }
        let mut attempts = vec![attempt(&best)];
        let mut products = best.products;
        let mut trial = scratch.take(q);
        for member in 0..2 {
            if best.residual.is_finite() {
                trial.copy_from(q);
            } else {
                trial.axpby(0.0, system.rhs, 0.0);
            }
            let report = match (member, &self.minres) {
                (0, Some(minres)) => minres.solve(system, &mut trial, scratch),
                (1, _) => match self.factored(system, &mut trial, scratch) {
                    Some(report) => report,
                    None => continue,
                },
                _ => continue,
            };
            products += report.products;
            attempts.push(attempt(&report));
            if report.residual < best.residual || !best.residual.is_finite() {
                q.copy_from(&trial);
                best = report;
            }
            if done(&best) {
                break;
            }
        }
        scratch.put(trial);
        LinearReport {
            products,
            attempts,
            ..best
        }
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

impl Fallback {
    fn has_cholesky(&self) -> bool {
        #[cfg(feature = "direct")]
        return self.cholesky.is_some();
        #[cfg(not(feature = "direct"))]
        false
    }

    /// The solve by the third member, if there is one.
    #[cfg_attr(not(feature = "direct"), allow(clippy::unused_self))]
    fn factored<V: Vector>(
        &self,
        system: &System<'_, V>,
        q: &mut V,
        scratch: &mut Scratch<V>,
    ) -> Option<LinearReport> {
        #[cfg(feature = "direct")]
        return Some(self.cholesky.as_ref()?.solve(system, q, scratch));
        #[cfg(not(feature = "direct"))]
        {
            let _ = (system, q, scratch);
            None
        }
    }
}

fn attempt(report: &LinearReport) -> Attempt {
    Attempt {
        method: report.method,
        residual: report.residual,
        products: report.products,
        status: report.status,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Spectrum, solve};
    use super::*;

    #[test]
    fn an_indefinite_system_falls_back_to_minres_and_says_so() {
        let a = Spectrum::new(vec![1.0, -2.0, 3.0, 5.0]);
        let report = solve(&Fallback::default(), &a, 1e-10, &mut vec![0.0; 4]);
        assert_eq!(
            (report.status, report.method),
            (SolveStatus::Converged, "MINRES")
        );
        assert_eq!(report.attempts[0].status, SolveStatus::NegativeCurvature);
        assert_eq!(
            report.products,
            report.attempts.iter().map(|a| a.products).sum::<u64>()
        );
    }

    #[cfg(feature = "direct")]
    #[test]
    fn a_system_too_hard_for_the_iterations_falls_back_to_cholesky() {
        let a = Spectrum::new((0..60).map(|i| 1.4f64.powi(i)).collect());
        let solver = Fallback {
            cg: Cg {
                max_iterations: 5,
                ..Cg::default()
            },
            minres: Some(Minres { max_iterations: 5 }),
            cholesky: Some(Cholesky::default()),
        };
        let report = solve(&solver, &a, 1e-6, &mut vec![0.0; 60]);
        assert_eq!(
            (report.status, report.method),
            (SolveStatus::Converged, "Cholesky"),
            "{report:?}"
        );
        assert_eq!(report.attempts.len(), 3);
    }

    #[test]
    fn nothing_is_hidden_when_every_member_fails() {
        let a = Spectrum::new(vec![0.0, 1.0, 2.0, 3.0]);
        let report = solve(&Fallback::default(), &a, 1e-10, &mut vec![0.0; 4]);
        assert_ne!(report.status, SolveStatus::Converged);
        assert!(report.residual > 1e-3);
    }
}
