//! The solver of a stochastic method: batches, step sizes, blocks of iterations, and the evaluation at the end.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::curvature_probe::{self, Depth, PROBE_INTERVAL, ProbeSchedule};
use super::iterate::Iterate;
use super::levels::{Levels, MinibatchOracle, ThetaOf, XOf};
use super::method::Method;
use super::sampler::{Sampler, Sampling};
use super::steps::{self, StepSize, StepSizes};
use crate::error::{Error, positive};
use crate::hypergradient::{Accuracy, BoundedValue, Hypergradient};
use crate::problem::LowerLevel;
use crate::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use crate::status::Status;
use crate::upper::solver::{Iteration, Solver, SolverState, Step, check_theta, evaluate};
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// The value of a block is the mean of f over this many batches of the upper level.
const SHOWN_BATCHES: usize = 4;

/// The solver of a stochastic method. See the [module](crate::stochastic).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stochastic<M> {
    /// The method.
    pub method: M,
    /// The approximate size of a batch of the lower level (default 64; at most the number of samples).
    pub lower_batch: usize,
    /// The approximate size of a batch of the upper level (default 64; at most the number of samples).
    pub upper_batch: usize,
    /// The division of the samples into batches (default contiguous).
    pub sampling: Sampling,
    /// γ₀ and its exponent (default: estimated, and the method's).
    pub lower_step: StepSize,
    /// η₀ and its exponent (default: estimated, and the method's).
    pub upper_step: StepSize,
    /// Iterations of the method per iteration of the driver (default 1,000).
    pub block: u64,
    /// The seed of the batches (default 0).
    pub seed: u64,
    /// ε and δ of the evaluation at the end (default 1e-6 each).
    pub accuracy: Accuracy,
}

impl<M: Default> Default for Stochastic<M> {
    fn default() -> Self {
        Stochastic::new(M::default())
    }
}

impl<M> Stochastic<M> {
    /// The method with default batches and estimated steps.
    pub fn new(method: M) -> Self {
        Stochastic {
            method,
            lower_batch: 64,
            upper_batch: 64,
            sampling: Sampling::default(),
            lower_step: StepSize::default(),
            upper_step: StepSize::default(),
            block: 1_000,
            seed: 0,
            accuracy: Accuracy {
                epsilon: 1e-6,
                delta: 1e-6,
            },
        }
    }
}

/// The state of [`Stochastic`].
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "Memory: Serialize",
    deserialize = "Memory: DeserializeOwned"
))]
pub struct StochasticState<T: Vector, X: Vector, Memory> {
    at: Iterate<T, X>,
    /// θ₀, at which the problem is known to be defined.
    first: T,
    /// γ₀ and η₀, and κ of both.
    steps: [f64; 2],
    delays: [f64; 2],
    /// The schedule of their renewals, where they are estimated.
    probes: Option<ProbeSchedule<T>>,
    memory: Memory,
}

impl<T: Vector, X: Vector, Memory> StochasticState<T, X, Memory> {
    /// θ, x and v, with the samplers and the work.
    pub fn iterate(&self) -> &Iterate<T, X> {
        &self.at
    }
}

impl<O: MinibatchOracle, Memory> SolverState<O> for StochasticState<ThetaOf<O>, XOf<O>, Memory>
where
    Memory: Serialize + DeserializeOwned,
{
    fn theta(&self) -> &O::Theta {
        &self.at.theta
    }

    fn evaluate(
        &mut self,
        oracle: &O,
        accuracy: Accuracy,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        let mut state = oracle.state_with(&self.at.x, &self.at.v);
        evaluate(oracle, &self.at.theta, accuracy, &mut state)
    }

    fn probe(&self, oracle: &O) -> Result<f64, Error> {
        let state = oracle.state_with(&self.at.x, &self.at.v);
        oracle.check(&self.at.theta, &state)?;
        Ok(oracle.probe(&self.at.theta, &state))
    }
}

impl<M: Method> Stochastic<M> {
    fn check<P: MinibatchLower + ?Sized, U: MinibatchUpper + ?Sized>(
        &self,
        levels: Levels<'_, P, U>,
    ) -> Result<(), Error> {
        self.method.check()?;
        Accuracy::new(self.accuracy.epsilon, self.accuracy.delta)?;
        for (name, step) in [
            ("lower_step", self.lower_step),
            ("upper_step", self.upper_step),
        ] {
            step.check(name)?;
        }
        for (name, batch, samples) in [
            ("lower_batch", self.lower_batch, levels.lower.samples()),
            ("upper_batch", self.upper_batch, levels.upper.samples()),
        ] {
            if batch == 0 || batch > samples {
                return Err(Error::invalid(
                    name,
                    batch,
                    format!("at least 1 and at most {samples}, the samples that there are"),
                ));
            }
        }
        positive("block", self.block as f64)?;
        if self.method.remembers_batches() && self.sampling != Sampling::Contiguous {
            return Err(Error::invalid(
                "sampling",
                "shuffled",
                format!(
                    "contiguous: {} remembers batches, which must be the same in every epoch",
                    self.method.name()
                ),
            ));
        }
        Ok(())
    }

    /// Probes F and sets the steps that are not given. At the start this must succeed; later, steps are kept where F is undefined. Returns
    /// ‖∇F‖, the expected length of a direction of θ, or `None` where the direction is normalised.
    fn renew<O: MinibatchOracle>(
        &self,
        oracle: &O,
        at: &mut Iterate<ThetaOf<O>, XOf<O>>,
        steps: &mut [f64; 2],
        delays: [f64; 2],
        depth: Depth,
    ) -> Result<Option<f64>, Error> {
        let scale = self
            .method
            .scale_on([at.lower.batches(), at.upper.batches()]);
        // The length of a normalised step is set at the start; only its decay changes it.
        if depth == Depth::Largest || (scale.normalised && at.k > 0) {
            if self.lower_step.first.is_none() {
                let mut work = Work::default();
                // Where the probe fails, γ₀ is kept.
                if let Ok(largest) =
                    curvature_probe::largest_eigenvalue(oracle.levels(), at, &mut work)
                {
                    steps[0] = steps[0].min(scale.lower / largest);
                }
                at.work += work;
            }
            return Ok(None);
        }
        let found = match curvature_probe::probe(oracle, at) {
            Ok(found) => found,
            Err(Error::InvalidArgument { .. } | Error::NotFinite { .. }) if at.k > 0 => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        at.work += found.work;
        let decayed = self.now([1.0, 1.0], delays, at.k).upper;
        let [mut lower, mut upper] = found.steps(scale, decayed);
        if at.k > 0 {
            lower = lower.min(steps[0]);
            upper = upper.min(steps[1]);
        }
        steps[0] = self.lower_step.first.unwrap_or(lower);
        steps[1] = self.upper_step.first.unwrap_or(upper);
        Ok((!scale.normalised).then_some(found.norm))
    }

    fn now(&self, steps: [f64; 2], delays: [f64; 2], k: u64) -> StepSizes {
        let scale = self.method.scale();
        StepSizes {
            k,
            first: steps[0],
            lower: self
                .lower_step
                .at(steps[0], scale.lower_exponent, delays[0], k),
            upper: self
                .upper_step
                .at(steps[1], scale.upper_exponent, delays[1], k),
        }
    }
}

impl<O: MinibatchOracle, M: Method> Solver<O> for Stochastic<M> {
    type State = StochasticState<ThetaOf<O>, XOf<O>, M::Memory<ThetaOf<O>, XOf<O>>>;

    fn start(&self, oracle: &O, theta: O::Theta) -> Result<Self::State, Error> {
        let levels = oracle.levels();
        self.check(levels)?;
        check_theta(&theta)?;
        levels.lower.check(&theta)?;
        let first = theta.clone();
        let x = levels.lower.start();
        let sampler =
            |samples, batch, stream| Sampler::new(samples, batch, self.sampling, self.seed, stream);
        let mut at = Iterate {
            v: x.zeros_like(),
            x,
            k: 0,
            lower: sampler(levels.lower.samples(), self.lower_batch, 1),
            upper: sampler(levels.upper.samples(), self.upper_batch, 2),
            work: Work::default(),
            sum: theta.zeros_like(),
            theta,
            buffers_x: Scratch::default(),
            buffers_theta: Scratch::default(),
        };
        let mut steps = [0.0; 2];
        let batches = at.lower.batches().max(at.upper.batches());
        let delays = steps::delays(
            [self.lower_step, self.upper_step],
            self.method.scale(),
            batches,
        );
        let probes = match (self.lower_step.first, self.upper_step.first) {
            (Some(lower), Some(upper)) => {
                steps = [lower, upper];
                None
            }
            _ => {
                let norm = self.renew(oracle, &mut at, &mut steps, delays, Depth::Curvature)?;
                Some(ProbeSchedule::new(&at.theta, batches, norm))
            }
        };
        let memory = self
            .method
            .start(levels, &mut at, self.now(steps, delays, 0));
        Ok(StochasticState {
            at,
            first,
            steps,
            delays,
            probes,
            memory,
        })
    }

    fn step(
        &self,
        oracle: &O,
        s: &mut Self::State,
        _tolerance: f64,
    ) -> Result<Step<O::Theta>, Error> {
        let levels = oracle.levels();
        let before = s.at.theta.clone();
        s.at.sum.axpby(0.0, &before, 0.0);
        let mut now = self.now(s.steps, s.delays, s.at.k);
        for _ in 0..self.block {
            now = self.now(s.steps, s.delays, s.at.k);
            self.method.iterate(levels, &mut s.at, &mut s.memory, now);
            s.at.k += 1;
            if let Some(probes) = &mut s.probes
                && s.at.k.is_multiple_of(PROBE_INTERVAL)
                && s.at.is_finite()
                && let Some(depth) = probes.due(&s.at.theta, now)
            {
                let norm = self.renew(oracle, &mut s.at, &mut s.steps, s.delays, depth)?;
                probes.record(norm);
            }
        }
        if !s.at.is_finite() || levels.lower.check(&s.at.theta).is_err() {
            // The run ends with the θ before this block, or, where F is undefined there, with θ₀.
            s.at.x = levels.lower.start();
            s.at.v = s.at.x.zeros_like();
            s.at.theta = before;
            let (mut row, z) = match Solver::<O>::evaluate(self, oracle, s) {
                Err(Error::NotFinite { .. } | Error::InvalidArgument { .. }) => {
                    s.at.theta.copy_from(&s.first);
                    Solver::<O>::evaluate(self, oracle, s)?
                }
                evaluated => evaluated?,
            };
            row.work += std::mem::take(&mut s.at.work);
            return Ok(Step::Ended(Status::Diverged, row, z));
        }
        let value = self.shown_value(levels, &mut s.at);
        let mut row =
            Iteration::without_gradient(&before, f64::INFINITY, BoundedValue::unknown(value));
        row.gradient_norm = s.at.sum.norm() / self.block as f64;
        row.step = Some(now.upper);
        row.work = std::mem::take(&mut s.at.work);
        Ok(Step::Moved(row))
    }

    fn accuracy(&self, _s: &Self::State) -> Accuracy {
        self.accuracy
    }

    fn name(&self) -> String {
        self.method.name()
    }
}

impl<M: Method> Stochastic<M> {
    /// The mean of f over the first few batches of the upper level.
    fn shown_value<P, U>(&self, levels: Levels<'_, P, U>, at: &mut Iterate<P::Theta, P::X>) -> f64
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let samples = (SHOWN_BATCHES * self.upper_batch).min(levels.upper.samples());
        at.work.upper_values += 1;
        at.work.upper_samples += samples as u64;
        levels
            .upper
            .batch_value(Batch::all(samples), &at.x, &at.theta)
    }
}
