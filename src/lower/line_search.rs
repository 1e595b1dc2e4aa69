//! Step lengths of the lower solvers: the Armijo rule along descent directions, and the quadratic upper bound for steps along −∇g.

use super::Task;
use crate::problem::LowerLevel;
use crate::status::SolveStatus;
use crate::vector::{Scratch, Vector};

/// Sufficient decrease of the Armijo rule.
const DECREASE: f64 = 1e-4;
/// Differences of values below this many roundings of their size carry no information.
const VALUE_ROUNDING: f64 = 64.0;
/// The most halvings of a step.
const MAX_HALVINGS: usize = 60;

/// A point x with g(x) and ∇g(x).
pub(super) struct Point<X> {
    pub(super) x: X,
    pub(super) value: f64,
    pub(super) gradient: X,
}

impl<X: Vector> Point<X> {
    /// A point of unspecified content.
    pub(super) fn take(scratch: &mut Scratch<X>, like: &X) -> Self {
        Point {
            x: scratch.take(like),
            value: 0.0,
            gradient: scratch.take(like),
        }
    }

    pub(super) fn put(self, scratch: &mut Scratch<X>) {
        scratch.put(self.x);
        scratch.put(self.gradient);
    }
}

/// Moves `point` along `direction` by the first step 1, ½, ¼, … that decreases g sufficiently; returns false if none does.
///
/// Close to the solution, rounding of g hides the decrease. If the values agree to rounding, the rule of Hager and Zhang applies instead:
/// accept a step that reduces the slope, |⟨∇g(x + αd), d⟩| ≤ (1 − 2c)|⟨∇g(x), d⟩|.
pub(super) fn armijo<P: LowerLevel>(
    task: &mut Task<'_, P>,
    point: &mut Point<P::X>,
    trial: &mut Point<P::X>,
    direction: &P::X,
) -> bool {
    let slope = point.gradient.dot(direction);
    if slope >= 0.0 || !slope.is_finite() {
        return false;
    }
    let mut step = 1.0;
    for _ in 0..MAX_HALVINGS {
        trial.x.copy_from(&point.x);
        trial.x.axpy(step, direction);
        trial.value = task.value_and_gradient(&trial.x, &mut trial.gradient);
        let rounding = VALUE_ROUNDING * P::X::UNIT_ROUNDOFF * point.value.abs();
        let enough = trial.value <= point.value + DECREASE * step * slope;
        let flat = trial.value <= point.value + rounding
            && trial.gradient.dot(direction).abs() <= (1.0 - 2.0 * DECREASE) * slope.abs();
        if enough || flat {
            std::mem::swap(point, trial);
            return true;
        }
        step *= 0.5;
    }
    false
}

/// The descent lemma g(y − ∇g/L) ≤ g(y) − ‖∇g‖²/(2L), which tests an estimate of L that the problem does not supply.
///
/// It holds for a true L; while both it and [`smooth`] fail, the estimate doubles. A decrease hidden by the rounding of g counts as met.
pub(super) fn sufficient<X: Vector>(
    value: f64,
    gradient_norm: f64,
    smoothness: f64,
    value_there: f64,
) -> bool {
    let rounding = VALUE_ROUNDING * X::UNIT_ROUNDOFF * value.abs();
    value_there <= value - gradient_norm * gradient_norm / (2.0 * smoothness) + rounding
}

/// The second test of an estimate of L: ‖∇g(y⁺) − ∇g(y)‖ ≤ L‖y⁺ − y‖ = ‖∇g(y)‖ for the step y⁺ = y − ∇g(y)/L.
///
/// It decides when the values fail, as they do for any L once cancellation leaves too few digits in their difference. For a convex g it
/// implies descent: g(y⁺) ≤ g(y) − ⟨∇g(y⁺), ∇g(y)⟩/L ≤ g(y) − ‖∇g(y⁺)‖²/(2L).
pub(super) fn smooth<X: Vector>(gradient: &X, gradient_norm: f64, gradient_there: &mut X) -> bool {
    gradient_there.axpy(-1.0, gradient);
    gradient_there.norm() <= gradient_norm
}

/// The status if the step ‖∇g‖/L is below the rounding of x; `None` otherwise.
pub(super) fn lost<X: Vector>(
    x: &X,
    gradient_norm: f64,
    smoothness: f64,
    value_there: f64,
) -> Option<SolveStatus> {
    let moves = gradient_norm > smoothness * X::UNIT_ROUNDOFF * x.norm();
    match (moves && smoothness.is_finite(), value_there.is_finite()) {
        (true, _) => None,
        (false, true) => Some(SolveStatus::Stagnated),
        (false, false) => Some(SolveStatus::NotFinite),
    }
}
