//! Accelerated gradient descent (FISTA) with the momentum of the strongly convex case and adaptive restart.
//!
//! ```text
//! x⁺ = y − τ∇g(y),   τ = 1/L,   q = τμ
//! t⁺ = (1 − q t² + √((1 − q t²)² + 4 t²))/2
//! y⁺ = x⁺ + b (x⁺ − x),   b = (t − 1)(1 − t⁺q) / (t⁺(1 − q))
//! restart (t ← 1) when ⟨∇g(y), x⁺ − x⟩ > 0
//! ```
//!
//! Without restart ‖x_k − x*‖ falls like (1 − √q)^{k/2}; the restart finds the curvature along the path, which is often
//! better than μ. The gradient is known at y, so y is tested and returned: the certificate costs no further
//! gradient. An unknown L is found by backtracking with the descent lemma.
//!
//! # References
//! A. Beck, M. Teboulle: A fast iterative shrinkage-thresholding algorithm. SIAM J. Imaging Sci. 2 (2009),
//! [doi:10.1137/080716542](https://doi.org/10.1137/080716542).
//! A. Chambolle, T. Pock: An introduction to continuous optimization for imaging, algorithm 5. Acta Numerica 25 (2016),
//! [doi:10.1017/S096249291600009X](https://doi.org/10.1017/S096249291600009X).
//! B. O'Donoghue, E. Candès: Adaptive restart for accelerated gradient schemes. Found. Comput. Math. 15 (2015),
//! [doi:10.1007/s10208-013-9150-3](https://doi.org/10.1007/s10208-013-9150-3).

use serde::{Deserialize, Serialize};

use super::line_search::{lost, smooth, sufficient};
use super::{LowerReport, LowerSolver, Task};
use crate::problem::LowerLevel;
use crate::vector::{Scratch, Vector};

/// Strongly convex FISTA with adaptive restart: the default lower solver. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fista {
    /// The largest number of iterations (default 100,000).
    pub max_iterations: u64,
    /// Whether to restart the momentum when it points uphill (default true).
    pub restart: bool,
}

impl Default for Fista {
    fn default() -> Self {
        Fista {
            max_iterations: 100_000,
            restart: true,
        }
    }
}

impl LowerSolver for Fista {
    fn minimize<P: LowerLevel>(
        &self,
        problem: &P,
        theta: &P::Theta,
        epsilon: f64,
        x: &mut P::X,
        scratch: &mut Scratch<P::X>,
    ) -> LowerReport {
        let mut task = Task::new(problem, theta, epsilon, self.max_iterations);
        let known = task.curvature.smoothness;
        let mu = task.curvature.strong_convexity.unwrap_or(0.0);
        let mut smoothness = known.unwrap_or(1.0).max(mu);
        task = task.with_patience((known.unwrap_or(1e4) / mu.max(1e-12)).sqrt());
        let mut y = scratch.take(x);
        let mut gradient = scratch.take(x);
        y.copy_from(x);
        // Needed only where L is searched for.
        let mut gradient_there = None;
        let mut t = 1.0f64;
        let (norm, status) = loop {
            let value = if known.is_some() {
                task.gradient(&y, &mut gradient);
                0.0
            } else {
                task.value_and_gradient(&y, &mut gradient)
            };
            let norm = gradient.norm();
            if let Some(status) = task.stop(&y, norm) {
                break (norm, status);
            }
            task.iterations += 1;
            // y becomes x⁺; the backtracking undoes a step that was too long.
            y.axpy(-1.0 / smoothness, &gradient);
            let mut ended = None;
            while known.is_none() && ended.is_none() {
                let value_there = problem.value(&y, theta);
                task.work.lower_values += 1;
                if sufficient::<P::X>(value, norm, smoothness, value_there) {
                    break;
                }
                let there = gradient_there.get_or_insert_with(|| scratch.take(x));
                task.gradient(&y, there);
                if smooth(&gradient, norm, there) {
                    break;
                }
                y.axpy(0.5 / smoothness, &gradient);
                smoothness *= 2.0;
                ended = lost(&y, norm, smoothness, value_there);
            }
            if let Some(status) = ended {
                task.gradient(&y, &mut gradient);
                break (gradient.norm(), status);
            }
            let q = mu / smoothness;
            let tail = 1.0 - q * t * t;
            let mut t_next = 0.5 * (tail + (tail * tail + 4.0 * t * t).sqrt());
            let mut b = if q < 1.0 {
                (t - 1.0) * (1.0 - t_next * q) / (t_next * (1.0 - q))
            } else {
                0.0
            };
            if self.restart && b > 0.0 && gradient.dot(&y) - gradient.dot(x) > 0.0 {
                (t_next, b) = (1.0, 0.0);
            }
            t = t_next;
            // x ← y⁺ = (1 + b) x⁺ − b x, then the names change places.
            x.axpby(1.0 + b, &y, -b);
            std::mem::swap(x, &mut y);
        };
        std::mem::swap(x, &mut y);
        for v in [Some(y), Some(gradient), gradient_there]
            .into_iter()
            .flatten()
        {
            scratch.put(v);
        }
        task.report(x, norm, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}
