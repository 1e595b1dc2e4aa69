//! Blurs: convolutions with a kernel, and the boundary conditions that extend an image beyond its border.
//!
//! ```text
//! (Hx)ᵢⱼ = Σ_ab k_ab x(i − a, j − b)        a, b: counted from the middle of the kernel
//! ```
//!
//! | [`Boundary`] | x beyond the border | kernels | H is diagonal under the | eigenvalues ĥ |
//! |---|---|---|---|---|
//! | `Periodic` | repeats periodically | all | Fourier transform | Σ k_ab e^{−2πi(au/rows + bv/cols)} |
//! | `Reflecting` | is mirrored, with the border pixel repeated | symmetric in rows and in columns | cosine transform DCT-II | Σ k_ab cos(πau/rows) cos(πbv/cols) |
//!
//! A product costs two two-dimensional transforms, however large the kernel is.
//!
//! # Reference
//! M. K. Ng, R. H. Chan, W.-C. Tang: A fast algorithm for deblurring models with Neumann boundary conditions. SIAM J. Sci.
//! Comput. 21 (1999), [doi:10.1137/S1064827598341384](https://doi.org/10.1137/S1064827598341384).

mod kernel;

use bilevel::{Element, Error};
use rustdct::rustfft::num_complex::Complex;
use std::f64::consts::PI;

pub use kernel::Kernel;

use super::Image;
use super::transform::{Axes, Coefficient, Cosine, Fourier, Transform};
use crate::support::fingerprint::fingerprint;

/// The boundary condition, which extends an image beyond its border. See the [module](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boundary {
    /// The image repeats periodically.
    Periodic,
    /// The image is mirrored, with the border pixel repeated.
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
    /// [`Error::InvalidArgument`] for an image without pixels, a kernel larger than the image, and a reflecting border with
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

    /// The boundary condition.
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
