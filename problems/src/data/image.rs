//! Grey images and signals.

use bilevel::{Element, Error};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// A grey image, row after row; black is 0, white is 1. A signal is an image of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Image<E> {
    rows: usize,
    cols: usize,
    pixels: Vec<E>,
}

impl<E: Element> Image<E> {
    /// An image from its pixels, row after row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there are `rows · cols` pixels, at least one.
    pub fn new(rows: usize, cols: usize, pixels: Vec<E>) -> Result<Self, Error> {
        if pixels.is_empty() || Some(pixels.len()) != rows.checked_mul(cols) {
            return Err(Error::invalid(
                "pixels",
                format!("{} numbers", pixels.len()),
                format!("{rows}×{cols} of them, at least one"),
            ));
        }
        Ok(Image { rows, cols, pixels })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The pixels, row after row.
    pub fn pixels(&self) -> &[E] {
        &self.pixels
    }

    /// The same image in another storage type.
    pub fn cast<F: Element>(&self) -> Image<F> {
        Image {
            rows: self.rows,
            cols: self.cols,
            pixels: self
                .pixels
                .iter()
                .map(|p| F::from_f64(p.to_f64()))
                .collect(),
        }
    }

    /// The image plus white Gaussian noise of standard deviation `sigma`. Seed and stream determine the noise.
    pub fn with_noise(&self, sigma: f64, seed: u64, stream: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        let pixels = self
            .pixels
            .iter()
            .map(|p| {
                let noise: f64 = StandardNormal.sample(&mut rng);
                E::from_f64(p.to_f64() + sigma * noise)
            })
            .collect();
        Image {
            rows: self.rows,
            cols: self.cols,
            pixels,
        }
    }

    /// The peak signal-to-noise ratio of `other` against this image in dB, for the peak value 1.
    pub fn psnr(&self, other: &[E]) -> f64 {
        let squares: f64 = self
            .pixels
            .iter()
            .zip(other)
            .map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2))
            .sum();
        -10.0 * (squares / self.pixels.len() as f64).log10()
    }
}
