//! The filters of a field of experts as a picture.

use bilevel::Error;

use super::Experts;
use crate::imaging::Image;

/// Pixels between filters.
const GAP: usize = 4;
/// The approximate side of a magnified filter in pixels.
const CELL: usize = 42;

impl Experts {
    /// The filters at θ, side by side in rows and magnified by an integer factor. They are sorted by wₖ‖cₖ‖, the strongest first; this measure
    /// does not change if a filter grows and its weight shrinks accordingly. Each filter is scaled to its own range, from black to white.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ of another length.
    pub fn picture(&self, theta: &[f64]) -> Result<Image<f64>, Error> {
        let (filters, weights) = (self.filters(theta)?, self.weights(theta)?);
        let norm = |filter: &[f64]| filter.iter().map(|c| c * c).sum::<f64>().sqrt();
        let mut order: Vec<(f64, &Vec<f64>)> = weights
            .iter()
            .zip(&filters)
            .map(|(weight, filter)| (weight * norm(filter), filter))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));

        let size = self.size();
        let factor = (CELL / size).max(1);
        let cell = size * factor;
        let across = (1..).find(|n| n * n >= order.len()).unwrap_or(1);
        let down = order.len().div_ceil(across);
        let (rows, cols) = (down * (cell + GAP) - GAP, across * (cell + GAP) - GAP);
        let mut pixels = vec![1.0; rows * cols];
        for (at, (_, filter)) in order.iter().enumerate() {
            let low = filter.iter().copied().fold(f64::INFINITY, f64::min);
            let high = filter.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let (top, left) = (at / across * (cell + GAP), at % across * (cell + GAP));
            for i in 0..cell {
                for j in 0..cell {
                    let c = filter[i / factor * size + j / factor];
                    let grey = if high > low {
                        (c - low) / (high - low)
                    } else {
                        0.5
                    };
                    pixels[(top + i) * cols + left + j] = grey;
                }
            }
        }
        Image::new(rows, cols, pixels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_filter_comes_first_and_every_one_spans_black_to_white() {
        let experts = Experts::new(5, 7).unwrap();
        let mut theta = experts.dct();
        // The second filter, of cosines along the other axis, gets the largest weight.
        theta[2] = 1.0;
        let picture = experts.picture(&theta).unwrap();
        assert_eq!(
            (picture.rows(), picture.cols()),
            (88, 134),
            "two rows of three"
        );
        let pixel = |i: usize, j: usize| picture.pixels()[i * 134 + j];
        let filters = experts.filters(&theta).unwrap();
        let high = filters[1].iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for i in 0..42 {
            for j in 0..42 {
                let c = filters[1][i / 6 * 7 + j / 6];
                assert!((pixel(i, j) - (c + high) / (2.0 * high)).abs() <= 1e-12);
            }
        }
        assert_eq!(pixel(0, 43), 1.0, "the gap is white");
        for (top, left) in [(0, 0), (0, 46), (0, 92), (46, 0), (46, 46)] {
            let cell = (0..42 * 42).map(|at| pixel(top + at / 42, left + at % 42));
            assert_eq!(cell.clone().fold(1.0, f64::min), 0.0);
            assert_eq!(cell.fold(0.0, f64::max), 1.0);
        }
        assert_eq!(pixel(60, 110), 1.0, "no sixth filter");
        assert!(experts.picture(&theta[1..]).is_err());
    }

    #[test]
    fn a_flat_filter_is_grey() {
        let experts = Experts::new(1, 3).unwrap();
        let mut theta = experts.dct();
        theta[3..].fill(0.2);
        let picture = experts.picture(&theta).unwrap();
        assert!(picture.pixels().iter().all(|p| *p == 0.5));
    }
}
