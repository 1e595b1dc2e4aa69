//! The discrete Fourier transform of a real image: periodic borders.

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustdct::rustfft::num_complex::Complex;
use rustdct::rustfft::{Fft, FftPlanner};
use std::sync::Arc;

use super::Axes;

/// X_k = Σ x_n e^{−2πikn/N} along rows and columns; of a row the first ⌊N/2⌋ + 1 coefficients, which determine the rest.
pub(crate) struct Fourier {
    rows: usize,
    cols: usize,
    of_row: Arc<dyn RealToComplex<f64>>,
    of_row_back: Arc<dyn ComplexToReal<f64>>,
    of_column: Arc<dyn Fft<f64>>,
    of_column_back: Arc<dyn Fft<f64>>,
}

impl Fourier {
    pub(crate) fn new(rows: usize, cols: usize) -> Self {
        let mut of_rows = RealFftPlanner::new();
        let mut of_columns = FftPlanner::new();
        Fourier {
            rows,
            cols,
            of_row: of_rows.plan_fft_forward(cols),
            of_row_back: of_rows.plan_fft_inverse(cols),
            of_column: of_columns.plan_fft_forward(rows),
            of_column_back: of_columns.plan_fft_inverse(rows),
        }
    }
}

impl Axes for Fourier {
    type Coefficient = Complex<f64>;

    fn width(&self) -> usize {
        self.cols / 2 + 1
    }

    fn buffer_len(&self) -> usize {
        let of_rows = self.of_row.get_scratch_len();
        let of_rows = of_rows.max(self.of_row_back.get_scratch_len());
        let of_columns = self.of_column.get_inplace_scratch_len();
        let of_columns = of_columns.max(self.of_column_back.get_inplace_scratch_len());
        of_rows.max(of_columns)
    }

    fn row(&self, pixels: &mut [f64], out: &mut [Complex<f64>], scratch: &mut [Complex<f64>]) {
        // An error would mean that a length is wrong; the lengths are those of the plan.
        let done = self.of_row.process_with_scratch(pixels, out, scratch);
        debug_assert!(done.is_ok());
    }

    fn row_back(
        &self,
        from: &mut [Complex<f64>],
        pixels: &mut [f64],
        scratch: &mut [Complex<f64>],
    ) {
        // These two are real but for rounding, and the library wants them to be.
        from[0].im = 0.0;
        if self.cols.is_multiple_of(2) {
            from[self.cols / 2].im = 0.0;
        }
        let done = self.of_row_back.process_with_scratch(from, pixels, scratch);
        debug_assert!(done.is_ok());
    }

    fn column(&self, column: &mut [Complex<f64>], scratch: &mut [Complex<f64>]) {
        self.of_column.process_with_scratch(column, scratch);
    }

    fn column_back(&self, column: &mut [Complex<f64>], scratch: &mut [Complex<f64>]) {
        self.of_column_back.process_with_scratch(column, scratch);
    }

    fn gain(&self) -> f64 {
        (self.rows * self.cols) as f64
    }

    fn share(&self, _i: usize, j: usize) -> f64 {
        let both = j > 0 && 2 * j != self.cols;
        (if both { 2.0 } else { 1.0 }) / self.gain()
    }
}
