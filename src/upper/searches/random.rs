//! Random search: points drawn uniformly from a box, the best of which is kept.
//!
//! ```text
//! θ⁽ᵏ⁾ ~ uniform on the box, k = 1, 2, …;   θ ← the best of θ₀, θ⁽¹⁾, …, θ⁽ᵏ⁾
//! ```
//!
//! An iteration looks at one point. It needs no gradient, no scale and no good first guess, which makes it the baseline that a
//! method must beat; in a box of p dimensions the best of n points is typically n^(−1/p) of its width away from the optimum.
//! Where few entries of θ matter it does better than a grid of as many points, because no two points share a value of one entry.
//!
//! Point k is a function of the seed and of k alone (the k-th stream of ChaCha8), so a resumed run draws the same points. After
//! the last one it ends with [`Status::Completed`](crate::Status), or as converged where the hypergradient at the best
//! point says so.
//!
//! # Reference
//! J. Bergstra, Y. Bengio: Random search for hyper-parameter optimization. J. Mach. Learn. Res. 13 (2012), 281–305,
//! <https://jmlr.org/papers/v13/bergstra12a.html>.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::search::{self, SearchBox, SearchState};
use crate::error::Error;
use crate::hypergradient::{Accuracy, Hypergradient};
use crate::oracle::Oracle;
use crate::upper::{Iteration, Solver, Step, evaluate, probe};
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
    /// `points` points of a box, drawn with seed 0 and looked at to the accuracy ε = δ = 1e-3.
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

/// A uniform number in [0, 1), a multiple of 2⁻⁵³.
pub(crate) fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * 2f64.powi(-53)
}

impl<O: Oracle> Solver<O> for RandomSearch {
    type State = SearchState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        if self.points == 0 {
            return Err(Error::invalid("points", 0, "at least 1"));
        }
        search::start(oracle, theta, &self.region, self.accuracy)
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        s.look(oracle, self.accuracy, self.points, tolerance, |k, theta| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(k);
            theta.assign(&mut |i| self.region.at(i, uniform(&mut rng)));
        })
    }

    fn evaluate(
        &self,
        oracle: &O,
        s: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        evaluate(oracle, &s.theta, self.accuracy, &mut s.oracle)
    }

    fn probe(&self, oracle: &O, s: &Self::State) -> Result<f64, Error> {
        probe(oracle, &s.theta, &s.oracle)
    }

    fn theta<'a>(&self, s: &'a Self::State) -> &'a O::Theta {
        &s.theta
    }

    fn name(&self) -> String {
        "random search".into()
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}
