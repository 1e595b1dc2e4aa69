//! TV denoising, from gradients and from a loss.

use super::super::*;
use bilevel::Element;
use bilevel::problem::autodiff::{Number, Scalar};
use bilevel_problems::imaging::Image;
use std::sync::Arc;

#[derive(Clone)]
pub(crate) struct Tv {
    noisy: Arc<Vec<f64>>,
    rows: usize,
    cols: usize,
}

impl Tv {
    pub(crate) fn new<E: Element>(noisy: &Image<E>) -> Self {
        Tv {
            noisy: Arc::new(noisy.cast::<f64>().pixels().to_vec()),
            rows: noisy.rows(),
            cols: noisy.cols(),
        }
    }

    /// The right and the lower neighbour of a pixel: itself at the border.
    fn neighbours(&self, at: usize) -> (usize, usize) {
        let right = at + usize::from((at + 1) % self.cols != 0);
        let below = if at + self.cols < self.rows * self.cols {
            at + self.cols
        } else {
            at
        };
        (right, below)
    }
}

impl SampleLoss for Tv {
    fn parameters(&self) -> usize {
        self.noisy.len()
    }
    fn hyperparameters(&self) -> usize {
        2
    }
    fn samples(&self) -> usize {
        1
    }

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], _image: usize) -> S {
        let nu2 = theta[1].times(2.0).exp();
        let mut total = S::constant(0.0);
        let mut squares = S::constant(0.0);
        for (at, &y) in self.noisy.iter().enumerate() {
            let (right, below) = self.neighbours(at);
            let (h, v) = (x[right] - x[at], x[below] - x[at]);
            total += (h.squared() + v.squared() + nu2).sqrt();
            squares += x[at].plus(-y).squared();
        }
        theta[0].exp() * total + squares.times(0.5)
    }
}

impl Gradients for Tv {
    fn parameters(&self) -> usize {
        self.noisy.len()
    }
    fn hyperparameters(&self) -> usize {
        2
    }

    fn value<S: Number>(&self, _batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        self.loss(x, theta, 0)
    }

    fn gradient<S: Number>(&self, _batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let (weight, nu2) = (theta[0].exp(), theta[1].times(2.0).exp());
        for ((out, x), y) in out.iter_mut().zip(x).zip(self.noisy.iter()) {
            *out = x.plus(-y);
        }
        for at in 0..x.len() {
            let (right, below) = self.neighbours(at);
            let (h, v) = (x[right] - x[at], x[below] - x[at]);
            let scale = weight / (h * h + v * v + nu2).sqrt();
            out[right] += scale * h;
            out[below] += scale * v;
            out[at] -= scale * (h + v);
        }
    }

    fn gradient_theta<S: Number>(&self, _batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let (weight, nu2) = (theta[0].exp(), theta[1].times(2.0).exp());
        out.fill(S::default());
        for at in 0..x.len() {
            let (right, below) = self.neighbours(at);
            let (h, v) = (x[right] - x[at], x[below] - x[at]);
            let phi = (h * h + v * v + nu2).sqrt();
            out[0] += weight * phi;
            out[1] += weight * nu2 / phi;
        }
    }
}
