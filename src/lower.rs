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
//!
//! The argument needs A ⪰ μI on the segment between x̃ and x* only. Where a problem knows such a μ
//! ([`LowerLevel::local_convexity`]), it counts beside the one of all x, whichever is larger. It is asked for at the first guess, to know
//! how far there is to go, and at the points that seem near enough; only what it says at x̃ itself is claimed.

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

/// What a lower solver attained.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LowerReport {
    /// ‖∇ₓg(x̃, θ)‖ of the x̃ that is returned, as computed.
    pub gradient_norm: f64,
    /// ε̃ with ‖x̃ − x*‖ ≤ ε̃, rounding included; `None` where μ is not known.
    pub epsilon: Option<f64>,
    /// The μ that ε̃ rests on: A ⪰ μI between x̃ and x*, ends included.
    pub strong_convexity: Option<f64>,
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
    epsilon: f64,
    /// The gradient norm at which μ of all x proves the distance, were there no rounding.
    target: f64,
    /// The one at which the local modulus is expected to prove it; at least the other.
    near: f64,
    /// What the problem has said of the modulus at the point of the last test, until the solver moves on.
    here: Option<LocalConvexity>,
    /// How often the problem was asked; `None` when it has no local modulus.
    looks: Option<u64>,
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
/// The tests of a solve ask the problem for its local modulus this often at most; then the modulus of all x alone ends it.
const MOST_LOOKS: u64 = 10;
/// Where the next look is taken the modulus may be less than it was: the gradient is made this much smaller than it had to be there, so
/// that the look is seldom in vain.
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
            here: None,
            looks: Some(0),
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
        let ended = self.ended(x, gradient_norm);
        if ended.is_none() && self.here.take().is_some() {
            self.near = self.target.max(SLACK * self.near);
        }
        ended
    }

    fn ended(&mut self, x: &P::X, gradient_norm: f64) -> Option<SolveStatus> {
        if !gradient_norm.is_finite() {
            return Some(SolveStatus::NotFinite);
        }
        if self.looks == Some(0) {
            self.look(x);
        }
        // The rounding error costs a pass over x; it is asked for only when the test is near.
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

    /// Asks for the local modulus at x, which says how small the gradient has to be.
    fn look(&mut self, x: &P::X) {
        self.here = match self.looks {
            Some(_) => self.problem.local_convexity(x, self.theta, &mut self.work),
            None => None,
        };
        self.looks = self.here.and(self.looks).map(|looks| looks + 1);
        if self.here.is_some() && self.curvature.strong_convexity.is_none() {
            // Where something can be proved, a gradient below ε alone is no end.
            self.target = 0.0;
        }
        self.near = self.target;
        if let (Some(here), Some(1..=MOST_LOOKS)) = (self.here, self.looks) {
            self.near = self.target.max(here.gradient_norm_for(self.epsilon));
        }
    }

    /// Whether ‖x − x*‖ ≤ ε, with ‖∇ₓg(x, θ)‖ at most `attained`.
    fn is_proved(&mut self, x: &P::X, attained: f64) -> bool {
        if attained <= self.target {
            return true;
        }
        if attained <= self.near && self.here.is_none() {
            self.look(x);
        }
        self.here.is_some() && attained <= self.near
    }

    /// The report on the point x that is returned, the one of the last test unless the solver went on after it.
    pub(crate) fn report(
        mut self,
        x: &P::X,
        gradient_norm: f64,
        status: SolveStatus,
    ) -> LowerReport {
        let rounding = self.problem.gradient_rounding(x, self.theta, gradient_norm);
        let attained = gradient_norm + rounding;
        if self.here.is_none() && attained.is_finite() {
            self.look(x);
        }
        let local = self.here.and_then(|here| here.at(attained));
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
