//! Differentiation through gradient descent on logistic regression: against finite differences, and on any number of threads.

use bilevel::hypergradient::unrolled::{Descent, Rollout};
use bilevel::{Mode, Oracle, Unrolled, Vector, parallel};
use bilevel_problems::data::digits;
use bilevel_problems::linear::logistic::{CrossEntropy, LogisticRegression, Penalty};

use crate::common::distance;
use crate::common::unrolled::{ALL, gradient};

/// Gradient descent on logistic regression: not linear in x or θ.
fn logistic(steps: usize) -> (Descent<LogisticRegression<f64>>, CrossEntropy<f64>) {
    let table = digits().unwrap();
    let (train, validation) = (table.rows(0..60).unwrap(), table.rows(60..120).unwrap());
    let lower = LogisticRegression::new(&train, Penalty::PerClass).unwrap();
    (
        Descent::new(lower, 0.3, steps).unwrap(),
        CrossEntropy::new(&validation).unwrap(),
    )
}

#[test]
fn forward_reverse_and_finite_differences_agree() {
    let (dynamics, upper) = logistic(40);
    let theta: Vec<f64> = (0..10).map(|k| -3.0 + 0.2 * f64::from(k)).collect();
    let forward = gradient(&dynamics, &upper, &theta, Mode::Forward);
    let reverse = gradient(&dynamics, &upper, &theta, ALL);
    assert!(distance(&forward, &reverse) <= 1e-13 * forward.norm());
    let value = |k: usize, h: f64| {
        let mut there = theta.clone();
        there[k] += h;
        let rollout = Rollout {
            dynamics: &dynamics,
            upper: &upper,
        };
        rollout.value(&there, &mut Default::default()).unwrap()
    };
    let h = 1e-4;
    let differences: Vec<f64> = (0..theta.len())
        .map(|k| (value(k, h) - value(k, -h)) / (2.0 * h))
        .collect();
    assert!(distance(&forward, &differences) <= 1e-6 * forward.norm());
}

#[test]
fn a_theta_of_the_wrong_length_is_refused() {
    let (dynamics, upper) = logistic(5);
    let oracle = Unrolled::new(dynamics, upper, Mode::Forward).unwrap();
    assert!(oracle.start(&vec![0.0; 3]).is_err());
}

#[test]
fn the_bits_are_those_of_any_number_of_threads() {
    let (dynamics, upper) = logistic(10);
    let theta = vec![-3.0; 10];
    for mode in [Mode::Forward, Mode::Reverse { checkpoints: 3 }] {
        let run = |threads| {
            parallel::with_threads(threads, || gradient(&dynamics, &upper, &theta, mode)).unwrap()
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(5));
    }
}
