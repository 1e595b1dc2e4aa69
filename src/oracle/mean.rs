//! The mean over independent samples.

use super::{Oracle, Scales};
use crate::crc32::Crc32;
use crate::error::Error;
use crate::hypergradient::{Accuracy, BoundedValue, Evaluation, Hypergradient};
use crate::parallel;
use crate::status::SolveStatus;
use crate::vector::Vector;
use crate::work::Work;

/// F(θ) = (1/m) Σᵢ Fᵢ(θ): samples that share θ and nothing else, such as images.
///
/// The samples are solved in parallel, each from its own warm start and to the requested accuracy; its attained accuracy, not the requested
/// one, enters its bounds. The bounds of the mean are the means of the bounds. Results are added in the order of the samples and do not
/// depend on the number of threads.
pub struct Mean<O> {
    terms: Vec<O>,
}

impl<O: Oracle> Mean<O> {
    /// The mean of the terms.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty list.
    pub fn new(terms: Vec<O>) -> Result<Self, Error> {
        if terms.is_empty() {
            return Err(Error::invalid("terms", "empty", "at least one sample"));
        }
        Ok(Mean { terms })
    }

    /// The mean of the images of the terms under `f`.
    pub fn map<Q>(self, f: impl FnMut(O) -> Q) -> Mean<Q> {
        Mean {
            terms: self.terms.into_iter().map(f).collect(),
        }
    }

    /// The samples.
    pub fn terms(&self) -> &[O] {
        &self.terms
    }

    fn check_samples(&self, states: &[O::State]) -> Result<(), Error> {
        if states.len() == self.terms.len() {
            Ok(())
        } else {
            Err(Error::invalid(
                "state",
                format!("{} samples", states.len()),
                format!("{} samples", self.terms.len()),
            ))
        }
    }

    /// Calls `f` for every sample with its state, in parallel, and returns the results in the order of the samples.
    fn each<R: Send>(
        &self,
        states: &mut [O::State],
        f: impl Fn(&O, &mut O::State) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        self.check_samples(states)?;
        let mut slots: Vec<_> = states.iter_mut().map(|state| (state, None)).collect();
        parallel::for_each(&mut slots, |i, (state, result)| {
            *result = Some(f(&self.terms[i], state));
        });
        slots.into_iter().filter_map(|(_, result)| result).collect()
    }
}

/// The mean of bounded numbers, with the lowest trust among them.
fn mean(values: impl ExactSizeIterator<Item = BoundedValue> + Clone) -> BoundedValue {
    let m = values.len() as f64;
    let average =
        |part: fn(&BoundedValue) -> f64| values.clone().map(|v| part(&v)).sum::<f64>() / m;
    BoundedValue {
        value: average(|v| v.value),
        lower: average(|v| v.lower),
        upper: average(|v| v.upper),
        trust: values
            .clone()
            .map(|v| v.trust)
            .min()
            .unwrap_or(crate::Trust::Unknown),
    }
}

impl<O: Oracle> Oracle for Mean<O> {
    type Theta = O::Theta;
    type State = Vec<O::State>;

    fn start(&self, theta: &O::Theta) -> Result<Self::State, Error> {
        self.terms.iter().map(|t| t.start(theta)).collect()
    }

    fn value(
        &self,
        theta: &O::Theta,
        epsilon: f64,
        states: &mut Self::State,
    ) -> Result<Evaluation, Error> {
        let parts = self.each(states, |term, state| term.value(theta, epsilon, state))?;
        let mut work = Work::default();
        let mut status = SolveStatus::Converged;
        for part in &parts {
            work += part.work;
            status = status.worst(part.status);
        }
        Ok(Evaluation {
            value: mean(parts.iter().map(|p| p.value)),
            epsilon: parts.iter().map(|p| p.epsilon).fold(0.0, f64::max),
            status,
            work,
        })
    }

    fn hypergradient(
        &self,
        theta: &O::Theta,
        accuracy: Accuracy,
        states: &mut Self::State,
    ) -> Result<Hypergradient<O::Theta>, Error> {
        let mut parts = self.each(states, |term, state| {
            term.hypergradient(theta, accuracy, state)
        })?;
        let share = 1.0 / parts.len() as f64;
        let value = mean(parts.iter().map(|p| p.value));
        let mut total = parts.remove(0);
        total.gradient.scale(share);
        total.error_bound *= share;
        if let Some(correction) = &mut total.correction {
            correction.scale(share);
        }
        total.goal_oriented *= share;
        for part in parts {
            total.gradient.axpy(share, &part.gradient);
            total.error_bound += share * part.error_bound;
            total.correction = match (total.correction, &part.correction) {
                (Some(mut sum), Some(correction)) => {
                    sum.axpy(share, correction);
                    Some(sum)
                }
                _ => None,
            };
            total.goal_oriented += share * part.goal_oriented;
            total.trust = total.trust.min(part.trust);
            total.attained.epsilon = total.attained.epsilon.max(part.attained.epsilon);
            total.attained.delta = total.attained.delta.max(part.attained.delta);
            total.lower_status = total.lower_status.worst(part.lower_status);
            total.adjoint_status = total.adjoint_status.worst(part.adjoint_status);
            if total.attempts.is_empty() {
                total.attempts = part.attempts;
            }
            total.work += part.work;
        }
        total.value = value;
        if let Some(correction) = &total.correction {
            // The errors of the samples are known with their signs, so they partly cancel.
            total.error_bound = total.error_bound.min(correction.norm());
        }
        Ok(total)
    }

    fn correction(
        &self,
        theta: &O::Theta,
        states: &Self::State,
        trials: &Self::State,
        work: &mut Work,
    ) -> f64 {
        let mut slots: Vec<_> = states.iter().zip(trials).map(|pair| (pair, None)).collect();
        parallel::for_each(&mut slots, |i, ((state, trial), result)| {
            let mut work = Work::default();
            let correction = self.terms[i].correction(theta, state, trial, &mut work);
            *result = Some((correction, work));
        });
        let mut total = 0.0;
        for (correction, done) in slots.into_iter().filter_map(|(_, result)| result) {
            total += correction;
            *work += done;
        }
        total / self.terms.len() as f64
    }

    fn begin_trial(&self, states: &Self::State) -> Self::State {
        let terms = self.terms.iter().zip(states);
        terms.map(|(term, state)| term.begin_trial(state)).collect()
    }

    fn reset_trial(&self, states: &Self::State, trials: &mut Self::State) {
        for ((term, state), trial) in self.terms.iter().zip(states).zip(trials) {
            term.reset_trial(state, trial);
        }
    }

    fn end_trial(&self, states: &mut Self::State, trials: Self::State, accepted: bool) {
        for ((term, state), trial) in self.terms.iter().zip(states).zip(trials) {
            term.end_trial(state, trial, accepted);
        }
    }

    /// The largest sizes of x* and ∇ₓf among the samples, which share an accuracy, and the size of the mean.
    fn scales(&self, theta: &O::Theta) -> Result<Scales, Error> {
        let mut slots: Vec<_> = self.terms.iter().map(|term| (term, None)).collect();
        parallel::for_each(&mut slots, |_, (term, scales)| {
            *scales = Some(term.scales(theta));
        });
        let found: Result<Vec<Scales>, Error> = slots.into_iter().filter_map(|(_, s)| s).collect();
        let found = found?;
        let largest = |size: fn(&Scales) -> f64| found.iter().map(size).fold(0.0, f64::max);
        Ok(Scales {
            epsilon: largest(|s| s.epsilon),
            delta: largest(|s| s.delta),
            value: found.iter().map(|s| s.value).sum::<f64>() / found.len() as f64,
        })
    }

    fn check(&self, theta: &O::Theta, states: &Self::State) -> Result<(), Error> {
        self.check_samples(states)?;
        let mut terms = self.terms.iter().zip(states);
        terms.try_for_each(|(term, state)| term.check(theta, state))
    }

    fn probe(&self, theta: &O::Theta, states: &Self::State) -> f64 {
        let terms = self.terms.iter().zip(states);
        terms.map(|(term, state)| term.probe(theta, state)).sum()
    }

    fn identity(&self) -> String {
        // The samples share their settings; one checksum covers the data of all.
        let mut checksum = Crc32::new();
        for term in &self.terms {
            checksum.update(term.identity().as_bytes());
        }
        format!(
            "mean of {} ({:08x}): {}",
            self.terms.len(),
            checksum.finish(),
            self.terms[0].identity()
        )
    }
}
