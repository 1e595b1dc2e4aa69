//! Random search: points drawn uniformly from a box, the best of which is kept.
//!
//! ```text
//! θ⁽ᵏ⁾ ~ uniform on the box, k = 1, 2, …;   θ ← the best of θ₀, θ⁽¹⁾, …, θ⁽ᵏ⁾
//! ```
//!
//! An iteration evaluates one point. The search needs no gradient, no scale and no good initial guess, which makes it the baseline for
//! other methods; in a box of p dimensions the best of n points is typically n^(−1/p) of its width away from the optimum.
//! Where few entries of θ matter it does better than a grid of as many points, because no two points share a value of one entry.
//!
//! Point k is a function of the seed and of k alone (the k-th stream of ChaCha8), so a resumed run draws the same points. After the last
//! point the run ends with [`Status::Completed`](crate::Status), or as converged where the hypergradient at the best point passes the test.
//!
//! # Reference
//! J. Bergstra, Y. Bengio: Random search for hyper-parameter optimization. J. Mach. Learn. Res. 13 (2012), 281–305,
//! <https://jmlr.org/papers/v13/bergstra12a.html>.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::boxes::{self, SearchBox, SearchState};
use crate::error::Error;
use crate::hypergradient::Accuracy;
use crate::oracle::Oracle;
use crate::random::unit;
use crate::upper::{Solver, Step};
use crate::vector::Vector;

/// Random search in a box. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomSearch {
    /// Where points are drawn.
    pub region: SearchBox,
    /// Points to draw, at least 1.
    pub points: u64,
    /// The seed of the points.
    pub seed: u64,
    /// ε of every value; δ is that of the hypergradient at the end.
    pub accuracy: Accuracy,
}

impl RandomSearch {
    /// `points` points of a box, drawn with seed 0 and evaluated to the accuracy ε = δ = 1e-3.
    pub fn new(region: SearchBox, points: u64) -> Self {
        RandomSearch {
            region,
            points,
            seed: 0,
            accuracy: Accuracy {
                epsilon: 1e-3,
                delta: 1e-3,
            },
        }
    }
}

impl<O: Oracle> Solver<O> for RandomSearch {
    type State = SearchState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        if self.points == 0 {
            return Err(Error::invalid("points", 0, "at least 1"));
        }
        boxes::start(oracle, theta, &self.region, self.accuracy)
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        s.evaluate_next(oracle, self.accuracy, self.points, tolerance, |k, theta| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(k);
            theta.assign(&mut |i| self.region.at(i, unit(rng.next_u64())));
        })
    }

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        "random search".into()
    }
}
