//! Limited-memory BFGS.
//!
//! ```text
//! d = −H ∇g by the two-loop recursion over the last m pairs (s, y);   x ← x + α d,  α by the Armijo rule
//! s = x⁺ − x,  y = ∇g⁺ − ∇g,  kept when ⟨s, y⟩ > 0;   H₀ = ⟨s, y⟩/⟨y, y⟩
//! ```
//!
//! # Reference
//! D. Liu, J. Nocedal: On the limited memory BFGS method for large scale optimization. Math. Program. 45 (1989),
//! [doi:10.1007/BF01589116](https://doi.org/10.1007/BF01589116).

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use super::line_search::{Point, armijo};
use super::{LowerReport, LowerSolver, Task};
use crate::problem::LowerLevel;
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// L-BFGS with an Armijo line search. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lbfgs {
    /// The largest number of iterations (default 20,000).
    pub max_iterations: u64,
    /// The number m of stored pairs (default 10).
    pub memory: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Lbfgs {
            max_iterations: 20_000,
            memory: 10,
        }
    }
}

struct Pair<X> {
    s: X,
    y: X,
    rho: f64,
    alpha: f64,
}

impl LowerSolver for Lbfgs {
    fn minimize<P: LowerLevel>(
        &self,
        problem: &P,
        theta: &P::Theta,
        epsilon: f64,
        x: &mut P::X,
        scratch: &mut Scratch<P::X>,
    ) -> LowerReport {
        let mut task = Task::new(problem, theta, epsilon, self.max_iterations).with_patience(50.0);
        let mut pairs: VecDeque<Pair<P::X>> = VecDeque::with_capacity(self.memory + 1);
        let mut direction = scratch.take(x);
        let mut point = Point::take(scratch, x);
        let mut trial = Point::take(scratch, x);
        point.x.copy_from(x);
        point.value = task.value_and_gradient(&point.x, &mut point.gradient);
        let first = 1.0 / task.curvature.smoothness.unwrap_or(1.0);
        let (norm, status) = loop {
            let norm = point.gradient.norm();
            if let Some(status) = task.stop(&point.x, norm) {
                break (norm, status);
            }
            task.iterations += 1;
            two_loop(&mut pairs, first, &point.gradient, &mut direction);
            if !armijo(&mut task, &mut point, &mut trial, &direction) {
                if pairs.is_empty() {
                    break (norm, SolveStatus::Stagnated);
                }
                // The pairs may describe another region: drop them and try −∇g.
                for pair in pairs.drain(..) {
                    scratch.put(pair.s);
                    scratch.put(pair.y);
                }
                continue;
            }
            // After the swap `trial` holds the old point: (s, y) are the differences.
            let (mut s, mut y) = if pairs.len() == self.memory.max(1) {
                match pairs.pop_front() {
                    Some(pair) => (pair.s, pair.y),
                    None => (scratch.take(x), scratch.take(x)),
                }
            } else {
                (scratch.take(x), scratch.take(x))
            };
            s.copy_from(&point.x);
            s.axpy(-1.0, &trial.x);
            y.copy_from(&point.gradient);
            y.axpy(-1.0, &trial.gradient);
            let sy = s.dot(&y);
            if sy > f64::EPSILON * s.norm() * y.norm() {
                pairs.push_back(Pair {
                    s,
                    y,
                    rho: 1.0 / sy,
                    alpha: 0.0,
                });
            } else {
                scratch.put(s);
                scratch.put(y);
            }
        };
        x.copy_from(&point.x);
        for pair in pairs {
            scratch.put(pair.s);
            scratch.put(pair.y);
        }
        scratch.put(direction);
        point.put(scratch);
        trial.put(scratch);
        task.report(x, norm, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

/// d ← −H ∇g, with H₀ = `first` as long as there is no pair.
fn two_loop<X: Vector>(pairs: &mut VecDeque<Pair<X>>, first: f64, gradient: &X, d: &mut X) {
    d.axpby(-1.0, gradient, 0.0);
    for pair in pairs.iter_mut().rev() {
        pair.alpha = pair.rho * pair.s.dot(d);
        d.axpy(-pair.alpha, &pair.y);
    }
    let scale = match pairs.back() {
        Some(pair) => 1.0 / (pair.rho * pair.y.dot(&pair.y)),
        None => first,
    };
    d.scale(scale);
    for pair in pairs.iter() {
        let beta = pair.rho * pair.y.dot(d);
        d.axpy(pair.alpha - beta, &pair.s);
    }
}
