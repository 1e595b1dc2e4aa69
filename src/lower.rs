//! Lower solvers: argminₓ g(x, θ) to a given accuracy, with a certificate where μ is known.
//!
//! | solver | for | gradients for a condition number κ | memory (vectors beside x) |
//! |---|---|---|---|
//! | [`Fista`] | smooth, strongly convex: the default | O(√κ log 1/ε) | 2 |
//! | [`GradientDescent`] | the baseline | O(κ log 1/ε) | 1, or 2 where L is not known |
//! | [`Lbfgs`] | cheap gradients, ill-conditioned | superlinear in practice | 2m + 4 |
//! | [`NewtonCg`] | cheap Hessian products | quadratic near the solution | 7 |
//!
//! All stop when ‖∇ₓg(x̃, θ)‖ ≤ μ ε less the rounding error of the gradient, which gives ‖x̃ − x*‖ ≤ ε by strong convexity:
//! μ‖x̃ − x*‖² ≤ ⟨∇g(x̃) − ∇g(x*), x̃ − x*⟩ ≤ ‖∇g(x̃)‖ ‖x̃ − x*‖. Where μ is not known, they stop at ‖∇ₓg‖ ≤ ε, and no
//! distance is certified.

pub mod fista;
pub mod gradient_descent;
pub mod lbfgs;
mod line_search;
pub mod newton_cg;

pub use fista::Fista;
pub use gradient_descent::GradientDescent;
pub use lbfgs::Lbfgs;
pub use newton_cg::NewtonCg;

use crate::problem::{Curvature, LowerLevel};
use crate::status::SolveStatus;
use crate::vector::Scratch;
use crate::work::Work;

/// What a lower solver attained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowerReport {
    /// ‖∇ₓg(x̃, θ)‖ of the x̃ that is returned, as computed.
    pub gradient_norm: f64,
    /// ε̃ with ‖x̃ − x*‖ ≤ ε̃, rounding included; `None` where μ is not known.
    pub epsilon: Option<f64>,
    /// Iterations.
    pub iterations: u64,
    /// Values, gradients and Hessian products.
    pub work: Work,
    /// How it ended.
    pub status: SolveStatus,
}

/// A solver of the lower level.
pub trait LowerSolver: Send + Sync {
    /// Improves `x`, whose content on entry is the first guess, until ‖x − x*‖ ≤ ε is certain (or ‖∇ₓg‖ ≤ ε, where μ is not
    /// known). When that cannot be reached, `x` is the last point, the report is about it, and the status says why.
    fn minimize<P: LowerLevel>(
        &self,
        problem: &P,
        theta: &P::Theta,
        epsilon: f64,
        x: &mut P::X,
        scratch: &mut Scratch<P::X>,
    ) -> LowerReport;

    /// The name and the settings, as a run identifies them.
    fn identity(&self) -> String;
}

/// One lower-level problem at a fixed θ, with the stopping test and the count of work that all solvers share.
pub(crate) struct Task<'a, P: LowerLevel> {
    pub(crate) problem: &'a P,
    pub(crate) theta: &'a P::Theta,
    pub(crate) curvature: Curvature,
    /// The gradient norm at which to stop, were there no rounding.
    target: f64,
    pub(crate) work: Work,
    pub(crate) iterations: u64,
    /// The smallest gradient norm so far, and the iteration that it was last improved at by a tenth.
    best: f64,
    best_at: u64,
    max_iterations: u64,
    patience: u64,
}

/// Iterations without a tenth of progress after which a solve counts as stagnated, beside a multiple of √κ.
const PATIENCE: u64 = 50;

impl<'a, P: LowerLevel> Task<'a, P> {
    pub(crate) fn new(
        problem: &'a P,
        theta: &'a P::Theta,
        epsilon: f64,
        max_iterations: u64,
    ) -> Self {
        let curvature = problem.curvature(theta);
        Task {
            problem,
            theta,
            curvature,
            target: curvature.strong_convexity.unwrap_or(1.0) * epsilon,
            work: Work {
                lower_solves: 1,
                ..Work::default()
            },
            iterations: 0,
            best: f64::INFINITY,
            best_at: 0,
            max_iterations,
            patience: u64::MAX,
        }
    }

    /// Counts a solve as stagnated after some multiple of `scale` iterations without progress.
    pub(crate) fn with_patience(mut self, scale: f64) -> Self {
        self.patience = PATIENCE + (4.0 * scale).min(1e15) as u64;
        self
    }

    pub(crate) fn gradient(&mut self, x: &P::X, out: &mut P::X) {
        self.problem.gradient(x, self.theta, out);
        self.work.lower_gradients += 1;
    }

    pub(crate) fn value_and_gradient(&mut self, x: &P::X, out: &mut P::X) -> f64 {
        self.work.lower_gradients += 1;
        self.work.lower_values += 1;
        self.problem.value_and_gradient(x, self.theta, out)
    }

    /// The stopping test at a point x with the given gradient norm: `None` to go on.
    pub(crate) fn stop(&mut self, x: &P::X, gradient_norm: f64) -> Option<SolveStatus> {
        if !gradient_norm.is_finite() {
            return Some(SolveStatus::NotFinite);
        }
        // The rounding error costs a pass over x; it is asked for only when the test is near.
        if gradient_norm <= self.target {
            let rounding = self.problem.gradient_rounding(x, self.theta, gradient_norm);
            if gradient_norm + rounding <= self.target {
                return Some(SolveStatus::Converged);
            }
            if gradient_norm <= rounding {
                return Some(SolveStatus::Stagnated);
            }
        }
        if gradient_norm < 0.9 * self.best {
            self.best = gradient_norm;
            self.best_at = self.iterations;
        } else if self.iterations - self.best_at > self.patience {
            return Some(SolveStatus::Stagnated);
        }
        (self.iterations >= self.max_iterations).then_some(SolveStatus::IterationLimit)
    }

    /// The report on the point x that is returned.
    pub(crate) fn report(self, x: &P::X, gradient_norm: f64, status: SolveStatus) -> LowerReport {
        let rounding = self.problem.gradient_rounding(x, self.theta, gradient_norm);
        LowerReport {
            gradient_norm,
            epsilon: self
                .curvature
                .strong_convexity
                .map(|mu| (gradient_norm + rounding) / mu),
            iterations: self.iterations,
            work: self.work,
            status,
        }
    }
}
