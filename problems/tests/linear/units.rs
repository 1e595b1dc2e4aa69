//! The units of the data change nothing: the tuned penalties and how a run ends are those of any other unit.

use bilevel::oracle::Relative;
use bilevel::{Accuracy, Oracle, Report, Status};
use bilevel_problems::data::RegressionData;
use bilevel_problems::linear::ridge::ridge;
use bilevel_problems::linfa::{Penalty, TunedRidge};
use linfa::prelude::*;
use linfa::traits::Fit;
use ndarray::{Array1, Array2};

fn wave(k: usize) -> f64 {
    (0.7 * (k as f64) * (k as f64)).sin()
}

/// The run converged where its gradient is small against F, in as many steps as `like` and at the same θ, moved by `shift`.
fn agrees(report: &Report<Vec<f64>>, like: &Report<Vec<f64>>, shift: f64, unit: f64, of: &str) {
    assert_eq!(report.status, Status::Converged, "{of}: {report}");
    let size = report.value.value.abs();
    assert!(
        report.trace.last().unwrap().gradient_norm <= 1e-5 * size,
        "{of}"
    );
    let steps = report.iterations.abs_diff(like.iterations);
    assert!(
        steps <= 1,
        "{of}: {} for {}",
        report.iterations,
        like.iterations
    );
    for (theta, like) in report.theta.iter().zip(&like.theta) {
        assert!(
            (theta - shift - like).abs() <= 1e-6,
            "{of}: {theta} for {like}"
        );
    }
    // A value is as accurate as the last step needed it.
    let relative = size / unit / like.value.value.abs() - 1.0;
    assert!(relative.abs() <= 1e-7, "{of}: {relative:e}");
}

/// Prices, mostly noise.
fn prices(penalty: Penalty, unit: f64) -> Report<Vec<f64>> {
    let (n, d) = (24, 8);
    let x = Array2::from_shape_fn((n, d), |(i, j)| wave(1 + i * d + j));
    let y: Array1<f64> = (0..n)
        .map(|i| unit * (250.0 + 8.0 * x[[i, 0]] + 40.0 * wave(1000 + i)))
        .collect();
    let params = TunedRidge::params().penalty(penalty).tolerance(1e-8);
    let model = params.fit(&Dataset::new(x, y)).unwrap();
    model.report().unwrap().clone()
}

#[test]
fn targets_in_any_unit_have_the_same_penalties() {
    for penalty in [Penalty::Single, Penalty::PerFeature] {
        let like = prices(penalty, 1.0);
        for power in [-9, -3, -1, 3, 9] {
            let unit = 10f64.powi(power);
            let of = format!("{penalty:?}, targets × 1e{power}");
            agrees(&prices(penalty, unit), &like, 0.0, unit * unit, &of);
        }
    }
}

/// A line with some noise, its features as they are.
fn line(size: f64) -> (Array2<f64>, Array1<f64>) {
    let x = Array2::from_shape_fn((40, 2), |(i, j)| size * wave(1 + 2 * i + j));
    let noisy = |i| (3.0 * x[[i, 0]] - x[[i, 1]]) / size + 0.1 * wave(1000 + i);
    let y = (0..40).map(noisy).collect();
    (x, y)
}

#[test]
fn features_in_any_unit_move_the_penalty_of_a_ridge_by_its_square() {
    for penalty in [Penalty::Single, Penalty::PerFeature] {
        let fit = |size: f64| {
            let (x, y) = line(size);
            let params = TunedRidge::params().penalty(penalty).tolerance(1e-8);
            let model = params.standardise(false).fit(&Dataset::new(x, y)).unwrap();
            model.report().unwrap().clone()
        };
        let like = fit(1.0);
        for power in [-4, -1, 2, 4] {
            let size = 10f64.powi(power);
            let of = format!("{penalty:?}, features × 1e{power}");
            agrees(&fit(size), &like, 2.0 * size.ln(), 1.0, &of);
        }
    }
}

#[test]
fn a_relative_oracle_has_the_numbers_of_the_problem_in_units_of_their_own() {
    for unit in [1e-6, 1.0, 1e7] {
        let features: Vec<f64> = (0..60).map(|k| wave(1 + k)).collect();
        let targets: Vec<f64> = (0..20).map(|i| unit * wave(500 + i)).collect();
        let part = |from: usize, to: usize| {
            RegressionData::new(
                3,
                features[3 * from..3 * to].to_vec(),
                targets[from..to].to_vec(),
            )
            .unwrap()
        };
        let oracle = ridge(&part(0, 12), &part(12, 20), Penalty::Single).unwrap();
        let theta = vec![-1.0];
        let relative = Relative::new(&oracle, &theta).unwrap();
        assert!((0.5..2.0).contains(&relative.size()), "{}", relative.size());
        let sizes = oracle.scales(&theta).unwrap();
        let accuracy = Accuracy::new(1e-3 * sizes.epsilon, 1e-4 * sizes.delta).unwrap();
        let mut state = oracle.start(&theta).unwrap();
        let z = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
        // x* is of the size that was found.
        let size = state.x().iter().map(|w| w * w).sum::<f64>().sqrt();
        assert!((0.8..1.2).contains(&(sizes.epsilon / size)));
        let accuracy = Accuracy::new(1e-3, 1e-4).unwrap();
        let mut state = relative.start(&theta).unwrap();
        let own = relative
            .hypergradient(&theta, accuracy, &mut state)
            .unwrap();
        // A power of two: the same numbers to the bit.
        let factor = z.value.value / own.value.value;
        assert_eq!(factor.log2(), factor.log2().round());
        assert_eq!(z.gradient[0], own.gradient[0] * factor);
        assert_eq!(z.error_bound, own.error_bound * factor);
        assert_eq!(z.value.lower, own.value.lower * factor);
        assert_eq!(z.value.upper, own.value.upper * factor);
        assert_eq!(z.goal_oriented, own.goal_oriented * factor);
        let value = relative.value(&theta, 1e-3, &mut state).unwrap().value;
        let like = oracle
            .value(&theta, 1e-3 * sizes.epsilon, &mut state)
            .unwrap();
        assert_eq!(like.value.upper, value.upper * factor);
    }
}

/// A large feature that says nothing, beside a small one that says all: starts and bounds of the penalty that they share reach both.
#[test]
fn a_large_feature_does_not_hide_a_small_one() {
    let x = Array2::from_shape_fn((40, 2), |(i, j)| {
        wave(1 + 2 * i + j) * if j == 0 { 1e5 } else { 1.0 }
    });
    let y = (0..40)
        .map(|i| 3.0 * x[[i, 1]] + 1e-3 * wave(1000 + i))
        .collect();
    let data: Dataset<f64, f64, ndarray::Ix1> = Dataset::new(x, y);
    let model = TunedRidge::params().standardise(false).fit(&data).unwrap();
    assert!(
        (model.coefficients()[1] - 3.0).abs() < 0.01,
        "{:?}",
        model.coefficients()
    );
}
