//! TPE, the tree-structured Parzen estimator: the baseline that users of Optuna know, by the crate
//! [tpe](https://docs.rs/tpe).
//!
//! ```text
//! trial 0          θ₀
//! trials 1 … s     uniform on the box
//! every later one, for every entry i of θ by itself:
//!   n trials so far;  the ⌈γn⌉ of least value are the good ones, the others the bad ones
//!   l(·), g(·)       densities of the i-th entries of the good and of the bad: a mean of Gaussians, one for each entry and one in
//!                    the middle of the box, each as wide as the gap to its neighbours, but no narrower than a hundredth
//!                    of the box, cut off at its sides
//!   θᵢ               of m candidates drawn from l, the one with the greatest l(θᵢ)/g(θᵢ)
//! θ ← the best point so far
//! ```
//!
//! With y* the value that divides the good from the bad, γ = P(y < y*), and p(θᵢ | y) = l(θᵢ) for y < y* and g(θᵢ) above, the
//! expected improvement on y* is
//!
//! ```text
//! EI(θᵢ) = ∫ max(y* − y, 0) p(y | θᵢ) dy  ∝  (γ + (1 − γ) g(θᵢ)/l(θᵢ))⁻¹
//! ```
//!
//! so the candidate with the greatest l/g is the one of greatest expected improvement.
//!
//! # Assumptions
//! A box with an optimum in it, and entries that matter each by itself: one optimiser an entry is what Optuna's `TPESampler` has too
//! unless it is told to be `multivariate`, and what two entries do together is not seen. γ, s and m are Optuna's defaults; the
//! densities differ in details, and γ has no ceiling of 25 trials here. No smoothness, no bounds: computed values of a fixed
//! accuracy ε are taken for exact.
//!
//! A side of the box may have no length: that entry stays as it is. A point where the problem is not defined or not finite is told
//! to the estimator as one of the value +∞. It is a bad one, which g learns to keep away from; only while fewer than ⌈γn⌉ points are
//! defined, some that are not count as good ones.
//!
//! # Guarantee
//! None, but that θ is the best point looked at. The densities close in on what was good early, which may be one minimum of several;
//! and as no Gaussian is narrower than a hundredth of the box, they find the neighbourhood of a minimum, not its digits.
//!
//! # Cost
//! An iteration is one value of F. Beside it, trial n takes O(p(n log n + mn)) operations for p entries of θ, most of them
//! exponentials: nothing where F is an inner problem, but noticed where p and n are thousands. The state, and so a checkpoint, holds
//! every point looked at.
//!
//! Every trial draws from a stream of ChaCha8 of its own, so a resumed run draws the same numbers. After the last one it ends with
//! [`Status::Completed`](crate::Status), or as converged where the hypergradient at the best point says so.
//!
//! # References
//! J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl: Algorithms for hyper-parameter optimization. Advances in Neural Information
//! Processing Systems 24 (2011), 2546–2554,
//! <https://proceedings.neurips.cc/paper/2011/hash/86e8f7ab32cfd12577bc2619bc635690-Abstract.html>.
//!
//! T. Akiba, S. Sano, T. Yanase, T. Ohta, M. Koyama: Optuna: a next-generation hyperparameter optimization framework. KDD 2019,
//! 2623–2631, [doi:10.1145/3292500.3330701](https://doi.org/10.1145/3292500.3330701).
//!
//! # Example
//! ```
//! use bilevel::{Implicit, SearchBox, Run, Tpe};
//! use bilevel_problems::synthetic::quadratic::Quadratic;
//!
//! let problem = Quadratic::random(20, 2, 10.0, 0);
//! let oracle = Implicit::new(problem.lower(), problem.upper());
//! let theta = vec![2.0; 2];
//! let report = Run::new(&oracle, Tpe::new(SearchBox::cube(2, -3.0, 3.0), 100)).start(theta.clone())?;
//! println!("{report}");
//! let gap = |theta| problem.value(theta) - problem.value(&problem.optimum());
//! assert!(gap(&report.theta) < 0.05 * gap(&theta));
//! # Ok::<(), bilevel::Error>(())
//! ```

use ::tpe::{TpeOptimizer, TpeOptimizerBuilder, parzen_estimator};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};

use crate::error::{Error, in_unit_interval};
use crate::hypergradient::{Accuracy, Hypergradient};
use crate::oracle::Oracle;
use crate::upper::searches::random::uniform;
use crate::upper::searches::search::{self, SearchState};
use crate::upper::{Iteration, SearchBox, Solver, Step, evaluate, probe};
use crate::vector::Vector;

/// The tree-structured Parzen estimator in a box. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tpe {
    /// Where trials are made. θ₀ must lie inside.
    pub region: SearchBox,
    /// Trials beside θ₀, at least 1.
    pub points: u64,
    /// s, the first of them, which are drawn uniformly (default 10).
    pub startup: u64,
    /// γ, the share of the trials that are good ones, between 0 and 1 (default 0.1).
    pub gamma: f64,
    /// m, candidates for an entry of θ, at least 1 (default 24).
    pub candidates: usize,
    /// The seed (default 0).
    pub seed: u64,
    /// ε of every value; δ is that of the hypergradient at the end.
    pub accuracy: Accuracy,
}

impl Tpe {
    /// `points` trials in a box, with the defaults of Optuna, seed 0 and the accuracy ε = δ = 1e-3.
    pub fn new(region: SearchBox, points: u64) -> Self {
        Tpe {
            region,
            points,
            startup: 10,
            gamma: 0.1,
            candidates: 24,
            seed: 0,
            accuracy: Accuracy {
                epsilon: 1e-3,
                delta: 1e-3,
            },
        }
    }

    /// An optimiser for every entry of θ, which knows of no trial yet. Refuses settings outside their range.
    fn optimisers(&self) -> Result<Vec<TpeOptimizer>, Error> {
        for (name, count) in [
            ("points", self.points),
            ("candidates", self.candidates as u64),
        ] {
            if count == 0 {
                return Err(Error::invalid(name, 0, "at least 1"));
            }
        }
        in_unit_interval("gamma", self.gamma)?;
        let refused = |reason: String| Error::invalid("tpe", format!("{self:?}"), reason);
        // The estimator does not depend on the scale of its range. On the box itself the middle of a side may overflow and the
        // width of a Gaussian vanish, and then no candidate is ever in range.
        let range = ::tpe::range(0.0, 1.0).map_err(|e| refused(e.to_string()))?;
        let mut builder = TpeOptimizerBuilder::new();
        builder.gamma(self.gamma).candidates(self.candidates);
        let one = |_| builder.build(parzen_estimator(), range);
        let all: Result<_, _> = self.region.lower.iter().map(one).collect();
        all.map_err(|e| refused(e.to_string()))
    }

    /// Tells the optimisers of a trial, in shares of the sides of the box.
    fn tell<T: Vector>(
        &self,
        optimisers: &mut [TpeOptimizer],
        trial: &Trial<T>,
    ) -> Result<(), Error> {
        let value = trial.value.unwrap_or(f64::INFINITY);
        let theta = trial.theta.to_f64();
        let sides = self.region.lower.iter().zip(&self.region.upper);
        for ((optimiser, theta), (lower, upper)) in optimisers.iter_mut().zip(theta).zip(sides) {
            let share = match upper - lower {
                0.0 => 0.0,
                // The range of the estimator is half open, and θ may be rounded to f32.
                width => ((theta - lower) / width).clamp(0.0, 1f64.next_down()),
            };
            let refused = |e: ::tpe::TellError| Error::invalid("trial", value, e.to_string());
            optimiser.tell(share, value).map_err(refused)?;
        }
        Ok(())
    }
}

/// A point that was looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize",
    deserialize = "T: serde::de::DeserializeOwned"
))]
struct Trial<T> {
    theta: T,
    /// `None` where the problem is not defined or not finite.
    value: Option<f64>,
}

/// The state of [`Tpe`]: the best point, the warm starts of the oracle, and every trial.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct TpeState<T, S> {
    search: SearchState<T, S>,
    trials: Vec<Trial<T>>,
    /// What the trials have taught, one for every entry of θ; empty after a checkpoint was read, until the next step.
    #[serde(skip)]
    optimisers: Vec<TpeOptimizer>,
}

impl<T: Clone, S: Clone> Clone for TpeState<T, S> {
    /// The optimisers, which cannot be copied, are made again from the trials by the next step.
    fn clone(&self) -> Self {
        TpeState {
            search: self.search.clone(),
            trials: self.trials.clone(),
            optimisers: Vec::new(),
        }
    }
}

impl<O: Oracle> Solver<O> for Tpe {
    type State = TpeState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        let optimisers = self.optimisers()?;
        let search = search::start(oracle, theta, &self.region, self.accuracy)?;
        self.region.check_inside(&search.theta)?;
        Ok(TpeState {
            search,
            trials: Vec::new(),
            optimisers,
        })
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        if s.optimisers.is_empty() {
            self.region.check(s.search.theta.len())?;
            let mut optimisers = self.optimisers()?;
            // They sort their trials by value, stably: told in order, they know what those knew that were told one by one.
            for trial in &s.trials {
                self.tell(&mut optimisers, trial)?;
            }
            s.optimisers = optimisers;
        }
        let optimisers = &mut s.optimisers;
        let next = |k, theta: &mut O::Theta| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(k);
            theta.assign(&mut |i| {
                let share = if k < self.startup {
                    uniform(&mut rng)
                } else {
                    let Ok(share) = optimisers[i].ask(&mut rng);
                    share
                };
                self.region.at(i, share)
            });
        };
        let mut seen = None;
        let step = s.search.look_and_tell(
            oracle,
            self.accuracy,
            self.points,
            tolerance,
            next,
            |theta, value| {
                let theta = theta.clone();
                let value = value.filter(|v| v.is_finite());
                seen = Some(Trial { theta, value });
            },
        )?;
        if let Some(trial) = seen {
            self.tell(&mut s.optimisers, &trial)?;
            s.trials.push(trial);
        }
        Ok(step)
    }

    fn evaluate(
        &self,
        oracle: &O,
        s: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        evaluate(oracle, &s.search.theta, self.accuracy, &mut s.search.oracle)
    }

    fn probe(&self, oracle: &O, s: &Self::State) -> Result<f64, Error> {
        probe(oracle, &s.search.theta, &s.search.oracle)
    }

    fn theta<'a>(&self, s: &'a Self::State) -> &'a O::Theta {
        &s.search.theta
    }

    fn name(&self) -> String {
        "TPE".into()
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}
