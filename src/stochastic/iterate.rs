//! The iterate of a stochastic method: θ, x and v, the samplers, and the directions.

use serde::{Deserialize, Serialize};

use super::sampler::Sampler;
use crate::vector::{Scratch, Vector};
use crate::work::Work;

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
    pub(super) cross: T,
    /// ∇ₓf.
    pub(super) upper_x: X,
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
    pub(super) sum: T,
    #[serde(skip)]
    pub(super) rooms_x: Scratch<X>,
    #[serde(skip)]
    pub(super) rooms_theta: Scratch<T>,
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

    pub(super) fn is_finite(&self) -> bool {
        self.theta.is_finite() && self.x.is_finite() && self.v.is_finite()
    }
}
