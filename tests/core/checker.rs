//! The derivative checker passes what is right and names what is wrong.

use crate::common::random;
use bilevel::{UpperCurvature, UpperLevel, Vector, check_lower, check_upper};
use bilevel_problems::synthetic::quadratic::Quadratic;

#[test]
fn quadratics_of_all_sizes_and_conditions_pass() {
    for (n, p) in [(1, 1), (2, 5), (20, 3), (100, 2)] {
        for condition in [1.0, 1e2, 1e6] {
            for seed in 0..3 {
                let problem = Quadratic::random(n, p, condition, seed);
                let (x, theta) = (random(n, seed + 5), random(p, seed + 6));
                let report = check_lower(&problem.lower(), &x, &theta);
                assert!(report.passed(), "n={n} p={p} {condition:e}\n{report}");
                let report = check_upper(&problem.upper(), &x, &theta);
                assert!(report.passed(), "n={n} p={p} {condition:e}\n{report}");
            }
        }
    }
}

/// An upper level with a mistake: the factors multiply ∇ₓf, ∇θf, L_f and L_fθ.
struct PlantedUpper<U> {
    inner: U,
    gradient_x: f64,
    gradient_theta: f64,
    lipschitz: f64,
}

impl<U: UpperLevel<Theta = Vec<f64>, X = Vec<f64>>> UpperLevel for PlantedUpper<U> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        self.inner.value(x, theta)
    }

    fn gradient_x(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.inner.gradient_x(x, theta, out);
        out.scale(self.gradient_x);
    }

    fn gradient_theta(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.inner.gradient_theta(x, theta, out);
        out.scale(self.gradient_theta);
    }

    fn curvature(&self, theta: &Vec<f64>) -> UpperCurvature {
        let known = self.inner.curvature(theta);
        UpperCurvature {
            gradient_x_lipschitz: known.gradient_x_lipschitz.map(|l| self.lipschitz * l),
            ..known
        }
    }
}

#[test]
fn every_planted_mistake_of_an_upper_level_is_named() {
    let expected: [(f64, f64, f64, &[&str]); 5] = [
        (1.0, 1.0, 1.0, &[]),
        (0.999, 1.0, 1.0, &["gradient_x"]),
        (1.0, 0.999, 1.0, &["gradient_theta"]),
        (1.0, 0.0, 1.0, &["gradient_theta"]),
        (1.0, 1.0, 0.9, &["curvature: L_f"]),
    ];
    let problem = Quadratic::random(20, 3, 10.0, 0);
    for (gradient_x, gradient_theta, lipschitz, names) in expected {
        let planted = PlantedUpper {
            inner: problem.upper(),
            gradient_x,
            gradient_theta,
            lipschitz,
        };
        let report = check_upper(&planted, &random(20, 1), &random(3, 2));
        let found: Vec<&str> = report.failures().map(|c| c.name).collect();
        assert_eq!(found, names, "{report}");
    }
}
