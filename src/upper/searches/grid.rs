//! Grid search: every point of a grid in a box, the best of which is kept.
//!
//! ```text
//! θᵢ ∈ { lowerᵢ + j/(n−1) · (upperᵢ − lowerᵢ) : j = 0, …, n−1 };   for n = 1 the middle of the box
//! ```
//!
//! An iteration evaluates one point. A grid has nᵖ points for p entries: it maps F for one or two hyperparameters and is too large
//! beyond four. Successive points are neighbours (boustrophedon order), so the warm start of the inner problem is a good one. After the
//! last point the run ends with [`Status::Completed`](crate::Status), or as converged where the hypergradient at the best point passes the
//! test.

use serde::{Deserialize, Serialize};

use super::boxes::{self, SearchBox, SearchState};
use crate::error::Error;
use crate::hypergradient::Accuracy;
use crate::oracle::Oracle;
use crate::upper::{Solver, Step};
use crate::vector::Vector;

/// Search over the points of a grid. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridSearch {
    /// The box that the grid fills.
    pub region: SearchBox,
    /// Points along every dimension, at least 1.
    pub points: u64,
    /// ε of every value; δ is that of the hypergradient at the end.
    pub accuracy: Accuracy,
}

impl GridSearch {
    /// A grid of `points` points along every dimension, evaluated to the accuracy ε = δ = 1e-3.
    pub fn new(region: SearchBox, points: u64) -> Self {
        GridSearch {
            region,
            points,
            accuracy: Accuracy {
                epsilon: 1e-3,
                delta: 1e-3,
            },
        }
    }

    /// The number of points of the grid; `None` where it exceeds 2⁶⁴.
    fn total(&self) -> Option<u64> {
        let entries = u32::try_from(self.region.lower.len()).ok()?;
        self.points.checked_pow(entries)
    }

    /// The index of point `k` along dimension `i`: successive lines of the grid are traversed in opposite directions.
    fn digit(&self, k: u64, i: usize) -> u64 {
        let n = self.points;
        let block = (0..i).fold(k, |k, _| k / n);
        let (digit, line) = (block % n, block / n);
        if line.is_multiple_of(2) {
            digit
        } else {
            n - 1 - digit
        }
    }
}

impl<O: Oracle> Solver<O> for GridSearch {
    type State = SearchState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        if self.points == 0 {
            return Err(Error::invalid("points", 0, "at least 1"));
        }
        let state = boxes::start(oracle, theta, &self.region, self.accuracy)?;
        if self.total().is_none() {
            return Err(Error::invalid(
                "points",
                format!("{} along {} dimensions", self.points, state.theta.len()),
                "a grid of less than 2^64 points: draw points at random",
            ));
        }
        Ok(state)
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        let total = self.total().unwrap_or(u64::MAX);
        s.evaluate_next(oracle, self.accuracy, total, tolerance, |k, theta| {
            theta.assign(&mut |i| match self.points {
                1 => self.region.at(i, 0.5),
                n => self.region.at(i, self.digit(k, i) as f64 / (n - 1) as f64),
            });
        })
    }

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        "grid search".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_visited_once_and_two_in_a_row_are_neighbours() {
        for points in [2, 3, 4] {
            let grid = GridSearch::new(SearchBox::cube(3, 0.0, 1.0), points);
            let at = |k| [0, 1, 2].map(|i| grid.digit(k, i));
            let mut all: Vec<_> = (0..points.pow(3)).map(at).collect();
            for pair in all.windows(2) {
                let moves: u64 = (0..3).map(|i| pair[0][i].abs_diff(pair[1][i])).sum();
                assert_eq!(moves, 1, "{pair:?}");
            }
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len() as u64, points.pow(3));
        }
    }
}
