//! Where a backtracking solver stands, and its step: aim, try, move.

use serde::{Deserialize, Serialize};

use super::constraint::Reduced;
use super::direction::{Curvature, Direction, Memory};
use super::line_search::{Backtracking, Past, Values};
use crate::error::Error;
use crate::hypergradient::{Accuracy, Hypergradient, Trust};
use crate::oracle::Oracle;
use crate::upper::Iteration;
use crate::vector::Vector;
use search::{Found, Search};

mod search;

/// A first trial step is at most this many times as long as the last step, where that is remembered: beyond, its curvature says little.
const REACH: f64 = 10.0;
/// A step along which no positive curvature was seen is followed by one this many times as long.
const EXPAND: f64 = 2.0;

/// The part of a solver's state that the line search reads and moves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct Iterate<T, S> {
    /// θ.
    pub(crate) theta: T,
    /// What the oracle remembers at θ.
    pub(crate) oracle: S,
    /// β, the first trial step; `None` before the first line search.
    step: Option<f64>,
    /// θ, z and ω before the last step, where a part of the search reads them.
    last: Option<(T, T, f64)>,
    memory: Memory<T>,
    past: Past,
}

/// What a search along −p rests on.
pub(crate) struct SearchDirection<T> {
    /// p; `None` for z itself.
    p: Option<T>,
    /// What ω is held against: ⟨z, p⟩/‖p‖, or π(z) where θ is constrained.
    pub(crate) steepness: f64,
    /// The same of the p that was wanted: less than `steepness` where an oblique one gave way to z.
    pub(crate) wanted: f64,
    /// ‖p‖.
    length: f64,
    /// The first trial step.
    alpha: f64,
    /// The curvature along the step that led to θ.
    pub(crate) curvature: Curvature<T>,
}

/// Which values decide.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum CompareBy {
    /// Computed values, taken for exact.
    Computed,
    /// Bounds.
    Bounds,
    /// Goal-oriented estimates.
    GoalOriented,
}

/// The terms of a search.
pub(crate) struct Terms {
    pub(crate) judge: CompareBy,
    /// λη: the share of Δ that must be seen.
    pub(crate) share: f64,
    /// ε of the trials.
    pub(crate) epsilon: f64,
    /// How many, at most.
    pub(crate) trials: u64,
    /// Whether a trial that fails for the width of its bounds alone ends the search.
    pub(crate) stop_on_wide_bounds: bool,
}

/// How a search ended.
pub(crate) enum Searched {
    /// θ moved.
    Moved,
    /// No trial was accepted.
    Failed,
    /// A trial would have been accepted, were the bounds this factor narrower.
    TooWide(f64),
}

impl<T: Vector, S> Iterate<T, S> {
    /// At θ₀, which the constraint projects.
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
    pub(crate) fn evaluate<O: Oracle<Theta = T, State = S>>(
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

    /// The direction and the first step. An oblique p that is less steep than `needed` gives way to z.
    pub(crate) fn aim(
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
        // The step along a direction of this length that follows from the last one. L-BFGS has steps of other scales along z and along p:
        // it goes by their lengths.
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
            (Direction::Steepest, _) | (_, Reduced::Unfit) => None,
            (direction, Reduced::All) => self.memory.apply(direction, &z.gradient, pair),
            (direction, Reduced::Face(face)) => self.memory.apply(direction, face, pair),
        };
        let mut wanted = row.gradient_norm;
        if let Some(mut p) = oblique {
            if let Reduced::Face(face) = &reduced {
                // Back into the face that z was reduced to.
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
                let (promise, length) = self.promise(rule, &z.gradient, &there);
                promise / length
            };
            if steepness > 0.0 && steepness.is_finite() {
                wanted = steepness;
            }
            if wanted == steepness && steepness >= needed {
                return SearchDirection {
                    p: Some(p),
                    steepness,
                    wanted,
                    length,
                    alpha,
                    curvature,
                };
            }
        }
        let norm = z.gradient.norm();
        let alpha = match (rule.direction, grown(norm)) {
            (_, None) => rule.first_step(z.value.value, norm * norm, norm),
            // The last step was not along −z: it has another scale.
            (Direction::Lbfgs { .. }, Some(grown)) => self.memory.scale(pair).unwrap_or(grown),
            (_, Some(grown)) => rule.next_step(grown, pair),
        };
        SearchDirection {
            p: None,
            steepness: row.gradient_norm,
            wanted,
            length: norm,
            alpha,
            curvature,
        }
    }

    /// Δ(s) and ‖s‖ of the step s to `there`.
    fn promise(&self, rule: &Backtracking, z: &T, there: &T) -> (f64, f64) {
        let mut s = there.clone();
        s.axpy(-1.0, &self.theta);
        let penalty = |theta| rule.constraint.penalty(theta);
        (penalty(&self.theta) - penalty(there) - z.dot(&s), s.norm())
    }

    /// Tries steps from warm starts at θ and moves to the first that is accepted, or further where the rule extrapolates. Its α, the trials
    /// and their work go into `row`.
    ///
    /// A trial at which the problem is not defined or not finite is a step too long, not an error.
    pub(crate) fn search<O: Oracle<Theta = T, State = S>>(
        &mut self,
        rule: &Backtracking,
        oracle: &O,
        z: &Hypergradient<T>,
        aim: SearchDirection<T>,
        terms: &Terms,
        row: &mut Iteration,
    ) -> Result<Searched, Error> {
        self.step.get_or_insert(aim.alpha);
        let here = match terms.judge {
            CompareBy::Computed => z.value.value,
            CompareBy::Bounds => z.value.lower,
            CompareBy::GoalOriented => z.goal_oriented,
        };
        let search = Search {
            from: self,
            rule,
            oracle,
            z,
            aim: &aim,
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
                    .commit(rule.direction, &z.gradient, aim.curvature);
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
                if aim.p.is_some() {
                    // The memory may be of another region: forget it.
                    self.memory.clear();
                }
                Ok(Searched::Failed)
            }
        }
    }
}
