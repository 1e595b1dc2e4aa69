//! The discrete cosine transform DCT-II: half-sample symmetric borders.

use rustdct::{DctPlanner, TransformType2And3};
use std::sync::Arc;

use super::Axes;

/// X_k = Σ x_n cos(π(n + ½)k/N) along rows and columns; back by the DCT-III, which multiplies by N/2.
pub(crate) struct Cosine {
    rows: usize,
    cols: usize,
    of_row: Arc<dyn TransformType2And3<f64>>,
    of_column: Arc<dyn TransformType2And3<f64>>,
}

impl Cosine {
    pub(crate) fn new(rows: usize, cols: usize) -> Self {
        let mut planner = DctPlanner::new();
        Cosine {
            rows,
            cols,
            of_row: planner.plan_dct2(cols),
            of_column: planner.plan_dct2(rows),
        }
    }
}

impl Axes for Cosine {
    type Coefficient = f64;

    fn width(&self) -> usize {
        self.cols
    }

    fn buffer_len(&self) -> usize {
        self.of_row
            .get_scratch_len()
            .max(self.of_column.get_scratch_len())
    }

    fn row(&self, pixels: &mut [f64], out: &mut [f64], scratch: &mut [f64]) {
        out.copy_from_slice(pixels);
        self.of_row.process_dct2_with_scratch(out, scratch);
    }

    fn row_back(&self, from: &mut [f64], pixels: &mut [f64], scratch: &mut [f64]) {
        pixels.copy_from_slice(from);
        self.of_row.process_dct3_with_scratch(pixels, scratch);
    }

    fn column(&self, column: &mut [f64], scratch: &mut [f64]) {
        self.of_column.process_dct2_with_scratch(column, scratch);
    }

    fn column_back(&self, column: &mut [f64], scratch: &mut [f64]) {
        self.of_column.process_dct3_with_scratch(column, scratch);
    }

    fn gain(&self) -> f64 {
        0.25 * (self.rows * self.cols) as f64
    }

    fn share(&self, i: usize, j: usize) -> f64 {
        let along = |k: usize, n: usize| (if k == 0 { 1.0 } else { 2.0 }) / n as f64;
        along(i, self.rows) * along(j, self.cols)
    }
}
