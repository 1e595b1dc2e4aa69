//! Truncated Newton-CG.
//!
//! ```text
//! solve A d = −∇g by conjugate gradients to ‖A d + ∇g‖ ≤ min(½, √‖∇g‖) ‖∇g‖;   x ← x + α d,  α by the Armijo rule
//! ```
//!
//! A direction of negative curvature ends the inner solve with the direction so far (or −∇g if there is none), so the method also
//! descends on functions that are not convex. Superlinear near the solution.
//!
//! # Reference
//! J. Nocedal, S. Wright: Numerical Optimization, algorithm 7.1. Springer 2006,
//! [doi:10.1007/978-0-387-40065-5](https://doi.org/10.1007/978-0-387-40065-5).

use serde::{Deserialize, Serialize};

use super::line_search::{Point, armijo};
use super::{LowerReport, LowerSolver, Task};
use crate::linear::{Cg, LinearSolver, System};
use crate::problem::{Linearization, LowerLevel};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// Truncated Newton with conjugate gradients. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewtonCg {
    /// The largest number of Newton steps (default 500).
    pub max_iterations: u64,
    /// The inner solver.
    pub cg: Cg,
}

impl Default for NewtonCg {
    fn default() -> Self {
        NewtonCg {
            max_iterations: 500,
            cg: Cg::default(),
        }
    }
}

impl LowerSolver for NewtonCg {
    fn minimize<P: LowerLevel>(
        &self,
        problem: &P,
        theta: &P::Theta,
        epsilon: f64,
        x: &mut P::X,
        scratch: &mut Scratch<P::X>,
    ) -> LowerReport {
        let mut task = Task::new(problem, theta, epsilon, self.max_iterations).with_patience(50.0);
        let mut direction = scratch.take(x);
        let mut point = Point::take(scratch, x);
        let mut trial = Point::take(scratch, x);
        point.x.copy_from(x);
        point.value = task.value_and_gradient(&point.x, &mut point.gradient);
        let (norm, status) = loop {
            let norm = point.gradient.norm();
            if let Some(status) = task.stop(&point.x, norm) {
                break (norm, status);
            }
            task.iterations += 1;
            direction.axpby(0.0, &point.gradient, 0.0);
            let products = {
                let at = problem.linearize(&point.x, theta);
                let product = |v: &P::X, out: &mut P::X| at.hvp(v, out);
                let precondition = |r: &P::X, out: &mut P::X| at.precondition(r, out);
                let system = System {
                    product: &product,
                    preconditioner: at.has_preconditioner().then_some(&precondition),
                    sparse: None,
                    rhs: &point.gradient,
                    tolerance: norm.sqrt().min(0.5) * norm,
                };
                let report = self.cg.solve(&system, &mut direction, scratch);
                report.products + at.preparation()
            };
            task.work.hessian_products += products;
            direction.scale(-1.0);
            if direction.norm() == 0.0 || !direction.is_finite() {
                direction.axpby(-1.0, &point.gradient, 0.0);
            }
            if !armijo(&mut task, &mut point, &mut trial, &direction) {
                break (norm, SolveStatus::Stagnated);
            }
        };
        x.copy_from(&point.x);
        scratch.put(direction);
        point.put(scratch);
        trial.put(scratch);
        task.report(x, norm, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}
