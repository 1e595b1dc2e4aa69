//! Ridge regression with a penalty of its own for every feature: a problem written by hand.
//!
//! ```text
//! g(w, θ) = 1/(2n) ‖Xw − y‖² + ½ Σⱼ e^{θⱼ} wⱼ²,      f(w) = 1/(2m) ‖X_v w − y_v‖²
//! ```

use bilevel::{Curvature, Linearization, LowerLevel, UpperCurvature, UpperLevel};
use bilevel::{Error, Implicit, Maid, Run, check_lower, check_upper};

const U: f64 = f64::EPSILON / 2.0;

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn exp(theta: &[f64]) -> Vec<f64> {
    theta.iter().map(|t| t.exp()).collect()
}

fn largest(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

/// Rows of X and entries of y: a sample each.
struct Samples {
    x: Vec<Vec<f64>>,
    y: Vec<f64>,
}

impl Samples {
    /// Features uniform in (−1, 1), of which the first two matter; noise uniform in (−½, ½).
    fn random(n: usize, features: usize, mut state: u64) -> Self {
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        };
        let x: Vec<Vec<f64>> = (0..n)
            .map(|_| (0..features).map(|_| uniform()).collect())
            .collect();
        let noisy = |row: &Vec<f64>| 2.0 * row[0] - row[1] + 0.5 * uniform();
        let y = x.iter().map(noisy).collect();
        Samples { x, y }
    }

    /// X w.
    fn product(&self, w: &[f64]) -> Vec<f64> {
        self.x.iter().map(|row| dot(row, w)).collect()
    }

    /// X w − y.
    fn residual(&self, w: &[f64]) -> Vec<f64> {
        let product = self.product(w);
        product.iter().zip(&self.y).map(|(p, y)| p - y).collect()
    }

    /// out ← Xᵀr / n.
    fn pull_back(&self, r: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (row, r) in self.x.iter().zip(r) {
            let share = r / self.y.len() as f64;
            out.iter_mut().zip(row).for_each(|(o, x)| *o += share * x);
        }
    }
}
