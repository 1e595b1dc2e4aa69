//! Schedules for the accuracies ε and δ of the inner problems.

use serde::{Deserialize, Serialize};

use crate::error::{Error, in_unit_interval, positive};
use crate::hypergradient::Accuracy;

/// An adaptive schedule: tighter when a test fails for lack of accuracy, looser after every accepted step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveAccuracy {
    /// ε₀ and δ₀ (default 0.1 each).
    pub initial: Accuracy,
    /// How far a failed test tightens the accuracy (default geometric).
    pub adaptation: Adaptation,
    /// ν̲ ∈ (0, 1): the factor of ε and δ when a test fails (default 0.5).
    pub shrink: f64,
    /// ν̄ ≥ 1: the factor of ε and δ after an accepted step (default 1.05), without an upper limit.
    pub growth: f64,
    /// The smallest ε and δ (default 1e-14); rounding usually limits the accuracy before.
    pub floor: f64,
}

/// How far a failed test tightens the accuracy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adaptation {
    /// By the factor ν̲, however far the test was from passing.
    #[default]
    Geometric,
    /// By ν̲ and by the factor that the accuracy was short of, so that one more evaluation is enough. A search ends with the first trial that
    /// only the width of its bounds keeps from acceptance.
    Proportional,
}

/// The largest factor by which a proportional adaptation tightens at once.
const AT_MOST: f64 = 1e3;
/// The target for a quasi-Newton direction: ω at most this share of the limit of its descent test, since the next direction may be more
/// oblique.
const RESERVE: f64 = 0.5;
/// The smallest factor of ε and δ after a success: a single direction nearly orthogonal to z may be an exception.
const AT_LEAST: f64 = 0.1;

/// The slack in ω that the direction of an accepted step left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AccuracySlack {
    /// ω does not limit this kind of direction.
    NotLimiting,
    /// ω could have been larger by this factor; below one, the preferred direction was refused.
    Factor(f64),
    /// The last curvature pair was lost in the noise of the hypergradients, which the next accuracy reduces.
    NoisyPair,
}

impl Default for AdaptiveAccuracy {
    fn default() -> Self {
        AdaptiveAccuracy {
            initial: Accuracy {
                epsilon: 0.1,
                delta: 0.1,
            },
            adaptation: Adaptation::default(),
            shrink: 0.5,
            growth: 1.05,
            floor: 1e-14,
        }
    }
}

impl AdaptiveAccuracy {
    pub(crate) fn check(&self) -> Result<(), Error> {
        Accuracy::new(self.initial.epsilon, self.initial.delta)?;
        in_unit_interval("accuracy.shrink", self.shrink)?;
        positive("accuracy.floor", self.floor)?;
        if !(self.growth >= 1.0 && self.growth.is_finite()) {
            return Err(Error::invalid(
                "accuracy.growth",
                self.growth,
                "a finite number of at least 1",
            ));
        }
        Ok(())
    }

    /// ε and δ after an accepted step; `None` at the floor.
    pub(crate) fn after_success(
        &self,
        accuracy: Accuracy,
        slack: AccuracySlack,
    ) -> Option<Accuracy> {
        let factor = match slack {
            AccuracySlack::NotLimiting => self.growth,
            AccuracySlack::Factor(slack) => (RESERVE * slack).clamp(AT_LEAST, self.growth),
            AccuracySlack::NoisyPair => self.shrink,
        };
        let next = accuracy.scaled(factor);
        (factor >= 1.0 || self.allows(next)).then_some(next)
    }

    /// ε and δ tightened after a test whose accuracy was short by the factor `deficit`; `None` at the floor.
    pub(crate) fn tightened(&self, accuracy: Accuracy, deficit: f64) -> Option<Accuracy> {
        let factor = match self.adaptation {
            Adaptation::Geometric => self.shrink,
            Adaptation::Proportional => self.shrink / deficit.clamp(1.0, AT_MOST),
        };
        Some(accuracy.scaled(factor)).filter(|next| self.allows(*next))
    }

    /// Whether ε and δ are above the floor.
    pub(crate) fn allows(&self, accuracy: Accuracy) -> bool {
        accuracy.epsilon.min(accuracy.delta) >= self.floor
    }
}

/// A tolerance schedule that is fixed in advance: ε_k and δ_k decrease with k alone.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToleranceSchedule {
    /// 0.9ᵏ
    Exponential,
    /// 1/(k+1)²
    Quadratic,
    /// 1/(k+1)³
    Cubic,
}

impl ToleranceSchedule {
    /// The factor of the first tolerance at iteration k.
    pub fn factor(self, k: u64) -> f64 {
        let n = k as f64 + 1.0;
        match self {
            ToleranceSchedule::Exponential => 0.9f64.powf(k as f64),
            ToleranceSchedule::Quadratic => n.powi(-2),
            ToleranceSchedule::Cubic => n.powi(-3),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_one_at_the_start_and_summable() {
        for schedule in [
            ToleranceSchedule::Exponential,
            ToleranceSchedule::Quadratic,
            ToleranceSchedule::Cubic,
        ] {
            assert_eq!(schedule.factor(0), 1.0);
            let sum: f64 = (0..100_000).map(|k| schedule.factor(k)).sum();
            assert!(sum < 11.0);
        }
    }

    #[test]
    fn the_floor_ends_the_tightening() {
        let schedule = AdaptiveAccuracy::default();
        let mut accuracy = schedule.initial;
        let mut times = 0;
        while let Some(next) = schedule.tightened(accuracy, 3.0) {
            accuracy = next;
            times += 1;
        }
        assert_eq!(times, 43, "0.1 · 2⁻⁴³ ≥ 1e-14 > 0.1 · 2⁻⁴⁴");
    }
}
