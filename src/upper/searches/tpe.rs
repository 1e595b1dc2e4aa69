//! TPE, the tree-structured Parzen estimator: the default method of Optuna, as a baseline, by the crate [tpe](https://docs.rs/tpe).
//!
//! ```text
//! trial 0          θ₀
//! trials 1 … s     uniform on the box
//! every later one, for every entry i of θ separately:
//!   n trials so far;  the ⌈γn⌉ of least value are good, the others bad
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
//! The box contains an optimum, and the entries of θ act independently: there is one estimator per entry, as in Optuna's `TPESampler`
//! unless `multivariate` is set, so interactions of entries are ignored. γ, s and m are Optuna's defaults; the densities differ in details,
//! and γ has no ceiling of 25 trials here. No smoothness and no bounds are needed: computed values of a fixed accuracy ε are treated as
//! exact.
//!
//! A side of the box may have length zero: that entry stays fixed. A point where the problem is undefined or not finite counts as a trial of
//! value +∞. It is a bad one, which g learns to avoid; only while fewer than ⌈γn⌉ points are defined do some undefined ones count as good.
//!
//! # Guarantee
//! None, except that θ is the best evaluated point. The densities concentrate on the early good points, which may belong to one minimum of
//! several; and as no Gaussian is narrower than a hundredth of the box, they find the neighbourhood of a minimum, not its digits.
//!
//! # Cost
//! An iteration computes one value of F. In addition, trial n takes O(p(n log n + mn)) operations for p entries of θ, most of them
//! exponentials: negligible where F is an inner problem, noticeable where p and n are in the thousands. The state, and so a checkpoint,
//! holds every evaluated point.
//!
//! Every trial draws from its own stream of ChaCha8, so a resumed run draws the same numbers. After the last trial the run ends with
//! [`Status::Completed`](crate::Status), or as converged where the hypergradient at the best point passes the test.
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
use chacha20::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::boxes::{self, SearchBox, SearchState};
use crate::error::{Error, in_unit_interval};
use crate::hypergradient::Accuracy;
use crate::oracle::Oracle;
use crate::random::unit;
use crate::upper::solver::{Solver, Step, solver_state};
use crate::vector::Vector;

/// The tree-structured Parzen estimator in a box. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tpe {
    /// The box that contains all trials. θ₀ must lie inside.
    pub region: SearchBox,
    /// Trials after θ₀, at least 1.
    pub points: u64,
    /// s: the number of initial trials, which are drawn uniformly (default 10).
    pub startup: u64,
    /// γ: the share of the trials that count as good, between 0 and 1 (default 0.1).
    pub gamma: f64,
    /// m: candidates per entry of θ, at least 1 (default 24).
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

    /// One optimiser per entry of θ, without any trial. Refuses settings outside their range.
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
        // The estimator does not depend on the scale of its range. On the box itself the middle of a side could overflow and the width of a
        // Gaussian vanish, and then no candidate would ever be in range.
        let range = ::tpe::range(0.0, 1.0).map_err(|e| refused(e.to_string()))?;
        let mut builder = TpeOptimizerBuilder::new();
        builder.gamma(self.gamma).candidates(self.candidates);
        let one = |_| builder.build(parzen_estimator(), range);
        let all: Result<_, _> = self.region.lower.iter().map(one).collect();
        all.map_err(|e| refused(e.to_string()))
    }

    /// Passes a trial to the optimisers, scaled to the unit cube.
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

/// An evaluated point.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize",
    deserialize = "T: serde::de::DeserializeOwned"
))]
struct Trial<T> {
    theta: T,
    /// `None` where the problem is undefined or not finite.
    value: Option<f64>,
}

/// The state of [`Tpe`]: the best point, the warm starts of the oracle, and every trial.
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "T: Serialize, S: Serialize",
    deserialize = "T: serde::de::DeserializeOwned, S: serde::de::DeserializeOwned"
))]
pub struct TpeState<T, S> {
    search: SearchState<T, S>,
    trials: Vec<Trial<T>>,
    /// One per entry of θ; empty after a checkpoint is read, until the next step.
    #[serde(skip)]
    optimisers: Vec<TpeOptimizer>,
}

impl<T: Clone, S: Clone> Clone for TpeState<T, S> {
    /// The next step rebuilds the optimisers, which cannot be cloned, from the trials.
    fn clone(&self) -> Self {
        TpeState {
            search: self.search.clone(),
            trials: self.trials.clone(),
            optimisers: Vec::new(),
        }
    }
}

solver_state!([] TpeState<O::Theta, O::State>, .search);

impl<O: Oracle> Solver<O> for Tpe {
    type State = TpeState<O::Theta, O::State>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        let optimisers = self.optimisers()?;
        let search = boxes::start(oracle, theta, &self.region, self.accuracy)?;
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
            // They sort their trials by value, and the sort is stable: the same order of the trials gives the same estimator.
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
                    unit(rng.next_u64())
                } else {
                    let Ok(share) = optimisers[i].ask(&mut rng);
                    share
                };
                self.region.at(i, share)
            });
        };
        let mut seen = None;
        let step = s.search.evaluate_and_tell(
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

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        "TPE".into()
    }
}
