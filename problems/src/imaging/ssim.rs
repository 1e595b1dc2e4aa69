//! The structural similarity of two images.
//!
//! ```text
//! SSIM = mean over windows of (2 μₓμ_y + C₁)(2 σ_xy + C₂) / ((μₓ² + μ_y² + C₁)(σₓ² + σ_y² + C₂))
//! ```
//!
//! μ, σ² and σ_xy are means, variances and the covariance under a Gaussian window of 11×11 pixels with standard deviation 1.5;
//! C₁ = 0.01², C₂ = 0.03² for the peak 1. Only windows that lie in the image count. 1 for equal images, at most 1 for others.
//!
//! # Reference
//! Z. Wang, A. C. Bovik, H. R. Sheikh, E. P. Simoncelli: Image quality assessment: from error visibility to structural
//! similarity. IEEE Trans. Image Process. 13 (2004), [doi:10.1109/TIP.2003.819861](https://doi.org/10.1109/TIP.2003.819861).

use bilevel::Element;

use super::Image;

/// Pixels of a window in each direction.
const WINDOW: usize = 11;
const DEVIATION: f64 = 1.5;
const C1: f64 = 0.01 * 0.01;
const C2: f64 = 0.03 * 0.03;

/// The Gaussian weights along one direction; their sum is 1.
fn window() -> [f64; WINDOW] {
    let mut weights = std::array::from_fn(|i| {
        let t = (i as f64 - (WINDOW / 2) as f64) / DEVIATION;
        (-0.5 * t * t).exp()
    });
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
    weights
}

/// μₓ, μ_y, and the means of x², y² and xy.
type Moments = [f64; 5];

impl<E: Element> Image<E> {
    /// The structural similarity of `other` and this image, for the peak 1: 1 for equal images. `None` when `other` has another
    /// number of pixels, or the image is smaller than a window of 11×11.
    ///
    /// Z. Wang et al., IEEE Trans. Image Process. 13 (2004),
    /// [doi:10.1109/TIP.2003.819861](https://doi.org/10.1109/TIP.2003.819861): a Gaussian window with σ = 1.5, K₁ = 0.01, K₂ =
    /// 0.03, windows within the image only.
    pub fn ssim(&self, other: &[E]) -> Option<f64> {
        let (rows, cols) = (self.rows(), self.cols());
        if other.len() != self.pixels().len() || rows < WINDOW || cols < WINDOW {
            return None;
        }
        let window = window();
        let across = cols + 1 - WINDOW;
        // The moments of one row of windows: first down the columns, then along the row.
        let mut columns = vec![Moments::default(); cols];
        let mut total = 0.0;
        for top in 0..=rows - WINDOW {
            columns.fill(Moments::default());
            for (i, w) in window.iter().enumerate() {
                let row = (top + i) * cols..(top + i + 1) * cols;
                let pixels = self.pixels()[row.clone()].iter().zip(&other[row]);
                for (column, (a, b)) in columns.iter_mut().zip(pixels) {
                    let (a, b) = (a.to_f64(), b.to_f64());
                    for (sum, term) in column.iter_mut().zip([a, b, a * a, b * b, a * b]) {
                        *sum += w * term;
                    }
                }
            }
            for left in 0..across {
                let mut moments = Moments::default();
                for (w, column) in window.iter().zip(&columns[left..]) {
                    for (sum, term) in moments.iter_mut().zip(column) {
                        *sum += w * term;
                    }
                }
                total += similarity(moments);
            }
        }
        Some(total / (across * (rows + 1 - WINDOW)) as f64)
    }
}

/// The similarity in one window.
fn similarity([a, b, aa, bb, ab]: Moments) -> f64 {
    let (variances, covariance) = (aa - a * a + bb - b * b, ab - a * b);
    (2.0 * a * b + C1) * (2.0 * covariance + C2) / ((a * a + b * b + C1) * (variances + C2))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that any program can make: sines of the pixel's coordinates.
    fn wave(rows: usize, cols: usize, phase: f64) -> Image<f64> {
        let pixel = |at: usize| {
            let (i, j) = ((at / cols) as f64, (at % cols) as f64);
            0.5 + 0.3 * (0.37 * i + phase).sin() + 0.2 * (0.23 * j + 0.05 * i * phase).cos()
        };
        Image::new(rows, cols, (0..rows * cols).map(pixel).collect()).unwrap()
    }

    /// Computed once by an independent program (numpy): an explicit loop over windows with a two-dimensional window, variances
    /// from centred pixels.
    #[test]
    fn agrees_with_an_independent_implementation() {
        for ((rows, cols, phase), expected) in [
            ((20, 27, 0.1), 0.9901654477283705),
            ((20, 27, 1.0), 0.44593120703868344),
            ((11, 11, 0.5), 0.8086695283448997),
            ((40, 13, 2.5), -0.43104188883685113),
        ] {
            let (a, b) = (wave(rows, cols, 0.0), wave(rows, cols, phase));
            let found = a.ssim(b.pixels()).unwrap();
            assert!((found - expected).abs() <= 1e-12, "{found} {expected}");
            let single = a.cast::<f32>().ssim(b.cast::<f32>().pixels()).unwrap();
            assert!((single - expected).abs() <= 1e-5, "{single} {expected}");
        }
    }

    #[test]
    fn is_one_for_equal_images_less_with_noise_and_none_where_undefined() {
        let a = wave(30, 30, 0.0);
        assert!((a.ssim(a.pixels()).unwrap() - 1.0).abs() <= 1e-12);
        let noisy = |sigma| a.ssim(a.with_noise(sigma, 0, 0).pixels()).unwrap();
        assert!(noisy(0.05) > noisy(0.1) && noisy(0.1) > noisy(0.2) && noisy(0.05) < 1.0);
        assert_eq!(a.ssim(&[0.0; 3]), None);
        let small = wave(10, 30, 0.0);
        assert_eq!(small.ssim(small.pixels()), None);
    }
}
