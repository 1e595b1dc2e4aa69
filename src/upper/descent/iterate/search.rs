//! The trials of one search along −p.

use super::{CompareBy, Iterate, SearchDirection, Terms};
use crate::error::Error;
use crate::hypergradient::{Evaluation, Hypergradient};
use crate::oracle::Oracle;
use crate::upper::Iteration;
use crate::upper::descent::line_search::Backtracking;
use crate::vector::Vector;

/// A search from θ, and what its trials are held against.
pub(super) struct Search<'a, T, S, O> {
    pub(super) from: &'a Iterate<T, S>,
    pub(super) rule: &'a Backtracking,
    pub(super) oracle: &'a O,
    pub(super) z: &'a Hypergradient<T>,
    pub(super) aim: &'a SearchDirection<T>,
    pub(super) terms: &'a Terms,
    /// F(θ), as the judge sees it.
    pub(super) here: f64,
    /// What a trial has to lie below: F(θ), or that of earlier iterates.
    pub(super) reference: f64,
}

/// What a search found.
pub(super) enum Found<T> {
    /// A step that was accepted, and where it leads.
    Step { alpha: f64, theta: T },
    /// A trial that would have been accepted, were the bounds this factor narrower.
    TooWide(f64),
    /// No such trial.
    Nothing,
}

/// A trial: the computed value, the one that is compared, and the share of Δ that had to be seen.
struct Tried {
    computed: f64,
    there: f64,
    promised: f64,
    accepted: bool,
}

impl<T: Vector, S, O: Oracle<Theta = T, State = S>> Search<'_, T, S, O> {
    /// Tries steps until one is accepted; returns what the oracle learned in the last trial, too.
    pub(super) fn run(&self, row: &mut Iteration) -> Result<(Found<T>, S), Error> {
        let mut alpha = self.aim.alpha;
        let mut candidate = self.from.theta.clone();
        let mut trial = self.oracle.begin_trial(&self.from.oracle);
        let mut found = Found::Nothing;
        for i in 0..self.terms.trials {
            if i > 0 {
                self.oracle.reset_trial(&self.from.oracle, &mut trial);
            }
            let promised = self.place(alpha, &mut candidate);
            let Some(tried) = self.look(&candidate, &mut trial, promised, row)? else {
                alpha *= self.rule.shrink;
                continue;
            };
            if tried.accepted && self.rule.extrapolate && i == 0 {
                return self.go_on(alpha, tried, candidate, trial, row);
            }
            if tried.accepted {
                let theta = candidate;
                return Ok((Found::Step { alpha, theta }, trial));
            }
            if self.terms.judge == CompareBy::Bounds {
                let width = (tried.there - tried.computed) + (self.z.value.value - self.here);
                let seen = self.reference - tried.there + width;
                if seen > promised && width.is_finite() {
                    found = Found::TooWide(width / (seen - promised));
                    if self.terms.stop_on_wide_bounds {
                        break;
                    }
                }
            }
            alpha = self
                .rule
                .shorter(alpha, promised / self.terms.share, self.change(&tried));
        }
        Ok((found, trial))
    }

    /// From an accepted trial on to longer ones, as long as the parabola through the last of them has its minimum further out, and they are
    /// accepted and better.
    fn go_on(
        &self,
        mut alpha: f64,
        mut best: Tried,
        mut theta: T,
        mut state: S,
        row: &mut Iteration,
    ) -> Result<(Found<T>, S), Error> {
        let mut candidate = theta.clone();
        // The first of this search was the one that was accepted.
        for _ in 1..self.terms.trials {
            let promise = best.promised / self.terms.share;
            let Some(longer) = self.rule.longer(alpha, promise, self.change(&best)) else {
                break;
            };
            let promised = self.place(longer, &mut candidate);
            if candidate.to_f64() == theta.to_f64() {
                break; // a corner of what θ is constrained to
            }
            let mut trial = self.oracle.begin_trial(&state);
            let tried = self.look(&candidate, &mut trial, promised, row)?;
            let better = tried.filter(|tried| tried.accepted && tried.there < best.there);
            // What it learned is part of the best one from here on, as that will be of θ.
            self.oracle.end_trial(&mut state, trial, better.is_some());
            let Some(better) = better else { break };
            (alpha, best) = (longer, better);
            std::mem::swap(&mut theta, &mut candidate);
        }
        Ok((Found::Step { alpha, theta }, state))
    }

    /// candidate ← P_α(θ − αp); returns the share of Δ of that step that must be seen.
    fn place(&self, alpha: f64, candidate: &mut T) -> f64 {
        let constraint = &self.rule.constraint;
        candidate.copy_from(&self.from.theta);
        candidate.axpy(-alpha, self.aim.p.as_ref().unwrap_or(&self.z.gradient));
        if constraint.is_none() {
            return self.terms.share * alpha * self.aim.steepness * self.aim.length;
        }
        constraint.project(alpha, candidate);
        let (promise, _) = self.from.promise(self.rule, &self.z.gradient, candidate);
        self.terms.share * promise
    }

    /// Evaluates a trial and judges it; `None` where the problem is not defined or not finite.
    fn look(
        &self,
        candidate: &T,
        trial: &mut S,
        promised: f64,
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
        // Below the reference, too, where values are not bounds: a decrease that drowns in rounding is none.
        let (there, accepted) = match self.terms.judge {
            CompareBy::Computed => (
                computed,
                computed < reference && computed <= reference - promised,
            ),
            CompareBy::Bounds => {
                let upper = value.upper + penalty;
                (upper, upper - reference <= -promised)
            }
            CompareBy::GoalOriented => {
                let (state, work) = (&self.from.oracle, &mut row.work);
                let error = self.oracle.correction(candidate, state, trial, work);
                let there = computed - error;
                (there, there < reference && there <= reference - promised)
            }
        };
        Ok(Some(Tried {
            computed,
            there,
            promised,
            accepted: accepted && promised > 0.0,
        }))
    }

    /// F(θ⁺) − F(θ), as an estimate.
    fn change(&self, tried: &Tried) -> f64 {
        match self.terms.judge {
            CompareBy::Bounds => tried.computed - self.z.value.value,
            _ => tried.there - self.here,
        }
    }
}
