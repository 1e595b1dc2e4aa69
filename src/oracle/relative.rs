//! An oracle in units of its own: whatever the units of F and x are, a solver sees the same numbers.

use super::Oracle;
use crate::error::Error;
use crate::hypergradient::{Accuracy, BoundedValue, Evaluation, Hypergradient};
use crate::run::Report;
use crate::vector::Vector;
use crate::work::Work;

/// The sizes of the quantities of a problem, in which a solver's accuracies and values are measured.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scales {
    /// ‖x*(θ)‖, or ‖∇ₓg‖ at the start of x where μ is not known. The unit of ε.
    pub epsilon: f64,
    /// ‖∇ₓf‖. The unit of δ.
    pub delta: f64,
    /// |F(θ)|, rounded to a power of two by [`Relative`]: the conversion of F, ∇F and their bounds is then exact.
    pub value: f64,
}

impl Default for Scales {
    fn default() -> Self {
        Scales {
            epsilon: 1.0,
            delta: 1.0,
            value: 1.0,
        }
    }
}

impl Scales {
    /// The same with 1 for a size that is zero or not finite.
    fn usable(self) -> Self {
        let usable = |size: f64| {
            if size > 0.0 && size.is_finite() {
                size
            } else {
                1.0
            }
        };
        Scales {
            epsilon: usable(self.epsilon),
            delta: usable(self.delta),
            value: usable(self.value)
                .log2()
                .round()
                .clamp(-1000.0, 1000.0)
                .exp2(),
        }
    }
}

/// F, its gradient and the accuracies in units of the [`Scales`] at one θ: ε in units of ‖x*‖, δ of ‖∇ₓf‖, F and ∇F of |F|. So a run from that θ
/// does not depend on the units of the data. [`restore`](Relative::restore) converts its report back.
#[doc(hidden)]
pub struct Relative<O> {
    oracle: O,
    scales: Scales,
    /// |F(θ)| at that θ, in these units.
    size: f64,
}

impl<O: Oracle> Relative<O> {
    /// The oracle in units of its sizes at θ.
    ///
    /// # Errors
    /// Those of the oracle at θ.
    pub fn new(oracle: O, theta: &O::Theta) -> Result<Self, Error> {
        let found = oracle.scales(theta)?;
        let scales = found.usable();
        Ok(Relative {
            oracle,
            scales,
            size: found.value / scales.value,
        })
    }

    /// |F(θ)| at the θ of the units, in these units: about 1, or 0. A tolerance relative to F is a multiple of it.
    pub fn size(&self) -> f64 {
        self.size
    }

    /// A value in other units.
    fn bounded(&self, value: BoundedValue, unit: f64) -> BoundedValue {
        BoundedValue {
            value: value.value * unit,
            lower: value.lower * unit,
            upper: value.upper * unit,
            trust: value.trust,
        }
    }

    /// The attained accuracy, times `factor` of the units.
    fn accuracy(&self, accuracy: Accuracy, factor: fn(f64) -> f64) -> Accuracy {
        Accuracy {
            epsilon: accuracy.epsilon * factor(self.scales.epsilon),
            delta: accuracy.delta * factor(self.scales.delta),
        }
    }

    /// The report of a run on this oracle, in the units of the problem. Steps stay as the solver took them, and a measure of stationarity under
    /// bounds is that of the run times |F|.
    pub fn restore(&self, mut report: Report<O::Theta>) -> Report<O::Theta> {
        let unit = self.scales.value;
        report.value = self.bounded(report.value, unit);
        report.goal_oriented *= unit;
        report.hypergradient.scale(unit);
        report.error_bound *= unit;
        report.attained = self.accuracy(report.attained, |scale| scale);
        for row in report.trace.rows_mut() {
            row.value = self.bounded(row.value, unit);
            row.gradient_norm *= unit;
            row.error_bound *= unit;
            row.accuracy = self.accuracy(row.accuracy, |scale| scale);
        }
        report
    }
}

impl<O: Oracle> Oracle for Relative<O> {
    type Theta = O::Theta;
    type State = O::State;

    fn start(&self, theta: &O::Theta) -> Result<O::State, Error> {
        self.oracle.start(theta)
    }

    fn value(
        &self,
        theta: &O::Theta,
        epsilon: f64,
        state: &mut O::State,
    ) -> Result<Evaluation, Error> {
        let epsilon = epsilon * self.scales.epsilon;
        let found = self.oracle.value(theta, epsilon, state)?;
        Ok(Evaluation {
            value: self.bounded(found.value, 1.0 / self.scales.value),
            epsilon: found.epsilon / self.scales.epsilon,
            ..found
        })
    }

    fn hypergradient(
        &self,
        theta: &O::Theta,
        accuracy: Accuracy,
        state: &mut O::State,
    ) -> Result<Hypergradient<O::Theta>, Error> {
        let accuracy = self.accuracy(accuracy, |scale| scale);
        let mut z = self.oracle.hypergradient(theta, accuracy, state)?;
        let unit = 1.0 / self.scales.value;
        z.gradient.scale(unit);
        z.error_bound *= unit;
        if let Some(correction) = &mut z.correction {
            correction.scale(unit);
        }
        z.value = self.bounded(z.value, unit);
        z.goal_oriented *= unit;
        z.attained = self.accuracy(z.attained, |scale| 1.0 / scale);
        Ok(z)
    }

    fn correction(
        &self,
        theta: &O::Theta,
        state: &O::State,
        trial: &O::State,
        work: &mut Work,
    ) -> f64 {
        self.oracle.correction(theta, state, trial, work) / self.scales.value
    }

    fn begin_trial(&self, state: &O::State) -> O::State {
        self.oracle.begin_trial(state)
    }

    fn reset_trial(&self, state: &O::State, trial: &mut O::State) {
        self.oracle.reset_trial(state, trial);
    }

    fn end_trial(&self, state: &mut O::State, trial: O::State, accepted: bool) {
        self.oracle.end_trial(state, trial, accepted);
    }

    fn scales(&self, _theta: &O::Theta) -> Result<Scales, Error> {
        Ok(Scales::default())
    }

    fn check(&self, theta: &O::Theta, state: &O::State) -> Result<(), Error> {
        self.oracle.check(theta, state)
    }

    fn probe(&self, theta: &O::Theta, state: &O::State) -> f64 {
        self.oracle.probe(theta, state)
    }

    fn identity(&self) -> String {
        let Scales {
            epsilon,
            delta,
            value,
        } = self.scales;
        let oracle = self.oracle.identity();
        format!("{oracle}, in units of {epsilon:?}, {delta:?} and {value:?}")
    }
}
