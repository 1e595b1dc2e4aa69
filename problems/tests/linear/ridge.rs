//! Ridge regression: against the normal equations with an intercept, finite differences, and a fine grid on real data.

use bilevel::{
    Accuracy, Error, Folds, LowerLevel, Maid, Oracle, Run, Status, check_lower, check_upper,
};
use bilevel_problems::data::RegressionData;
use bilevel_problems::linear::ridge::{Penalty, Ridge, cross_validated_ridge, ridge};
use faer::linalg::solvers::Solve;
use faer::{Col, Mat};

fn wave(len: usize, f: f64) -> Vec<f64> {
    (1..=len).map(|k| (f * k as f64 * k as f64).sin()).collect()
}

/// Samples of five features, the last one of which is nearly the first.
fn samples(n: usize, f: f64) -> RegressionData {
    let (mut a, noise) = (wave(5 * n, f), wave(n, 3.1 * f));
    for row in a.chunks_exact_mut(5) {
        row[4] = row[0] + 0.1 * row[4];
        row[1] += 2.0;
    }
    let y = a.chunks_exact(5).zip(&noise);
    let y = y.map(|(a, e)| 3.0 + a[0] - 2.0 * a[2] + 0.3 * e).collect();
    RegressionData::new(5, a, y).unwrap()
}

/// (w, b) of the normal equations, the intercept as a feature that is 1 and has no penalty.
fn normal_equations(train: &RegressionData, theta: &[f64]) -> (Vec<f64>, f64) {
    let (n, d) = (train.samples(), train.columns());
    let z = Mat::from_fn(n, d + 1, |i, j| {
        if j < d {
            train.features()[i * d + j]
        } else {
            1.0
        }
    });
    let y = Col::from_fn(n, |i| train.targets()[i]);
    let mut a = z.transpose() * &z;
    for j in 0..d {
        a[(j, j)] += n as f64 * theta[j % theta.len()].exp();
    }
    let w = a.full_piv_lu().solve(z.transpose() * &y);
    ((0..d).map(|j| w[j]).collect(), w[d])
}

fn error(of: &RegressionData, w: &[f64], b: f64) -> f64 {
    let rows = of.features().chunks_exact(of.columns()).zip(of.targets());
    let square = |(a, y): (&[f64], &f64)| {
        let fit: f64 = a.iter().zip(w).map(|(a, w)| a * w).sum();
        (fit + b - y).powi(2)
    };
    0.5 * rows.map(square).sum::<f64>() / of.samples() as f64
}

#[test]
fn derivatives_and_constants_are_right() {
    let (train, validation) = (samples(30, 0.7), samples(20, 1.3));
    for (penalty, theta) in [
        (Penalty::Single, vec![-1.0]),
        (Penalty::PerFeature, vec![-1.0, 0.5, -3.0, 1.0, -2.0]),
    ] {
        let lower = Ridge::new(&train, penalty).unwrap();
        let upper = lower.error_on(&validation).unwrap();
        let w = wave(5, 0.4);
        let report = check_lower(&lower, &w, &theta);
        assert!(report.passed(), "{report}");
        let report = check_upper(&upper, &w, &theta);
        assert!(report.passed(), "{report}");
    }
}

#[test]
fn fit_value_and_hypergradient_are_those_of_the_normal_equations() {
    let (train, validation) = (samples(30, 0.7), samples(20, 1.3));
    for (penalty, theta) in [
        (Penalty::Single, vec![-4.0]),
        (Penalty::PerFeature, vec![-9.0, 0.5, -3.0, 7.0, -12.0]),
    ] {
        let oracle = ridge(&train, &validation, penalty).unwrap();
        let exact = |theta: &[f64]| {
            let (w, b) = normal_equations(&train, theta);
            error(&validation, &w, b)
        };
        let mut state = oracle.start(&theta).unwrap();
        let accuracy = Accuracy::new(1e-9, 1e-9).unwrap();
        let found = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
        let (w, b) = normal_equations(&train, &theta);
        for (w, x) in w.iter().zip(state.x()) {
            assert!((w - x).abs() < 1e-8 * (1.0 + w.abs()), "{w} {x}");
        }
        assert!((b - oracle.lower().intercept(state.x())).abs() < 1e-8);
        let value = exact(&theta);
        assert!(found.value.lower - 1e-13 <= value && value <= found.value.upper + 1e-13);
        assert!((found.value.value - value).abs() < 1e-8);
        let h = 1e-5;
        for k in 0..theta.len() {
            let at = |t: f64| {
                let mut theta = theta.clone();
                theta[k] += t;
                exact(&theta)
            };
            let difference = (at(h) - at(-h)) / (2.0 * h);
            let off = (difference - found.gradient[k]).abs();
            assert!(
                off < 1e-9 + found.error_bound,
                "{off} {}",
                found.error_bound
            );
        }
    }
}

/// One factorisation solves both systems, however ill-conditioned they are.
#[test]
fn a_hypergradient_takes_a_few_products() {
    let (train, validation) = (samples(30, 0.7), samples(20, 1.3));
    let oracle = ridge(&train, &validation, Penalty::PerFeature).unwrap();
    let theta = vec![-30.0, 30.0, 0.0, 10.0, -20.0];
    let mut state = oracle.start(&theta).unwrap();
    let accuracy = Accuracy::new(1e-10, 1e-10).unwrap();
    let found = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
    assert!(found.work.hessian_products <= 16, "{:?}", found.work);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let refused = |of: Result<RegressionData, Error>, words: &str| {
        let message = of.unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    refused(
        RegressionData::new(2, vec![1.0; 3], vec![1.0; 2]),
        "3 numbers",
    );
    refused(RegressionData::new(0, vec![], vec![]), "0 numbers");
    refused(
        RegressionData::new(2, vec![1.0, 2.0, 3.0, f64::NAN], vec![1.0; 2]),
        "sample 1",
    );
    refused(
        RegressionData::new(1, vec![1.0, 2.0], vec![1.0, f64::INFINITY]),
        "target of sample 1",
    );
    let train = samples(9, 0.7);
    refused(train.at(&[]), "none");
    refused(train.at(&[9]), "9");
    let other = RegressionData::new(1, vec![1.0], vec![1.0]).unwrap();
    refused(train.standardised(&other), "5");
    assert!(ridge(&train, &other, Penalty::Single).is_err());
    let huge = RegressionData::new(1, vec![1e200, -1e200], vec![0.0, 1.0]).unwrap();
    assert!(Ridge::new(&huge, Penalty::Single).is_err());
    let lower = Ridge::new(&train, Penalty::PerFeature).unwrap();
    assert!(lower.check(&vec![0.0]).is_err());
    assert!(lower.check(&vec![f64::NAN; 5]).is_err());
}

fn real_data() -> [(&'static str, RegressionData); 2] {
    let diabetes = linfa_datasets::diabetes();
    let wine = linfa_datasets::winequality();
    let flat = |records: &[f64], columns, targets: Vec<f64>| {
        let samples = RegressionData::new(columns, records.to_vec(), targets).unwrap();
        samples.standardised(&samples).unwrap()
    };
    let records = diabetes.records.as_standard_layout();
    let diabetes = flat(
        records.as_slice().unwrap(),
        diabetes.records.ncols(),
        diabetes.targets.to_vec(),
    );
    let quality = wine.targets.iter().map(|&q| q as f64).collect();
    let records = wine.records.as_standard_layout();
    let wine = flat(records.as_slice().unwrap(), wine.records.ncols(), quality);
    [("diabetes", diabetes), ("winequality", wine)]
}

#[test]
fn on_real_data_theta_is_the_minimum_of_a_fine_grid() {
    const RESOLUTION: f64 = 0.01;
    for (name, samples) in real_data() {
        let folds = Folds::new(samples.samples(), 10, 0).unwrap();
        let oracle = cross_validated_ridge(&samples, &folds, Penalty::Single).unwrap();
        let mut state = oracle.start(&vec![0.0]).unwrap();
        let grid: Vec<f64> = (0..1500)
            .map(|k| -10.0 + RESOLUTION * f64::from(k))
            .collect();
        let mut best = (f64::INFINITY, 0.0);
        for &theta in &grid {
            let found = oracle.value(&vec![theta], 1e-9, &mut state).unwrap();
            if found.value.value < best.0 {
                best = (found.value.value, theta);
            }
        }
        // The criterion of diabetes has two minima: a coarse look says which valley to go down.
        let coarse = [-9.0, -6.0, -3.0, 0.0, 3.0];
        let values = coarse.map(|theta| {
            let found = oracle.value(&vec![theta], 1e-6, &mut state).unwrap();
            found.value.value
        });
        let first = (0..coarse.len()).min_by(|&a, &b| values[a].total_cmp(&values[b]));
        let report = Run::new(&oracle, Maid::lbfgs())
            .tolerance(1e-7 * best.0)
            .start(vec![coarse[first.unwrap()]])
            .unwrap();
        assert_eq!(report.status, Status::Converged, "{name}");
        assert!(
            (report.theta[0] - best.1).abs() <= RESOLUTION,
            "{name} {report} {best:?}"
        );
        assert!(report.value.lower <= best.0);
        // A solve a fold for every value and every hypergradient.
        let rows = report.trace.rows();
        let of_run: u64 = rows.iter().map(|row| row.trials + row.hypergradients).sum();
        let solves = of_run + coarse.len() as u64;
        assert!(10 * solves <= grid.len() as u64, "{name}: {solves}");
        println!(
            "{name}: {solves} solves a fold, {} on the grid; {report}",
            grid.len()
        );
        // A penalty a feature predicts better than the best single one.
        let each = cross_validated_ridge(&samples, &folds, Penalty::PerFeature).unwrap();
        let start = vec![report.theta[0]; samples.columns()];
        let report = Run::new(&each, Maid::lbfgs())
            .tolerance(1e-4 * best.0)
            .start(start)
            .unwrap();
        println!("{name}, a penalty a feature: {report}");
        assert_eq!(report.status, Status::Converged, "{name}");
        assert!(report.value.upper < best.0, "{name} {report} {best:?}");
    }
}
