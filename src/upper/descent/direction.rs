//! Search directions −p with p = H z, and the memory that H is built from.
//!
//! | direction | H | pays when |
//! |---|---|---|
//! | steepest | I | the default: its descent test requires the least accuracy |
//! | diagonal | diag(rms(v)/√vᵢ), v = Σ decayᵏ z² | the entries of θ differ in scale, F is not quadratic |
//! | L-BFGS | from the last m pairs (s, y) | F is smooth and ill-conditioned: nearly always |
//!
//! # The descent test
//! The exact slope along −p is at most −⟨z, p⟩ + ω‖p‖. It is at most −η⟨z, p⟩, a proven descent, where
//!
//! ```text
//! ω ≤ (1 − η) ⟨z, p⟩/‖p‖                                 ⟨z, p⟩/‖p‖ = ‖z‖ cos ∠(z, p): the steepness along −p
//! ```
//!
//! For p = z this is ω ≤ (1 − η)‖z‖, the weakest such test: an oblique p requires a smaller ω, in proportion to the cosine of its angle.
//! Where p fails the test and z passes, z replaces p for this iteration, since another step is cheaper than more accurate inner solutions;
//! the accuracy of the next iteration is tightened for its p.
//!
//! # Curvature pairs
//! s = θ_k − θ_{k−1} and y = z_k − z_{k−1} come from inexact gradients, so ⟨s, y⟩ is uncertain by (ω_k + ω_{k−1})‖s‖. A pair is
//! kept where ⟨s, y⟩ > κ(ω_k + ω_{k−1})‖s‖. With κ = 1 its curvature is proven to be positive. But ω overestimates the error of z, and more
//! so that of a difference of two z; on ill-conditioned problems κ = 0.02 is best by measurement, and 0 and 0.1 cost a fifth to a third
//! more. A wrong curvature costs work, not safety: every p has to pass the descent test. After a pair that is lost in the noise the accuracy
//! schedule tightens; a clearly negative curvature shows that F is concave along the step, and the next step may be longer.
//!
//! # References
//! D. Liu, J. Nocedal: On the limited memory BFGS method for large scale optimization. Math. Program. 45 (1989),
//! [doi:10.1007/BF01589116](https://doi.org/10.1007/BF01589116).
//! J. Duchi, E. Hazan, Y. Singer: Adaptive subgradient methods. JMLR 12 (2011), <https://jmlr.org/papers/v12/duchi11a.html>.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use crate::error::Error;
use crate::vector::Vector;

/// κ: the curvature of an L-BFGS pair must exceed this share of its uncertainty.
const PAIR_MARGIN: f64 = 0.02;
/// The lower limit of the entries of √v, relative to their root mean square.
const DIAGONAL_FLOOR: f64 = 1e-3;

/// The search direction. See the [module](self).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Direction {
    /// −z (the default).
    #[default]
    Steepest,
    /// −z scaled entry by entry with the past entries of z.
    Diagonal {
        /// The factor of the old squares at each step, in (0, 1]; 1 is AdaGrad's sum.
        decay: f64,
    },
    /// The quasi-Newton direction of the last pairs, with a first trial step of 1.
    Lbfgs {
        /// m ≥ 1, the number of pairs.
        memory: usize,
    },
}

impl Direction {
    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Direction::Diagonal { decay } if !(decay > 0.0 && decay <= 1.0) => Err(Error::invalid(
                "direction.decay",
                decay,
                "a number in (0, 1]",
            )),
            Direction::Lbfgs { memory: 0 } => {
                Err(Error::invalid("direction.memory", 0, "at least 1"))
            }
            _ => Ok(()),
        }
    }
}

/// A step s, the change y of the hypergradient along it, and ⟨s, y⟩.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pair<T> {
    s: T,
    y: T,
    sy: f64,
}

/// The curvature of F along a step.
#[derive(Debug, Clone)]
pub(crate) enum Curvature<T> {
    /// Not measured: there was no step, or the rule does not need it.
    None,
    /// Positive.
    Clear(Pair<T>),
    /// Lost in the noise of the hypergradients.
    Noisy,
    /// Negative.
    Negative,
}

impl<T: Vector> Curvature<T> {
    /// The curvature between two points (θ, z, ω), with the noise level of the direction.
    pub(crate) fn between(rule: Direction, from: (&T, &T, f64), to: (&T, &T, f64)) -> Self {
        let (mut s, mut y) = (to.0.clone(), to.1.clone());
        s.axpy(-1.0, from.0);
        y.axpy(-1.0, from.1);
        let sy = s.dot(&y);
        // A Barzilai–Borwein step is only a trial step, so ω does not count. Without bounds only rounding counts.
        let bounded = to.2.is_finite() && from.2.is_finite();
        let omega = match rule {
            Direction::Lbfgs { .. } if bounded => PAIR_MARGIN * (to.2 + from.2),
            _ => 0.0,
        };
        let noise = s.norm() * omega.max(4.0 * T::UNIT_ROUNDOFF * to.1.norm());
        if sy > noise && sy.is_finite() {
            Curvature::Clear(Pair { s, y, sy })
        } else if sy < -noise {
            Curvature::Negative
        } else {
            Curvature::Noisy
        }
    }

    /// The pair, where it is clear.
    pub(crate) fn pair(&self) -> Option<&Pair<T>> {
        match self {
            Curvature::Clear(pair) => Some(pair),
            _ => None,
        }
    }
}

impl<T: Vector> Pair<T> {
    /// ⟨s, s⟩/⟨s, y⟩, the longer of the two steps of Barzilai and Borwein.
    pub(crate) fn long_step(&self) -> f64 {
        self.s.dot(&self.s) / self.sy
    }

    /// ⟨s, y⟩/⟨y, y⟩, the shorter one.
    pub(crate) fn short_step(&self) -> f64 {
        self.sy / self.y.dot(&self.y)
    }
}

/// The accepted steps that a direction is built from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Memory<T> {
    pairs: VecDeque<Pair<T>>,
    /// v: the decayed sum of the squares of z.
    squares: Option<T>,
}

impl<T: Vector> Memory<T> {
    pub(crate) fn new() -> Self {
        Memory {
            pairs: VecDeque::new(),
            squares: None,
        }
    }

    /// p = H z, with the pair that ends at this point; `None` where H = I.
    pub(crate) fn apply(&self, rule: Direction, z: &T, fresh: Option<&Pair<T>>) -> Option<T> {
        match rule {
            Direction::Steepest => None,
            Direction::Diagonal { decay } => {
                let v = self.squares_with(decay, z);
                let rms = (v.iter().sum::<f64>() / v.len() as f64).sqrt();
                let entries = z.to_f64();
                let mut p = z.zeros_like();
                p.assign(&mut |i| entries[i] * rms / v[i].sqrt().max(DIAGONAL_FLOOR * rms));
                Some(p)
            }
            Direction::Lbfgs { memory } => {
                let skip = (self.pairs.len() + usize::from(fresh.is_some())).saturating_sub(memory);
                two_loop(self.pairs.iter().skip(skip).chain(fresh), z)
            }
        }
    }

    /// Removes all pairs.
    pub(crate) fn clear(&mut self) {
        self.pairs.clear();
    }

    /// Whether there is no pair.
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// The scale of H: the short step of the newest pair.
    pub(crate) fn scale(&self, fresh: Option<&Pair<T>>) -> Option<f64> {
        fresh.or(self.pairs.back()).map(Pair::short_step)
    }

    /// Stores the point that was left: its z, and the curvature of the step that led there.
    pub(crate) fn commit(&mut self, rule: Direction, z: &T, fresh: Curvature<T>) {
        match rule {
            Direction::Steepest => {}
            Direction::Diagonal { decay } => {
                let v = self.squares_with(decay, z);
                self.squares
                    .get_or_insert_with(|| z.zeros_like())
                    .assign(&mut |i| v[i]);
            }
            Direction::Lbfgs { memory } => {
                if let Curvature::Clear(pair) = fresh {
                    if self.pairs.len() == memory {
                        self.pairs.pop_front();
                    }
                    self.pairs.push_back(pair);
                }
            }
        }
    }

    fn squares_with(&self, decay: f64, z: &T) -> Vec<f64> {
        let mut v: Vec<f64> = z.to_f64().iter().map(|z| z * z).collect();
        if let Some(old) = &self.squares {
            for (v, old) in v.iter_mut().zip(old.to_f64()) {
                *v += decay * old;
            }
        }
        v
    }
}

/// H z by the two-loop recursion, H₀ the short step of the newest pair; `None` without pairs.
fn two_loop<'a, T: Vector>(
    pairs: impl DoubleEndedIterator<Item = &'a Pair<T>> + Clone,
    z: &T,
) -> Option<T> {
    let scale = pairs.clone().next_back()?.short_step();
    let mut p = z.clone();
    let mut alphas = Vec::new();
    for pair in pairs.clone().rev() {
        let alpha = pair.s.dot(&p) / pair.sy;
        p.axpy(-alpha, &pair.y);
        alphas.push(alpha);
    }
    p.scale(scale);
    for (pair, alpha) in pairs.zip(alphas.iter().rev()) {
        let beta = pair.y.dot(&p) / pair.sy;
        p.axpy(alpha - beta, &pair.s);
    }
    Some(p)
}
