//! The state of a backtracking solver and its step: choose a direction, try step lengths, move.

use serde::{Deserialize, Serialize};

use super::constraint::Reduced;
use super::direction::{Curvature, Direction, Memory};
use super::line_search::{Backtracking, Past, Values};
use crate::error::Error;
use crate::hypergradient::{Accuracy, Hypergradient, Trust};
use crate::oracle::Oracle;
use crate::upper::solver::{Iteration, solver_state};
use crate::vector::Vector;
use search::{Found, Search};

mod search;

/// A first trial step is at most this many times as long as the last step, where that is stored: the curvature along the last step is not
/// representative further away.
const REACH: f64 = 10.0;
/// The growth of the trial step after a step without positive curvature.
const EXPAND: f64 = 2.0;

/// The part of a solver's state that the line search reads and moves.
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct Iterate<T, S> {
    /// θ.
    pub(crate) theta: T,
    /// The state of the oracle at θ.
    pub(crate) oracle: S,
    /// β, the first trial step; `None` before the first line search.
    step: Option<f64>,
    /// θ, z and ω before the last step, where the rule needs them.
    last: Option<(T, T, f64)>,
    memory: Memory<T>,
    past: Past,
}

/// The direction p of a search along −p, with its first trial step.
pub(crate) struct SearchDirection<T> {
    /// p; `None` for z itself.
    p: Option<T>,
    /// The quantity that ω is compared with: ⟨z, p⟩/‖p‖, or π(z) where θ is constrained.
    pub(crate) steepness: f64,
    /// The steepness of the preferred p: less than `steepness` where z replaced an oblique p.
    pub(crate) preferred: f64,
    /// ‖p‖.
    length: f64,
    /// The first trial step.
    alpha: f64,
    /// The curvature along the step that led to θ.
    pub(crate) curvature: Curvature<T>,
}

/// The values that the acceptance test compares.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum CompareBy {
    /// Computed values, treated as exact.
    Computed,
    /// Bounds.
    Bounds,
    /// Goal-oriented estimates.
    GoalOriented,
}

/// The terms of a search.
pub(crate) struct Terms {
    pub(crate) compare: CompareBy,
    /// λη: the share of Δ that an accepted step must achieve.
    pub(crate) share: f64,
    /// ε of the trials.
    pub(crate) epsilon: f64,
    /// The maximum number of trials.
    pub(crate) trials: u64,
    /// Whether the search ends with the first trial that only the width of its bounds keeps from acceptance.
    pub(crate) stop_on_wide_bounds: bool,
}

/// How a search ended.
pub(crate) enum Searched {
    /// θ moved.
    Moved,
    /// No trial was accepted.
    Failed,
    /// A trial would have been accepted with bounds narrower by this factor.
    TooWide(f64),
}

solver_state!([] Iterate<O::Theta, O::State>);

impl<T: Vector, S> Iterate<T, S> {
    /// The state at θ₀, projected onto the constraint.
    pub(crate) fn new(rule: &Backtracking, mut theta: T, oracle: S) -> Self {
        if rule.constraint.penalty(&theta) == 0.0 {
            rule.constraint.project(1.0, &mut theta);
        }
        Iterate {
            theta,
            oracle,
            step: None,
            last: None,
            memory: Memory::new(),
            past: Past::default(),
        }
    }

    /// The hypergradient at θ, with the penalty in its values, and the row that describes it.
    pub(crate) fn hypergradient<O: Oracle<Theta = T, State = S>>(
        &mut self,
        rule: &Backtracking,
        oracle: &O,
        accuracy: Accuracy,
    ) -> Result<(Iteration, Hypergradient<T>), Error> {
        let mut z = oracle.hypergradient(&self.theta, accuracy, &mut self.oracle)?;
        let penalty = rule.constraint.penalty(&self.theta);
        z.value.value += penalty;
        z.value.lower += penalty;
        z.value.upper += penalty;
        z.goal_oriented += penalty;
        if rule.values == Values::GoalOriented {
            z.trust = z.trust.min(Trust::Estimated);
            z.value.trust = z.value.trust.min(Trust::Estimated);
        }
        let mut row = Iteration::new(&self.theta, accuracy, &z);
        row.gradient_norm = rule.constraint.stationarity(&self.theta, &z.gradient);
        row.hypergradients = 1;
        row.work = z.work;
        Ok((row, z))
    }

    /// The direction and the first trial step. An oblique p that is less steep than `needed` is replaced by z.
    pub(crate) fn search_direction(
        &self,
        rule: &Backtracking,
        z: &Hypergradient<T>,
        row: &Iteration,
        needed: f64,
    ) -> SearchDirection<T> {
        let here = (&self.theta, &z.gradient, z.error_bound);
        // ‖s‖, of the last step.
        let (curvature, last) = match &self.last {
            None => (Curvature::None, None),
            Some((theta, gradient, omega)) => {
                let mut s = self.theta.clone();
                s.axpy(-1.0, theta);
                (
                    Curvature::between(rule.direction, (theta, gradient, *omega), here),
                    Some(s.norm()),
                )
            }
        };
        let reach = last.map_or(f64::INFINITY, |last| REACH * last);
        let pair = curvature.pair();
        // The next trial step along a direction of this length. For L-BFGS steps along z and along p have different scales, so their lengths
        // in θ are compared.
        let grown = |length: f64| {
            let unknown = match curvature {
                Curvature::Negative => true,
                Curvature::Noisy => self.memory.is_empty(),
                _ => false,
            };
            match (rule.direction, last) {
                _ if !unknown => self.step,
                (Direction::Lbfgs { .. }, Some(last)) => Some(EXPAND * last / length),
                _ => self.step.map(|step| EXPAND * step / rule.growth),
            }
        };
        let reduced = rule.constraint.reduced(&self.theta, &z.gradient);
        let oblique = match (rule.direction, &reduced) {
            (Direction::Steepest, _) | (_, Reduced::Steepest) => None,
            (direction, Reduced::All) => self.memory.apply(direction, &z.gradient, pair),
            (direction, Reduced::Face(face)) => self.memory.apply(direction, face, pair),
        };
        let mut preferred = row.gradient_norm;
        if let Some(mut p) = oblique {
            if let Reduced::Face(face) = &reduced {
                // Project onto the face that z was reduced to.
                let face = face.to_f64();
                let entries = p.to_f64();
                p.assign(&mut |i| if face[i] == 0.0 { 0.0 } else { entries[i] });
            }
            let length = p.norm();
            let slope = z.gradient.dot(&p);
            let alpha = match (rule.direction, &curvature, grown(length)) {
                (Direction::Lbfgs { .. }, Curvature::Negative, Some(grown)) => grown.max(1.0),
                (Direction::Lbfgs { .. }, ..) => 1.0,
                (_, _, Some(grown)) => grown,
                (_, _, None) => rule.first_step(z.value.value, slope, length),
            };
            let alpha = alpha.min(reach / length);
            let steepness = if rule.constraint.is_none() {
                slope / length
            } else {
                let mut there = self.theta.clone();
                there.axpy(-alpha, &p);
                rule.constraint.project(alpha, &mut there);
                let (predicted, length) = self.predicted(rule, &z.gradient, &there);
                predicted / length
            };
            if steepness > 0.0 && steepness.is_finite() {
                preferred = steepness;
            }
            if preferred == steepness && steepness >= needed {
                return SearchDirection {
                    p: Some(p),
                    steepness,
                    preferred,
                    length,
                    alpha,
                    curvature,
                };
            }
        }
        let norm = z.gradient.norm();
        let alpha = match (rule.direction, grown(norm)) {
            (_, None) => rule.first_step(z.value.value, norm * norm, norm),
            // The last step was not along −z, so its scale does not apply.
            (Direction::Lbfgs { .. }, Some(grown)) => self.memory.scale(pair).unwrap_or(grown),
            (_, Some(grown)) => rule.next_step(grown, pair),
        };
        SearchDirection {
            p: None,
            steepness: row.gradient_norm,
            preferred,
            length: norm,
            alpha,
            curvature,
        }
    }

    /// Δ(s) and ‖s‖ of the step s to `there`.
    fn predicted(&self, rule: &Backtracking, z: &T, there: &T) -> (f64, f64) {
        let mut s = there.clone();
        s.axpy(-1.0, &self.theta);
        let penalty = |theta| rule.constraint.penalty(theta);
        (penalty(&self.theta) - penalty(there) - z.dot(&s), s.norm())
    }

    /// Tries steps from warm starts at θ and moves to the first accepted one, or further where the rule extrapolates. `row` receives α, the
    /// number of trials and their work.
    ///
    /// A trial at which the problem is undefined or not finite counts as too long a step, not as an error.
    pub(crate) fn search<O: Oracle<Theta = T, State = S>>(
        &mut self,
        rule: &Backtracking,
        oracle: &O,
        z: &Hypergradient<T>,
        direction: SearchDirection<T>,
        terms: &Terms,
        row: &mut Iteration,
    ) -> Result<Searched, Error> {
        self.step.get_or_insert(direction.alpha);
        let here = match terms.compare {
            CompareBy::Computed => z.value.value,
            CompareBy::Bounds => z.value.lower,
            CompareBy::GoalOriented => z.goal_oriented,
        };
        let search = Search {
            from: self,
            rule,
            oracle,
            z,
            direction: &direction,
            terms,
            here,
            reference: self.past.reference(rule.acceptance, here),
        };
        let (found, trial) = search.run(row)?;
        oracle.end_trial(&mut self.oracle, trial, matches!(found, Found::Step { .. }));
        match found {
            Found::Step { alpha, theta } => {
                self.past.commit(rule.acceptance, here);
                self.memory
                    .commit(rule.direction, &z.gradient, direction.curvature);
                let before = std::mem::replace(&mut self.theta, theta);
                if rule.remembers() {
                    self.last = Some((before, z.gradient.clone(), z.error_bound));
                }
                self.step = Some(rule.growth * alpha);
                row.step = Some(alpha);
                Ok(Searched::Moved)
            }
            Found::TooWide(factor) => Ok(Searched::TooWide(factor)),
            Found::Nothing => {
                if direction.p.is_some() {
                    // The pairs may come from another region.
                    self.memory.clear();
                }
                Ok(Searched::Failed)
            }
        }
    }
}
