//! Gradient descent.
//!
//! ```text
//! x ← x − τ ∇g(x),   τ = 2/(L + μ), or 1/L if only L is known
//! ```
//!
//! ‖x_k − x*‖ ≤ ((κ − 1)/(κ + 1))ᵏ ‖x₀ − x*‖ with κ = L/μ. An unknown L is found by backtracking: an estimate that
//! violates the descent lemma doubles.
//!
//! # Reference
//! Y. Nesterov: Lectures on Convex Optimization, theorem 2.1.15. Springer 2018,
//! [doi:10.1007/978-3-319-91578-4](https://doi.org/10.1007/978-3-319-91578-4).

use serde::{Deserialize, Serialize};

use super::line_search::{lost, smooth, sufficient};
use super::{LowerReport, LowerSolver, Task};
use crate::problem::LowerLevel;
use crate::vector::{Scratch, Vector};

/// Gradient descent with the step from L. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GradientDescent {
    /// The largest number of iterations (default 1,000,000).
    pub max_iterations: u64,
}

impl Default for GradientDescent {
    fn default() -> Self {
        GradientDescent {
            max_iterations: 1_000_000,
        }
    }
}

impl LowerSolver for GradientDescent {
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
        // 2/L, the limit for μ → 0, does not converge: without μ the step is 1/L.
        let factor = if mu > 0.0 { 2.0 } else { 1.0 };
        task = task.with_patience(known.unwrap_or(1e4) / mu.max(1e-12));
        let mut smoothness = known.unwrap_or(1.0);
        let mut gradient = scratch.take(x);
        // The old x and the new gradient are needed only where L is searched for.
        let mut search = known.is_none().then(|| (scratch.take(x), scratch.take(x)));
        let mut value = match &search {
            Some(_) => task.value_and_gradient(x, &mut gradient),
            None => {
                task.gradient(x, &mut gradient);
                0.0
            }
        };
        let (norm, status) = 'solve: loop {
            let norm = gradient.norm();
            if let Some(status) = task.stop(x, norm) {
                break (norm, status);
            }
            task.iterations += 1;
            match &mut search {
                None => {
                    x.axpy(-factor / (smoothness + mu), &gradient);
                    task.gradient(x, &mut gradient);
                }
                Some((old, gradient_there)) => {
                    old.copy_from(x);
                    loop {
                        x.axpy(-1.0 / smoothness, &gradient);
                        let value_there = problem.value(x, theta);
                        task.work.lower_values += 1;
                        if sufficient::<P::X>(value, norm, smoothness, value_there) {
                            break;
                        }
                        task.gradient(x, gradient_there);
                        if smooth(&gradient, norm, gradient_there) {
                            break;
                        }
                        x.copy_from(old);
                        smoothness *= 2.0;
                        if let Some(status) = lost(x, norm, smoothness, value_there) {
                            break 'solve (norm, status);
                        }
                    }
                    value = task.value_and_gradient(x, &mut gradient);
                }
            }
        };
        scratch.put(gradient);
        if let Some((old, gradient_there)) = search {
            scratch.put(old);
            scratch.put(gradient_there);
        }
        task.report(x, norm, status)
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}
