//! The trials of one search along −p.

use super::{CompareBy, Iterate, SearchDirection, Terms};
use crate::error::Error;
use crate::hypergradient::{Evaluation, Hypergradient};
use crate::oracle::Oracle;
use crate::upper::descent::line_search::Backtracking;
use crate::upper::solver::Iteration;
use crate::vector::Vector;

/// A search from θ, with the values that its trials are compared with.
pub(super) struct Search<'a, T, S, O> {
    pub(super) from: &'a Iterate<T, S>,
    pub(super) rule: &'a Backtracking,
    pub(super) oracle: &'a O,
    pub(super) z: &'a Hypergradient<T>,
    pub(super) direction: &'a SearchDirection<T>,
    pub(super) terms: &'a Terms,
    /// F(θ), in the values that are compared.
    pub(super) here: f64,
    /// The reference value of the acceptance test: F(θ), or a value of earlier iterates.
    pub(super) reference: f64,
}

/// The result of a search.
pub(super) enum Found<T> {
    /// An accepted step and the θ that it leads to.
    Step { alpha: f64, theta: T },
    /// A trial that would have been accepted with bounds narrower by this factor.
    TooWide(f64),
    /// Neither.
    Nothing,
}

/// A trial: the computed value, the value that is compared, and the required decrease.
struct Tried {
    computed: f64,
    there: f64,
    required: f64,
    accepted: bool,
}

impl<T: Vector, S, O: Oracle<Theta = T, State = S>> Search<'_, T, S, O> {
    /// Tries steps until one is accepted; also returns the state of the oracle after the last trial.
    pub(super) fn run(&self, row: &mut Iteration) -> Result<(Found<T>, S), Error> {
        let mut alpha = self.direction.alpha;
        let mut candidate = self.from.theta.clone();
        let mut trial = self.oracle.begin_trial(&self.from.oracle);
        let mut found = Found::Nothing;
        for i in 0..self.terms.trials {
            if i > 0 {
                self.oracle.reset_trial(&self.from.oracle, &mut trial);
            }
            let required = self.place(alpha, &mut candidate);
            let Some(tried) = self.evaluate(&candidate, &mut trial, required, row)? else {
                alpha *= self.rule.shrink;
                continue;
            };
            if tried.accepted && self.rule.extrapolate && i == 0 {
                return self.extrapolate(alpha, tried, candidate, trial, row);
            }
            if tried.accepted {
                let theta = candidate;
                return Ok((Found::Step { alpha, theta }, trial));
            }
            if self.terms.compare == CompareBy::Bounds {
                let width = (tried.there - tried.computed) + (self.z.value.value - self.here);
                let seen = self.reference - tried.there + width;
                if seen > required && width.is_finite() {
                    found = Found::TooWide(width / (seen - required));
                    if self.terms.stop_on_wide_bounds {
                        break;
                    }
                }
            }
            alpha = self
                .rule
                .shorter(alpha, required / self.terms.share, self.change(&tried));
        }
        Ok((found, trial))
    }

    /// Continues from an accepted trial to longer ones, as long as the parabola through the last one has its minimum further out and the
    /// longer ones are accepted and better.
    fn extrapolate(
        &self,
        mut alpha: f64,
        mut best: Tried,
        mut theta: T,
        mut state: S,
        row: &mut Iteration,
    ) -> Result<(Found<T>, S), Error> {
        let mut candidate = theta.clone();
        // The first trial of this search is the accepted one.
        for _ in 1..self.terms.trials {
            let predicted = best.required / self.terms.share;
            let Some(longer) = self.rule.longer(alpha, predicted, self.change(&best)) else {
                break;
            };
            let required = self.place(longer, &mut candidate);
            if candidate.to_f64() == theta.to_f64() {
                break; // a corner of the feasible set
            }
            let mut trial = self.oracle.begin_trial(&state);
            let tried = self.evaluate(&candidate, &mut trial, required, row)?;
            let better = tried.filter(|tried| tried.accepted && tried.there < best.there);
            // An accepted trial becomes the best state, which later becomes that of θ.
            self.oracle.end_trial(&mut state, trial, better.is_some());
            let Some(better) = better else { break };
            (alpha, best) = (longer, better);
            std::mem::swap(&mut theta, &mut candidate);
        }
        Ok((Found::Step { alpha, theta }, state))
    }

    /// candidate ← P_α(θ − αp); returns the required decrease, λη Δ of that step.
    fn place(&self, alpha: f64, candidate: &mut T) -> f64 {
        let constraint = &self.rule.constraint;
        candidate.copy_from(&self.from.theta);
        candidate.axpy(
            -alpha,
            self.direction.p.as_ref().unwrap_or(&self.z.gradient),
        );
        if constraint.is_none() {
            return self.terms.share * alpha * self.direction.steepness * self.direction.length;
        }
        constraint.project(alpha, candidate);
        let (predicted, _) = self.from.predicted(self.rule, &self.z.gradient, candidate);
        self.terms.share * predicted
    }

    /// Evaluates a trial and tests its acceptance; `None` where the problem is undefined or not finite.
    fn evaluate(
        &self,
        candidate: &T,
        trial: &mut S,
        required: f64,
        row: &mut Iteration,
    ) -> Result<Option<Tried>, Error> {
        row.trials += 1;
        let value = self.oracle.value(candidate, self.terms.epsilon, trial);
        let Evaluation { value, work, .. } = match value {
            Ok(evaluation) => evaluation,
            Err(Error::NotFinite { .. } | Error::InvalidArgument { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        row.work += work;
        let penalty = self.rule.constraint.penalty(candidate);
        let computed = value.value + penalty;
        let reference = self.reference;
        // Values that are not bounds must also lie below the reference: a decrease lost in rounding does not count.
        let (there, accepted) = match self.terms.compare {
            CompareBy::Computed => (
                computed,
                computed < reference && computed <= reference - required,
            ),
            CompareBy::Bounds => {
                let upper = value.upper + penalty;
                (upper, upper - reference <= -required)
            }
            CompareBy::GoalOriented => {
                let (state, work) = (&self.from.oracle, &mut row.work);
                let error = self.oracle.correction(candidate, state, trial, work);
                let there = computed - error;
                (there, there < reference && there <= reference - required)
            }
        };
        Ok(Some(Tried {
            computed,
            there,
            required,
            accepted: accepted && required > 0.0,
        }))
    }

    /// F(θ⁺) − F(θ), as an estimate.
    fn change(&self, tried: &Tried) -> f64 {
        match self.terms.compare {
            CompareBy::Bounds => tried.computed - self.z.value.value,
            _ => tried.there - self.here,
        }
    }
}
