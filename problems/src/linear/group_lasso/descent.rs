//! Proximal block coordinate descent on working sets of groups, with Newton steps on those that are active.
//!
//! ```text
//! v = x_g + c_g/L_g,      x_g ← (1 − λ_g/(L_g‖v‖))₊ v,      c = Ãᵀr/n,  L_g = ‖Ã_g‖²/n
//! ```
//!
//! The scheme is that of the [lasso](crate::linear::lasso); a Newton step is kept where it reduces the duality gap.

use bilevel::{Vector, Work};

use super::Penalties;
use crate::linear::sparse::{Residual, Samples, is_rounding, working_set};

/// Passes over the active groups between passes over the working set.
const INNER: usize = 10;
/// The most rounds on a working set.
const MOST_SETTLING: u64 = 1000;
/// The fewest groups of a working set.
const LEAST_SET: usize = 50;
/// The share of the gap at which a working set is left.
const SETTLED: f64 = 0.1;
/// The most products of a Newton step.
const MOST_PRODUCTS: u64 = 1000;
/// Trial lengths of a Newton step, each half the last.
const MOST_HALVINGS: u64 = 3;

/// x, its residual, and λ_g of all groups.
pub(super) struct Descent<'a> {
    samples: &'a Samples,
    penalties: &'a Penalties,
    lambda: &'a [f64],
    pub(super) x: Vec<f64>,
    residual: Residual<'a>,
    pub(super) work: Work,
}

impl<'a> Descent<'a> {
    pub(super) fn new(
        samples: &'a Samples,
        penalties: &'a Penalties,
        lambda: &'a [f64],
        x: Vec<f64>,
    ) -> Self {
        Descent {
            residual: samples.residual(&x),
            samples,
            penalties,
            lambda,
            x,
            work: Work::default(),
        }
    }

    /// Descends until the duality gap is below `gap`; returns the final gap.
    pub(super) fn run(&mut self, gap: f64, max_rounds: u64) -> f64 {
        let all: Vec<usize> = (0..self.lambda.len()).collect();
        let mut left = f64::INFINITY;
        for _ in 0..max_rounds {
            let (now, slopes) = self.gap(&all);
            if now <= gap || (now >= left && is_rounding(self.samples, now)) {
                return now;
            }
            left = now;
            let active = self.active(&all);
            let excess = |g: usize| {
                let l = self.penalties.curvature[g];
                if l > 0.0 {
                    (slopes[g] - self.lambda[g]) / l.sqrt()
                } else {
                    f64::NEG_INFINITY
                }
            };
            let set = working_set(all.len(), &active, LEAST_SET, excess);
            self.settle(&set, gap.max(SETTLED * now));
        }
        left
    }

    /// Descends on these groups until the gap of the problem restricted to them is below `gap`.
    fn settle(&mut self, set: &[usize], gap: f64) {
        let mut left = f64::INFINITY;
        for _ in 0..MOST_SETTLING {
            self.work.lower_gradients += 1;
            self.pass(set);
            for _ in 0..INNER {
                let active = self.active(set);
                self.pass(&active);
            }
            let (now, _) = self.gap(set);
            if now <= gap || (now >= left && is_rounding(self.samples, now)) {
                return;
            }
            // The gap falls with the square of the residual of the system.
            left = self.newton(set, now, 0.1 * (gap / now).sqrt());
        }
    }

    fn active(&self, set: &[usize]) -> Vec<usize> {
        self.penalties.active(set.iter().copied(), &self.x)
    }

    /// A proximal step of each of these groups in turn.
    fn pass(&mut self, groups: &[usize]) {
        let mut v = Vec::new();
        for &g in groups {
            let l = self.penalties.curvature[g];
            if l == 0.0 {
                // Constant features predict nothing.
                continue;
            }
            let members = self.penalties.partition.members(g);
            let step = |&j: &usize| self.x[j] + self.residual.correlation(j) / l;
            v.clear();
            v.extend(members.iter().map(step));
            let size = v.norm();
            let share = if size * l > self.lambda[g] {
                1.0 - self.lambda[g] / (l * size)
            } else {
                0.0
            };
            for (&j, v) in members.iter().zip(&v) {
                self.set(j, share * v);
            }
        }
    }

    fn set(&mut self, j: usize, x: f64) {
        let change = x - self.x[j];
        if change != 0.0 {
            self.residual.take(j, change);
            self.x[j] = x;
        }
    }

    /// Solves the linearised optimality conditions of the active groups to this relative accuracy and takes the whole step, a part of it, or
    /// none; returns the gap of the set afterwards.
    fn newton(&mut self, set: &[usize], gap: f64, relative: f64) -> f64 {
        let active = self.active(set);
        let support = self
            .penalties
            .support(self.samples, self.lambda, &active, &self.x);
        let places = support.places.clone();
        let from: Vec<f64> = places.iter().map(|&j| self.x[j]).collect();
        let mut rhs: Vec<f64> = places
            .iter()
            .map(|&j| self.residual.correlation(j))
            .collect();
        let mut at = 0;
        for &g in &active {
            let weight = self.lambda[g] / self.penalties.norm(g, &self.x);
            for _ in self.penalties.partition.members(g) {
                rhs[at] -= weight * from[at];
                at += 1;
            }
        }
        let mut step = vec![0.0; rhs.len()];
        let solved = support.solve(&rhs, relative.clamp(1e-12, 0.1), MOST_PRODUCTS, &mut step);
        self.work.hessian_products += solved.products;
        let before = self.residual.clone();
        for halving in 0..MOST_HALVINGS {
            let length = 0.5f64.powi(halving as i32);
            let mut at = 0;
            for &g in &active {
                let members = self.penalties.partition.members(g);
                let here = at..at + members.len();
                at = here.end;
                let (old, step) = (&from[here.clone()], &step[here]);
                let along: f64 = old
                    .iter()
                    .zip(step)
                    .map(|(x, s)| x * (x + length * s))
                    .sum();
                // A group whose direction reverses leaves.
                let stays = if along > 0.0 { 1.0 } else { 0.0 };
                for ((&j, x), s) in members.iter().zip(old).zip(step) {
                    self.set(j, stays * (x + length * s));
                }
            }
            let (now, _) = self.gap(set);
            if now < gap {
                return now;
            }
        }
        self.residual = before;
        for (&j, &x) in places.iter().zip(&from) {
            self.x[j] = x;
        }
        gap
    }

    /// The duality gap of the problem restricted to these groups, g(x) less the dual value at the residual, scaled to be feasible; and the norms
    /// of their slopes.
    fn gap(&mut self, set: &[usize]) -> (f64, Vec<f64>) {
        self.work.lower_gradients += 1;
        let mut slopes = Vec::with_capacity(set.len());
        let mut terms = Vec::new();
        let mut steepest = 1.0f64;
        for &g in set {
            let (mut square, mut along) = (0.0, 0.0);
            for &j in self.penalties.partition.members(g) {
                let c = self.residual.correlation(j);
                square += c * c;
                along += c * self.x[j];
            }
            steepest = steepest.max(square.sqrt() / self.lambda[g]);
            slopes.push(square.sqrt());
            let norm = self.penalties.norm(g, &self.x);
            if norm != 0.0 {
                terms.push((self.lambda[g] * norm, along));
            }
        }
        let s = 1.0 / steepest;
        // As for the lasso: ½(1 − s)²‖r‖² + Σ (λ‖x‖ − s⟨x, slope⟩), of which no term is negative.
        let sum: f64 = terms.iter().map(|(most, along)| most - s * along).sum();
        let gap = 0.5 * (1.0 - s).powi(2) * self.residual.square(&self.x) + sum;
        (gap.max(0.0), slopes)
    }
}
