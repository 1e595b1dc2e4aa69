//! `imaging::deblurring`, periodic and reflecting, with H as a matrix.

use bilevel::autodiff::{Gradients, Number, SampleLoss, Scalar};
use bilevel::problem::minibatch::Batch;
use bilevel_problems::imaging::{
    Blur, Boundary, Deblurring, Kernel, Norm, Tikhonov, TvDenoising, Weights,
};

use super::imaging::{Regulariser, half_square, noise};
use super::tikhonov::Squares;
use super::tv::Tv;
use crate::agreement::{Points, mean, sizes};

/// ½‖Hx − y‖² + (γ/2)‖x‖² + R(x, θ).
#[derive(Clone)]
struct Blurred<R> {
    h: Vec<Vec<f64>>,
    y: Vec<f64>,
    gamma: f64,
    regulariser: R,
}

impl<R: Regulariser> SampleLoss for Blurred<R> {
    sizes!(self: self.y.len(), self.regulariser.theta_len(), 1);

    fn loss<S: Scalar>(&self, x: &[S], _theta: &[S], _image: usize) -> S {
        let hx: Vec<S> = self.h.iter().map(|row| S::dot_data(x, row)).collect();
        half_square(&hx, &self.y)
    }

    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        S::dot(x, x).times(0.5 * self.gamma) + self.regulariser.value(x, theta)
    }
}

impl<R: Regulariser> Gradients for Blurred<R> {
    sizes!(self: self.y.len(), self.regulariser.theta_len(), 1);

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, _batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = x.times(self.gamma);
        }
        for (row, y) in self.h.iter().zip(&self.y) {
            let r = S::dot_data(x, row).plus(-y);
            for (out, &h) in out.iter_mut().zip(row) {
                *out += r.times(h);
            }
        }
        self.regulariser.add_gradient(x, theta, out);
    }

    fn gradient_theta<S: Number>(&self, _batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        out.fill(S::default());
        self.regulariser.add_gradient_theta(x, theta, out);
    }
}

/// H, from the sum of its definition.
fn matrix(kernel: &Kernel, boundary: Boundary, rows: usize, cols: usize) -> Vec<Vec<f64>> {
    let inside = |i: isize, n: usize| {
        let n = n as isize;
        let i = match boundary {
            Boundary::Periodic => i.rem_euclid(n),
            Boundary::Reflecting => {
                let i = i.rem_euclid(2 * n);
                i.min(2 * n - 1 - i)
            }
        };
        i as usize
    };
    let (height, width) = kernel.shape();
    let mut h = vec![vec![0.0; rows * cols]; rows * cols];
    for (at, row) in h.iter_mut().enumerate() {
        for (tap, weight) in kernel.weights().iter().enumerate() {
            let a = (tap / width) as isize - (height / 2) as isize;
            let b = (tap % width) as isize - (width / 2) as isize;
            let i = inside((at / cols) as isize - a, rows);
            let j = inside((at % cols) as isize - b, cols);
            row[i * cols + j] += weight;
        }
    }
    h
}

/// The shipped H x comes from transforms, whose rounding is about 1e-15 as that of the sums is: the tolerance is the same.
#[test]
fn deblurring_agrees() {
    let (rows, cols, gamma) = (6, 7, 0.03);
    let lopsided = Kernel::new(3, 5, (0..15).map(|i| (i as f64).sin()).collect()).unwrap();
    let mean = Kernel::mean(3).unwrap();
    let noisy = noise(rows, cols, 5);
    let y = noisy.pixels().to_vec();
    for (kernel, boundary) in [
        (&lopsided, Boundary::Periodic),
        (&mean, Boundary::Periodic),
        (&mean, Boundary::Reflecting),
    ] {
        let blur = || Blur::new(kernel, boundary, rows, cols).unwrap();
        let h = matrix(kernel, boundary, rows, cols);
        let shipped = Deblurring::new(Tikhonov::new(&noisy).unwrap(), blur(), gamma).unwrap();
        let mine = Blurred {
            h: h.clone(),
            y: y.clone(),
            gamma,
            regulariser: Squares { rows, cols },
        };
        Points::around(&[-1.0; 3]).lower(&format!("{boundary:?}"), &shipped, &mine);
        let denoiser = TvDenoising::new(&noisy, Norm::Isotropic).unwrap();
        let shipped = Deblurring::new(denoiser, blur(), gamma).unwrap();
        let mine = Blurred {
            h,
            y: y.clone(),
            gamma,
            regulariser: Tv {
                rows,
                cols,
                norm: Norm::Isotropic,
                weights: Weights::Global,
            },
        };
        Points::around(&[-1.0; 2]).lower(&format!("{boundary:?}"), &shipped, &mine);
    }
}
