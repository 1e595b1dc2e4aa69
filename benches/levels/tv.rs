//! TV denoising, from gradients and from a loss.

use super::super::*;
use bilevel::problem::autodiff::{Number, Scalar};
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
        let mut room = vec![S::default(); 3 * cols + 1];
        let (across, down) = room.split_at_mut(cols + 1); // the first flux is that through the left border
        let (above, below) = down.split_at_mut(cols);
        let last = x.len() - cols;
        dispatch(
            #[inline(always)]
            || {
                above.fill(S::default());
                for first in (0..x.len()).step_by(cols) {
                    let row = &x[first..first + cols];
                    // The last row is its own neighbour.
                    let next = &x[(first + cols).min(last)..][..cols];
                    // Whole registers: the last column, whose right neighbour is none, is written again below.
                    let right = &x[first + 1..(first + cols + 1).min(x.len())];
                    let flux = across[1..].iter_mut().zip(below.iter_mut());
                    for ((a, b), ((&x, &r), &n)) in flux.zip(row.iter().zip(right).zip(next)) {
                        let (h, v) = (r - x, n - x);
                        let scale = weight * (h * h + v * v + nu2).inverse_sqrt();
                        (*a, *b) = (scale * h, scale * v);
                    }
                    let v = next[cols - 1] - row[cols - 1];
                    across[cols] = S::default();
                    below[cols - 1] = weight * (v * v + nu2).inverse_sqrt() * v;
                    let noisy = &self.noisy[first..first + cols];
                    let terms = row.iter().zip(noisy).zip(across.windows(2));
                    let terms = terms.zip(above.iter_mut().zip(below.iter()));
                    for (out, (((x, y), across), (above, below))) in
                        out[first..first + cols].iter_mut().zip(terms)
                    {
                        *out = x.plus(-y.to_f64()) + across[0] - across[1] + *above - *below;
                        *above = *below;
                    }
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
