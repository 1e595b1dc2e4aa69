//! The weights of a blur.

use bilevel::Error;

/// The weights of a blur: an odd number of rows and of columns around its middle.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) weights: Vec<f64>,
}

/// Kernels are at most this long in each direction.
const LONGEST: usize = 255;

/// Refuses a length outside `least` … [`LONGEST`] pixels.
fn length(name: &str, value: f64, least: f64) -> Result<f64, Error> {
    if (least..=LONGEST as f64).contains(&value) {
        Ok(value)
    } else {
        let expected = format!("at least {least} and at most {LONGEST} pixels");
        Err(Error::invalid(name, format!("{value:?}"), expected))
    }
}

impl Kernel {
    /// A kernel from its weights, row after row.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless there are `rows · cols` finite weights, and both are odd and at most 255.
    pub fn new(rows: usize, cols: usize, weights: Vec<f64>) -> Result<Self, Error> {
        let fits = |n: usize| n % 2 == 1 && n <= LONGEST;
        if !fits(rows) || !fits(cols) || weights.len() != rows * cols {
            return Err(Error::invalid(
                "kernel",
                format!("{} weights for {rows}×{cols}", weights.len()),
                format!(
                    "an odd number of rows and of columns, at most {LONGEST}, and a weight for each"
                ),
            ));
        }
        if let Some(i) = weights.iter().position(|w| w.is_nan() || w.abs() > 1e6) {
            return Err(Error::invalid(
                format!("kernel weight ({}, {})", i / cols, i % cols),
                format!("{:?}", weights[i]),
                "a finite number of at most 1e6",
            ));
        }
        Ok(Kernel {
            rows,
            cols,
            weights,
        })
    }

    /// The kernel divided by the sum of its weights.
    fn normalised(mut self) -> Self {
        let total: f64 = self.weights.iter().sum();
        self.weights.iter_mut().for_each(|w| *w /= total);
        self
    }

    /// A Gaussian of standard deviation `sigma` pixels, cut off at four of them; its weights sum to 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a `sigma` that is not between 0.1 and 30.
    pub fn gaussian(sigma: f64) -> Result<Self, Error> {
        if !(0.1..=30.0).contains(&sigma) {
            let expected = "at least 0.1 and at most 30 pixels";
            return Err(Error::invalid("sigma", format!("{sigma:?}"), expected));
        }
        let reach = (4.0 * sigma).ceil() as usize;
        let size = 2 * reach + 1;
        let along = |i: usize| {
            let t = (i as f64 - reach as f64) / sigma;
            (-0.5 * t * t).exp()
        };
        let weights = (0..size * size).map(|at| along(at / size) * along(at % size));
        Ok(Kernel::new(size, size, weights.collect())?.normalised())
    }

    /// The mean over a square of `size`×`size` pixels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size that is even or above 255.
    pub fn mean(size: usize) -> Result<Self, Error> {
        Ok(Kernel::new(size, size, vec![1.0; size.min(LONGEST + 1).pow(2)])?.normalised())
    }

    /// The trace of a straight motion over `length` pixels at an `angle` in radians, 0 along the rows and π/2 upwards; its weights
    /// sum to 1.
    ///
    /// The line is sampled eight times per pixel; bilinear weights divide each sample between the four pixels around it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a length that is not between 1 and 252, or an angle that is not finite.
    pub fn motion(length: f64, angle: f64) -> Result<Self, Error> {
        let length = self::length("length", length, 1.0)?.min((LONGEST - 3) as f64);
        if !angle.is_finite() {
            return Err(Error::invalid(
                "angle",
                format!("{angle:?}"),
                "a finite number",
            ));
        }
        let half = 0.5 * (length - 1.0);
        let reach = half.ceil() as usize + 1;
        let size = 2 * reach + 1;
        let mut weights = vec![0.0; size * size];
        let samples = (8.0 * length).ceil() as usize + 1;
        for s in 0..samples {
            let t = half * (2.0 * s as f64 / (samples - 1) as f64 - 1.0);
            let (i, j) = (
                reach as f64 - t * angle.sin(),
                reach as f64 + t * angle.cos(),
            );
            let (di, dj) = (i - i.floor(), j - j.floor());
            for (a, wa) in [(0, 1.0 - di), (1, di)] {
                for (b, wb) in [(0, 1.0 - dj), (1, dj)] {
                    let at = (i.floor() as usize + a).min(size - 1) * size
                        + (j.floor() as usize + b).min(size - 1);
                    weights[at] += wa * wb;
                }
            }
        }
        Ok(Kernel::new(size, size, weights)?.normalised())
    }

    /// The weights, row after row.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The rows and the columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The weights with their offsets from the middle.
    #[cfg(test)]
    pub(super) fn taps(&self) -> impl Iterator<Item = (isize, isize, f64)> + '_ {
        let (a, b) = ((self.rows / 2) as isize, (self.cols / 2) as isize);
        let cols = self.cols;
        let taps = self.weights.iter().enumerate();
        taps.map(move |(at, &w)| ((at / cols) as isize - a, (at % cols) as isize - b, w))
    }

    /// Whether the kernel equals its mirror images up to rounding.
    pub(super) fn is_symmetric(&self) -> bool {
        let largest = self.weights.iter().fold(0.0f64, |m, w| m.max(w.abs()));
        (0..self.rows).all(|i| {
            (0..self.cols).all(|j| {
                let w = |i: usize, j: usize| self.weights[i * self.cols + j];
                let mirrored = [w(self.rows - 1 - i, j), w(i, self.cols - 1 - j)];
                mirrored
                    .iter()
                    .all(|m| (m - w(i, j)).abs() <= 1e-12 * largest)
            })
        })
    }
}
