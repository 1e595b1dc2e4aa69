//! TV denoising, from gradients and from a loss.

use super::super::*;
use bilevel::problem::autodiff::{Number, Parts, Scalar};
use bilevel::simd::dispatch;
use bilevel_problems::imaging::Image;
use std::sync::Arc;

/// Rows of a band.
const BAND: usize = 8;

#[derive(Clone)]
pub(crate) struct Tv<E> {
    noisy: Arc<Vec<E>>,
    /// The same numbers in double precision, in which a loss takes its data.
    wide: Arc<Vec<f64>>,
    /// 1 for the pixels of a band that have a right neighbour.
    inner: Arc<Vec<f64>>,
    rows: usize,
    cols: usize,
}

impl<E: Real> Tv<E> {
    pub(crate) fn new(noisy: &Image<E>) -> Self {
        Tv {
            noisy: Arc::new(noisy.pixels().to_vec()),
            wide: Arc::new(noisy.cast::<f64>().pixels().to_vec()),
            inner: {
                let pixels = 1..=BAND * noisy.cols();
                let inner = pixels.map(|at| f64::from(u8::from(at % noisy.cols() != 0)));
                Arc::new(inner.collect())
            },
            rows: noisy.rows(),
            cols: noisy.cols(),
        }
    }

    /// The right and the lower neighbour of a pixel: itself at the border.
    fn neighbours(&self, at: usize) -> (usize, usize) {
        let right = at + usize::from(!(at + 1).is_multiple_of(self.cols));
        let below = if at + self.cols < self.rows * self.cols {
            at + self.cols
        } else {
            at
        };
        (right, below)
    }
}

impl<E: Real> SampleLoss for Tv<E> {
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
        let (cols, len) = (self.cols, x.len());
        let (mut variation, mut squares) = (Vec::new(), Vec::new());
        // Bands, which stay in a cache: all of their pixels have neighbours below, and the last of a row takes part with 0.
        for first in (0..len).step_by(BAND * cols) {
            let end = (first + BAND * cols).min(len);
            squares.push(S::sum_each(
                [&x[first..end]],
                [&self.wide[first..end]],
                #[inline(always)]
                |[x], [y]| x.plus(-y).squared().times(0.5),
            ));
            let end = end.min(len - cols);
            variation.push(S::sum_each(
                [
                    &x[first..end],
                    &x[first + 1..end + 1],
                    &x[first + cols..end + cols],
                    &[nu2],
                ],
                [&self.inner[..end - first]],
                #[inline(always)]
                |[x, right, below, nu2], [inner]| {
                    let (h, v) = ((right - x).times(inner), below - x);
                    (h.squared() + v.squared() + nu2).sqrt()
                },
            ));
        }
        let last = &x[len - cols..];
        variation.push(S::sum_each(
            [&last[..cols - 1], &last[1..], &[nu2]],
            [],
            #[inline(always)]
            |[x, right, nu2], []| ((right - x).squared() + nu2).sqrt(),
        ));
        variation.push(theta[1].exp());
        theta[0].exp() * S::sum(&variation) + S::sum(&squares)
    }
}

impl<E: Real> Gradients for Tv<E> {
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
        let cols = self.cols;
        // Two rows of the image, with a column more, and what flows through the borders of a row: across, from above, and below.
        let (mut here, mut next) = (Parts::new(cols + 1), Parts::new(cols + 1));
        let (mut above, mut below) = (Parts::new(cols), Parts::new(cols));
        let mut across = Parts::new(cols + 1); // the first is the left border of the image
        let last = x.len() - cols;
        dispatch(
            #[inline(always)]
            || {
                next.copy_from(&x[..cols]);
                for first in (0..x.len()).step_by(cols) {
                    std::mem::swap(&mut here, &mut next);
                    // The last row is its own neighbour.
                    next.copy_from(&x[(first + cols).min(last)..][..cols]);
                    let (row, right, under) = (
                        here.part(0..cols),
                        here.part(1..cols + 1),
                        next.part(0..cols),
                    );
                    let (mut a, mut b) = (across.part_mut(1..cols + 1), below.part_mut(0..cols));
                    for k in 0..cols {
                        let (h, v) = (right.get(k) - row.get(k), under.get(k) - row.get(k));
                        let scale = weight * (h.squared() + v.squared() + nu2).inverse_sqrt();
                        a.set(k, scale * h);
                        b.set(k, scale * v);
                    }
                    // Once more in the last column, which has no right neighbour.
                    let v = under.get(cols - 1) - row.get(cols - 1);
                    a.set(cols - 1, S::default());
                    b.set(cols - 1, weight * (v.squared() + nu2).inverse_sqrt() * v);
                    let (row, a, b) =
                        (here.part(0..cols), above.part(0..cols), below.part(0..cols));
                    let (left, right) = (across.part(0..cols), across.part(1..cols + 1));
                    let noisy = &self.noisy[first..first + cols];
                    for (k, (out, y)) in out[first..first + cols].iter_mut().zip(noisy).enumerate()
                    {
                        let through = left.get(k) - right.get(k) + a.get(k) - b.get(k);
                        *out = row.get(k).plus(-y.to_f64()) + through;
                    }
                    std::mem::swap(&mut above, &mut below);
                }
            },
        );
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
