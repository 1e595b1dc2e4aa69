//! The error of a hypergradient, estimated by comparison with the hypergradient after a joint Newton step on x̃ and q.
//!
//! ```text
//! A(x̃) e = ∇ₓg(x̃),              x' = x̃ − e
//! A(x') d = A(x')q − ∇ₓf(x'),    q' = q − d
//! z' = ∇θf(x') − B(x')ᵀq',       ω = 10 max(0.03, ‖∇ₓg(x')‖/‖∇ₓg(x̃)‖) ‖z' − z‖
//! ```
//!
//! x' and q' have errors of second order, up to the relative accuracy 0.03 of the two linear solves, so z' − z is the error of z to
//! first order, signs and directions included, where a product of norms may be hundreds of times too large. The result is z'. Its error
//! relative to z' − z is about the share of the error of x̃ that remains after the step; ω allows ten times as much. The cost is two short
//! linear solves, and no more vectors than the solver of the lower level uses. It is an estimate, not a certificate.
//!
//! # Reference
//! The idea comes from dual weighted residuals: R. Becker, R. Rannacher: An optimal control approach to a posteriori error
//! estimation in finite element methods. Acta Numerica 10 (2001), [doi:10.1017/S0962492901000010](https://doi.org/10.1017/S0962492901000010).

use super::point::LowerPoint;
use crate::linear::{Cg, LinearSolver, System};
use crate::problem::{Linearization, LowerLevel, UpperLevel};
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// The residual of the linear solves, relative to their right-hand sides.
const RELATIVE: f64 = 0.03;
/// The remaining error is assumed to be this many times the expected one.
const SAFETY: f64 = 10.0;

/// A hypergradient after a Newton step, with ω as a multiple of its correction.
pub(super) struct Corrected<T> {
    pub(super) gradient: T,
    pub(super) share: f64,
}

/// z' from x̃ with its linearisation and ∇ₓg, and the adjoint q. `None` where a linear solve fails.
#[allow(clippy::too_many_arguments)] // the quantities of the formula
pub(super) fn corrected<P, U>(
    lower: &P,
    upper: &U,
    at: &LowerPoint<'_, P>,
    linearization: &impl Linearization<Theta = P::Theta, X = P::X>,
    q: &P::X,
    lower_gradient: &P::X,
    work: &mut Work,
    scratch: &mut Scratch<P::X>,
) -> Option<Corrected<P::Theta>>
where
    P: LowerLevel,
    U: UpperLevel<Theta = P::Theta, X = P::X>,
{
    let theta = at.theta;
    let [mut there, mut step, mut residual, mut better] = std::array::from_fn(|_| scratch.take(q));
    let mut solve = |at: &dyn Fn(&P::X, &mut P::X), rhs: &P::X, out: &mut P::X| {
        let norm = rhs.norm();
        out.axpby(0.0, rhs, 0.0);
        if norm == 0.0 {
            return true;
        }
        let system = System {
            product: at,
            preconditioner: None,
            sparse: None,
            rhs,
            tolerance: RELATIVE * norm,
        };
        let report = Cg::default().solve(&system, out, scratch);
        work.linear_solves += 1;
        work.hessian_products += report.products;
        report.status == SolveStatus::Converged
    };
    let mut solved = solve(
        &|v, out| linearization.hvp(v, out),
        lower_gradient,
        &mut step,
    );
    there.copy_from(at.x);
    there.axpy(-1.0, &step);
    let mut gradient = None;
    if solved {
        let moved = lower.linearize(&there, theta);
        // A(x')q − ∇ₓf(x')
        upper.gradient_x(&there, theta, &mut better);
        moved.hvp(q, &mut residual);
        residual.axpy(-1.0, &better);
        solved = solve(&|v, out| moved.hvp(v, out), &residual, &mut step);
        if solved {
            better.copy_from(q);
            better.axpy(-1.0, &step);
            let mut by_theta = theta.clone();
            let mut product = theta.clone();
            upper.gradient_theta(&there, theta, &mut by_theta);
            moved.cross_vjp(&better, &mut product);
            by_theta.axpy(-1.0, &product);
            work.hessian_products += 1;
            work.cross_products += 1;
            work.upper_gradients += 1;
            lower.gradient(&there, theta, &mut residual);
            work.lower_gradients += 1;
            let left = residual.norm() / lower_gradient.norm().max(f64::MIN_POSITIVE);
            gradient = Some(Corrected {
                gradient: by_theta,
                share: SAFETY * RELATIVE.max(left),
            })
            .filter(|c| c.gradient.is_finite() && c.share.is_finite());
        }
    }
    for v in [there, step, residual, better] {
        scratch.put(v);
    }
    gradient
}
