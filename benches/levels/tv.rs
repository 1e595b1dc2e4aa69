//! TV denoising, from gradients and from a loss; tested by `problems/tests/imaging/derivatives/tv.rs`.

use bilevel::autodiff::{
    Gradients, Number, Part, PartMut, Parts, Real, SampleLoss, Scalar, apart, workspaces,
};
use bilevel::problem::minibatch::Batch;
use bilevel::simd::dispatch;
use bilevel_problems::imaging::Image;
use std::sync::Arc;

/// Rows of a band.
const BAND: usize = 16;

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

/// The gradient of `weight` √(h² + v² + ν²) in h and v.
#[inline(always)]
fn flux<S: Number>(h: S, v: S, weight: S, nu2: S) -> (S, S) {
    let scale = weight * (h.squared() + v.squared() + nu2).inverse_sqrt();
    (scale * h, scale * v)
}

impl<E: Real> SampleLoss for Tv<E> {
    fn parameters(&self) -> usize {
        self.noisy.len()
    }
    fn hyperparameters(&self) -> usize {
        2
    }
    /// The mean is over bands: the tape is emptied behind each, and what is on it stays in a cache.
    fn samples(&self) -> usize {
        self.rows.div_ceil(BAND)
    }

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], band: usize) -> S {
        let (weight, nu2) = (theta[0].exp(), theta[1].times(2.0).exp());
        let (cols, all) = (self.cols, x.len());
        let first = band * BAND * cols;
        let end = (first + BAND * cols).min(all);
        let squares = S::sum_each(
            [&x[first..end]],
            [&self.wide[first..end]],
            #[inline(always)]
            |[x], [y]| x.plus(-y).squared().times(0.5),
        );
        // Those that have a row below; the last of a row takes part with 0 across.
        let upper = end.min(all - cols);
        let mut variation = S::sum_each(
            [
                &x[first..upper],
                &x[first + 1..upper + 1],
                &x[first + cols..upper + cols],
                &[nu2],
            ],
            [&self.inner[..upper - first]],
            #[inline(always)]
            |[x, right, below, nu2], [inner]| {
                let (h, v) = ((right - x).times(inner), below - x);
                (h.squared() + v.squared() + nu2).sqrt()
            },
        );
        if end == all {
            let last = &x[all - cols..];
            variation += theta[1].exp();
            variation += S::sum_each(
                [&last[..cols - 1], &last[1..], &[nu2]],
                [],
                #[inline(always)]
                |[x, right, nu2], []| ((right - x).squared() + nu2).sqrt(),
            );
        }
        let bands = SampleLoss::samples(self) as f64;
        (weight * variation + squares).times(bands)
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
        let bands = SampleLoss::samples(self);
        let sum = workspaces::sum(bands, |band| self.loss(x, theta, band));
        sum.times(1.0 / bands as f64)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        apart(x, out, |x, out| {
            self.gradient_apart(batch, x, theta, out);
        });
    }

    fn gradient_apart<S: Number>(
        &self,
        _batch: Batch<'_>,
        x: Part<'_, S>,
        theta: &[S],
        mut out: PartMut<'_, S>,
    ) -> bool {
        let (weight, nu2) = (theta[0].exp(), theta[1].times(2.0).exp());
        let (cols, all) = (self.cols, x.len());
        let most = BAND * cols;
        // What flows through the borders of the pixels of a band: to the right, behind the left border of the image; and downwards, behind
        // that of the row above.
        let (mut across, mut down) = (Parts::new(most + 1), Parts::new(cols + most));
        dispatch(
            #[inline(always)]
            || {
                for first in (0..all).step_by(most) {
                    let len = most.min(all - first);
                    let here = x.part(first..first + len);
                    let (mut a, mut d) =
                        (across.part_mut(1..len + 1), down.part_mut(cols..cols + len));
                    // Those that have a row below; the last pixel of a row takes the next one for its neighbour.
                    let upper = len.min(all - cols - first);
                    let right = x.part(first + 1..(first + len + 1).min(all));
                    let under = x.part(first + cols..first + cols + upper);
                    for k in 0..upper {
                        let (h, v) = flux(
                            right.get(k) - here.get(k),
                            under.get(k) - here.get(k),
                            weight,
                            nu2,
                        );
                        a.set(k, h);
                        d.set(k, v);
                    }
                    let zero = S::default();
                    for k in upper..right.len() {
                        a.set(k, flux(right.get(k) - here.get(k), zero, weight, nu2).0);
                        d.set(k, zero);
                    }
                    // The last column, once more.
                    for k in (cols - 1..len).step_by(cols) {
                        a.set(k, zero);
                        let v = if k < upper {
                            under.get(k) - here.get(k)
                        } else {
                            zero
                        };
                        d.set(k, flux(zero, v, weight, nu2).1);
                    }
                    let (left, right) = (across.part(0..len), across.part(1..len + 1));
                    let (above, below) = (down.part(0..len), down.part(cols..cols + len));
                    let noisy = &self.noisy[first..first + len];
                    let mut out = out.part_mut(first..first + len);
                    for (k, y) in noisy.iter().enumerate() {
                        let through = left.get(k) - right.get(k) + above.get(k) - below.get(k);
                        out.set(k, here.get(k).plus(-y.to_f64()) + through);
                    }
                    down.copy_within(len..len + cols, 0);
                }
            },
        );
        true
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
