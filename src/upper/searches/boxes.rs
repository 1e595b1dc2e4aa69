//! The common part of searches over a box: the box, the state of a search, and the evaluation of one more point.
//!
//! ```text
//! θ the best point so far, v its value;   evaluate θ⁺:   v⁺ ← f(x̃(θ⁺));   θ, v ← θ⁺, v⁺  if v⁺ < v
//! ```
//!
//! Computed values of a fixed accuracy ε are treated as exact: two points whose bounds overlap may be in the wrong order. The first point
//! is θ₀. A point at which the problem is undefined or not finite is skipped.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::hypergradient::{Accuracy, BoundedValue};
use crate::oracle::Oracle;
use crate::status::Status;
use crate::upper::solver::{Iteration, Step, check_theta, converged, evaluate, solver_state};
use crate::vector::Vector;

/// A box in the space of θ: lowerᵢ ≤ θᵢ ≤ upperᵢ.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchBox {
    /// The lower bound of every entry of θ.
    pub lower: Vec<f64>,
    /// The upper bound of every entry of θ.
    pub upper: Vec<f64>,
}

impl SearchBox {
    /// The cube of `entries` dimensions from `lower` to `upper`.
    pub fn cube(entries: usize, lower: f64, upper: f64) -> Self {
        SearchBox {
            lower: vec![lower; entries],
            upper: vec![upper; entries],
        }
    }

    /// Refuses a box that is empty, unbounded, or not of the dimension of θ.
    pub(crate) fn check(&self, entries: usize) -> Result<(), Error> {
        for (name, side) in [("lower", &self.lower), ("upper", &self.upper)] {
            if side.len() != entries {
                return Err(Error::invalid(
                    format!("region.{name}"),
                    format!("{} numbers", side.len()),
                    format!("{entries}, one for every entry of theta"),
                ));
            }
        }
        for (i, (lower, upper)) in self.lower.iter().zip(&self.upper).enumerate() {
            if !(lower <= upper && (upper - lower).is_finite()) {
                return Err(Error::invalid(
                    format!("region[{i}]"),
                    format!("from {lower} to {upper}"),
                    "finite numbers, the lower one first",
                ));
            }
        }
        Ok(())
    }

    /// Refuses a θ outside the box.
    #[cfg(any(feature = "argmin", feature = "tpe"))]
    pub(crate) fn check_inside<T: Vector>(&self, theta: &T) -> Result<(), Error> {
        let sides = self.lower.iter().zip(&self.upper);
        for (i, (value, (lower, upper))) in theta.to_f64().into_iter().zip(sides).enumerate() {
            if !(lower..=upper).contains(&&value) {
                let expected = format!("a number of the box, from {lower} to {upper}");
                return Err(Error::invalid(format!("theta[{i}]"), value, expected));
            }
        }
        Ok(())
    }

    /// The number at the fraction `share` of the way from the lower to the upper bound of dimension `i`.
    pub(crate) fn at(&self, i: usize, share: f64) -> f64 {
        let (lower, upper) = (self.lower[i], self.upper[i]);
        (lower + share * (upper - lower)).clamp(lower, upper)
    }
}

/// The state of a search over a box.
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct SearchState<T, S> {
    /// The best point so far.
    pub(crate) theta: T,
    pub(crate) oracle: S,
    /// Its value; `None` before θ₀ is evaluated.
    best: Option<BoundedValue>,
    /// Points evaluated after θ₀.
    evaluated: u64,
}

/// The state of a search at θ₀. Refuses an accuracy, a θ₀ or a box out of range.
pub(crate) fn start<O: Oracle>(
    oracle: &O,
    theta: O::Theta,
    region: &SearchBox,
    accuracy: Accuracy,
) -> Result<SearchState<O::Theta, O::State>, Error> {
    Accuracy::new(accuracy.epsilon, accuracy.delta)?;
    check_theta(&theta)?;
    region.check(theta.len())?;
    Ok(SearchState {
        oracle: oracle.start(&theta)?,
        theta,
        best: None,
        evaluated: 0,
    })
}

solver_state!([] SearchState<O::Theta, O::State>);

impl<T: Vector, S> SearchState<T, S> {
    /// Evaluates θ₀, or the point that `next` sets; ends the search after `points` points.
    pub(crate) fn evaluate_next<O: Oracle<Theta = T, State = S>>(
        &mut self,
        oracle: &O,
        accuracy: Accuracy,
        points: u64,
        tolerance: f64,
        next: impl FnOnce(u64, &mut T),
    ) -> Result<Step<T>, Error> {
        self.evaluate_and_tell(oracle, accuracy, points, tolerance, next, |_, _| {})
    }

    /// [`evaluate_next`](Self::evaluate_next) for a search with a model of F: `seen` receives the evaluated point and its value, `None` where
    /// the point was skipped.
    pub(crate) fn evaluate_and_tell<O: Oracle<Theta = T, State = S>>(
        &mut self,
        oracle: &O,
        accuracy: Accuracy,
        points: u64,
        tolerance: f64,
        next: impl FnOnce(u64, &mut T),
        seen: impl FnOnce(&T, Option<f64>),
    ) -> Result<Step<T>, Error> {
        let Some(best) = self.best else {
            let first = oracle.value(&self.theta, accuracy.epsilon, &mut self.oracle)?;
            self.best = Some(first.value);
            seen(&self.theta, Some(first.value.value));
            let row = Iteration::without_gradient(&self.theta, accuracy.epsilon, first.value);
            return Ok(Step::Moved(Iteration {
                trials: 1,
                work: first.work,
                ..row
            }));
        };
        if self.evaluated >= points {
            let (row, z) = evaluate(oracle, &self.theta, accuracy, &mut self.oracle)?;
            let status = match converged(z.gradient.norm(), &z, tolerance) {
                true => Status::Converged,
                false => Status::Completed,
            };
            return Ok(Step::Ended(status, row, z));
        }
        let mut row = Iteration::without_gradient(&self.theta, accuracy.epsilon, best);
        row.trials = 1;
        let mut candidate = self.theta.clone();
        next(self.evaluated, &mut candidate);
        self.evaluated += 1;
        match oracle.value(&candidate, accuracy.epsilon, &mut self.oracle) {
            Ok(there) => {
                row.work = there.work;
                seen(&candidate, Some(there.value.value));
                if there.value.value < best.value {
                    self.best = Some(there.value);
                    std::mem::swap(&mut self.theta, &mut candidate);
                    candidate.axpy(-1.0, &self.theta);
                    row.step = Some(candidate.norm());
                }
            }
            Err(Error::NotFinite { .. } | Error::InvalidArgument { .. }) => seen(&candidate, None),
            Err(error) => return Err(error),
        }
        Ok(Step::Moved(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_an_unbounded_and_a_box_of_another_dimension_are_refused_by_name() {
        let refusal = |region: SearchBox, entries| region.check(entries).unwrap_err().to_string();
        assert!(SearchBox::cube(2, -1.0, 1.0).check(2).is_ok());
        assert!(
            SearchBox::cube(2, 1.0, 1.0).check(2).is_ok(),
            "a point is no empty box"
        );
        assert_eq!(
            refusal(SearchBox::cube(2, 1.0, -1.0), 2),
            "region[0] is from 1 to -1; expected finite numbers, the lower one first"
        );
        assert_eq!(
            refusal(SearchBox::cube(2, -1.0, 1.0), 3),
            "region.lower is 2 numbers; expected 3, one for every entry of theta"
        );
        for (lower, upper) in [(f64::NAN, 1.0), (0.0, f64::INFINITY), (-f64::MAX, f64::MAX)] {
            assert!(SearchBox::cube(1, lower, upper).check(1).is_err());
        }
    }
}
