//! SABA: stochastic average bilevel algorithm, SOBA with variance-reduced directions, as in SAGA.
//!
//! ```text
//! for each of ∇ₓg, A v, Bᵀv on batch i of the b batches of the lower level, and ∇ₓf, ∇θf on batch j of the upper level:
//!     u ← its value at (θ, x, v) on the batch
//!     û ← b wᵢ (u − tᵢ) + t̄;   t̄ ← t̄ + wᵢ (u − tᵢ);   tᵢ ← u              t: table, t̄ = Σ wᵢ tᵢ,  wᵢ = |ξᵢ|/n
//! x ← x − γ û(∇ₓg);   v ← v − γ (û(A v) − û(∇ₓf));   θ ← θ − η (û(∇θf) − û(Bᵀv))     constant steps
//! ```
//!
//! b wᵢ is 1 for batches of equal size. Batch sizes differ by at most one sample, and the factor keeps û unbiased.
//!
//! `start` fills the tables in one pass over both levels. From zero they would be full after the first epoch, but an epoch visits every
//! batch once, so its last directions would be twice too long. v starts at zero, where A v and Bᵀv are zero, so the pass computes
//! gradients only.
//!
//! The tables are indexed by batch, so batches must be the same in every epoch: shuffled sampling is refused.
//!
//! # Steps
//! By default γ = 1/(2L) and η = min(1, 3/b)/L_F, with the larger b of the two levels, and less where x could not follow ([`steps`](super::steps)).
//! A step that does not decrease with b diverges where there are many batches and F depends on θ through x: on a coupled quadratic with 62
//! batches, 18/b diverged. The theory has (n+m)^−⅔.
//!
//! # Assumptions
//! Both levels are finite sums of n and m terms; g(·, θ) strongly convex, its third derivatives and the second of f bounded. With constant
//! steps the mean of ‖∇F‖² over K iterations is O((n+m)^⅔/K), the rate of gradient descent; where F satisfies the inequality of
//! Polyak and Łojasiewicz the convergence is linear.
//!
//! # Cost
//! An iteration: one gradient, one product with A and one with Bᵀ on ξ in one pass, one gradient of f on ξ'. Memory: 2 vectors like x and
//! one like θ for each batch of the lower level, one and one for each of the upper level; beside the tables eight like x, six like θ.
//! Larger batches make smaller tables.
//!
//! # Reference
//! M. Dagréou, P. Ablin, S. Vaiter, T. Moreau: A framework for bilevel optimization that enables stochastic and global variance
//! reduction algorithms. NeurIPS 2022, [arXiv:2201.13409](https://arxiv.org/abs/2201.13409).

use serde::{Deserialize, Serialize};

use super::iterate::{Directions, Iterate, MethodMemory};
use super::levels::Levels;
use super::method::Method;
use super::steps::{StepDefaults, StepSizes};
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// SAGA on all three variables. See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Saba {}

/// The last value of one quantity on every batch, and their weighted mean.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
struct Table<V: Vector> {
    last: Vec<V>,
    mean: V,
}

impl<V: Vector> Table<V> {
    fn zeros(batches: usize, like: &V) -> Self {
        Table {
            last: vec![like.zeros_like(); batches],
            mean: like.zeros_like(),
        }
    }

    /// u ← û, and stores u in the table.
    fn reduce(&mut self, number: usize, weight: f64, u: &mut V) {
        let batches = self.last.len() as f64;
        std::mem::swap(&mut self.last[number], u);
        u.axpby(1.0, &self.last[number], -1.0);
        self.mean.axpy(weight, u);
        // The mean has gained w (u − t) already.
        u.axpby(1.0, &self.mean, (batches - 1.0) * weight);
    }

    fn fill(&mut self, number: usize, weight: f64, u: &V) {
        self.last[number].copy_from(u);
        self.mean.axpy(weight, u);
    }
}

/// The memory of [`Saba`]: the tables.
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SabaMemory<T: Vector, X: Vector> {
    directions: Directions<T, X>,
    gradient: Table<X>,
    hvp: Table<X>,
    cross: Table<T>,
    upper_x: Table<X>,
    upper_theta: Table<T>,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for SabaMemory<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        let (lower, upper) = (at.lower.batches(), at.upper.batches());
        SabaMemory {
            directions: Directions::new(&at.theta, &at.x),
            gradient: Table::zeros(lower, &at.x),
            hvp: Table::zeros(lower, &at.x),
            cross: Table::zeros(lower, &at.theta),
            upper_x: Table::zeros(upper, &at.x),
            upper_theta: Table::zeros(upper, &at.theta),
        }
    }
}

impl Method for Saba {
    type Memory<T: Vector, X: Vector> = SabaMemory<T, X>;

    fn name(&self) -> String {
        "SABA".into()
    }

    fn remembers_batches(&self) -> bool {
        true
    }

    fn scale(&self) -> StepDefaults {
        StepDefaults::constant()
    }

    fn scale_on(&self, [lower, upper]: [usize; 2]) -> StepDefaults {
        // An entry of a table is b iterations old when it is replaced, so θ must move little in that time.
        StepDefaults {
            upper: (3.0 / lower.max(upper) as f64).min(1.0),
            ..StepDefaults::constant()
        }
    }

    fn start<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        _now: StepSizes,
    ) -> SabaMemory<P::Theta, P::X>
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let mut memory = SabaMemory::new(at);
        let d = &mut memory.directions;
        for number in 0..at.lower.batches() {
            let batch = at.lower.batch(number);
            let weight = batch.len() as f64 / levels.lower.samples() as f64;
            levels.gradient(batch, &at.x, &at.theta, &mut d.x, &mut at.work);
            memory.gradient.fill(number, weight, &d.x);
        }
        for number in 0..at.upper.batches() {
            let batch = at.upper.batch(number);
            let weight = batch.len() as f64 / levels.upper.samples() as f64;
            let (by_x, by_theta) = (&mut d.upper_x, &mut d.theta);
            levels.upper_gradients(batch, &at.x, &at.theta, by_x, by_theta, &mut at.work);
            memory.upper_x.fill(number, weight, by_x);
            memory.upper_theta.fill(number, weight, by_theta);
        }
        memory
    }

    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut SabaMemory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let d = &mut memory.directions;
        let [i, j] = at.draw();
        let batches = [at.lower.batch(i), at.upper.batch(j)];
        levels.parts_at(batches, [&at.x, &at.v], &at.theta, d, &mut at.work);
        let lower = batches[0].len() as f64 / levels.lower.samples() as f64;
        let upper = batches[1].len() as f64 / levels.upper.samples() as f64;
        memory.gradient.reduce(i, lower, &mut d.x);
        memory.hvp.reduce(i, lower, &mut d.v);
        memory.cross.reduce(i, lower, &mut d.cross);
        memory.upper_x.reduce(j, upper, &mut d.upper_x);
        memory.upper_theta.reduce(j, upper, &mut d.theta);
        d.v.axpy(-1.0, &d.upper_x);
        d.theta.axpy(-1.0, &d.cross);
        at.x.axpy(-now.lower, &d.x);
        at.v.axpy(-now.lower, &d.v);
        at.theta.axpy(-now.upper, &d.theta);
        at.note(&d.theta);
    }
}
