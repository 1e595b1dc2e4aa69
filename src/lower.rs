//! Lower solvers: argminₓ g(x, θ) to a given accuracy, certified if μ is known.
//!
//! | solver | for | gradients for a condition number κ | memory (vectors beside x) |
//! |---|---|---|---|
//! | [`Fista`] | smooth, strongly convex: the default | O(√κ log 1/ε) | 2 |
//! | [`GradientDescent`] | the baseline | O(κ log 1/ε) | 1, or 2 if L is unknown |
//! | [`Lbfgs`] | cheap gradients, ill-conditioned | superlinear in practice | 2m + 4 |
//! | [`NewtonCg`] | cheap Hessian products | quadratic near the solution | 7 |
//!
//! All stop when ‖∇ₓg(x̃, θ)‖ plus its rounding error is at most μ ε. Strong convexity then gives ‖x̃ − x*‖ ≤ ε:
//! μ‖x̃ − x*‖² ≤ ⟨∇g(x̃) − ∇g(x*), x̃ − x*⟩ ≤ ‖∇g(x̃)‖ ‖x̃ − x*‖. If μ is unknown, they stop at ‖∇ₓg‖ ≤ ε, and no
//! distance is certified.
//!
//! The argument needs A ⪰ μI only on the segment between x̃ and x*. If a problem knows such a local modulus
//! ([`LowerLevel::local_convexity`]), the larger of it and the global one counts. Solvers evaluate it at the first guess, to set a target,
//! and again near the target; the certificate uses its value at x̃ alone.

pub mod fista;
pub mod gradient_descent;
pub mod lbfgs;
mod line_search;
pub mod newton_cg;

pub use fista::Fista;
pub use gradient_descent::GradientDescent;
pub use lbfgs::Lbfgs;
pub use newton_cg::NewtonCg;

use crate::problem::{Curvature, LocalConvexity, LowerLevel};
use crate::status::SolveStatus;
use crate::vector::Scratch;
use crate::work::Work;

/// The result of a lower solve, except x̃ itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowerReport {
    /// ‖∇ₓg(x̃, θ)‖ at the returned x̃, as computed.
    pub gradient_norm: f64,
    /// ε̃ with ‖x̃ − x*‖ ≤ ε̃, rounding included; `None` if μ is unknown.
    pub epsilon: Option<f64>,
    /// The μ behind ε̃: A ⪰ μI on the closed segment from x̃ to x*.
    pub strong_convexity: Option<f64>,
    /// Iterations.
    pub iterations: u64,
    /// Values, gradients and Hessian products.
    pub work: Work,
    /// How the solve ended.
    pub status: SolveStatus,
}

/// A solver of the lower level.
pub trait LowerSolver: Send + Sync {
    /// Improves `x`, on entry the first guess, until ‖x − x*‖ ≤ ε is certain (or ‖∇ₓg‖ ≤ ε, if μ is unknown). If that fails, `x` is the
    /// last point, the report describes it, and the status says why.
    fn minimize<P: LowerLevel>(
        &self,
        problem: &P,
        theta: &P::Theta,
        epsilon: f64,
        x: &mut P::X,
        scratch: &mut Scratch<P::X>,
    ) -> LowerReport;

    /// Name and settings, as part of the identity of a run.
    fn identity(&self) -> String;
}

/// One lower-level problem at a fixed θ, with the stopping test and the work counters shared by all solvers.
pub(crate) struct Task<'a, P: LowerLevel> {
    pub(crate) problem: &'a P,
    pub(crate) theta: &'a P::Theta,
    pub(crate) curvature: Curvature,
    epsilon: f64,
    /// The gradient norm at which the global μ proves the distance, without rounding.
    target: f64,
    /// The gradient norm at which the local modulus should prove it; at least `target`.
    near: f64,
    /// The local modulus at the point of the last test, until the solver moves on.
    local: Option<LocalConvexity>,
    /// Evaluations of the local modulus; `None` if the problem has none.
    evaluations: Option<u64>,
    pub(crate) work: Work,
    pub(crate) iterations: u64,
    /// The smallest gradient norm so far, and the iteration of its last improvement by a tenth.
    best: f64,
    best_at: u64,
    max_iterations: u64,
    patience: u64,
}

/// A solve has stagnated after this many iterations, plus a multiple of √κ, without an improvement by a tenth.
const PATIENCE: u64 = 50;
/// At most this many local-modulus evaluations per solve; afterwards the global modulus is used.
const MAX_MODULUS_EVALUATIONS: u64 = 10;
/// The modulus may be smaller at the next evaluation. The gradient norm is first reduced by this further factor, so that the evaluation
/// seldom fails to prove the distance.
const SLACK: f64 = 0.7;

impl<'a, P: LowerLevel> Task<'a, P> {
    pub(crate) fn new(
        problem: &'a P,
        theta: &'a P::Theta,
        epsilon: f64,
        max_iterations: u64,
    ) -> Self {
        let curvature = problem.curvature(theta);
        let target = curvature.strong_convexity.unwrap_or(1.0) * epsilon;
        Task {
            problem,
            theta,
            curvature,
            epsilon,
            target,
            near: target,
            local: None,
            evaluations: Some(0),
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

    /// A solve then counts as stagnated after a multiple of `scale` iterations without progress.
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

    /// The stopping test at a point x with the given gradient norm; `None` means continue.
    pub(crate) fn stop(&mut self, x: &P::X, gradient_norm: f64) -> Option<SolveStatus> {
        let ended = self.ended(x, gradient_norm);
        if ended.is_none() && self.local.take().is_some() {
            self.near = self.target.max(SLACK * self.near);
        }
        ended
    }

    fn ended(&mut self, x: &P::X, gradient_norm: f64) -> Option<SolveStatus> {
        if !gradient_norm.is_finite() {
            return Some(SolveStatus::NotFinite);
        }
        if self.evaluations == Some(0) {
            self.evaluate_modulus(x);
        }
        // The rounding error costs a pass over x, so it is computed only near the target.
        if gradient_norm <= self.near {
            let rounding = self.problem.gradient_rounding(x, self.theta, gradient_norm);
            if self.is_proved(x, gradient_norm + rounding) {
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

    /// Evaluates the local modulus at x and sets the gradient norm that it requires.
    fn evaluate_modulus(&mut self, x: &P::X) {
        self.local = match self.evaluations {
            Some(_) => self.problem.local_convexity(x, self.theta, &mut self.work),
            None => None,
        };
        self.evaluations = self.local.and(self.evaluations).map(|count| count + 1);
        if self.local.is_some() && self.curvature.strong_convexity.is_none() {
            // The distance can be proved, so a gradient norm below ε alone does not end the solve.
            self.target = 0.0;
        }
        self.near = self.target;
        if let (Some(local), Some(1..=MAX_MODULUS_EVALUATIONS)) = (self.local, self.evaluations) {
            self.near = self.target.max(local.gradient_norm_for(self.epsilon));
        }
    }

    /// Whether ‖∇ₓg(x, θ)‖ ≤ `attained` proves ‖x − x*‖ ≤ ε.
    fn is_proved(&mut self, x: &P::X, attained: f64) -> bool {
        if attained <= self.target {
            return true;
        }
        if attained <= self.near && self.local.is_none() {
            self.evaluate_modulus(x);
        }
        self.local.is_some() && attained <= self.near
    }

    /// The report on the returned x: the point of the last test, or a later one.
    pub(crate) fn report(
        mut self,
        x: &P::X,
        gradient_norm: f64,
        status: SolveStatus,
    ) -> LowerReport {
        let rounding = self.problem.gradient_rounding(x, self.theta, gradient_norm);
        let attained = gradient_norm + rounding;
        if self.local.is_none() && attained.is_finite() {
            self.evaluate_modulus(x);
        }
        let local = self.local.and_then(|local| local.at(attained));
        let strong_convexity = match (self.curvature.strong_convexity, local) {
            (Some(of_all), Some(local)) => Some(of_all.max(local)),
            (of_all, local) => of_all.or(local),
        };
        LowerReport {
            gradient_norm,
            epsilon: strong_convexity.map(|mu| attained / mu),
            strong_convexity,
            iterations: self.iterations,
            work: self.work,
            status,
        }
    }
}
