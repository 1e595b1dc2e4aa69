//! Schedules for the accuracies ε and δ of the inner problems.

use serde::{Deserialize, Serialize};

use crate::error::{Error, in_unit_interval, positive};
use crate::hypergradient::Accuracy;

/// Tighter when a test fails for want of accuracy, looser after every success.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdaptiveAccuracy {
    /// ε₀ and δ₀ (default 0.1 each).
    pub initial: Accuracy,
    /// By how much (default geometric).
    pub adaptation: Adaptation,
    /// ν̲ ∈ (0, 1): both are multiplied by it when a test fails (default 0.5).
    pub shrink: f64,
    /// ν̄ ≥ 1: both are multiplied by it after an accepted step (default 1.05), without an upper limit.
    pub growth: f64,
    /// Below this ε or δ is not tightened any more (default 1e-14); rounding usually binds before.
    pub floor: f64,
}

/// By how much an accuracy is tightened when a test fails for want of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adaptation {
    /// By the factor ν̲, however far the test was from passing.
    #[default]
    Geometric,
    /// By ν̲ and by the factor that the test was missed by, so that one more evaluation is enough; and a search ends with the first
    /// trial that only the width of its bounds kept from passing.
    Proportional,
}

/// The most that a proportional adaptation tightens by at once.
const AT_MOST: f64 = 1e3;
/// A quasi-Newton direction is to pass its descent test with ω at most this share of what the test allows: the next one may be
/// more oblique.
const KEPT_ROOM: f64 = 0.5;
/// The factor by which a success tightens at most: a single direction across z may be an accident.
const AT_LEAST: f64 = 0.1;

/// The room that an accepted step's direction left for ω.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum AccuracySlack {
    /// The direction does not suffer from a lack of it.
    NotLimiting,
    /// ω might have been this many times as large; below one, the direction that was wanted was refused.
    Factor(f64),
    /// The pair that led there drowned in the noise: the next one is to be clearer.
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
        room: AccuracySlack,
    ) -> Option<Accuracy> {
        let factor = match room {
            AccuracySlack::NotLimiting => self.growth,
            AccuracySlack::Factor(room) => (KEPT_ROOM * room).clamp(AT_LEAST, self.growth),
            AccuracySlack::NoisyPair => self.shrink,
        };
        let next = accuracy.scaled(factor);
        (factor >= 1.0 || self.allows(next)).then_some(next)
    }

    /// ε and δ tightened after a test that was missed by the factor `missed`; `None` at the floor.
    pub(crate) fn tightened(&self, accuracy: Accuracy, missed: f64) -> Option<Accuracy> {
        let factor = match self.adaptation {
            Adaptation::Geometric => self.shrink,
            Adaptation::Proportional => self.shrink / missed.clamp(1.0, AT_MOST),
        };
        Some(accuracy.scaled(factor)).filter(|next| self.allows(*next))
    }

    /// Whether ε and δ are above the floor.
    pub(crate) fn allows(&self, accuracy: Accuracy) -> bool {
        accuracy.epsilon.min(accuracy.delta) >= self.floor
    }
}

/// A tolerance law: ε_k = δ_k, decreasing with k whatever happens.
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
    fn laws_are_one_at_the_start_and_summable() {
        for law in [
            ToleranceSchedule::Exponential,
            ToleranceSchedule::Quadratic,
            ToleranceSchedule::Cubic,
        ] {
            assert_eq!(law.factor(0), 1.0);
            let sum: f64 = (0..100_000).map(|k| law.factor(k)).sum();
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
