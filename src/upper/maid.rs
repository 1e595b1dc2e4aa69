//! MAID: the method of adaptive inexact descent.
//!
//! Backtracking gradient descent on F that sees only inexact values and hypergradients, and sets its own accuracies.
//!
//! ```text
//! for k = 0, 1, …:
//!   for j = j₀, j₀+1, …:
//!     loop: z, ω ← hypergradient(θ, ε, δ)                        until −z is provably a descent direction
//!           if ω ≤ (1 − η)‖z‖: break;   ε ← ν̲ε, δ ← ν̲δ
//!     for i = 0 … j−1:  α = β ρⁱ;  θ⁺ = θ − α z
//!           accept if  U(θ⁺) − L(θ) ≤ −λ η α ‖z‖²                on the bounds L ≤ F ≤ U
//!     if accepted: break;   ε ← ν̲ε, δ ← ν̲δ                       the accuracy may have caused the failure
//!   θ ← θ⁺;   β ← ρ̄ α;   ε ← ν̄ε, δ ← ν̄δ
//! ```
//!
//! # Guarantee
//! ω ≤ (1 − η)‖z‖ gives ⟨∇F, z⟩ ≥ ‖z‖² − ω‖z‖ ≥ η‖z‖², so −z is a direction of descent. F(θ⁺) ≤ U(θ⁺) and L(θ) ≤ F(θ), so every
//! accepted step decreases the exact F by at least λη α‖z‖². With [`Trust::Certified`](crate::Trust) this is proved;
//! with estimated bounds it is as likely as the bounds are.
//!
//! The run converges when ‖z‖ + ω ≤ tolerance, which bounds ‖∇F(θ)‖. It ends with [`Status::AccuracyFloor`] when descent can no longer be
//! shown because the inner problems cannot be solved more accurately, and with [`Status::Stalled`] when descent is shown and yet no step is
//! accepted.
//!
//! # Variants of MAID
//! The algorithm above has the default direction p = z. [`Backtracking`] selects the direction, the trial step, the acceptance test, the
//! values that are compared, and a constraint; [`AdaptiveAccuracy`] selects how far an accuracy is tightened. In general, with p the
//! direction, Δ the predicted decrease of a step and R the reference value:
//!
//! ```text
//! leave the first loop when  ω ≤ (1 − η)⟨z, p⟩/‖p‖;   accept if  U(θ⁺) − R ≤ −λη Δ,   Δ = α⟨z, p⟩
//! ```
//!
//! Every monotone variant keeps the guarantee. [`Maid::lbfgs`] is the first choice where F is smooth, which is nearly always.
//!
//! # When to prefer another
//! Adaptive accuracy pays when the lower level is ill-conditioned (κ above about 5) or its accuracy unknown in advance. On a
//! cheap lower level a fixed accuracy ([`GradientDescent`](super::GradientDescent)) can be faster.
//!
//! # Reference
//! M. S. Salehi, S. Mukherjee, L. Roberts, M. J. Ehrhardt: An adaptively inexact first-order method for bilevel optimization
//! with application to hyperparameter learning. SIAM J. Math. Data Sci. (2025),
//! [arXiv:2308.10098](https://arxiv.org/abs/2308.10098).

use serde::{Deserialize, Serialize};

use super::descent::accuracy::{AccuracySlack, AdaptiveAccuracy};
use super::descent::direction::Curvature;
use super::descent::iterate::{CompareBy, Iterate, Searched, Terms};
use super::descent::line_search::{Acceptance, Backtracking, FirstStep, TrialStep, Values};
use super::solver::{Iteration, Solver, Step, check_theta, converged, solver_state};
use super::{Adaptation, Direction};
use crate::error::{Error, in_unit_interval};
use crate::hypergradient::{Accuracy, Hypergradient};
use crate::oracle::Oracle;
use crate::status::{SolveStatus, Status};
use crate::vector::Vector;
use crate::work::Work;

/// The method of adaptive inexact descent. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Maid {
    /// ε₀, δ₀, ν̲, ν̄.
    pub accuracy: AdaptiveAccuracy,
    /// β₀, ρ, ρ̄, λ; the direction, the acceptance, the constraint.
    pub line_search: Backtracking,
    /// η ∈ (0, 1): the share of the descent along −z that must be certain (default 0.1, see the chapter on MAID in the guide).
    pub margin: f64,
    /// j₀ ≥ 1: backtracking trials before a failed search tightens the accuracy (default 10).
    pub first_trials: u64,
}

impl Default for Maid {
    fn default() -> Self {
        Maid {
            accuracy: AdaptiveAccuracy::default(),
            line_search: Backtracking::default(),
            margin: 0.1,
            first_trials: 10,
        }
    }
}

impl Maid {
    /// MAID with the first accuracies ε₀ = δ₀ = `accuracy`.
    pub fn with_accuracy(accuracy: f64) -> Self {
        let mut maid = Maid::default();
        maid.accuracy.initial = Accuracy {
            epsilon: accuracy,
            delta: accuracy,
        };
        maid
    }

    /// MAID with the L-BFGS direction: the first choice among the variants. Monotone and certified.
    pub fn lbfgs() -> Self {
        let mut maid = Maid::variant();
        maid.line_search.direction = Direction::Lbfgs { memory: 20 };
        maid
    }

    /// [`lbfgs`](Maid::lbfgs) with longer trial steps after a success: the first choice where a value costs a fraction of a hypergradient, as
    /// through a training run. Monotone, and certified where the oracle is.
    pub fn extrapolating() -> Self {
        let mut maid = Maid::lbfgs();
        maid.line_search.extrapolate = true;
        maid
    }

    /// MAID with Barzilai–Borwein trial steps. Monotone and certified.
    pub fn barzilai_borwein() -> Self {
        let mut maid = Maid::variant();
        maid.line_search.trial = TrialStep::Alternating;
        maid
    }

    /// MAID with Barzilai–Borwein trial steps and a non-monotone acceptance test: the reference is a weighted average of past values.
    pub fn non_monotone() -> Self {
        let mut maid = Maid::barzilai_borwein();
        maid.line_search.acceptance = Acceptance::Average { weight: 0.85 };
        maid
    }

    /// MAID with a diagonal scaling of the direction, as in AdaGrad. Monotone and certified.
    pub fn diagonal() -> Self {
        let mut maid = Maid::variant();
        maid.line_search.direction = Direction::Diagonal { decay: 1.0 };
        maid
    }

    /// [`lbfgs`](Maid::lbfgs) with goal-oriented values in its line search: estimated, never certified.
    pub fn goal_oriented() -> Self {
        let mut maid = Maid::lbfgs();
        maid.line_search.values = Values::GoalOriented;
        maid
    }

    /// The settings that the variants share: the accuracy adapts in proportion to the deficit.
    fn variant() -> Self {
        let mut maid = Maid::default();
        maid.accuracy.adaptation = Adaptation::Proportional;
        maid.line_search.first = FirstStep::Value;
        maid.line_search.interpolate = true;
        maid
    }
}

/// The state of [`Maid`].
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct MaidState<T, S> {
    at: Iterate<T, S>,
    accuracy: Accuracy,
}

solver_state!([] MaidState<O::Theta, O::State>, .at);

impl<O: Oracle> Solver<O> for Maid {
    type State = MaidState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        self.accuracy.check()?;
        self.line_search.check(theta.len())?;
        in_unit_interval("margin", self.margin)?;
        if self.first_trials == 0 {
            return Err(Error::invalid("first_trials", 0, "at least 1"));
        }
        check_theta(&theta)?;
        let state = oracle.start(&theta)?;
        Ok(MaidState {
            at: Iterate::new(&self.line_search, theta, state),
            accuracy: self.accuracy.initial,
        })
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        let (rule, eta) = (&self.line_search, self.margin);
        // Totals of this step so far.
        let (mut work, mut hypergradients, mut trials) = (Work::default(), 0, 0);
        let mut j = self.first_trials;
        loop {
            // InexactGradient
            let (z, mut row, direction) = loop {
                let (mut row, z) = s.at.hypergradient(rule, oracle, s.accuracy)?;
                work += z.work;
                hypergradients += 1;
                (row.work, row.hypergradients, row.trials) = (work, hypergradients, trials);
                if z.is_unbounded_by_choice() {
                    return Err(Error::invalid(
                        "trust",
                        "unknown",
                        "certified or estimated bounds, which MAID rests on",
                    ));
                }
                if converged(row.gradient_norm, &z, tolerance) {
                    return Ok(Step::Ended(Status::Converged, row, z));
                }
                let needed = z.error_bound / (1.0 - eta);
                let direction = s.at.search_direction(rule, &z, &row, needed);
                if direction.steepness >= needed {
                    break (z, row, direction);
                }
                match self.tighten(s.accuracy, &z, needed / direction.steepness) {
                    Some(tighter) => s.accuracy = tighter,
                    None => return Ok(Step::Ended(Status::AccuracyFloor, row, z)),
                }
            };
            // Inexact line search
            let terms = Terms {
                compare: match rule.values {
                    Values::Bounds => CompareBy::Bounds,
                    Values::GoalOriented => CompareBy::GoalOriented,
                },
                share: rule.decrease * eta,
                epsilon: s.accuracy.epsilon,
                trials: j,
                stop_on_wide_bounds: self.accuracy.adaptation == Adaptation::Proportional,
            };
            let slack = match (rule.direction, &direction.curvature) {
                (Direction::Lbfgs { .. }, Curvature::Noisy) => AccuracySlack::NoisyPair,
                (Direction::Lbfgs { .. }, _) => {
                    AccuracySlack::Factor((1.0 - eta) * direction.preferred / z.error_bound)
                }
                _ => AccuracySlack::NotLimiting,
            };
            let deficit = match s.at.search(rule, oracle, &z, direction, &terms, &mut row)? {
                Searched::Moved => {
                    if let Some(next) = self.accuracy.after_success(s.accuracy, slack)
                        && (next.epsilon >= s.accuracy.epsilon
                            || z.status() == SolveStatus::Converged)
                    {
                        s.accuracy = next;
                    }
                    return Ok(Step::Moved(row));
                }
                Searched::TooWide(deficit) => deficit,
                Searched::Failed => 1.0,
            };
            match self.tighten(s.accuracy, &z, deficit) {
                Some(tighter) => s.accuracy = tighter,
                None => return Ok(Step::Ended(Status::Stalled, row, z)),
            }
            (work, trials) = (row.work, row.trials);
            j += 1;
        }
    }

    fn evaluate(
        &self,
        oracle: &O,
        s: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        s.at.hypergradient(&self.line_search, oracle, s.accuracy)
    }

    fn accuracy(&self, s: &Self::State) -> Accuracy {
        s.accuracy
    }

    fn name(&self) -> String {
        let mut name = String::from("MAID");
        match self.line_search.direction {
            Direction::Steepest => {}
            Direction::Diagonal { .. } => name.push_str(", diagonal"),
            Direction::Lbfgs { .. } => name.push_str(", L-BFGS"),
        }
        if self.line_search.trial != TrialStep::Growing {
            name.push_str(", BB");
        }
        if self.line_search.acceptance != Acceptance::Monotone {
            name.push_str(", non-monotone");
        }
        if self.line_search.extrapolate {
            name.push_str(", extrapolating");
        }
        if self.line_search.values == Values::GoalOriented {
            name.push_str(", goal-oriented");
        }
        name
    }
}

impl Maid {
    /// The next tighter accuracy; `None` at the floor, or where the inner solvers did not reach the current one.
    fn tighten<T>(
        &self,
        accuracy: Accuracy,
        z: &Hypergradient<T>,
        deficit: f64,
    ) -> Option<Accuracy> {
        // Exact solutions cannot be improved.
        let exact = z.attained.epsilon == 0.0 && z.attained.delta == 0.0;
        match z.status() {
            SolveStatus::Converged if !exact => self.accuracy.tightened(accuracy, deficit),
            _ => None,
        }
    }
}
