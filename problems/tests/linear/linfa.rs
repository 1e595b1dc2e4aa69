//! The estimators: linfa's conventions, what they find, and what they refuse.

use bilevel::{Folds, Maid, Run, Status};
use bilevel_problems::data::RegressionData;
use bilevel_problems::linear::ridge::{Ridge, cross_validated_ridge};
use bilevel_problems::linfa::{
    Cleaning, CleaningParams, EstimatorError, Penalty, Suspect, TunedLogistic, TunedRidge,
};
use linfa::prelude::*;
use linfa::traits::{Fit, Predict, Transformer};
use ndarray::{Array1, Array2, Axis, Slice, array};

fn diabetes() -> Dataset<f64, f64, ndarray::Ix1> {
    linfa_datasets::diabetes()
}

/// Against the same problem, put together by hand.
#[test]
fn ridge_is_the_cross_validated_problem_and_a_fit_to_all_samples() {
    let data = diabetes();
    let params = TunedRidge::params()
        .penalty(Penalty::PerFeature)
        .folds(10)
        .tolerance(1e-7);
    let model = params.fit(&data).unwrap();
    let records: Vec<f64> = data.records.iter().copied().collect();
    let given = RegressionData::new(10, records, data.targets.to_vec()).unwrap();
    let samples = given.standardised(&given).unwrap();
    let folds = Folds::new(samples.samples(), 10, 0).unwrap();
    let oracle = cross_validated_ridge(&samples, &folds, Penalty::PerFeature).unwrap();
    let report = model.report().unwrap();
    assert_eq!(report.status, Status::Converged);
    assert!(model.penalties().iter().all(|p| *p > 0.0));
    // It is a stationary point of the problem: another run from there ends at once.
    let mut again = Maid::lbfgs();
    again.line_search.constraint = bilevel::upper::Constraint::Bounds {
        lower: vec![-16.0],
        upper: vec![8.0],
    };
    let again = Run::new(&oracle, again)
        .tolerance(1e-3)
        .start(report.theta.clone())
        .unwrap();
    assert!(
        again.iterations == 0 && again.status == Status::Converged,
        "{again}"
    );
    // The predictions are those of the fit to standardised samples.
    let ridge = Ridge::new(&samples, Penalty::PerFeature).unwrap();
    let w = ridge.fit(&report.theta).unwrap();
    let predicted = model.predict(&data);
    for (row, y) in samples.features().chunks_exact(10).zip(&predicted) {
        let along: f64 = row.iter().zip(&w).map(|(a, w)| a * w).sum();
        assert!((along + ridge.intercept(&w) - y).abs() < 1e-8);
    }
    // Better than the best single penalty, by the criterion.
    let single = TunedRidge::params().folds(10).fit(&data).unwrap();
    assert!(report.value.upper < single.report().unwrap().value.lower);
}

#[test]
fn models_and_parameters_are_kept_in_files() {
    let data = diabetes();
    let params = TunedRidge::params()
        .hold_out(0.3)
        .seed(4)
        .standardise(false);
    let text = serde_json::to_string(&params).unwrap();
    let params_again: bilevel_problems::linfa::TunedRidgeParams =
        serde_json::from_str(&text).unwrap();
    assert_eq!(params, params_again);
    let model = params.fit(&data).unwrap();
    let text = serde_json::to_string(&model).unwrap();
    let again: TunedRidge = serde_json::from_str(&text).unwrap();
    assert_eq!(model.predict(&data), again.predict(&data));
    assert_eq!(model.coefficients(), again.coefficients());
    assert!(again.report().is_none());
    let unknown = text.replace("\"intercept\"", "\"intercepts\"");
    assert!(serde_json::from_str::<TunedRidge>(&unknown).is_err());
}

#[test]
fn models_in_files_whose_parts_do_not_fit_together_are_refused() {
    let refused = |text: &str, words: &str| {
        let ridge = serde_json::from_str::<TunedRidge>(text).map(drop);
        let logistic = serde_json::from_str::<TunedLogistic<usize>>(text).map(drop);
        let errors = [ridge.unwrap_err(), logistic.unwrap_err()].map(|e| e.to_string());
        assert!(errors.iter().any(|e| e.contains(words)), "{errors:?}");
    };
    let ridge = |coefficients: &str, theta: &str| {
        format!(r#"{{"coefficients":{coefficients},"intercept":0.5,"theta":{theta}}}"#)
    };
    assert!(serde_json::from_str::<TunedRidge>(&ridge("[1,2]", "[0]")).is_ok());
    refused(&ridge("[]", "[0]"), "0 coefficients");
    refused(&ridge("[1,2,3]", "[0,0]"), "2 logarithms");
    refused(&ridge("[1,1e999]", "[0]"), "line 1");
    let logistic = |classes: &str, weights: &str| {
        format!(r#"{{"classes":{classes},"weights":{weights},"theta":[0]}}"#)
    };
    let whole = logistic("[3,5]", "[1,2,3]");
    assert!(serde_json::from_str::<TunedLogistic<usize>>(&whole).is_ok());
    refused(&logistic("[]", "[1,2]"), "0 classes");
    refused(&logistic("[3]", "[1,2]"), "1 classes");
    refused(&logistic("[3,5,7]", "[1,2,3,4]"), "4 weights");
    refused(&logistic("[3,5]", "[1]"), "1 weights");
}

#[test]
fn single_precision_and_multiple_calls_give_the_same() {
    let data = diabetes();
    let single = Dataset::new(
        data.records.mapv(|v| v as f32),
        data.targets.mapv(|v| v as f32),
    );
    let params = TunedRidge::params().folds(4);
    let (a, b) = (params.fit(&data).unwrap(), params.fit(&single).unwrap());
    let (ya, yb) = (a.predict(&data), b.predict(&single));
    for (a, b) in ya.iter().zip(&yb) {
        assert!((a - f64::from(*b)).abs() < 1e-2 * a.abs());
    }
    assert_eq!(params.fit(&data).unwrap().coefficients(), a.coefficients());
}

#[test]
fn classes_of_any_label_are_found() {
    let iris = linfa_datasets::iris();
    let names = ["setosa", "versicolor", "virginica"];
    let named = Dataset::new(
        iris.records.clone(),
        iris.targets.mapv(|k| names[k].to_owned()),
    );
    for penalty in [
        Penalty::Single,
        Penalty::PerClass,
        Penalty::PerFeature,
        Penalty::PerWeight,
    ] {
        let model = TunedLogistic::params()
            .penalty(penalty)
            .fit(&named)
            .unwrap();
        assert_eq!(model.classes(), names);
        let predicted = model.predict(&named);
        let right = predicted
            .iter()
            .zip(&named.targets)
            .filter(|(a, b)| a == b)
            .count();
        assert!(right >= 143, "{penalty:?} {right}");
        let p = model.predict_probabilities(&named.records);
        for (row, name) in p.rows().into_iter().zip(&predicted) {
            assert!((row.sum() - 1.0).abs() < 1e-12);
            let best = (0..3).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            assert_eq!(names[best], name);
        }
    }
}

#[test]
fn two_classes_have_one_score_and_coefficients_of_the_given_features() {
    let iris = linfa_datasets::iris();
    // Far from mean 0 and variance 1.
    let records = iris
        .records
        .slice_axis(Axis(0), Slice::from(50..))
        .mapv(|v| 100.0 * v + 1000.0);
    let targets = iris
        .targets
        .slice_axis(Axis(0), Slice::from(50..))
        .mapv(|k| k == 2);
    let data = Dataset::new(records, targets);
    let model = TunedLogistic::params().fit(&data).unwrap();
    assert_eq!(model.classes(), [false, true]);
    assert_eq!(model.weights().len(), 5);
    let p = model.predict_probabilities(&data.records);
    let (w, b) = model.weights().split_at(4);
    for (row, p) in data.records.rows().into_iter().zip(p.rows()) {
        let score: f64 = row.iter().zip(w).map(|(a, w)| a * w).sum::<f64>() + b[0];
        assert!((1.0 / (1.0 + (-score).exp()) - p[1]).abs() < 1e-12);
    }
    let predicted = model.predict(&data);
    let right = predicted
        .iter()
        .zip(&data.targets)
        .filter(|(a, b)| a == b)
        .count();
    assert!(right >= 93, "{right}");
    // Scaling the records changes nothing where they are standardised.
    let scaled = Dataset::new(data.records.mapv(|v| 1e-3 * v), data.targets.clone());
    let again = TunedLogistic::params().fit(&scaled).unwrap();
    let q = again.predict_probabilities(&scaled.records);
    assert!(p.iter().zip(&q).all(|(p, q)| (p - q).abs() < 1e-5));
}

#[test]
fn what_cannot_be_used_is_refused() {
    let data = diabetes();
    let refused = |error: EstimatorError, word: &str| {
        let message = error.to_string();
        assert!(message.contains(word), "{message}");
    };
    let ridge = TunedRidge::params;
    refused(ridge().folds(1).fit(&data).unwrap_err(), "folds");
    refused(ridge().folds(443).fit(&data).unwrap_err(), "443");
    refused(ridge().hold_out(1.0).fit(&data).unwrap_err(), "hold_out");
    refused(
        ridge().tolerance(f64::NAN).fit(&data).unwrap_err(),
        "tolerance",
    );
    let mut broken = data.clone();
    broken.records[(3, 2)] = f64::NAN;
    refused(ridge().fit(&broken).unwrap_err(), "sample 3");
    let short = DatasetBase::new(array![[1.0], [2.0], [3.0]], array![1.0, 2.0]);
    refused(ridge().fit(&short).unwrap_err(), "3 - 2");
    let none = DatasetBase::new(Array2::<f64>::zeros((0, 2)), Array1::<f64>::zeros(0));
    refused(ridge().fit(&none).unwrap_err(), "features");
    let one = DatasetBase::new(array![[1.0], [2.0], [3.0]], array![1usize, 1, 1]);
    refused(TunedLogistic::params().fit(&one).unwrap_err(), "classes");
    refused(
        TunedLogistic::params().folds(0).fit(&one).unwrap_err(),
        "folds",
    );
}

type Flowers = Dataset<f64, &'static str, ndarray::Ix1>;

/// Thirty irises with right labels, and 120 of which a fifth has wrong ones, with the right ones beside.
fn irises() -> (Flowers, Flowers, Vec<&'static str>) {
    const NAMES: [&str; 3] = ["setosa", "versicolor", "virginica"];
    let iris = linfa_datasets::iris();
    let (clean, rest): (Vec<usize>, Vec<usize>) = (0..150).partition(|i| i % 5 == 0);
    let at = |places: &[usize]| {
        let targets = iris.targets.select(Axis(0), places);
        let records = iris.records.select(Axis(0), places);
        Dataset::new(records, targets.mapv(|k| NAMES[k]))
    };
    let (clean, mut noisy) = (at(&clean), at(&rest));
    let right = noisy.targets.to_vec();
    for i in (2..120).step_by(5) {
        let class = NAMES.iter().position(|n| *n == right[i]).unwrap();
        noisy.targets[i] = NAMES[(class + 1 + i % 2) % 3];
    }
    (clean, noisy, right)
}

/// The share of predictions that are right.
fn accuracy(predicted: &Array1<&str>, right: &[&str]) -> f64 {
    let pairs = predicted.iter().zip(right);
    pairs.filter(|(a, b)| a == b).count() as f64 / right.len() as f64
}

#[test]
fn wrong_labels_are_suspected_and_the_model_without_their_weight_is_better() {
    let (clean, noisy, right) = irises();
    let params = Cleaning::params().clean(&clean);
    let cleaning = params.fit(&noisy).unwrap();
    let wrong = |i: usize| noisy.targets[i] != right[i];
    let suspects = cleaning.suspects();
    let caught = suspects.iter().filter(|s| wrong(s.index)).count() as f64;
    let all = (0..120).filter(|&i| wrong(i)).count() as f64;
    let f1 = 2.0 * caught / (suspects.len() as f64 + all);
    // All weights ½: the same model of the noisy labels.
    let noisy_model = params.clone().max_iterations(0).fit(&noisy).unwrap();
    let [before, after] =
        [&noisy_model, &cleaning].map(|m| accuracy(&m.predict(&noisy.records), &right));
    println!(
        "{all} wrong labels, {} suspects, F1 {f1:.3}; accuracy {before:.3} before, {after:.3} after, {}",
        suspects.len(),
        cleaning.report().unwrap()
    );
    assert!(all == 24.0 && f1 > 0.9, "{f1}");
    assert!(after > before && after > 0.95, "{before} {after}");
    // The report holds what the model and the weights say.
    assert!(suspects.is_sorted_by(|a, b| a.weight <= b.weight));
    let p = cleaning.predict_probabilities(&noisy.records);
    let predicted = cleaning.predict(&noisy.records);
    for s in suspects {
        assert_eq!(s.given, noisy.targets[s.index]);
        assert_eq!(s.predicted, predicted[s.index]);
        assert_eq!(s.weight, cleaning.weights()[s.index]);
        let most = p.row(s.index).iter().copied().fold(0.0, f64::max);
        assert!((s.probability - most).abs() < 1e-12 && s.weight < 0.5);
    }
    let weighted = cleaning.transform(noisy.clone()).unwrap();
    let weights = weighted.weights().unwrap();
    assert!(
        weights
            .iter()
            .zip(cleaning.weights())
            .all(|(a, b)| *a == *b as f32)
    );
    assert_eq!(weighted.targets, noisy.targets);
}

#[test]
fn a_share_of_the_dataset_judges_where_there_are_no_clean_samples() {
    let (_, noisy, right) = irises();
    let params = Cleaning::params().hold_out(0.4);
    let start = params.clone().max_iterations(0).fit(&noisy).unwrap();
    let count = |weight: f64| start.weights().iter().filter(|w| **w == weight).count();
    assert_eq!([count(1.0), count(0.5)], [48, 72]);
    assert!(start.suspects().is_empty());
    let cleaning = params.fit(&noisy).unwrap();
    assert!(
        cleaning
            .suspects()
            .iter()
            .all(|s| start.weights()[s.index] == 0.5)
    );
    // Where the labels that judge are wrong as often, a fifth of the suspects would be wrong ones by chance.
    let suspects = cleaning.suspects();
    let wrong = |s: &&Suspect<&str>| noisy.targets[s.index] != right[s.index];
    let caught = suspects.iter().filter(wrong).count();
    println!("{caught} of {} suspects are wrong", suspects.len());
    assert!(
        2 * caught > suspects.len(),
        "{caught} of {}",
        suspects.len()
    );
    let again = params.fit(&noisy).unwrap();
    assert_eq!(again.weights(), cleaning.weights());
}

#[test]
fn cleanings_and_their_parameters_are_kept_in_files() {
    let (clean, noisy, _) = irises();
    let named =
        |data: &Flowers| Dataset::new(data.records.clone(), data.targets.mapv(str::to_owned));
    let (clean, noisy) = (named(&clean), named(&noisy));
    let params = Cleaning::params()
        .clean(&clean)
        .max_iterations(3)
        .threshold(0.45);
    let text = serde_json::to_string(&params).unwrap();
    let again: CleaningParams<String> = serde_json::from_str(&text).unwrap();
    assert_eq!(params, again);
    let cleaning = params.fit(&noisy).unwrap();
    assert!(cleaning.suspects().iter().all(|s| s.weight < 0.45));
    let text = serde_json::to_string(&cleaning).unwrap();
    let again: Cleaning<String> = serde_json::from_str(&text).unwrap();
    assert_eq!(cleaning.suspects(), again.suspects());
    assert_eq!(
        cleaning.predict(&noisy.records),
        again.predict(&noisy.records)
    );
    for (from, to) in [
        ("\"coefficients\":[", "\"coefficients\":[1.0,"),
        ("\"classes\":[", "\"classes\":[\"\","),
        ("\"index\":", "\"index\":9"),
        ("\"weights\"", "\"weight\""),
    ] {
        let other = text.replace(from, to);
        assert!(
            other != text && serde_json::from_str::<Cleaning<String>>(&other).is_err(),
            "{from}"
        );
    }
}

#[test]
fn what_cannot_be_cleaned_is_refused() {
    let (clean, noisy, _) = irises();
    let refused = |params: CleaningParams<&'static str>, data: &Flowers, word: &str| {
        let message = params.fit(data).unwrap_err().to_string();
        assert!(message.contains(word), "{message}");
    };
    let params = || Cleaning::params().clean(&clean);
    refused(params().penalty(0.0), &noisy, "penalty is 0");
    refused(params().tolerance(f64::NAN), &noisy, "tolerance");
    refused(params().threshold(1.5), &noisy, "threshold is 1.5");
    refused(Cleaning::params().hold_out(0.0), &noisy, "hold_out");
    let mut broken = noisy.clone();
    broken.records[(4, 1)] = f64::INFINITY;
    refused(params(), &broken, "feature 17");
    let narrow = |data: &Flowers| {
        let records = data
            .records
            .slice_axis(Axis(1), Slice::from(..3))
            .to_owned();
        Dataset::new(records, data.targets.clone())
    };
    refused(params(), &narrow(&noisy), "3 features a sample");
    refused(
        Cleaning::params().clean(&narrow(&clean)),
        &noisy,
        "the clean samples",
    );
    let one = Dataset::new(array![[1.0], [2.0], [3.0]], array!["a", "a", "a"]);
    refused(Cleaning::params(), &one, "classes");
    let short = DatasetBase::new(array![[1.0], [2.0], [3.0]], array!["a", "b"]);
    refused(Cleaning::params(), &short, "3 - 2");
    let cleaning = params().max_iterations(1).fit(&noisy).unwrap();
    let other = cleaning.transform(clean.clone()).unwrap_err();
    assert!(other.to_string().contains("30 - 120"), "{other}");
}
