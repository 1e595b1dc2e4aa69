//! Leave-one-out by influence: against refitting without each sample, finite differences, and what is refused.

use bilevel::linear::Fallback;
use bilevel::lower::NewtonCg;
use bilevel::{
    Accuracy, Checker, Error, Folds, Implicit, Maid, Oracle, Run, Trust, UpperLevel, Vector,
};
use bilevel_problems::data::{LabelledData, RegressionData};
use bilevel_problems::linear::leave_one_out::{leave_one_out_logistic, leave_one_out_ridge};
use bilevel_problems::linear::logistic::{LogisticRegression, Penalty, logistic_regression};
use bilevel_problems::linear::ridge::{Ridge, cross_validated_ridge};

fn wave(len: usize, f: f64) -> Vec<f64> {
    (1..=len).map(|k| (f * k as f64 * k as f64).sin()).collect()
}

fn regression(n: usize) -> RegressionData {
    nearly_collinear(n, 0.1)
}

/// Samples of four features, the last one of which is the first and a bit.
fn nearly_collinear(n: usize, bit: f64) -> RegressionData {
    let (mut a, noise) = (wave(4 * n, 0.7), wave(n, 2.1));
    for row in a.chunks_exact_mut(4) {
        row[3] = row[0] + bit * row[3];
        row[1] += 2.0;
    }
    let y = a.chunks_exact(4).zip(&noise);
    let y = y.map(|(a, e)| 3.0 + a[0] - 2.0 * a[2] + 0.3 * e).collect();
    RegressionData::new(4, a, y).unwrap()
}

/// Two classes that overlap; the last of four features is 1.
fn classes(n: usize) -> LabelledData<f64> {
    let (mut a, noise) = (wave(4 * n, 0.7), wave(n, 2.1));
    for row in a.chunks_exact_mut(4) {
        row[3] = 1.0;
    }
    let side = |(a, e): (&[f64], &f64)| u32::from(1.5 * a[0] - a[1] + 0.3 + e > 0.0);
    let labels = a.chunks_exact(4).zip(&noise).map(side).collect();
    LabelledData::dense(4, a, labels, 2).unwrap()
}

const EXACT: Accuracy = Accuracy {
    epsilon: 1e-12,
    delta: 1e-12,
};

fn at<O: Oracle<Theta = Vec<f64>>>(oracle: &O, theta: &Vec<f64>) -> (f64, Vec<f64>) {
    let mut state = oracle.start(theta).unwrap();
    let found = oracle.hypergradient(theta, EXACT, &mut state).unwrap();
    (found.value.value, found.gradient)
}

fn relative(a: &[f64], b: &[f64]) -> f64 {
    let mut difference = a.to_vec();
    difference.axpy(-1.0, &b.to_vec());
    difference.norm() / b.to_vec().norm()
}

#[test]
fn of_ridge_regression_it_is_refitting_without_each_sample() {
    let samples = regression(25);
    let folds = Folds::leave_one_out(25).unwrap();
    for (penalty, theta) in [
        (Penalty::Single, vec![-2.0]),
        (Penalty::Single, vec![3.0]),
        (Penalty::PerFeature, vec![-6.0, 0.5, -3.0, 2.0]),
    ] {
        let refitted = cross_validated_ridge(&samples, &folds, penalty).unwrap();
        let by_influence = leave_one_out_ridge(&samples, penalty).unwrap();
        let (value, gradient) = at(&refitted, &theta);
        let (found, by_theta) = at(&by_influence, &theta);
        let errors = [found / value - 1.0, relative(&by_theta, &gradient)];
        println!("{penalty:?} {theta:?}: {errors:?}");
        assert!(errors.iter().all(|e| e.abs() < 1e-10), "{errors:?}");
    }
}

/// The error of a value is that of its lower-level solution and of rounding, here by a K of condition 1e12 or so.
#[test]
fn bounds_count_what_rounding_does_to_nearly_collinear_features() {
    let samples = nearly_collinear(25, 1e-6);
    let folds = Folds::leave_one_out(25).unwrap();
    let theta = vec![-40.0];
    let refitted = cross_validated_ridge(&samples, &folds, Penalty::Single).unwrap();
    let by_influence = leave_one_out_ridge(&samples, Penalty::Single).unwrap();
    let mut state = refitted.start(&theta).unwrap();
    let exact = refitted.value(&theta, 1e-6, &mut state).unwrap().value;
    let mut state = by_influence.start(&theta).unwrap();
    let found = by_influence.value(&theta, 1e-6, &mut state).unwrap().value;
    let off = (found.value - exact.value).abs();
    println!(
        "{off:e} of {} ± {:e} ± {:e}",
        exact.value,
        exact.error(),
        found.error()
    );
    assert!(off <= found.error() + exact.error());
    let rounding = (by_influence.upper()).value_rounding(state.x(), &theta, found.value);
    assert!(rounding > 1e-6 * found.value && rounding < 0.1 * found.value);
}

fn refitted(
    samples: &LabelledData<f64>,
    penalty: Penalty,
) -> impl Oracle<Theta = Vec<f64>> + use<> {
    let folds = Folds::leave_one_out(samples.samples()).unwrap();
    let oracle = |fold| {
        let (train, validation) = samples.split(&fold)?;
        let oracle = logistic_regression(&train, &validation, penalty)?;
        Ok::<_, Error>(oracle.with_lower_solver(NewtonCg::default()))
    };
    folds.oracle(oracle).unwrap()
}

/// Four times the samples, a sixteenth of the error: it is of second order.
#[test]
fn of_logistic_regression_it_is_off_by_the_square_of_a_step() {
    for (penalty, theta) in [
        (Penalty::Single, vec![-3.0]),
        (Penalty::PerFeature, vec![-3.0, -4.0, 0.0, -5.0]),
    ] {
        let error = |n: usize| {
            let samples = classes(n);
            let (value, gradient) = at(&refitted(&samples, penalty), &theta);
            let by_influence = leave_one_out_logistic(&samples, penalty).unwrap();
            let (found, by_theta) = at(&by_influence, &theta);
            let in_sample = {
                let oracle = logistic_regression(&samples, &samples, penalty).unwrap();
                at(&oracle, &theta).0
            };
            let errors = [found / value - 1.0, relative(&by_theta, &gradient)];
            println!("{penalty:?}, {n} samples: {errors:?}, {in_sample} {value} {found}");
            // Next to what leaving out changes at all.
            assert!((found - value).abs() < 0.05 * (value - in_sample).abs());
            errors.map(f64::abs)
        };
        let (few, many) = (error(40), error(160));
        assert!(few[0] < 1e-2 && few[1] < 0.1, "{few:?}");
        assert!(
            many[0] < few[0] / 8.0 && many[1] < few[1] / 8.0,
            "{few:?} {many:?}"
        );
    }
}

#[test]
fn gradients_are_right_at_any_point() {
    let (numbers, labels) = (regression(15), classes(15));
    let sparse = labels.to_sparse();
    for penalty in [Penalty::Single, Penalty::PerFeature] {
        let ridge = Ridge::new(&numbers, penalty).unwrap();
        let logistic = LogisticRegression::new(&labels, penalty).unwrap();
        let of_sparse = LogisticRegression::new(&sparse, penalty).unwrap();
        let theta = &vec![-2.0, 0.5, -3.0, 1.0][..ridge.theta_len()].to_vec();
        let uppers = [
            ridge.leave_one_out(&numbers).unwrap(),
            logistic.leave_one_out(&labels).unwrap(),
            of_sparse.leave_one_out(&sparse).unwrap(),
        ];
        for upper in &uppers {
            for seed in 0..4 {
                let checker = Checker {
                    seed,
                    ..Checker::default()
                };
                let w = wave(4, 0.4 + 0.1 * seed as f64);
                let report = checker.upper(upper, &w, theta);
                assert!(report.passed(), "{report}");
                let errors = report.checks.iter().map(|c| c.error);
                assert!(errors.fold(0.0, f64::max) < 1e-6, "{report}");
            }
        }
        let w = wave(4, 0.4);
        assert_eq!(uppers[1].value(&w, theta), uppers[2].value(&w, theta));
    }
}

/// Through the lower level: the derivative of F itself.
#[test]
fn the_hypergradient_is_that_of_finite_differences() {
    let samples = classes(30);
    let oracle = leave_one_out_logistic(&samples, Penalty::PerFeature).unwrap();
    let theta = vec![-3.0, -1.0, -4.0, -6.0];
    let (_, gradient) = at(&oracle, &theta);
    let h = 1e-4;
    for k in 0..4 {
        let of = |t: f64| {
            let mut theta = theta.clone();
            theta[k] += t;
            at(&oracle, &theta).0
        };
        let difference = (of(h) - of(-h)) / (2.0 * h);
        let off = (difference - gradient[k]).abs();
        assert!(off < 1e-6 * gradient.norm(), "{k}: {off:e}");
    }
}

#[test]
fn a_run_ends_where_refitting_ends() {
    let samples = regression(25);
    let folds = Folds::leave_one_out(25).unwrap();
    let refitted = cross_validated_ridge(&samples, &folds, Penalty::Single).unwrap();
    let by_influence = leave_one_out_ridge(&samples, Penalty::Single).unwrap();
    let first = Run::new(&refitted, Maid::lbfgs()).tolerance(1e-8);
    let second = Run::new(&by_influence, Maid::lbfgs()).tolerance(1e-8);
    let (first, second) = (
        first.start(vec![0.0]).unwrap(),
        second.start(vec![0.0]).unwrap(),
    );
    println!("{first}\n{second}");
    let value = first.value.value;
    assert!((second.value.value - value).abs() < 1e-9 * value);
    assert!((first.theta[0] - second.theta[0]).abs() < 1e-3);
    assert!(second.work.lower_solves <= first.work.lower_solves);
}

#[test]
fn what_cannot_be_used_is_refused() {
    let (numbers, labels) = (regression(9), classes(9));
    let words = |refused: Error, words: &str| {
        let message = refused.to_string();
        assert!(message.contains(words), "{message}");
    };
    let ridge = Ridge::new(&numbers, Penalty::Single).unwrap();
    words(
        ridge.leave_one_out(&regression(10)).err().unwrap(),
        "checksum",
    );
    let logistic = LogisticRegression::new(&labels, Penalty::Single).unwrap();
    words(
        logistic.leave_one_out(&classes(10)).err().unwrap(),
        "checksum",
    );
    let multinomial = LogisticRegression::multinomial(&labels, Penalty::Single).unwrap();
    words(multinomial.leave_one_out(&labels).err().unwrap(), "scores");
    let one = RegressionData::new(1, vec![1.0], vec![1.0]).unwrap();
    words(
        leave_one_out_ridge(&one, Penalty::Single).err().unwrap(),
        "samples",
    );
    let wide = LabelledData::dense(4097, vec![0.5; 2 * 4097], vec![0, 1], 2).unwrap();
    let upper = leave_one_out_logistic(&wide, Penalty::Single);
    words(upper.err().unwrap(), "features");
    // Bounds cannot be certified: the constants of f are not known.
    let lower = Ridge::new(&numbers, Penalty::Single).unwrap();
    let upper = lower.leave_one_out(&numbers).unwrap();
    let oracle = Implicit::new(lower, upper)
        .with_lower_solver(NewtonCg::default())
        .with_linear_solver(Fallback::default())
        .with_trust(Trust::Certified);
    let mut state = oracle.start(&vec![0.0]).unwrap();
    words(
        oracle
            .hypergradient(&vec![0.0], EXACT, &mut state)
            .err()
            .unwrap(),
        "L_f",
    );
}

/// Three samples with two features: without one of them nothing but the penalty tells of a direction, and it is lost in rounding.
#[test]
fn what_is_not_determined_is_named_and_never_a_number() {
    let samples = RegressionData::new(2, vec![1.0, 0.0, -1.0, 0.0, 0.0, 1.0], vec![1.0, 0.0, 2.0]);
    let oracle = leave_one_out_ridge(&samples.unwrap(), Penalty::Single).unwrap();
    let theta = vec![-60.0];
    let mut state = oracle.start(&theta).unwrap();
    let error = oracle.value(&theta, 1e-6, &mut state).err().unwrap();
    assert!(error.to_string().contains("not determined"), "{error}");
    let w = vec![0.1, 0.2];
    let mut out = w.clone();
    oracle.upper().gradient_x(&w, &theta, &mut out);
    assert!(out.iter().all(|g| g.is_nan()));
}
