//! The common form of the imaging problems: a data term and a regulariser, with the squared error.

use bilevel::autodiff::{Gradients, Number, SampleLoss, Scalar};
use bilevel::problem::minibatch::Batch;
use bilevel_problems::imaging::{Image, SquaredError};

use crate::agreement::{Points, mean, sizes};
use crate::common::random;

/// R(x, θ), to be added to any data term.
pub(super) trait Regulariser: Clone + Send + Sync {
    fn theta_len(&self) -> usize;
    fn value<S: Scalar>(&self, x: &[S], theta: &[S]) -> S;
    /// out ← out + ∇ₓR.
    fn add_gradient<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]);
    /// out ← out + ∇θR.
    fn add_gradient_theta<S: Number>(&self, x: &[S], theta: &[S], out: &mut [S]);
}

/// ½‖x − y‖² + R(x, θ): the image is the sample.
#[derive(Clone)]
pub(super) struct Denoising<R> {
    pub(super) y: Vec<f64>,
    pub(super) regulariser: R,
}

/// ½‖x − y‖².
pub(super) fn half_square<S: Scalar>(x: &[S], y: &[f64]) -> S {
    let r: Vec<S> = x.iter().zip(y).map(|(x, y)| x.plus(-y)).collect();
    S::dot(&r, &r).times(0.5)
}

impl<R: Regulariser> SampleLoss for Denoising<R> {
    sizes!(self: self.y.len(), self.regulariser.theta_len(), 1);

    fn loss<S: Scalar>(&self, x: &[S], _theta: &[S], _image: usize) -> S {
        half_square(x, &self.y)
    }

    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        self.regulariser.value(x, theta)
    }
}

impl<R: Regulariser> Gradients for Denoising<R> {
    sizes!(self: self.y.len(), self.regulariser.theta_len(), 1);

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, _batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(&self.y) {
            *out = x.plus(-y);
        }
        self.regulariser.add_gradient(x, theta, out);
    }

    fn gradient_theta<S: Number>(&self, _batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        out.fill(S::default());
        self.regulariser.add_gradient_theta(x, theta, out);
    }
}

/// (at, its right and its lower neighbour, where there are such) of every pixel, row after row.
pub(super) fn neighbours(
    rows: usize,
    cols: usize,
) -> impl Iterator<Item = (usize, Option<usize>, Option<usize>)> {
    (0..rows * cols).map(move |at| {
        let right = ((at + 1) % cols != 0).then_some(at + 1);
        let below = (at + cols < rows * cols).then_some(at + cols);
        (at, right, below)
    })
}

/// x[to] − x[at], 0 where there is no `to`.
pub(super) fn difference<S: Scalar>(x: &[S], at: usize, to: Option<usize>) -> S {
    to.map_or_else(|| S::constant(0.0), |to| x[to] - x[at])
}

/// out ← out + s Dᵀ(one difference).
pub(super) fn spread<S: Number>(out: &mut [S], at: usize, to: Option<usize>, s: S) {
    if let Some(to) = to {
        out[to] += s;
        out[at] -= s;
    }
}

pub(super) fn noise(rows: usize, cols: usize, seed: u64) -> Image<f64> {
    Image::new(rows, cols, random(rows * cols, seed)).unwrap()
}

/// No regulariser, and a θ that does nothing.
#[derive(Clone)]
struct Nothing;

impl Regulariser for Nothing {
    fn theta_len(&self) -> usize {
        2
    }
    fn value<S: Scalar>(&self, _x: &[S], _theta: &[S]) -> S {
        S::constant(0.0)
    }
    fn add_gradient<S: Number>(&self, _x: &[S], _theta: &[S], _out: &mut [S]) {}
    fn add_gradient_theta<S: Number>(&self, _x: &[S], _theta: &[S], _out: &mut [S]) {}
}

#[test]
fn squared_error_agrees() {
    let clean = noise(4, 5, 9);
    let mine = Denoising {
        y: clean.pixels().to_vec(),
        regulariser: Nothing,
    };
    let points = Points::around(&[0.0; 2]);
    points.upper("squared error", &SquaredError::new(&clean), &mine);
    // In single precision, with the pixels that it has.
    let single = clean.cast::<f32>();
    let mine = Denoising {
        y: single.cast::<f64>().pixels().to_vec(),
        regulariser: Nothing,
    };
    let points = points.within(1e-4);
    points.upper("squared error in f32", &SquaredError::new(&single), &mine);
}
