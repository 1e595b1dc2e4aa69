//! The iterate of a stochastic method: θ, x and v, the samplers, and the directions.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::sampler::Sampler;
use crate::vector::{Scratch, Vector};
use crate::work::Work;

/// The three directions and their parts.
#[doc(hidden)]
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
    pub(super) cross: T,
    /// ∇ₓf.
    pub(super) upper_x: X,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for Directions<T, X> {
    fn new(at: &Iterate<T, X>) -> Self {
        Directions::new(&at.theta, &at.x)
    }
}

impl<T: Vector, X: Vector> Directions<T, X> {
    /// Zero directions for θ and x of these lengths.
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

/// The iterate of a stochastic method, without the memory of the method.
#[doc(hidden)]
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Iterate<T: Vector, X: Vector> {
    /// θ.
    pub theta: T,
    /// x.
    pub x: X,
    /// v.
    pub v: X,
    /// The number of iterations so far.
    pub k: u64,
    /// The sampler of ξ.
    pub lower: Sampler,
    /// The sampler of ξ'.
    pub upper: Sampler,
    /// The work since the last row of the trace.
    pub work: Work,
    /// The sum of the directions of θ since the last row.
    pub(super) sum: T,
    #[serde(skip)]
    pub(super) buffers_x: Scratch<X>,
    #[serde(skip)]
    pub(super) buffers_theta: Scratch<T>,
}

impl<T: Vector, X: Vector> Iterate<T, X> {
    /// Draws ξ and ξ': the numbers of two batches.
    pub fn draw(&mut self) -> [usize; 2] {
        [self.lower.draw(), self.upper.draw()]
    }

    /// Lends a vector like x, of unspecified content, until [`put_x`](Iterate::put_x).
    pub fn take_x(&mut self) -> X {
        self.buffers_x.take(&self.x)
    }

    /// Returns a lent vector.
    pub fn put_x(&mut self, x: X) {
        self.buffers_x.put(x);
    }

    /// Lends a vector like θ, of unspecified content, until [`put_theta`](Iterate::put_theta).
    pub fn take_theta(&mut self) -> T {
        self.buffers_theta.take(&self.theta)
    }

    /// Returns a lent vector.
    pub fn put_theta(&mut self, theta: T) {
        self.buffers_theta.put(theta);
    }

    /// Records the direction that θ moves against, an estimate of ∇F, for the trace. Every iteration calls it once.
    pub fn note(&mut self, direction: &T) {
        self.sum.axpy(1.0, direction);
    }

    pub(super) fn is_finite(&self) -> bool {
        self.theta.is_finite() && self.x.is_finite() && self.v.is_finite()
    }
}

/// The memory of a stochastic method, which checkpoints store.
#[doc(hidden)]
pub trait MethodMemory<T: Vector, X: Vector>: Serialize + DeserializeOwned {
    /// The memory at the first iterate.
    fn new(at: &Iterate<T, X>) -> Self;
}

/// For methods without a memory.
impl<T: Vector, X: Vector> MethodMemory<T, X> for () {
    fn new(_: &Iterate<T, X>) -> Self {}
}

/// The momentum m of θ, which starts at zero.
#[doc(hidden)]
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Momentum<T: Vector> {
    pub(super) m: T,
}

impl<T: Vector, X: Vector> MethodMemory<T, X> for Momentum<T> {
    fn new(at: &Iterate<T, X>) -> Self {
        Momentum {
            m: at.theta.zeros_like(),
        }
    }
}
