//! Search directions −p with p = H z, and what they remember.
//!
//! | direction | H | pays when |
//! |---|---|---|
//! | steepest | I | the default: its descent test asks for the least accuracy |
//! | diagonal | diag(rms(v)/√vᵢ), v = Σ decayᵏ z² | the entries of θ differ in scale, F is not quadratic |
//! | L-BFGS | from the last m pairs (s, y) | F is smooth and ill-conditioned: nearly always |
//!
//! # The descent test
//! The exact slope along −p is at most −⟨z, p⟩ + ω‖p‖. It is at most −η⟨z, p⟩, a descent by proof, where
//!
//! ```text
//! ω ≤ (1 − η) ⟨z, p⟩/‖p‖                                 ⟨z, p⟩/‖p‖ = ‖z‖ cos ∠(z, p): the steepness along −p
//! ```
//!
//! For p = z this is ω ≤ (1 − η)‖z‖, the weakest such test: an oblique p asks for a smaller ω, as much as its angle says. A p that fails
//! it where z passes gives way to z for this iteration, since another step is cheaper than more accurate inner solutions.
//!
//! # Curvature pairs
//! s = θ_k − θ_{k−1} and y = z_k − z_{k−1} come from inexact gradients, so ⟨s, y⟩ is uncertain by (ω_k + ω_{k−1})‖s‖. A pair is
//! kept where ⟨s, y⟩ ≥ κ(ω_k + ω_{k−1})‖s‖. With κ = 1 its curvature is positive by proof; as ω overstates the error several
//! times, less does. A wrong curvature costs work, not safety: every p has to pass the descent test.
//!
//! # References
//! D. Liu, J. Nocedal: On the limited memory BFGS method for large scale optimization. Math. Program. 45 (1989),
//! [doi:10.1007/BF01589116](https://doi.org/10.1007/BF01589116).
//! J. Duchi, E. Hazan, Y. Singer: Adaptive subgradient methods. JMLR 12 (2011), <https://jmlr.org/papers/v12/duchi11a.html>.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

use crate::error::Error;
use crate::vector::Vector;

/// κ: the share of its uncertainty that the curvature of a pair has to exceed.
const PAIR_MARGIN: f64 = 0.1;
/// Entries of √v below this share of their root mean square count as that much.
const DIAGONAL_FLOOR: f64 = 1e-3;

/// The search direction. See the [module](self).
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Direction {
    /// −z (the default).
    #[default]
    Steepest,
    /// −z scaled entry by entry, by what the entries of z have been.
    Diagonal {
        /// What is left of old squares at a step, in (0, 1]; 1 is AdaGrad's sum.
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

/// A step s, the change y of the hypergradient along it, and how uncertain ⟨s, y⟩ is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pair<T> {
    s: T,
    y: T,
    sy: f64,
}

impl<T: Vector> Pair<T> {
    /// The pair between two points, each (θ, z, ω); `None` where its curvature is not clear of the noise.
    pub(crate) fn between(from: (&T, &T, f64), to: (&T, &T, f64)) -> Option<Self> {
        let (mut s, mut y) = (to.0.clone(), to.1.clone());
        s.axpy(-1.0, from.0);
        y.axpy(-1.0, from.1);
        let sy = s.dot(&y);
        // Without bounds there is nothing to compare with but rounding.
        let omega = if to.2.is_finite() && from.2.is_finite() {
            PAIR_MARGIN * (to.2 + from.2)
        } else {
            0.0
        };
        let noise = s.norm() * omega.max(4.0 * T::UNIT_ROUNDOFF * to.1.norm());
        (sy > noise && sy.is_finite()).then_some(Pair { s, y, sy })
    }

    /// ⟨s, s⟩/⟨s, y⟩, the longer of the two steps of Barzilai and Borwein.
    pub(crate) fn long_step(&self) -> f64 {
        self.s.dot(&self.s) / self.sy
    }

    /// ⟨s, y⟩/⟨y, y⟩, the shorter one.
    pub(crate) fn short_step(&self) -> f64 {
        self.sy / self.y.dot(&self.y)
    }
}

/// What a direction remembers of the accepted steps.
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

    /// The scale of H: the short step of the newest pair.
    pub(crate) fn scale(&self, fresh: Option<&Pair<T>>) -> Option<f64> {
        fresh.or(self.pairs.back()).map(Pair::short_step)
    }

    /// Takes in the point that was left: its z, and the pair that ended there.
    pub(crate) fn commit(&mut self, rule: Direction, z: &T, fresh: Option<Pair<T>>) {
        match rule {
            Direction::Steepest => {}
            Direction::Diagonal { decay } => {
                let v = self.squares_with(decay, z);
                self.squares
                    .get_or_insert_with(|| z.zeros_like())
                    .assign(&mut |i| v[i]);
            }
            Direction::Lbfgs { memory } => {
                if let Some(pair) = fresh {
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
