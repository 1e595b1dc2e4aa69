//! `imaging::sure`: the lower level is two denoising problems with one θ, the upper level the risk estimate.

use bilevel::autodiff::{Gradients, Number, SampleLoss, Scalar};
use bilevel::problem::minibatch::Batch;
use bilevel_problems::imaging::{Norm, PerturbedPair, Sure, TvDenoising, Weights};

use super::imaging::{Denoising, Regulariser, half_square, noise};
use super::tv::Tv;
use crate::agreement::{Points, mean, sizes};

/// The sum of two levels, each of half of x.
#[derive(Clone)]
struct Both<R>(Denoising<R>, Denoising<R>);

impl<R: Regulariser> Both<R> {
    fn halves(&self) -> [&Denoising<R>; 2] {
        [&self.0, &self.1]
    }
}

impl<R: Regulariser> SampleLoss for Both<R> {
    sizes!(self: 2 * self.0.y.len(), self.0.regulariser.theta_len(), 1);

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], image: usize) -> S {
        let (first, second) = x.split_at(self.0.y.len());
        let loss = |half: &Denoising<R>, x| half.loss(x, theta, image) + half.penalty(x, theta);
        loss(&self.0, first) + loss(&self.1, second)
    }
}

impl<R: Regulariser> Gradients for Both<R> {
    sizes!(self: 2 * self.0.y.len(), self.0.regulariser.theta_len(), 1);

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let n = self.0.y.len();
        for ((half, x), out) in self.halves().iter().zip(x.chunks(n)).zip(out.chunks_mut(n)) {
            half.gradient(batch, x, theta, out);
        }
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let mut other = out.to_vec();
        let (first, second) = x.split_at(self.0.y.len());
        self.0.gradient_theta(batch, first, theta, out);
        self.1.gradient_theta(batch, second, theta, &mut other);
        out.iter_mut().zip(&other).for_each(|(a, &b)| *a += b);
    }
}

/// ½‖x₁ − y‖² − nσ²/2 + (σ²/τ) ⟨b, x₂ − x₁⟩.
#[derive(Clone)]
struct Risk {
    y: Vec<f64>,
    b: Vec<f64>,
    sigma: f64,
    tau: f64,
}

impl Risk {
    fn factor(&self) -> f64 {
        self.sigma * self.sigma / self.tau
    }
}

impl SampleLoss for Risk {
    sizes!(self: 2 * self.y.len(), 2, 1);

    fn loss<S: Scalar>(&self, x: &[S], _theta: &[S], _image: usize) -> S {
        let (first, second) = x.split_at(self.y.len());
        let slope = S::dot_data(second, &self.b) - S::dot_data(first, &self.b);
        let offset = 0.5 * self.sigma * self.sigma * self.y.len() as f64;
        (half_square(first, &self.y) + slope.times(self.factor())).plus(-offset)
    }
}

impl Gradients for Risk {
    sizes!(self: 2 * self.y.len(), 2, 1);

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, _batch: Batch<'_>, x: &[S], _theta: &[S], out: &mut [S]) {
        let n = self.y.len();
        for k in 0..n {
            let share = self.factor() * self.b[k];
            out[k] = x[k].plus(-self.y[k] - share);
            out[n + k] = S::constant(share);
        }
    }

    fn gradient_theta<S: Number>(&self, _batch: Batch<'_>, _x: &[S], _theta: &[S], out: &mut [S]) {
        out.fill(S::default());
    }
}

#[test]
fn sure_agrees() {
    let (rows, cols, sigma) = (5, 6, 0.4);
    let noisy = noise(rows, cols, 6);
    let (upper, moved) = Sure::new(&noisy, sigma, 7, 0).unwrap();
    let denoiser = |image| TvDenoising::new(image, Norm::Anisotropic).unwrap();
    let lower = PerturbedPair(denoiser(&noisy), denoiser(&moved));
    let y = noisy.pixels().to_vec();
    let regulariser = Tv {
        rows,
        cols,
        norm: Norm::Anisotropic,
        weights: Weights::Global,
    };
    let points = Points::around(&[-1.0; 2]);
    let half = |y: &[f64]| Denoising {
        y: y.to_vec(),
        regulariser: regulariser.clone(),
    };
    points.lower("twice", &lower, &Both(half(&y), half(moved.pixels())));
    let tau = 0.1 * sigma;
    let b = moved.pixels().iter().zip(&y);
    let b = b.map(|(moved, y)| (moved - y) / tau).collect();
    points.upper("SURE", &upper, &Risk { y, b, sigma, tau });
}
