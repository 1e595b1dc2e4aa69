//! Coordinate descent on working sets, with Newton steps on the support.
//!
//! One pass over all features gives the duality gap, the stopping criterion, and the working set: the features of the support and those others
//! with the most to gain. On the working set, passes over all of its features decide which ones enter, and passes over the support let the
//! signs settle; the optimality conditions on the support are then a linear system, whose solution is final where it keeps all signs.
//!
//! # Reference
//! M. Massias, A. Gramfort, J. Salmon: Celer: a fast solver for the lasso with dual extrapolation. ICML 2018,
//! [arXiv:1802.07481](https://arxiv.org/abs/1802.07481).

use bilevel::Work;

use super::on_support;
use crate::linear::sparse::{Residual, Samples, is_rounding, working_set};

/// Passes over the support between passes over the working set.
const INNER: usize = 10;
/// The most rounds on a working set.
const MOST_SETTLING: u64 = 100;
/// The fewest features of a working set.
const LEAST_SET: usize = 100;
/// The most products of the first Newton step on a working set.
const FIRST_PRODUCTS: u64 = 20;
/// The share of the gap at which a working set is left.
const SETTLED: f64 = 0.1;

/// w, its residual, and λ₁, λ₂.
pub(super) struct Descent<'a> {
    samples: &'a Samples,
    lambda: [f64; 2],
    pub(super) w: Vec<f64>,
    residual: Residual<'a>,
    pub(super) work: Work,
}

impl<'a> Descent<'a> {
    pub(super) fn new(samples: &'a Samples, lambda: [f64; 2], w: Vec<f64>) -> Self {
        Descent {
            residual: samples.residual(&w),
            samples,
            lambda,
            w,
            work: Work::default(),
        }
    }

    /// Descends until the duality gap is below `gap`; returns the final gap.
    pub(super) fn run(&mut self, gap: f64, max_rounds: u64) -> f64 {
        let all: Vec<usize> = (0..self.samples.len()).collect();
        let mut slopes = vec![0.0; all.len()];
        let mut left = f64::INFINITY;
        for _ in 0..max_rounds {
            let now = self.gap(&all, &mut slopes);
            if now <= gap || (now >= left && is_rounding(self.samples, now)) {
                return now;
            }
            left = now;
            // The distance from entering: if positive, this feature alone can gain half its square.
            let excess = |j: usize| {
                let h = self.samples.variances()[j];
                if h > 0.0 {
                    (slopes[j].abs() - self.lambda[0]) / h.sqrt()
                } else {
                    f64::NEG_INFINITY
                }
            };
            let set = working_set(all.len(), &self.support(&all), LEAST_SET, excess);
            self.settle(&set, gap.max(SETTLED * now));
        }
        left
    }

    /// Descends on these features until the gap of the problem restricted to them is below `gap`.
    fn settle(&mut self, set: &[usize], gap: f64) {
        let mut slopes = vec![0.0; set.len()];
        let mut left = f64::INFINITY;
        let mut products = FIRST_PRODUCTS;
        for _ in 0..MOST_SETTLING {
            self.work.lower_gradients += 1;
            self.pass(set);
            let mut support = self.support(set);
            for _ in 0..INNER {
                if !self.pass(&support) {
                    break;
                }
                support.retain(|&j| self.w[j] != 0.0);
            }
            let now = self.gap(set, &mut slopes);
            if now <= gap || (now >= left && is_rounding(self.samples, now)) {
                return;
            }
            left = now;
            // The gap falls with the square of the residual of the system. A solution that changes signs is mostly wasted: the next one gets
            // more products only where this one kept the signs.
            let whole = self.newton(support, 0.1 * (gap / now).sqrt(), products);
            products = if whole {
                products.saturating_mul(4)
            } else {
                FIRST_PRODUCTS
            };
        }
    }

    fn support(&self, set: &[usize]) -> Vec<usize> {
        set.iter().copied().filter(|&j| self.w[j] != 0.0).collect()
    }

    /// Minimises over each of these coordinates in turn; returns whether one moved.
    fn pass(&mut self, coordinates: &[usize]) -> bool {
        let [l1, l2] = self.lambda;
        let mut moved = false;
        for &j in coordinates {
            let h = self.samples.variances()[j];
            if h == 0.0 {
                // A constant feature predicts nothing.
                continue;
            }
            let pull = self.residual.correlation(j) + h * self.w[j];
            let new = pull.signum() * (pull.abs() - l1).max(0.0) / (h + l2);
            let change = new - self.w[j];
            if change != 0.0 {
                self.residual.take(j, change);
                self.w[j] = new;
                moved = true;
            }
        }
        moved
    }

    /// Solves the optimality conditions on the support, to this relative accuracy or with at most these products, and takes the step, or part of
    /// it where signs would change; returns whether the step paid for its products.
    fn newton(&mut self, support: Vec<usize>, relative: f64, products: u64) -> bool {
        let support = on_support(self.samples, support, self.lambda[1]);
        if support.places.is_empty() {
            return true;
        }
        let [l1, l2] = self.lambda;
        let rhs: Vec<f64> = support
            .places
            .iter()
            .map(|&j| {
                let pull = self.residual.correlation(j);
                pull - l2 * self.w[j] - l1 * self.w[j].signum()
            })
            .collect();
        let mut step = vec![0.0; rhs.len()];
        let solved = support.solve(&rhs, relative.clamp(1e-12, 0.1), products, &mut step);
        self.work.hessian_products += solved.products;
        let from: Vec<f64> = support.places.iter().map(|&j| self.w[j]).collect();
        let changes = |w: f64, s: f64| w * (w + s) < 0.0;
        if !from.iter().zip(&step).any(|(&w, &s)| changes(w, s)) {
            self.step(&support.places, &from, &step, 1.0);
            return true;
        }
        // Features whose sign changes leave, all at once if that decreases g.
        let before = (self.value(), self.residual.clone());
        self.step(&support.places, &from, &step, 1.0);
        if self.value() < before.0 {
            return true;
        }
        // Otherwise the first of them limits the step.
        self.residual = before.1;
        let lengths = from.iter().zip(&step).filter(|&(&w, &s)| changes(w, s));
        let length = lengths.map(|(w, s)| -w / s).fold(1.0, f64::min);
        support
            .places
            .iter()
            .zip(&from)
            .for_each(|(&j, &w)| self.w[j] = w);
        self.step(&support.places, &from, &step, length);
        false
    }

    /// Takes a step; a feature whose sign would change is set to 0.
    fn step(&mut self, places: &[usize], from: &[f64], step: &[f64], length: f64) {
        for ((&j, w), s) in places.iter().zip(from).zip(step) {
            let to = w + length * s;
            let to = if to * w <= 0.0 { 0.0 } else { to };
            self.residual.take(j, to - self.w[j]);
            self.w[j] = to;
        }
    }

    /// g(w).
    fn value(&self) -> f64 {
        let [l1, l2] = self.lambda;
        let penalties = self.w.iter().map(|w| l1 * w.abs() + 0.5 * l2 * w * w);
        0.5 * self.residual.square(&self.w) + penalties.sum::<f64>()
    }

    /// The duality gap of the problem restricted to these features: g(w) less the dual value at the residual, scaled to be feasible. Writes
    /// their slopes.
    fn gap(&mut self, set: &[usize], slopes: &mut [f64]) -> f64 {
        self.work.lower_gradients += 1;
        let [l1, l2] = self.lambda;
        let mut steepest = 0.0f64;
        let mut two = 0.0;
        for (slope, &j) in slopes.iter_mut().zip(set) {
            let w = self.w[j];
            *slope = self.residual.correlation(j) - l2 * w;
            steepest = steepest.max(slope.abs());
            two += w * w;
        }
        let s = if steepest > l1 { l1 / steepest } else { 1.0 };
        // ½‖y‖² − ½‖y − s r‖² of the dual, so that with y = r + Ãw the gap is ½(1 − s)²‖r‖² + Σ (λ₁|w| − s w slope): terms that are not
        // negative, and all of them small near a solution.
        let square = self.residual.square(&self.w) + l2 * two;
        let terms = set.iter().zip(&*slopes);
        let terms = terms.map(|(&j, slope)| l1 * self.w[j].abs() - s * self.w[j] * slope);
        (0.5 * (1.0 - s).powi(2) * square + terms.sum::<f64>()).max(0.0)
    }
}
