//! Stochastic single-loop methods: θ, x and the adjoint v move together, on batches of the samples.
//!
//! ```text
//! x → x*(θ) = argmin g(·, θ),   v → A⁻¹∇ₓf,   θ → argmin F        all three by steps on batches ξ of the lower and ξ' of the upper level
//!
//! d_x = ∇ₓg(x, θ; ξ),   d_v = A(x, θ; ξ) v − ∇ₓf(x, θ; ξ'),   d_θ = ∇θf(x, θ; ξ') − B(x, θ; ξ)ᵀv
//! ```
//!
//! A [`Method`] says how they move; one file is one method. [`Stochastic`] makes a [`Solver`] of a method, so that [`Run`](crate::Run) drives
//! it with limits, observers, trace and checkpoints like any other. An iteration of the driver is a *block* of iterations of the method,
//! because one of them takes microseconds.
//!
//! # Methods
//! | method | file | idea | default steps a, b; c_γ, c_η | memory |
//! |---|---|---|---|---|
//! | [`Soba`] | `soba.rs` | one step of SGD on x, v and θ | ½, ½; 1/10, 1 | vectors |
//! | [`Saba`] | `saba.rs` | SOBA, the directions as in SAGA | 0, 0; ½, min(1, 3/b) | 2 like x and 1 like θ for a batch of g, 1 and 1 for one of f |
//! | [`MaSoba`] | `ma_soba.rs` | SOBA, θ moves along an average | ½, ½; 1/10, 1 | vectors |
//! | [`StocBio`] | `stocbio.rs` | 10 steps of x, Neumann series | 0, 0; ½, 1/10 | vectors |
//! | [`Ttsa`] | `ttsa.rs` | one step of x, Neumann series cut at random, θ on a slower scale | ⅖, ⅗; ½, 1 | vectors |
//! | [`Bsa`] | `bsa.rs` | loop of decaying steps of x, Neumann series cut at random | 0, ½; ½, 1 | vectors |
//! | [`Amigo`] | `amigo.rs` | 10 steps of x, 10 of v, warm-started | ½, ½; 1/10, 1 | vectors |
//! | [`Fsla`] | `fsla.rs` | one step of x and v, momentum of STORM on θ | ½, ½; 1/10, 1 | vectors |
//! | [`Srba`] | `srba.rs` | recursive directions as in SARAH, all samples now and then | 0, 0; ½, 0.3/√b | vectors |
//! | [`Mrbo`] | `mrbo.rs` | recursive momentum on x and θ, Neumann series | ⅓, ⅓; ½, 1 | vectors |
//! | [`Sustain`] | `sustain.rs` | the same with other weights | ⅓, ⅓; ½, 1 | vectors |
//! | [`Vrbo`] | `vrbo.rs` | SPIDER on x and θ, all samples now and then, Neumann series | 0, 0; ½, 1 | vectors |
//! | [`F2sa`] | `f2sa.rs` | first derivatives only, a growing penalty | see its page | vectors |
//! | [`Bome`] | `bome.rs` | first derivatives only, a barrier on the lower value | see its page | vectors |
//! | [`BoRep`] | `bo_rep.rs` | normalised momentum, x refined at the start and now and then | ¼, ⅔; ½, 1 normalised | vectors |
//! | [`Slip`] | `slip.rs` | normalised momentum, one step of x and v | ¼, ⅔; ½, 1 normalised | vectors |
//! | [`AccBo`] | `accbo.rs` | normalised recursive momentum, x by Nesterov's acceleration | ¼, ⅔; ½, 1 normalised | vectors |
//!
//! Vectors: a number of them that does not depend on the samples. b: batches of an epoch, of the level that has more. SABA and SRBA alone
//! go to the minimiser with steps that do not decay.
//!
//! # What the numbers of a stochastic run are worth
//! The rows of the trace hold f at x on a few batches and the norm of the mean of d_θ over the block: estimates of unknown error, and so they
//! say. At the end the oracle evaluates F(θ) and ∇F(θ) exactly, with bounds, as it does for every solver; that is what the report holds.
//! A stochastic run does not test for convergence and ends by a limit, or as [`Diverged`](Status::Diverged) when θ, x or v leave the
//! finite numbers or the domain of the problem.
//!
//! # Steps
//! γₖ = γ₀/(1 + k/κ)ᵃ for x (and v), ηₖ = η₀/(1 + k/κ)ᵇ for θ. Exponents are those of the method's theory unless set. γ₀ and η₀ come from
//! looks at the curvature unless set, with the c_γ and c_η of the table; see [`steps`] and [`looks`].

pub mod accbo;
pub mod amigo;
pub mod bo_rep;
pub mod bome;
pub mod bsa;
pub mod f2sa;
pub mod fsla;
pub mod looks;
pub mod ma_soba;
pub mod mrbo;
pub mod neumann;
mod neumann_fixed;
mod parts;
pub mod saba;
pub mod sampler;
pub mod slip;
pub mod soba;
pub mod srba;
pub mod steps;
pub mod stocbio;
pub mod storm;
pub mod sustain;
pub mod ttsa;
pub mod vrbo;

pub use accbo::{AccBo, AccBoMemory};
pub use amigo::Amigo;
pub use bo_rep::{BoRep, BoRepMemory};
pub use bome::{Bome, BomeMemory};
pub use bsa::Bsa;
pub use f2sa::{F2sa, F2saMemory};
pub use fsla::{Fsla, FslaMemory};
use looks::{Depth, GLANCE, Watch};
pub use ma_soba::{MaSoba, MaSobaMemory};
pub use mrbo::Mrbo;
pub use neumann::Truncation;
pub use saba::{Saba, SabaMemory};
pub use sampler::{Sampler, Sampling};
pub use slip::{Slip, SlipMemory};
pub use soba::Soba;
pub use srba::{Srba, SrbaMemory};
pub use steps::{Now, Scale, StepSize};
pub use stocbio::StocBio;
pub use storm::Recursion;
pub use sustain::Sustain;
pub use ttsa::Ttsa;
pub use vrbo::{Vrbo, VrboMemory};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fmt::Debug;

use crate::error::{Error, positive};
use crate::hypergradient::{Accuracy, Bounded, Hypergradient};
use crate::linear::LinearSolver;
use crate::lower::LowerSolver;
use crate::oracle::{Implicit, Oracle};
use crate::problem::LowerLevel;
use crate::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper, Products};
use crate::status::Status;
use crate::upper::{Iteration, Solver, Step, check_theta, evaluate};
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// Batches of the upper level whose mean value is shown for a block.
const SHOWN_BATCHES: usize = 4;

/// An oracle whose levels are finite sums.
pub trait MinibatchOracle: Oracle<Theta = <Self::Lower as LowerLevel>::Theta> {
    /// The lower level.
    type Lower: MinibatchLower;
    /// The upper level.
    type Upper: MinibatchUpper<
            Theta = <Self::Lower as LowerLevel>::Theta,
            X = <Self::Lower as LowerLevel>::X,
        >;
    /// The levels.
    fn levels(&self) -> Levels<'_, Self::Lower, Self::Upper>;
    /// A state whose warm starts are x and v.
    fn state_with(&self, x: &XOf<Self>, v: &XOf<Self>) -> Self::State;
    /// The x of a state, and its adjoint once there was a hypergradient.
    fn x_of<'a>(&self, state: &'a Self::State) -> (&'a XOf<Self>, Option<&'a XOf<Self>>);
}

impl<P, U, S, L> MinibatchOracle for Implicit<P, U, S, L>
where
    P: MinibatchLower,
    U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    S: LowerSolver,
    L: LinearSolver,
{
    type Lower = P;
    type Upper = U;

    fn levels(&self) -> Levels<'_, P, U> {
        Levels {
            lower: self.lower(),
            upper: self.upper(),
        }
    }

    fn state_with(&self, x: &P::X, v: &P::X) -> Self::State {
        Implicit::state_with(self, x, v)
    }

    fn x_of<'a>(&self, state: &'a Self::State) -> (&'a P::X, Option<&'a P::X>) {
        (state.x(), state.adjoint())
    }
}

/// Both levels of a problem, with calls that count their work.
pub struct Levels<'a, P, U> {
    /// g.
    pub lower: &'a P,
    /// f.
    pub upper: &'a U,
}

impl<P, U> Clone for Levels<'_, P, U> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, U> Copy for Levels<'_, P, U> {}

impl<P, U> Levels<'_, P, U>
where
    P: MinibatchLower,
    U: MinibatchUpper<Theta = P::Theta, X = P::X>,
{
    /// out ← ∇ₓg.
    pub fn gradient(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        out: &mut P::X,
        work: &mut Work,
    ) {
        self.lower.batch_gradient(batch, x, theta, out);
        work.lower_gradients += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// out ← ∇θg.
    pub fn gradient_theta(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        out: &mut P::Theta,
        work: &mut Work,
    ) {
        self.lower.batch_gradient_theta(batch, x, theta, out);
        work.lower_gradients += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// out ← A v.
    pub fn hvp(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        v: &P::X,
        out: &mut P::X,
        work: &mut Work,
    ) {
        self.lower.batch_hvp(batch, x, theta, v, out);
        work.hessian_products += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// out ← Bᵀv.
    pub fn cross_vjp(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        v: &P::X,
        out: &mut P::Theta,
        work: &mut Work,
    ) {
        self.lower.batch_cross_vjp(batch, x, theta, v, out);
        work.cross_products += 1;
        work.lower_samples += batch.len() as u64;
    }

    /// by_x ← ∇ₓf, by_theta ← ∇θf.
    pub fn upper_gradients(
        &self,
        batch: Batch<'_>,
        x: &P::X,
        theta: &P::Theta,
        by_x: &mut P::X,
        by_theta: &mut P::Theta,
        work: &mut Work,
    ) {
        self.upper.batch_gradients(batch, x, theta, by_x, by_theta);
        work.upper_gradients += 1;
        work.upper_samples += batch.len() as u64;
    }

    /// d ← (d_x, d_v, d_θ) at the iterate on the batches of these numbers, from one pass over each.
    pub fn directions(
        &self,
        at: &mut Iterate<P::Theta, P::X>,
        [lower, upper]: [usize; 2],
        d: &mut Directions<P::Theta, P::X>,
    ) {
        let batches = [at.lower.batch(lower), at.upper.batch(upper)];
        self.directions_at(batches, [&at.x, &at.v], &at.theta, d, &mut at.work);
    }

    /// The same at any x, v and θ.
    pub fn directions_at(
        &self,
        [lower, upper]: [Batch<'_>; 2],
        [x, v]: [&P::X; 2],
        theta: &P::Theta,
        d: &mut Directions<P::Theta, P::X>,
        work: &mut Work,
    ) {
        self.parts_at([lower, upper], [x, v], theta, d, work);
        d.v.axpy(-1.0, &d.upper_x);
        d.theta.axpy(-1.0, &d.cross);
    }

    /// What the directions are made of, not yet put together: d holds ∇ₓg in `x`, A v in `v`, Bᵀv in `cross`, ∇ₓf in `upper_x` and ∇θf
    /// in `theta`.
    fn parts_at(
        &self,
        [lower, upper]: [Batch<'_>; 2],
        [x, v]: [&P::X; 2],
        theta: &P::Theta,
        d: &mut Directions<P::Theta, P::X>,
        work: &mut Work,
    ) {
        let products = Products {
            gradient: &mut d.x,
            hvp: &mut d.v,
            cross: &mut d.cross,
        };
        self.lower.batch_all(lower, x, theta, v, products);
        work.lower_gradients += 1;
        work.hessian_products += 1;
        work.cross_products += 1;
        work.lower_samples += 3 * lower.len() as u64;
        self.upper_gradients(upper, x, theta, &mut d.upper_x, &mut d.theta, work);
    }

    /// x ← x − step·∇ₓg(x, θ; ξ) on a batch that it draws. `room` is overwritten.
    pub fn step_x(&self, at: &mut Iterate<P::Theta, P::X>, step: f64, room: &mut P::X) {
        let number = at.lower.draw();
        let batch = at.lower.batch(number);
        self.gradient(batch, &at.x, &at.theta, room, &mut at.work);
        at.x.axpy(-step, room);
    }
}

/// The three directions, and room for what they are made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Directions<T: Vector, X: Vector> {
    /// d_x.
    pub x: X,
    /// d_v.
    pub v: X,
    /// d_θ.
    pub theta: T,
    /// Bᵀv.
    cross: T,
    /// ∇ₓf.
    upper_x: X,
}

impl<T: Vector, X: Vector> Directions<T, X> {
    /// Zero, for θ and x of these lengths.
    pub fn new(theta: &T, x: &X) -> Self {
        Directions {
            x: x.zeros_like(),
            v: x.zeros_like(),
            theta: theta.zeros_like(),
            cross: theta.zeros_like(),
            upper_x: x.zeros_like(),
        }
    }
}

/// Where a stochastic method stands: the same for every method, beside its own memory.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Iterate<T: Vector, X: Vector> {
    /// θ.
    pub theta: T,
    /// x.
    pub x: X,
    /// v.
    pub v: X,
    /// Iterations of the method so far.
    pub k: u64,
    /// Draws ξ.
    pub lower: Sampler,
    /// Draws ξ'.
    pub upper: Sampler,
    /// What was done since the last row of the trace.
    pub work: Work,
    /// The sum of the directions of θ since the last row.
    sum: T,
    #[serde(skip)]
    rooms_x: Scratch<X>,
    #[serde(skip)]
    rooms_theta: Scratch<T>,
}

impl<T: Vector, X: Vector> Iterate<T, X> {
    /// Draws ξ and ξ': the numbers of two batches.
    pub fn draw(&mut self) -> [usize; 2] {
        [self.lower.draw(), self.upper.draw()]
    }

    /// A vector like x, of unspecified content, to be given back.
    pub fn take_x(&mut self) -> X {
        self.rooms_x.take(&self.x)
    }

    /// Takes such a vector back.
    pub fn put_x(&mut self, x: X) {
        self.rooms_x.put(x);
    }

    /// A vector like θ, of unspecified content, to be given back.
    pub fn take_theta(&mut self) -> T {
        self.rooms_theta.take(&self.theta)
    }

    /// Takes such a vector back.
    pub fn put_theta(&mut self, theta: T) {
        self.rooms_theta.put(theta);
    }

    /// Notes the direction that θ moves against (an estimate of ∇F), for the trace. Every iteration calls it once.
    pub fn note(&mut self, direction: &T) {
        self.sum.axpy(1.0, direction);
    }

    fn is_finite(&self) -> bool {
        self.theta.is_finite() && self.x.is_finite() && self.v.is_finite()
    }
}

/// A stochastic method: how θ, x and v move in one iteration.
pub trait Method: Debug + Send + Sync {
    /// What it remembers beside θ, x and v.
    type Memory<T: Vector, X: Vector>: Serialize + DeserializeOwned;

    /// A short name, as in `SOBA`.
    fn name(&self) -> String;

    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether it remembers something of every batch, so that a batch must be the same samples in every epoch.
    fn remembers_batches(&self) -> bool {
        false
    }

    /// The exponents of its theory, and how its first steps compare with 1/L and 1/L_F.
    fn scale(&self) -> Scale;

    /// The same where it depends on the numbers of batches of the lower and of the upper level. Exponents are those of
    /// [`scale`](Method::scale).
    fn scale_on(&self, batches: [usize; 2]) -> Scale {
        let _ = batches;
        self.scale()
    }

    /// The memory at the start. It may move x and v, which start at the problem's start and zero.
    fn start<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        now: Now,
    ) -> Self::Memory<P::Theta, P::X>
    where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>;

    /// Iteration k, with the step sizes of `now`.
    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut Self::Memory<P::Theta, P::X>,
        now: Now,
    ) where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>;
}

/// The solver of a stochastic method. See the [module](self).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stochastic<M> {
    /// The method.
    pub method: M,
    /// Samples of a batch of the lower level, about (default 64; more than there are is refused).
    pub lower_batch: usize,
    /// Samples of a batch of the upper level, about (default 64).
    pub upper_batch: usize,
    /// How batches are made (default contiguous).
    pub sampling: Sampling,
    /// γ₀ and its exponent (default: estimated, and the method's).
    pub lower_step: StepSize,
    /// η₀ and its exponent (default: estimated, and the method's).
    pub upper_step: StepSize,
    /// Iterations of the method in one of the driver (default 1,000).
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
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound(
    serialize = "Memory: Serialize",
    deserialize = "Memory: DeserializeOwned"
))]
pub struct StochasticState<T: Vector, X: Vector, Memory> {
    at: Iterate<T, X>,
    /// θ₀, which is known to be sound.
    first: T,
    /// γ₀ and η₀, and κ of both.
    steps: [f64; 2],
    delays: [f64; 2],
    /// When they are renewed, where they are not given.
    watch: Option<Watch<T>>,
    memory: Memory,
}

impl<T: Vector, X: Vector, Memory> StochasticState<T, X, Memory> {
    /// θ, x and v.
    pub fn iterate(&self) -> &Iterate<T, X> {
        &self.at
    }
}

type LowerOf<O> = <O as MinibatchOracle>::Lower;
type XOf<O> = <LowerOf<O> as LowerLevel>::X;
type ThetaOf<O> = <LowerOf<O> as LowerLevel>::Theta;

impl<M: Method> Stochastic<M> {
    fn check<P: MinibatchLower, U: MinibatchUpper>(
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

    /// Looks at F and sets the steps that are not given. The first ones have to be found; later, where F is not defined, they stay. Returns
    /// the length of a direction of θ: ‖∇F‖, or none where it is no measure of the speed.
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
        // A length is a matter of the start alone: it falls by its own law.
        if depth == Depth::Largest || (scale.normalised && at.k > 0) {
            if self.lower_step.first.is_none() {
                let mut work = Work::default();
                // Where it cannot be told, γ₀ stays.
                if let Ok(largest) = looks::largest_eigenvalue(oracle.levels(), at, &mut work) {
                    steps[0] = steps[0].min(scale.lower / largest);
                }
                at.work += work;
            }
            return Ok(None);
        }
        let look = match looks::look(oracle, at) {
            Ok(look) => look,
            Err(Error::InvalidArgument { .. } | Error::NotFinite { .. }) if at.k > 0 => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        at.work += look.work;
        let decayed = self.now([1.0, 1.0], delays, at.k).upper;
        let [mut lower, mut upper] = look.steps(scale, decayed);
        if at.k > 0 {
            lower = lower.min(steps[0]);
            upper = upper.min(steps[1]);
        }
        steps[0] = self.lower_step.first.unwrap_or(lower);
        steps[1] = self.upper_step.first.unwrap_or(upper);
        Ok((!scale.normalised).then_some(look.norm))
    }

    fn now(&self, steps: [f64; 2], delays: [f64; 2], k: u64) -> Now {
        let scale = self.method.scale();
        Now {
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
            rooms_x: Scratch::default(),
            rooms_theta: Scratch::default(),
        };
        let mut steps = [0.0; 2];
        let batches = at.lower.batches().max(at.upper.batches());
        let delays = steps::delays(
            [self.lower_step, self.upper_step],
            self.method.scale(),
            batches,
        );
        let watch = match (self.lower_step.first, self.upper_step.first) {
            (Some(lower), Some(upper)) => {
                steps = [lower, upper];
                None
            }
            _ => {
                let norm = self.renew(oracle, &mut at, &mut steps, delays, Depth::Curvature)?;
                Some(Watch::new(&at.theta, batches, norm))
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
            watch,
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
            if let Some(watch) = &mut s.watch
                && s.at.k.is_multiple_of(GLANCE)
                && s.at.is_finite()
                && let Some(depth) = watch.time(&s.at.theta, now)
            {
                let norm = self.renew(oracle, &mut s.at, &mut s.steps, s.delays, depth)?;
                watch.found(norm);
            }
        }
        if !s.at.is_finite() || levels.lower.check(&s.at.theta).is_err() {
            // The run ends with the θ before this block, or, where that was out of reach already, with the first one.
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
        let mut row = Iteration::without_gradient(&before, f64::INFINITY, Bounded::unknown(value));
        row.gradient_norm = s.at.sum.norm() / self.block as f64;
        row.step = Some(now.upper);
        row.work = std::mem::take(&mut s.at.work);
        Ok(Step::Moved(row))
    }

    fn evaluate(
        &self,
        oracle: &O,
        s: &mut Self::State,
    ) -> Result<(Iteration, Hypergradient<O::Theta>), Error> {
        let mut state = oracle.state_with(&s.at.x, &s.at.v);
        evaluate(oracle, &s.at.theta, self.accuracy, &mut state)
    }

    fn probe(&self, oracle: &O, s: &Self::State) -> Result<f64, Error> {
        let state = oracle.state_with(&s.at.x, &s.at.v);
        oracle.check(&s.at.theta, &state)?;
        Ok(oracle.probe(&s.at.theta, &state))
    }

    fn theta<'a>(&self, s: &'a Self::State) -> &'a O::Theta {
        &s.at.theta
    }

    fn name(&self) -> String {
        self.method.name()
    }

    fn identity(&self) -> String {
        format!("{self:?}")
    }
}

impl<M: Method> Stochastic<M> {
    /// The mean of f over the first few batches of the upper level.
    fn shown_value<P, U>(&self, levels: Levels<'_, P, U>, at: &mut Iterate<P::Theta, P::X>) -> f64
    where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>,
    {
        let samples = (SHOWN_BATCHES * self.upper_batch).min(levels.upper.samples());
        at.work.upper_values += 1;
        at.work.upper_samples += samples as u64;
        levels
            .upper
            .batch_value(Batch::all(samples), &at.x, &at.theta)
    }
}
