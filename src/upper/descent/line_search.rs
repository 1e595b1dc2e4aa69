//! The line search along −p: the trial steps and the acceptance test.
//!
//! ```text
//! θ⁺ = P_α(θ − αp);  Δ = α⟨z, p⟩, or the predicted decrease of the step where θ is constrained
//! accept when  V(θ⁺) − R ≤ −λη Δ
//! ```
//!
//! V and R are values at θ⁺ and before it:
//!
//! | values | V(θ⁺) | at an earlier θ | what an accepted step proves |
//! |---|---|---|---|
//! | bounds | U(θ⁺) ≥ F(θ⁺) | L(θ) ≤ F(θ) | F(θ⁺) ≤ R − ληΔ |
//! | goal-oriented | f(x̃⁺) − ⟨q, ∇ₓg(x̃⁺, θ⁺)⟩ | f(x̃) − ⟨q, ∇ₓg(x̃, θ)⟩ | nothing: the trust is estimated |
//!
//! | acceptance | R | what holds of the exact F |
//! |---|---|---|
//! | monotone | L(θ_k) | F(θ⁺) < F(θ_k) |
//! | max | the largest of the last M values L(θ_j) | F(θ⁺) < max F(θ_j) over these |
//! | average | C_k = (wQ_{k−1}C_{k−1} + L(θ_k))/Q_k, Q_k = wQ_{k−1} + 1; at least L(θ_k) | F(θ⁺) < a weighted mean of all F(θ_j), or F(θ_k) |
//!
//! The proof is one line: R is a mean or a maximum of lower bounds, hence at most that of the exact values.
//!
//! # Goal-oriented values
//! A trial has no adjoint of its own; q is the one at θ. With e = x̃⁺ − x*(θ⁺), f(x̃⁺) − F(θ⁺) = ⟨∇ₓf, e⟩ + O(ε²), and ∇ₓg(x̃⁺, θ⁺) = A⁺e + O(ε²).
//! The adjoint q⁺ at θ⁺ would give ⟨q⁺, A⁺e⟩ = ⟨∇ₓf, e⟩; q differs from it by O(‖θ⁺ − θ‖ + ε + δ). The error of the estimate is therefore
//! O(ε² + εδ + ε‖θ⁺ − θ‖): not of second order in ε alone. But the last term decreases with the step as Δ does, like the ω‖θ⁺ − θ‖ of the
//! descent test, so a short step needs no more accuracy than its direction, where bounds need ε ≪ Δ.
//!
//! # References
//! J. Barzilai, J. Borwein: Two-point step size gradient methods. IMA J. Numer. Anal. 8 (1988),
//! [doi:10.1093/imanum/8.1.141](https://doi.org/10.1093/imanum/8.1.141).
//! H. Zhang, W. Hager: A nonmonotone line search technique. SIAM J. Optim. 14 (2004),
//! [doi:10.1137/S1052623403428208](https://doi.org/10.1137/S1052623403428208).
//! L. Grippo, F. Lampariello, S. Lucidi: A nonmonotone line search technique for Newton's method. SIAM J. Numer. Anal. 23 (1986),
//! [doi:10.1137/0723046](https://doi.org/10.1137/0723046): the maximum.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use super::constraint::Constraint;
use super::direction::{Direction, Pair};
use crate::error::{Error, in_unit_interval, positive};
use crate::vector::Vector;

/// A Barzilai–Borwein step is at most this factor away from the last accepted one.
const SAFEGUARD: f64 = 1e3;
/// The alternating rule takes the short step where it is below this share of the long one.
const ALTERNATE_BELOW: f64 = 0.5;
/// The smallest and the largest factor of an extrapolated step. At a third of the way to its minimum a parabola has achieved more than half
/// of its decrease, so a smaller factor would not pay for a trial.
const EXTRAPOLATE: (f64, f64) = (3.0, 4.0);
/// An interpolated step is at least this share of the one that failed.
const INTERPOLATE_AT_LEAST: f64 = 1e-3;

/// A backtracking line search: the direction, the trial steps along it, the acceptance test, and the constraint. The trial steps are
/// α = β ρⁱ, i = 0, 1, …; after a success β ← ρ̄ α, or as `trial` sets it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Backtracking {
    /// β₀; with `None` (the default), `first` sets it.
    pub initial_step: Option<f64>,
    /// ρ ∈ (0, 1) (default 0.5).
    pub shrink: f64,
    /// ρ̄ ≥ 1 (default 10/9).
    pub growth: f64,
    /// λ ∈ (0, 1): the share of the predicted decrease that an accepted step must achieve (default 1e-4).
    pub decrease: f64,
    /// p (default z).
    pub direction: Direction,
    /// β₀ where `initial_step` is not set (default: a step of length one in θ).
    pub first: FirstStep,
    /// β after a success (default: growing). L-BFGS always starts with 1.
    pub trial: TrialStep,
    /// Whether a failed trial is followed by the minimum of the parabola through F(θ), its slope and F(θ⁺), where that is shorter than ρα
    /// (default false).
    pub interpolate: bool,
    /// Whether an accepted first trial is followed by longer ones, by up to four times each, as long as that parabola has its minimum further
    /// out and the values decrease (default false). It pays where a value costs much less than a hypergradient, as through a training run.
    pub extrapolate: bool,
    /// R (default monotone).
    pub acceptance: Acceptance,
    /// V (default bounds).
    pub values: Values,
    /// The constraint on θ (default none).
    pub constraint: Constraint,
}

impl Default for Backtracking {
    fn default() -> Self {
        Backtracking {
            initial_step: None,
            shrink: 0.5,
            growth: 10.0 / 9.0,
            decrease: 1e-4,
            direction: Direction::default(),
            first: FirstStep::default(),
            trial: TrialStep::default(),
            interpolate: false,
            extrapolate: false,
            acceptance: Acceptance::default(),
            values: Values::default(),
            constraint: Constraint::default(),
        }
    }
}

/// The first trial step of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FirstStep {
    /// Length one in θ: 1/‖p‖, for θ whose entries are logarithms.
    #[default]
    Unit,
    /// The smaller of 1/‖p‖ and F(θ₀)/⟨z, p⟩, which would reduce a linear F to zero. The latter is invariant under scalings of θ and F; on a
    /// quadratic with F* ≥ 0 it is at least 1/(2L), so it is never far too short.
    Value,
}

/// The first trial step after a success.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialStep {
    /// ρ̄ α.
    #[default]
    Growing,
    /// Barzilai and Borwein's longer step ⟨s, s⟩/⟨s, y⟩.
    Long,
    /// Their shorter step ⟨s, y⟩/⟨y, y⟩.
    Short,
    /// The shorter one where it is below half of the longer one, else the longer one.
    Alternating,
}

/// The reference R of the acceptance test. See the [module](self).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Acceptance {
    /// The current value.
    #[default]
    Monotone,
    /// The weighted average of all values.
    Average {
        /// w ∈ (0, 1): the weight of the past; small is nearly monotone.
        weight: f64,
    },
    /// The largest of the last values.
    Max {
        /// M ≥ 1: the number of values, the current one included.
        memory: usize,
    },
}

/// The values that are compared. See the [module](self).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Values {
    /// Bounds of F: an accepted decrease is proved, with the trust of the bounds.
    #[default]
    Bounds,
    /// Goal-oriented estimates of F. A run with them is never certified.
    GoalOriented,
}

impl Backtracking {
    pub(crate) fn check(&self, theta_len: usize) -> Result<(), Error> {
        in_unit_interval("line_search.shrink", self.shrink)?;
        in_unit_interval("line_search.decrease", self.decrease)?;
        if let Some(step) = self.initial_step {
            positive("line_search.initial_step", step)?;
        }
        if !(self.growth >= 1.0 && self.growth.is_finite()) {
            return Err(Error::invalid(
                "line_search.growth",
                self.growth,
                "a finite number of at least 1",
            ));
        }
        match self.acceptance {
            Acceptance::Average { weight } => {
                in_unit_interval("acceptance.weight", weight)?;
            }
            Acceptance::Max { memory: 0 } => {
                return Err(Error::invalid("acceptance.memory", 0, "at least 1"));
            }
            _ => {}
        }
        self.direction.check()?;
        self.constraint.check(theta_len)
    }

    /// Whether the rule needs the previous point.
    pub(crate) fn remembers(&self) -> bool {
        self.trial != TrialStep::Growing || self.direction != Direction::Steepest
    }

    /// The first step along p with the value F at θ, the slope ⟨z, p⟩ and the length ‖p‖.
    pub(crate) fn first_step(&self, value: f64, slope: f64, length: f64) -> f64 {
        let unit = 1.0 / length;
        self.initial_step.unwrap_or(match self.first {
            FirstStep::Unit => unit,
            FirstStep::Value => {
                let step = value / slope;
                if step > 0.0 && step.is_finite() {
                    step.min(unit)
                } else {
                    unit
                }
            }
        })
    }

    /// The next trial step along −z, `grown` being ρ̄ α.
    pub(crate) fn next_step<T: Vector>(&self, grown: f64, pair: Option<&Pair<T>>) -> f64 {
        let Some(pair) = pair else { return grown };
        let (long, short) = (pair.long_step(), pair.short_step());
        let step = match self.trial {
            TrialStep::Growing => return grown,
            TrialStep::Long => long,
            TrialStep::Short => short,
            TrialStep::Alternating if short < ALTERNATE_BELOW * long => short,
            TrialStep::Alternating => long,
        };
        let last = grown / self.growth;
        step.clamp(last / SAFEGUARD, last * SAFEGUARD)
    }

    /// The trial step after α has failed with the predicted decrease Δ and this change of the value.
    pub(crate) fn shorter(&self, alpha: f64, predicted: f64, change: f64) -> f64 {
        let rho = if self.interpolate {
            let t = least(predicted, change);
            t.clamp(INTERPOLATE_AT_LEAST, self.shrink)
        } else {
            self.shrink
        };
        alpha * if rho.is_nan() { self.shrink } else { rho }
    }

    /// The trial step after α was accepted, where the parabola has its minimum far beyond α or is concave.
    pub(crate) fn longer(&self, alpha: f64, predicted: f64, change: f64) -> Option<f64> {
        let (at_least, at_most) = EXTRAPOLATE;
        let t = if change + predicted > 0.0 {
            least(predicted, change)
        } else {
            at_most
        };
        (t >= at_least).then(|| alpha * t.min(at_most))
    }
}

/// The minimum of the parabola −Δt + (change + Δ)t², which has the slope and both values of F on t = α⁺/α.
fn least(predicted: f64, change: f64) -> f64 {
    0.5 * predicted / (change + predicted)
}

/// The previous values, as far as the acceptance test needs them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Past {
    /// The last values, the newest at the back.
    last: VecDeque<f64>,
    /// Q and C of the average.
    average: (f64, f64),
}

impl Past {
    /// R, with `here` the value at the current θ.
    pub(crate) fn reference(&self, rule: Acceptance, here: f64) -> f64 {
        match rule {
            Acceptance::Monotone => here,
            Acceptance::Max { .. } => self.last.iter().copied().fold(here, f64::max),
            Acceptance::Average { weight } => self.averaged(weight, here).1.max(here),
        }
    }

    fn averaged(&self, weight: f64, here: f64) -> (f64, f64) {
        let (q, c) = self.average;
        let next = weight * q + 1.0;
        (next, (weight * q * c + here) / next)
    }

    /// Stores the value at the θ that is left.
    pub(crate) fn commit(&mut self, rule: Acceptance, here: f64) {
        match rule {
            Acceptance::Monotone => {}
            Acceptance::Max { memory } => {
                self.last.push_back(here);
                while self.last.len() >= memory {
                    self.last.pop_front();
                }
            }
            Acceptance::Average { weight } => self.average = self.averaged(weight, here),
        }
    }
}
