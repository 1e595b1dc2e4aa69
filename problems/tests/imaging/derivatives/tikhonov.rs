//! `imaging::tikhonov`.

use bilevel::autodiff::{Number, Scalar};
use bilevel_problems::imaging::Tikhonov;

use super::imaging::{Denoising, Regulariser, difference, neighbours, noise, spread};
use crate::agreement::Points;

/// ½ (e^θ₀ ‖x‖² + e^θ₁ ‖D_h x‖² + e^θ₂ ‖D_v x‖²).
#[derive(Clone)]
pub(super) struct Squares {
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Squares {
    /// The halves of the three squares.
    fn halves<S: Scalar>(&self, x: &[S]) -> [S; 3] {
        let (mut across, mut down) = (Vec::new(), Vec::new());
        for (at, right, below) in neighbours(self.rows, self.cols) {
            across.push(difference(x, at, right));
            down.push(difference(x, at, below));
        }
        [S::dot(x, x), S::dot(&across, &across), S::dot(&down, &down)]
            .map(|square| square.times(0.5))
    }
}

impl Regulariser for Squares {
    fn theta_len(&self) -> usize {
        3
    }

    fn value<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        let halves = self.halves(x);
        theta[0].exp() * halves[0] + theta[1].exp() * halves[1] + theta[2].exp() * halves[2]
    }

    fn add_gradient<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]) {
        let w = [0, 1, 2].map(|k| theta[k].exp());
        for (at, right, below) in neighbours(self.rows, self.cols) {
            out[at] += w[0] * x[at];
            spread(out, at, right, w[1] * difference(x, at, right));
            spread(out, at, below, w[2] * difference(x, at, below));
        }
    }

    fn add_gradient_theta<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]) {
        let halves = self.halves(x);
        for k in 0..3 {
            out[k] += theta[k].exp() * halves[k];
        }
    }
}

#[test]
fn tikhonov_agrees() {
    for (rows, cols) in [(6, 9), (1, 7)] {
        let noisy = noise(rows, cols, 2);
        let mine = Denoising {
            y: noisy.pixels().to_vec(),
            regulariser: Squares { rows, cols },
        };
        let shipped = Tikhonov::new(&noisy).unwrap();
        Points::around(&[-0.5; 3]).lower("Tikhonov", &shipped, &mine);
    }
}
