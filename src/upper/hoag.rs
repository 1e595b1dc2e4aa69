//! HOAG: hyperparameter optimisation with approximate gradient.
//!
//! ```text
//! ε_k = ε₀ s(k), δ_k = δ₀ s(k);     z_k, f_k ← hypergradient(θ_k, ε_k, δ_k);   θ_{k+1} = θ_k − z_k/Λ
//! ```
//!
//! The tolerances follow a schedule that is fixed in advance: exponential 0.9ᵏ, quadratic 1/(k+1)², cubic 1/(k+1)³. The step 1/Λ
//! adapts to the observed decrease, with a slack for the tolerances, M = 1 for the Lipschitz constant of the upper value in ε, and
//! Δ = θ_k − θ_{k−1}:
//!
//! ```text
//! slack = ε_k + ε_{k−1}(M + ‖Δ‖)
//! f_k ≤ f_{k−1} + slack − Λ‖Δ‖²/2 :   the model held, Λ ← 0.95 Λ
//! f_k > f_{k−1} + slack :             the step was too long, Λ ← 2Λ
//! f_k ≥ f_{k−1} + 0.2 |f_{k−1}| :     and it is taken back: θ_k ← θ_{k−1}, tolerances halved
//! ```
//!
//! The first step has length one in θ: Λ₀ = ‖z₀‖. No step is certified; the iterates converge to a stationary point when the tolerances are
//! summable and 1/Λ is small enough.
//!
//! # Reference
//! F. Pedregosa: Hyperparameter optimization with approximate gradient. ICML 2016,
//! [arXiv:1602.02355](https://arxiv.org/abs/1602.02355).

use serde::{Deserialize, Serialize};

use super::descent::accuracy::ToleranceSchedule;
use super::solver::{Iteration, Solver, Step, check_theta, converged, evaluate, solver_state};
use crate::error::{Error, positive};
use crate::hypergradient::{Accuracy, Hypergradient};
use crate::oracle::Oracle;
use crate::status::Status;
use crate::vector::Vector;

/// A step is taken back where the upper value has grown by this share or more.
const REJECT_ABOVE: f64 = 0.2;

/// HOAG with one of its three tolerance schedules. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hoag {
    /// The tolerance schedule.
    pub schedule: ToleranceSchedule,
    /// ε₀ and δ₀.
    pub initial: Accuracy,
    /// The smallest tolerance.
    pub floor: f64,
    /// The first step 1/Λ₀; `None` for a step of length one in θ.
    pub initial_step: Option<f64>,
}

impl Hoag {
    /// HOAG with a schedule and the first tolerance 0.1.
    pub fn new(schedule: ToleranceSchedule) -> Self {
        Hoag {
            schedule,
            initial: Accuracy {
                epsilon: 0.1,
                delta: 0.1,
            },
            floor: 1e-12,
            initial_step: None,
        }
    }
}

/// The state of [`Hoag`].
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct HoagState<T, S> {
    theta: T,
    /// The argument k of the schedule.
    k: u64,
    /// The factor of the tolerances from rejected steps: ½ per rejection.
    tightening: f64,
    /// Λ; `None` before the first step.
    lipschitz: Option<f64>,
    /// The last accepted point: θ, z, f and ε there.
    last: Option<(T, T, f64, f64)>,
    oracle: S,
}

solver_state!([] HoagState<O::Theta, O::State>);

impl Hoag {
    fn accuracy_at<T, S>(&self, s: &HoagState<T, S>) -> Accuracy {
        let factor = s.tightening * self.schedule.factor(s.k);
        Accuracy {
            epsilon: (self.initial.epsilon * factor).max(self.floor),
            delta: (self.initial.delta * factor).max(self.floor),
        }
    }

    /// The hypergradient at θ. Where θ has left the domain, the step was too long: θ goes back, and the next step is half as long.
    fn evaluate_or_go_back<O: Oracle>(
        &self,
        oracle: &O,
        s: &mut HoagState<O::Theta, O::State>,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        let accuracy = self.accuracy_at(s);
        let failure = match evaluate(oracle, &s.theta, accuracy, &mut s.oracle) {
            Err(e @ (Error::NotFinite { .. } | Error::InvalidArgument { .. })) => e,
            other => return other,
        };
        let Some((theta, ..)) = s.last.take() else {
            return Err(failure);
        };
        s.theta = theta;
        s.lipschitz = s.lipschitz.map(|l| 2.0 * l);
        evaluate(oracle, &s.theta, accuracy, &mut s.oracle)
    }
}

impl<O: Oracle> Solver<O> for Hoag {
    type State = HoagState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        positive("initial.epsilon", self.initial.epsilon)?;
        positive("initial.delta", self.initial.delta)?;
        positive("floor", self.floor)?;
        if let Some(step) = self.initial_step {
            positive("initial_step", step)?;
        }
        check_theta(&theta)?;
        Ok(HoagState {
            oracle: oracle.start(&theta)?,
            theta,
            k: 0,
            tightening: 1.0,
            lipschitz: self.initial_step.map(|s| 1.0 / s),
            last: None,
        })
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        let accuracy = self.accuracy_at(s);
        let (mut iteration, z) = self.evaluate_or_go_back(oracle, s)?;
        if converged(iteration.gradient_norm, &z, tolerance) {
            return Ok(Step::Ended(Status::Converged, iteration, z));
        }
        let norm = z.gradient.norm();
        if norm == 0.0 {
            return Ok(Step::Ended(Status::Stalled, iteration, z));
        }
        let lipschitz = s.lipschitz.get_or_insert(norm.max(f64::MIN_POSITIVE));
        let value = z.value.value;
        let mut gradient = z.gradient.clone();
        if let Some((theta, last_gradient, last_value, last_epsilon)) = s.last.take() {
            let mut moved = s.theta.clone();
            moved.axpy(-1.0, &theta);
            let length = moved.norm();
            let slack = accuracy.epsilon + last_epsilon * (1.0 + length);
            if value <= last_value + slack - 0.5 * *lipschitz * length * length {
                *lipschitz *= 0.95;
            } else if value > last_value + slack {
                *lipschitz *= 2.0;
                if value >= last_value + REJECT_ABOVE * last_value.abs() {
                    s.tightening *= 0.5;
                    s.theta = theta;
                    gradient = last_gradient;
                    s.last = Some((s.theta.clone(), gradient.clone(), last_value, last_epsilon));
                }
            }
        }
        if !lipschitz.is_finite() {
            return Ok(Step::Ended(Status::Diverged, iteration, z));
        }
        let step = 1.0 / *lipschitz;
        if s.last.is_none() {
            s.last = Some((s.theta.clone(), gradient.clone(), value, accuracy.epsilon));
        }
        s.theta.axpy(-step, &gradient);
        s.k += 1;
        iteration.step = Some(step);
        Ok(Step::Moved(iteration))
    }

    fn evaluate(
        &self,
        oracle: &O,
        s: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        self.evaluate_or_go_back(oracle, s)
    }

    fn accuracy(&self, s: &Self::State) -> Accuracy {
        self.accuracy_at(s)
    }

    fn name(&self) -> String {
        format!("HOAG {}", format!("{:?}", self.schedule).to_lowercase())
    }
}
