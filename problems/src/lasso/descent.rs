//! Coordinate descent with Newton steps on the support.
//!
//! A pass over all features says which ones enter; passes over those that are in the model let the signs settle; then the optimality
//! conditions on the support are a linear system, whose solution ends the work where it keeps all signs. The duality gap decides.

use bilevel::Work;

use super::columns::{Columns, Residual};
use super::support::Support;

/// Passes over the support between looks at all features.
const INNER: usize = 10;

/// w, its residual, and λ₁, λ₂.
pub(super) struct Descent<'a> {
    pub(super) columns: &'a Columns,
    pub(super) targets: &'a [f64],
    pub(super) lambda: [f64; 2],
    pub(super) w: Vec<f64>,
    pub(super) residual: Residual,
    pub(super) work: Work,
}

impl<'a> Descent<'a> {
    pub(super) fn new(
        columns: &'a Columns,
        targets: &'a [f64],
        lambda: [f64; 2],
        w: Vec<f64>,
    ) -> Self {
        let mut residual = Residual {
            raw: targets.to_vec(),
            offset: 0.0,
        };
        for (j, &w) in w.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            residual.take(columns, j, w);
        }
        Descent {
            columns,
            targets,
            lambda,
            w,
            residual,
            work: Work::default(),
        }
    }

    /// Descends until the duality gap is below `gap`; returns the gap that is left.
    pub(super) fn run(&mut self, gap: f64, max_rounds: u64) -> f64 {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let mut left = f64::INFINITY;
        for _ in 0..max_rounds {
            self.work.lower_gradients += 1;
            self.pass(&all);
            let mut support = self.support();
            for _ in 0..INNER {
                if !self.pass(&support) {
                    break;
                }
                support.retain(|&j| self.w[j] != 0.0);
            }
            // The gap falls with the square of what is left of the system.
            let before = self.gap();
            self.newton(0.1 * (gap / before.max(f64::MIN_POSITIVE)).sqrt());
            let now = self.gap();
            if now <= gap || (now >= left && now <= 1e-14 * self.scale()) {
                return now;
            }
            left = now;
        }
        left
    }

    pub(super) fn support(&self) -> Vec<usize> {
        (0..self.w.len()).filter(|&j| self.w[j] != 0.0).collect()
    }

    /// A minimisation over each of these coordinates in turn; returns whether one moved.
    fn pass(&mut self, coordinates: &[usize]) -> bool {
        let [l1, l2] = self.lambda;
        let mut moved = false;
        for &j in coordinates {
            let h = self.columns.variances()[j];
            if h == 0.0 {
                // A constant feature predicts nothing.
                continue;
            }
            let pull = self.residual.correlation(self.columns, j) + h * self.w[j];
            let new = pull.signum() * (pull.abs() - l1).max(0.0) / (h + l2);
            let change = new - self.w[j];
            if change != 0.0 {
                self.residual.take(self.columns, j, change);
                self.w[j] = new;
                moved = true;
            }
        }
        moved
    }

    /// Solves the optimality conditions on the support, to this relative accuracy, and goes there as far as the signs hold.
    fn newton(&mut self, relative: f64) {
        let support = Support::new(self.columns, self.support(), self.lambda[1]);
        if support.places.is_empty() {
            return;
        }
        let [l1, l2] = self.lambda;
        let rhs: Vec<f64> = support
            .places
            .iter()
            .map(|&j| {
                let pull = self.residual.correlation(self.columns, j);
                pull - l2 * self.w[j] - l1 * self.w[j].signum()
            })
            .collect();
        let mut step = vec![0.0; rhs.len()];
        let solved = support.solve(&rhs, relative.clamp(1e-12, 0.1), &mut step);
        self.work.hessian_products += solved.products;
        // The first sign to change limits the step, and that feature leaves.
        let mut length = 1.0f64;
        for (&j, &s) in support.places.iter().zip(&step) {
            if self.w[j] * (self.w[j] + s) < 0.0 {
                length = length.min(-self.w[j] / s);
            }
        }
        for (&j, &s) in support.places.iter().zip(&step) {
            let target = self.w[j] + length * s;
            let target = if target * self.w[j] <= 0.0 {
                0.0
            } else {
                target
            };
            self.residual.take(self.columns, j, target - self.w[j]);
            self.w[j] = target;
        }
    }

    /// ‖ỹ‖²/(2n): g at w = 0.
    fn scale(&self) -> f64 {
        let square: f64 = self.targets.iter().map(|y| y * y).sum();
        0.5 * square / self.targets.len() as f64
    }

    /// g(w) less the value of the dual at the residual, scaled to be feasible.
    fn gap(&mut self) -> f64 {
        self.work.lower_gradients += 1;
        let n = self.targets.len() as f64;
        let [l1, l2] = self.lambda;
        let (mut steepest, mut one, mut two) = (0.0f64, 0.0, 0.0);
        for (j, &w) in self.w.iter().enumerate() {
            let slope = self.residual.correlation(self.columns, j) - l2 * w;
            steepest = steepest.max(slope.abs());
            one += w.abs();
            two += w * w;
        }
        let residuals = || self.residual.numbers();
        let square = residuals().map(|r| r * r).sum::<f64>() / n + l2 * two;
        let along: f64 = residuals()
            .zip(self.targets)
            .map(|(r, y)| r * y)
            .sum::<f64>()
            / n;
        let s = if steepest > l1 { l1 / steepest } else { 1.0 };
        // ½‖y‖² − ½‖y − s r‖² of the dual, so that the gap is ½‖r‖² + λ₁‖w‖₁ − s⟨y, r⟩ + ½s²‖r‖².
        (0.5 * (1.0 + s * s) * square + l1 * one - s * along).max(0.0)
    }
}
