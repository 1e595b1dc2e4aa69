//! A derivative checker for problems of your own.
//!
//! A wrong derivative does not crash: it gives a plausible wrong answer. [`check_lower`] and [`check_upper`] test every derivative of a
//! problem at one point, along random directions, and name the wrong ones:
//!
//! | test | compares |
//! |---|---|
//! | gradient | ⟨∇ₓg, v⟩ with central differences of g |
//! | hvp | A v with central differences of ∇ₓg |
//! | symmetry | ⟨A v, w⟩ with ⟨v, A w⟩ |
//! | cross_jvp | B u with central differences of ∇ₓg in θ |
//! | cross_vjp | ⟨B u, w⟩ with ⟨u, Bᵀ w⟩ |
//! | curvature | the constants with samples of the quantities they bound |
//! | local_convexity | m with samples at x itself |
//!
//! Of several step lengths the best agreement counts, so that neither bad scaling nor rounding makes a correct derivative look wrong.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

mod report;
mod upper;

pub use report::{Check, CheckReport};

use super::{Linearization, LowerLevel, UpperLevel};
use crate::vector::Vector;
use crate::work::Work;

/// Directions, step lengths and tolerances of the checker.
#[derive(Debug, Clone, PartialEq)]
pub struct Checker {
    /// Random directions per test (default 4).
    pub directions: usize,
    /// Seed of the directions.
    pub seed: u64,
    /// The largest relative difference from finite differences (default 1e-6 for f64, 2e-2 for f32).
    pub difference_tolerance: Option<f64>,
    /// The largest relative difference of two analytic products (default 1e-9 for f64, 1e-4 for f32).
    pub product_tolerance: Option<f64>,
}

impl Default for Checker {
    fn default() -> Self {
        Checker {
            directions: 4,
            seed: 0,
            difference_tolerance: None,
            product_tolerance: None,
        }
    }
}

/// Relative steps of the central differences.
const STEPS: [f64; 5] = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6];

/// A vector of independent entries, uniform in (−1, 1).
pub(crate) fn random<V: Vector>(like: &V, rng: &mut ChaCha8Rng) -> V {
    let mut v = like.zeros_like();
    v.assign(&mut |_| (rng.next_u64() >> 11) as f64 / (1u64 << 52) as f64 - 1.0);
    v
}

fn moved<V: Vector>(x: &V, t: f64, v: &V) -> V {
    let mut y = x.clone();
    y.axpy(t, v);
    y
}

fn difference<V: Vector>(a: &V, b: &V) -> f64 {
    moved(a, -1.0, b).norm()
}

/// The best agreement of `exact` with (h(t) − h(−t))/2t over the step lengths, relative to the larger of the two.
fn scalar_error(exact: f64, scale: f64, h: impl Fn(f64) -> f64) -> f64 {
    STEPS
        .iter()
        .map(|step| {
            let t = step * scale;
            let estimate = (h(t) - h(-t)) / (2.0 * t);
            (estimate - exact).abs() / exact.abs().max(estimate.abs()).max(f64::MIN_POSITIVE)
        })
        .filter(|e| !e.is_nan())
        .fold(f64::INFINITY, f64::min)
}

pub(crate) fn vector_error<V: Vector>(exact: &V, scale: f64, h: impl Fn(f64) -> V) -> f64 {
    STEPS
        .iter()
        .map(|step| {
            let t = step * scale;
            let mut estimate = h(t);
            estimate.axpby(-0.5 / t, &h(-t), 0.5 / t);
            let size = exact.norm().max(estimate.norm());
            if size == 0.0 {
                0.0
            } else {
                difference(&estimate, exact) / size
            }
        })
        .filter(|e| !e.is_nan())
        .fold(f64::INFINITY, f64::min)
}

impl Checker {
    pub(crate) fn tolerances<V: Vector>(&self) -> (f64, f64) {
        let single = V::UNIT_ROUNDOFF > 1e-10;
        (
            self.difference_tolerance
                .unwrap_or(if single { 2e-2 } else { 1e-6 }),
            self.product_tolerance
                .unwrap_or(if single { 1e-4 } else { 1e-9 }),
        )
    }

    /// Tests every derivative and every constant of a lower level at (x, θ).
    ///
    /// Choose a generic x: near the data but not on it, with entries of typical size.
    pub fn lower<P: LowerLevel>(&self, problem: &P, x: &P::X, theta: &P::Theta) -> CheckReport {
        let mut report = CheckReport { checks: Vec::new() };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (by_difference, by_product) = self.tolerances::<P::X>();
        let gradient_at = |x: &P::X, theta: &P::Theta| {
            let mut out = x.zeros_like();
            problem.gradient(x, theta, &mut out);
            out
        };
        let g = gradient_at(x, theta);
        let value = problem.value(x, theta);
        let mut fused = g.zeros_like();
        let fused_value = problem.value_and_gradient(x, theta, &mut fused);
        report.record(
            "value_and_gradient",
            ((fused_value - value).abs() / value.abs().max(f64::MIN_POSITIVE))
                .max(difference(&fused, &g) / g.norm().max(f64::MIN_POSITIVE)),
            by_product,
            "it must return what value and gradient return",
        );
        let at = problem.linearize(x, theta);
        let constants = problem.curvature(theta);
        let local = problem.local_convexity(x, theta, &mut Work::default());
        for _ in 0..self.directions {
            let v = random(x, &mut rng);
            let w = random(x, &mut rng);
            let u = random(theta, &mut rng);
            let along_x = x.norm().max(1.0) / v.norm();
            let along_theta = 1.0 / u.norm().max(f64::MIN_POSITIVE);
            report.record(
                "gradient",
                scalar_error(g.dot(&v), along_x, |t| {
                    problem.value(&moved(x, t, &v), theta)
                }),
                by_difference,
                "∇ₓg is not the derivative of g in x",
            );
            let (mut av, mut aw, mut bu) = (x.zeros_like(), x.zeros_like(), x.zeros_like());
            let mut btw = theta.zeros_like();
            at.hvp(&v, &mut av);
            at.hvp(&w, &mut aw);
            at.cross_jvp(&u, &mut bu);
            at.cross_vjp(&w, &mut btw);
            report.record(
                "hvp",
                vector_error(&av, along_x, |t| gradient_at(&moved(x, t, &v), theta)),
                by_difference,
                "A v is not the derivative of ∇ₓg along v",
            );
            let size = (av.norm() * w.norm()).max(f64::MIN_POSITIVE);
            report.record(
                "symmetry",
                (av.dot(&w) - v.dot(&aw)).abs() / size,
                by_product,
                "⟨A v, w⟩ differs from ⟨v, A w⟩: A is not symmetric",
            );
            report.record(
                "cross_jvp",
                vector_error(&bu, along_theta, |t| gradient_at(x, &moved(theta, t, &u))),
                by_difference,
                "B u is not the derivative of ∇ₓg along u",
            );
            let size = (bu.norm() * w.norm()).max(f64::MIN_POSITIVE);
            report.record(
                "cross_vjp",
                (bu.dot(&w) - u.dot(&btw)).abs() / size,
                by_product,
                "⟨B u, w⟩ differs from ⟨u, Bᵀ w⟩",
            );
            // Samples can refute the constants, never prove them.
            let slack = by_product;
            let vv = v.dot(&v);
            if let Some(mu) = constants.strong_convexity {
                report.record(
                    "curvature: mu",
                    (mu * vv - av.dot(&v)) / (mu * vv),
                    slack,
                    "vᵀA v is below μ‖v‖²: μ is too large",
                );
            }
            if let Some(local) = local {
                report.record(
                    "local_convexity",
                    (local.modulus * vv - av.dot(&v)) / (local.modulus * vv),
                    slack,
                    "vᵀA v is below m‖v‖² at x itself: the modulus is too large",
                );
            }
            if let Some(l) = constants.smoothness {
                report.record(
                    "curvature: L",
                    av.norm() / (l * vv.sqrt()) - 1.0,
                    slack,
                    "‖A v‖ is above L‖v‖: L is too small",
                );
            }
            if let Some(b) = at.cross_norm(&mut x.zeros_like()).or(constants.cross_norm) {
                report.record(
                    "curvature: ‖B‖",
                    bu.norm() / (b * u.norm()) - 1.0,
                    slack,
                    "‖B u‖ is above ‖B‖‖u‖: the bound of ‖B‖ is too small",
                );
            }
            // Changes of A and B over steps from short to as long as x itself.
            for step in [1e-3, 1e-2, 1e-1, 1.0] {
                let t = step * along_x;
                let radius = t * v.norm();
                let there = moved(x, t, &v);
                let at_there = problem.linearize(&there, theta);
                let (mut a_there, mut b_there) = (x.zeros_like(), theta.zeros_like());
                at_there.hvp(&w, &mut a_there);
                at_there.cross_vjp(&w, &mut b_there);
                let rounding = 16.0 * P::X::UNIT_ROUNDOFF;
                let a_change = difference(&a_there, &aw) - rounding * aw.norm();
                let b_change = difference(&b_there, &btw) - rounding * bu.norm() * w.norm();
                let bounds = [
                    (
                        "curvature: L_A",
                        a_change,
                        constants.hessian_lipschitz.map(|l| l * radius * w.norm()),
                    ),
                    (
                        "curvature: L_B",
                        b_change,
                        constants.cross_lipschitz.map(|l| l * radius * w.norm()),
                    ),
                    ("hessian_change", a_change, at.hessian_change(&w, radius)),
                    ("cross_change", b_change, at.cross_change(&w, radius)),
                ];
                for (name, change, bound) in bounds {
                    if let Some(bound) = bound {
                        let excess = if change <= bound {
                            0.0
                        } else {
                            change / bound - 1.0
                        };
                        report.record(
                            name,
                            excess,
                            slack,
                            "the derivative changes by more than the bound allows: the bound is too small",
                        );
                    }
                }
            }
        }
        report
    }
}

/// [`Checker::lower`] with its defaults.
pub fn check_lower<P: LowerLevel>(problem: &P, x: &P::X, theta: &P::Theta) -> CheckReport {
    Checker::default().lower(problem, x, theta)
}

/// [`Checker::upper`] with its defaults.
pub fn check_upper<U: UpperLevel>(problem: &U, x: &U::X, theta: &U::Theta) -> CheckReport {
    Checker::default().upper(problem, x, theta)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds mean the same directions, starts and orders for as long as these numbers stand: the first two of seed 3, stream 5.
    #[test]
    fn the_generator_draws_what_it_always_drew() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        rng.set_stream(5);
        let drawn = [rng.next_u64(), rng.next_u64()];
        assert_eq!(drawn, [0x34fc_a903_8fc8_a67b, 0x424a_a664_1909_213e]);
    }
}
