//! Blurs: convolutions with a kernel, and how they continue an image beyond its border.
//!
//! ```text
//! (Hx)ᵢⱼ = Σ_ab k_ab x(i − a, j − b)        a, b: counted from the middle of the kernel
//! ```
//!
//! | [`Boundary`] | x beyond the border | kernels | H is diagonal under the | eigenvalues ĥ |
//! |---|---|---|---|---|
//! | `Periodic` | goes on at the other side | all | Fourier transform | Σ k_ab e^{−2πi(au/rows + bv/cols)} |
//! | `Reflecting` | is mirrored, the border pixel twice | symmetric in rows and in columns | cosine transform DCT-II | Σ k_ab cos(πau/rows) cos(πbv/cols) |
//!
//! A product costs two two-dimensional transforms, however large the kernel is.
//!
//! # Reference
//! M. K. Ng, R. H. Chan, W.-C. Tang: A fast algorithm for deblurring models with Neumann boundary conditions. SIAM J. Sci.
//! Comput. 21 (1999), [doi:10.1137/S1064827598341384](https://doi.org/10.1137/S1064827598341384).

use bilevel::{Element, Error};
use rustdct::rustfft::num_complex::Complex;
use std::f64::consts::PI;

use super::Image;
use super::transform::{Axes, Coefficient, Cosine, Fourier, Transform};
use crate::fingerprint::fingerprint;

/// The weights of a blur: an odd number of rows and of columns around its middle.
#[derive(Debug, Clone, PartialEq)]
pub struct Kernel {
    rows: usize,
    cols: usize,
    weights: Vec<f64>,
}

/// Kernels are at most this long in each direction.
const LONGEST: usize = 255;

/// A length in pixels that a kernel can have.
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
        if let Some(i) = weights.iter().position(|w| !(w.abs() <= 1e6)) {
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
    /// The line is sampled eight times a pixel, and a sample is shared between the four pixels around it.
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
    fn taps(&self) -> impl Iterator<Item = (isize, isize, f64)> + '_ {
        let (a, b) = ((self.rows / 2) as isize, (self.cols / 2) as isize);
        let cols = self.cols;
        let taps = self.weights.iter().enumerate();
        taps.map(move |(at, &w)| ((at / cols) as isize - a, (at % cols) as isize - b, w))
    }

    /// Whether the kernel equals its mirror images, but for the rounding of the angles that it was made from.
    fn is_symmetric(&self) -> bool {
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

/// How an image goes on beyond its border. See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// At the other side.
    Periodic,
    /// Mirrored, the border pixel twice.
    Reflecting,
}

/// A transform and the eigenvalues of H under it, column after column.
pub(super) struct Diagonal<A: Axes> {
    pub(super) transform: Transform<A>,
    pub(super) eigenvalues: Vec<A::Coefficient>,
}

impl<A: Axes> Diagonal<A> {
    /// The eigenvalues Σ k_ab e_rows(au) e_cols(bv) from the values of the periodic functions e over one period.
    fn new(
        (rows, cols): (usize, usize),
        axes: A,
        kernel: &Kernel,
        [of_rows, of_cols]: [Vec<A::Coefficient>; 2],
    ) -> Self {
        let at = |table: &[A::Coefficient], a: usize, middle: usize, u: usize| {
            let period = table.len() as isize;
            table[((a as isize - middle as isize) * u as isize).rem_euclid(period) as usize]
        };
        let zero = A::Coefficient::default();
        let mut eigenvalues = Vec::with_capacity(rows * axes.width());
        let mut sums = vec![zero; kernel.rows];
        for v in 0..axes.width() {
            // The sum along the kernel's rows does not depend on u.
            for (sum, weights) in sums.iter_mut().zip(kernel.weights.chunks(kernel.cols)) {
                let terms = weights.iter().enumerate();
                *sum = terms.fold(zero, |s, (b, &w)| {
                    s + at(&of_cols, b, kernel.cols / 2, v) * w
                });
            }
            eigenvalues.extend((0..rows).map(|u| {
                let terms = sums.iter().enumerate();
                terms.fold(zero, |s, (a, &sum)| {
                    s + at(&of_rows, a, kernel.rows / 2, u) * sum
                })
            }));
        }
        Diagonal {
            transform: Transform::new(rows, cols, axes),
            eigenvalues,
        }
    }

    /// The eigenvalues of the j-th column.
    pub(super) fn column(&self, j: usize, rows: usize) -> &[A::Coefficient] {
        &self.eigenvalues[j * rows..(j + 1) * rows]
    }

    /// The least and the largest |ĥ|².
    fn range(&self) -> (f64, f64) {
        let squares = self.eigenvalues.iter().map(|h| h.square());
        squares.fold((f64::INFINITY, 0.0), |(a, b), s| (a.min(s), b.max(s)))
    }

    fn apply<E: Element>(&self, rows: usize, x: &[E], out: &mut [E]) {
        self.transform.apply(
            x,
            out,
            |j, column| {
                for (c, &h) in column.iter_mut().zip(self.column(j, rows)) {
                    *c = *c * h;
                }
                0.0
            },
            |_, value, _| E::from_f64(value),
        );
    }
}

pub(super) enum Kind {
    Periodic(Diagonal<Fourier>),
    Reflecting(Diagonal<Cosine>),
}

/// The blur H of images of one shape. See the [module](self).
pub struct Blur {
    rows: usize,
    cols: usize,
    pub(super) kind: Kind,
    range: (f64, f64),
    kernel: Kernel,
    boundary: Boundary,
}

impl Blur {
    /// The blur of images of `rows`×`cols` pixels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an image without pixels, a kernel that is longer than the image, and a reflecting border with
    /// a kernel that is not symmetric in rows and in columns.
    pub fn new(
        kernel: &Kernel,
        boundary: Boundary,
        rows: usize,
        cols: usize,
    ) -> Result<Self, Error> {
        if rows < kernel.rows || cols < kernel.cols {
            return Err(Error::invalid(
                "kernel",
                format!("{}×{}", kernel.rows, kernel.cols),
                format!("at most {rows}×{cols}, the shape of the image"),
            ));
        }
        let shape = (rows, cols);
        let circle = |n: usize| (0..n).map(move |m| 2.0 * PI * m as f64 / n as f64);
        let kind = match boundary {
            Boundary::Periodic => {
                let phases = |n| circle(n).map(|t| Complex::from_polar(1.0, -t)).collect();
                let axes = Fourier::new(rows, cols);
                Kind::Periodic(Diagonal::new(shape, axes, kernel, [rows, cols].map(phases)))
            }
            Boundary::Reflecting if kernel.is_symmetric() => {
                let cosines = |n| circle(2 * n).map(f64::cos).collect();
                let axes = Cosine::new(rows, cols);
                Kind::Reflecting(Diagonal::new(
                    shape,
                    axes,
                    kernel,
                    [rows, cols].map(cosines),
                ))
            }
            Boundary::Reflecting => {
                return Err(Error::invalid(
                    "kernel",
                    "not symmetric in rows and in columns",
                    "a symmetric one for a reflecting border; a periodic border takes any kernel",
                ));
            }
        };
        let range = match &kind {
            Kind::Periodic(d) => d.range(),
            Kind::Reflecting(d) => d.range(),
        };
        Ok(Blur {
            rows,
            cols,
            kind,
            range,
            kernel: kernel.clone(),
            boundary,
        })
    }

    /// The rows and the columns of the images.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// H x.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an image of another shape.
    pub fn apply<E: Element>(&self, x: &Image<E>) -> Result<Image<E>, Error> {
        if (x.rows(), x.cols()) != self.shape() {
            return Err(Error::invalid(
                "image",
                format!("{}×{}", x.rows(), x.cols()),
                format!("{}×{}, the shape of the blur", self.rows, self.cols),
            ));
        }
        let mut out = vec![E::default(); x.pixels().len()];
        match &self.kind {
            Kind::Periodic(d) => d.apply(self.rows, x.pixels(), &mut out),
            Kind::Reflecting(d) => d.apply(self.rows, x.pixels(), &mut out),
        }
        Image::new(self.rows, self.cols, out)
    }

    /// The least and the largest eigenvalue of HᵀH.
    pub fn range(&self) -> (f64, f64) {
        self.range
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// How images go on beyond their border.
    pub fn boundary(&self) -> Boundary {
        self.boundary
    }

    pub(super) fn identity(&self) -> String {
        let (rows, cols) = self.kernel.shape();
        let checksum = fingerprint(&self.kernel.weights);
        format!("{:?} blur {rows}×{cols} ({checksum:08x})", self.boundary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sum of the definition, pixel by pixel.
    fn direct(kernel: &Kernel, boundary: Boundary, x: &Image<f64>) -> Vec<f64> {
        let (rows, cols) = (x.rows() as isize, x.cols() as isize);
        let inside = |i: isize, n: isize| match boundary {
            Boundary::Periodic => i.rem_euclid(n),
            Boundary::Reflecting => {
                let i = i.rem_euclid(2 * n);
                if i < n { i } else { 2 * n - 1 - i }
            }
        };
        (0..rows * cols)
            .map(|at| {
                let (i, j) = (at / cols, at % cols);
                let terms = kernel.taps().map(|(a, b, w)| {
                    w * x.pixels()[(inside(i - a, rows) * cols + inside(j - b, cols)) as usize]
                });
                terms.sum()
            })
            .collect()
    }

    #[test]
    fn blurs_agree_with_the_sum_of_their_definition() {
        let lopsided = Kernel::new(3, 5, (0..15).map(|i| (i as f64).sin()).collect()).unwrap();
        let kernels = [
            (Kernel::gaussian(1.1).unwrap(), true),
            (Kernel::mean(5).unwrap(), true),
            (Kernel::motion(6.0, 0.0).unwrap(), true),
            (
                Kernel::motion(5.0, std::f64::consts::FRAC_PI_2).unwrap(),
                true,
            ),
            (Kernel::motion(7.0, 0.6).unwrap(), false),
            (lopsided, false),
        ];
        for (rows, cols) in [(11, 11), (13, 20), (32, 17)] {
            let clean = Image::new(rows, cols, vec![0.5; rows * cols]).unwrap();
            let x = clean.with_noise(0.3, 1, 0);
            for (kernel, symmetric) in &kernels {
                for boundary in [Boundary::Periodic, Boundary::Reflecting] {
                    if boundary == Boundary::Reflecting && !symmetric {
                        assert!(Blur::new(kernel, boundary, rows, cols).is_err());
                        continue;
                    }
                    let blur = Blur::new(kernel, boundary, rows, cols).unwrap();
                    let found = blur.apply(&x).unwrap();
                    let exact = direct(kernel, boundary, &x);
                    for (a, b) in found.pixels().iter().zip(&exact) {
                        assert!((a - b).abs() <= 1e-13 * 20.0, "{boundary:?} {a} {b}");
                    }
                    let single = blur.apply(&x.cast::<f32>()).unwrap();
                    for (a, b) in single.pixels().iter().zip(&exact) {
                        assert!((f64::from(*a) - b).abs() <= 1e-6, "{a} {b}");
                    }
                }
            }
        }
    }

    #[test]
    fn kernels_that_are_named_sum_to_one_and_are_not_negative() {
        for kernel in [
            Kernel::gaussian(0.1).unwrap(),
            Kernel::gaussian(2.5).unwrap(),
            Kernel::mean(1).unwrap(),
            Kernel::motion(1.0, 0.3).unwrap(),
            Kernel::motion(9.5, 2.0).unwrap(),
        ] {
            let total: f64 = kernel.weights().iter().sum();
            assert!((total - 1.0).abs() <= 1e-12);
            assert!(kernel.weights().iter().all(|&w| w >= 0.0));
        }
        let upwards = Kernel::motion(3.0, std::f64::consts::FRAC_PI_2).unwrap();
        let (rows, cols) = upwards.shape();
        let off_column = (0..rows * cols).filter(|at| at % cols != cols / 2);
        assert!(off_column.map(|at| upwards.weights()[at]).sum::<f64>() < 1e-12);
    }

    #[test]
    fn what_makes_no_blur_is_refused() {
        assert!(Kernel::gaussian(f64::NAN).is_err());
        assert!(Kernel::mean(4).is_err());
        assert!(Kernel::mean(usize::MAX).is_err());
        assert!(Kernel::motion(0.5, 0.0).is_err());
        assert!(Kernel::motion(5.0, f64::INFINITY).is_err());
        assert!(Kernel::new(1, 3, vec![1.0, f64::NAN, 1.0]).is_err());
        assert!(Kernel::new(1, 3, vec![1.0]).is_err());
        let kernel = Kernel::mean(5).unwrap();
        assert!(Blur::new(&kernel, Boundary::Periodic, 4, 100).is_err());
        let blur = Blur::new(&kernel, Boundary::Periodic, 8, 8).unwrap();
        assert!(
            blur.apply(&Image::new(8, 9, vec![0.0; 72]).unwrap())
                .is_err()
        );
    }
}
