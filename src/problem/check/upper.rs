//! The tests of an upper level.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;

use super::{CheckReport, Checker, difference, moved, random, scalar_error};
use crate::problem::UpperLevel;
use crate::vector::Vector;

impl Checker {
    /// Tests the derivatives and the constants of an upper level at (x, θ).
    pub fn upper<U: UpperLevel>(&self, problem: &U, x: &U::X, theta: &U::Theta) -> CheckReport {
        let mut report = CheckReport { checks: Vec::new() };
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let (by_difference, by_product) = self.tolerances::<U::X>();
        let gradient_x = |x: &U::X| {
            let mut out = x.zeros_like();
            problem.gradient_x(x, theta, &mut out);
            out
        };
        let gradient_theta = |x: &U::X| {
            let mut out = theta.zeros_like();
            problem.gradient_theta(x, theta, &mut out);
            out
        };
        let (gx, gt) = (gradient_x(x), gradient_theta(x));
        let constants = problem.curvature(theta);
        for _ in 0..self.directions {
            let v = random(x, &mut rng);
            let u = random(theta, &mut rng);
            let along_x = x.norm().max(1.0) / v.norm();
            report.record(
                "gradient_x",
                scalar_error(gx.dot(&v), along_x, |t| {
                    problem.value(&moved(x, t, &v), theta)
                }),
                by_difference,
                "∇ₓf is not the derivative of f in x",
            );
            let depends_on_theta =
                problem.value(x, &moved(theta, 1e-3, &u)) != problem.value(x, theta);
            if depends_on_theta || gt.norm() > 0.0 {
                let along_theta = 1.0 / u.norm().max(f64::MIN_POSITIVE);
                report.record(
                    "gradient_theta",
                    scalar_error(gt.dot(&u), along_theta, |t| {
                        problem.value(x, &moved(theta, t, &u))
                    }),
                    by_difference,
                    "∇θf is not the derivative of f in θ",
                );
            }
            let there = moved(x, along_x, &v);
            let distance = along_x * v.norm();
            let changes = [
                (
                    "curvature: L_f",
                    difference(&gradient_x(&there), &gx),
                    constants.gradient_x_lipschitz,
                    gx.norm(),
                ),
                (
                    "curvature: L_fθ",
                    difference(&gradient_theta(&there), &gt),
                    constants.gradient_theta_lipschitz,
                    gt.norm(),
                ),
            ];
            for (name, change, constant, size) in changes {
                if let Some(l) = constant {
                    let bound = l * distance + 16.0 * U::X::UNIT_ROUNDOFF * (size + distance);
                    report.record(
                        name,
                        if change <= bound {
                            0.0
                        } else {
                            change / bound - 1.0
                        },
                        by_product,
                        "the gradient changes by more than the constant allows: it is too small",
                    );
                }
            }
        }
        report
    }
}
