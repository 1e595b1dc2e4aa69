//! The largest eigenvalue of Σₖ bₖ CₖᵀCₖ, from the spectra of the filters.
//!
//! ```text
//! s(ω) = Σₖ bₖ |ĉₖ(ω)|² = Σ_lag R(lag) cos⟨ω, lag⟩,   R = Σₖ bₖ (cₖ ⋆ cₖ),   bₖ ≥ 0
//! ```
//!
//! is a non-negative trigonometric polynomial of degree d = size − 1 in each coordinate. For positions whose support lies
//! within the image, Σₖ bₖ‖cₖ ∗ x‖² ≤ max s ‖x‖². Its maximum over all ω is at most that over a grid of M points per period, divided
//! by cos²(πd/M): within δ of a maximum a trigonometric polynomial of degree d keeps cos(dδ) of it (M. Riesz), and the grid
//! has a point within π/M in each coordinate.

/// Grid points per degree of the polynomial, in each coordinate.
const OVERSAMPLING: usize = 16;
/// The exponent of the norm that replaces the maximum where a derivative is needed.
const EXPONENT: i32 = 16;

/// s(ω) on a grid.
pub(super) struct Spectrum {
    size: usize,
    grid: usize,
    /// s on `grid/2 + 1` rows of `grid` frequencies: the rest follows by s(−ω) = s(ω).
    values: Vec<f64>,
    largest: f64,
}

/// cos and sin of ω·lag for every point of the grid and lag = 0 … degree.
fn waves(grid: usize, degree: usize) -> Vec<(f64, f64)> {
    let turn = 2.0 * std::f64::consts::PI / grid as f64;
    (0..grid)
        .flat_map(|w| (0..=degree).map(move |l| (turn * ((w * l) % grid) as f64).sin_cos()))
        .map(|(sin, cos)| (cos, sin))
        .collect()
}

impl Spectrum {
    /// The joint spectrum of filters of `size`² coefficients each with the weights bₖ.
    pub(super) fn new(filters: &[f64], size: usize, weights: impl Iterator<Item = f64>) -> Self {
        let (degree, lags) = (size - 1, 2 * size - 1);
        let mut correlation = vec![0.0; lags * lags];
        for (filter, weight) in filters.chunks_exact(size * size).zip(weights) {
            for (at, c) in filter.iter().enumerate() {
                let (a, b) = (at / size, at % size);
                for (to, d) in filter.iter().enumerate() {
                    let lag = (to / size + degree - a) * lags + to % size + degree - b;
                    correlation[lag] += weight * c * d;
                }
            }
        }
        let grid = (OVERSAMPLING * degree).max(1);
        let waves = waves(grid, degree);
        let wave = |w: usize, lag: usize| {
            let (cos, sin) = waves[w * (degree + 1) + lag.abs_diff(degree)];
            (cos, if lag < degree { -sin } else { sin })
        };
        let rows = grid / 2 + 1;
        let mut values = vec![0.0; rows * grid];
        let mut largest: f64 = 0.0;
        for u in 0..rows {
            // Over the rows of lags first: Σ_a R(a, b) e^{iua} for every b.
            let partial: Vec<(f64, f64)> = (0..lags)
                .map(|b| {
                    (0..lags).fold((0.0, 0.0), |(re, im), a| {
                        let (cos, sin) = wave(u, a);
                        let r = correlation[a * lags + b];
                        (re + r * cos, im + r * sin)
                    })
                })
                .collect();
            for v in 0..grid {
                let sum: f64 = partial
                    .iter()
                    .enumerate()
                    .map(|(b, (re, im))| {
                        let (cos, sin) = wave(v, b);
                        re * cos - im * sin
                    })
                    .sum();
                values[u * grid + v] = sum.max(0.0);
                largest = if largest >= sum { largest } else { sum };
            }
        }
        Spectrum {
            size,
            grid,
            values,
            largest,
        }
    }

    /// The factor by which the maximum over all frequencies can exceed that over the grid, rounding included.
    pub(super) fn between(size: usize) -> f64 {
        let step = if size > 1 {
            std::f64::consts::PI / OVERSAMPLING as f64
        } else {
            0.0
        };
        (1.0 + 1e-12) / step.cos().powi(2)
    }

    /// A bound of max s.
    pub(super) fn bound(&self) -> f64 {
        self.largest * Self::between(self.size)
    }

    /// A smooth function of the filters and weights that is at least max s, by a sixteenth-power norm over the grid; and its
    /// derivative by the autocorrelation R, at the lags 1 − size … size − 1 in each coordinate.
    pub(super) fn smooth_bound(&self) -> (f64, Vec<f64>) {
        let (degree, lags) = (self.size - 1, 2 * self.size - 1);
        let mut derivative = vec![0.0; lags * lags];
        if !(self.largest > 0.0 && self.largest.is_finite()) {
            return (self.largest.max(0.0), derivative);
        }
        let rows = self.grid / 2 + 1;
        // The rows that stand for two of the full grid.
        let twice = |u: usize| {
            if u == 0 || 2 * u == self.grid {
                1.0
            } else {
                2.0
            }
        };
        let sum: f64 = self
            .values
            .chunks_exact(self.grid)
            .enumerate()
            .map(|(u, row)| {
                let powers: f64 = row.iter().map(|s| (s / self.largest).powi(EXPONENT)).sum();
                twice(u) * powers
            })
            .sum();
        let norm = self.largest * sum.powf(1.0 / f64::from(EXPONENT));
        let waves = waves(self.grid, degree);
        let wave = |w: usize, lag: usize| {
            let (cos, sin) = waves[w * (degree + 1) + lag.abs_diff(degree)];
            (cos, if lag < degree { -sin } else { sin })
        };
        for u in 0..rows {
            let mut partial = vec![(0.0, 0.0); lags];
            for v in 0..self.grid {
                let d = twice(u) * (self.values[u * self.grid + v] / norm).powi(EXPONENT - 1);
                if d == 0.0 {
                    continue;
                }
                for (b, (re, im)) in partial.iter_mut().enumerate() {
                    let (cos, sin) = wave(v, b);
                    *re += d * cos;
                    *im += d * sin;
                }
            }
            for a in 0..lags {
                let (cos, sin) = wave(u, a);
                for (b, (re, im)) in partial.iter().enumerate() {
                    derivative[a * lags + b] += re * cos - im * sin;
                }
            }
        }
        let between = Self::between(self.size);
        derivative.iter_mut().for_each(|d| *d *= between);
        (norm * between, derivative)
    }
}

/// Q c, with the quadratic form cᵀQc = Σ_lag D(lag) (c ⋆ c)(lag) of a filter.
pub(super) fn quadratic_form(derivative: &[f64], size: usize, filter: &[f64]) -> Vec<f64> {
    let (degree, lags) = (size - 1, 2 * size - 1);
    (0..size * size)
        .map(|at| {
            let (a, b) = (at / size, at % size);
            filter
                .iter()
                .enumerate()
                .map(|(to, c)| {
                    let lag = (to / size + degree - a) * lags + to % size + degree - b;
                    derivative[lag] * c
                })
                .sum()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_difference_has_the_spectrum_that_is_known() {
        // (1, −1) along a row of a 3×3 filter: |ĉ|² = 2 − 2 cos ω, at most 4.
        let filter = [0.0, 0.0, 0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0];
        let spectrum = Spectrum::new(&filter, 3, [1.0].into_iter());
        assert!((spectrum.largest - 4.0).abs() < 1e-12);
        assert!(spectrum.bound() >= 4.0 && spectrum.bound() < 4.2);
        let (smooth, _) = spectrum.smooth_bound();
        assert!(smooth >= spectrum.bound() && smooth < 1.7 * spectrum.bound());
    }

    #[test]
    fn the_bound_holds_between_the_points_of_the_grid() {
        let filter: Vec<f64> = (0..25).map(|i| ((i * i) as f64 * 0.7).sin()).collect();
        let bound = Spectrum::new(&filter, 5, [0.7].into_iter()).bound();
        let mut largest: f64 = 0.0;
        for u in 0..500 {
            for v in 0..500 {
                let (wu, wv) = (f64::from(u) * 0.00629, f64::from(v) * 0.01257);
                let (mut re, mut im) = (0.0, 0.0);
                for (at, c) in filter.iter().enumerate() {
                    let phase = wu * (at / 5) as f64 + wv * (at % 5) as f64;
                    re += c * phase.cos();
                    im += c * phase.sin();
                }
                largest = largest.max(0.7 * (re * re + im * im));
            }
        }
        assert!(
            largest <= bound && bound <= 1.1 * largest,
            "{largest} {bound}"
        );
    }

    #[test]
    fn the_derivative_of_the_smooth_bound_is_right() {
        let filter: Vec<f64> = (0..9).map(|i| (f64::from(i) * 1.3).sin()).collect();
        let smooth = |filter: &[f64]| Spectrum::new(filter, 3, [0.5].into_iter()).smooth_bound();
        let (_, derivative) = smooth(&filter);
        let q = quadratic_form(&derivative, 3, &filter);
        for i in 0..9 {
            let (mut plus, mut minus) = (filter.clone(), filter.clone());
            plus[i] += 1e-6;
            minus[i] -= 1e-6;
            let difference = (smooth(&plus).0 - smooth(&minus).0) / 2e-6;
            let exact = 0.5 * 2.0 * q[i];
            assert!((difference - exact).abs() < 1e-6 * (1.0 + exact.abs()));
        }
    }
}
