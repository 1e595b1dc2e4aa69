//! Logistic regression and data hyper-cleaning of the digits against golden values: value and hypergradient by an independent
//! implementation in float64.

use bilevel::lower::Lbfgs;
use bilevel::{Accuracy, Hypergradient, Oracle, Vector};
use bilevel_problems::data::{LabelledData, digits};
use bilevel_problems::linear::hyper_cleaning::hyper_cleaning;
use bilevel_problems::linear::logistic::{Penalty, logistic_regression};

use crate::common::{self, distance};

/// C of the golden cases of hyper-cleaning. Their file does not state it: it follows from the first value, and the second value and the
/// 2,000 numbers of the two hypergradients agree.
const PENALTY: f64 = 0.2;

fn numbers(v: &serde_json::Value) -> Vec<f64> {
    let numbers = v.as_array().unwrap().iter();
    numbers.map(|x| x.as_f64().unwrap()).collect()
}

fn golden() -> serde_json::Value {
    let text = std::fs::read_to_string(common::golden("digits.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn train_and_validation() -> [LabelledData<f64>; 2] {
    let all = digits().unwrap();
    [all.rows(0..1000).unwrap(), all.rows(1000..1797).unwrap()]
}

/// Compares the cases of a name with what an oracle finds to ε = δ = 1e-9.
fn compare(name: &str, evaluate: impl Fn(&Vec<f64>, Accuracy) -> Hypergradient<Vec<f64>>) {
    let golden = golden();
    for case in golden["cases"][name].as_array().unwrap() {
        let theta = numbers(&case["theta"]);
        let z = evaluate(&theta, Accuracy::new(1e-9, 1e-9).unwrap());
        let expected = numbers(&case["hypergradient"]);
        let value = (z.value.value / case["value"].as_f64().unwrap() - 1.0).abs();
        let gradient = distance(&z.gradient, &expected) / expected.norm();
        println!("{name}: value {value:e}, hypergradient {gradient:e}");
        assert!(value <= 1e-6 && gradient <= 1e-6, "{name}");
        // The certificate, against what the golden values are exact to.
        let error = distance(&z.gradient, &expected);
        assert!(
            error <= z.error_bound + 1e-12,
            "{error:e} {:e}",
            z.error_bound
        );
    }
}

fn compare_penalty(name: &str, penalty: Penalty) {
    let [train, validation] = train_and_validation();
    let oracle = logistic_regression(&train, &validation, penalty)
        .unwrap()
        .with_lower_solver(Lbfgs::default());
    compare(name, |theta, accuracy| {
        let mut state = oracle.start(theta).unwrap();
        oracle.hypergradient(theta, accuracy, &mut state).unwrap()
    });
}

#[test]
fn one_penalty_a_weight() {
    compare_penalty("one penalty a weight", Penalty::PerWeight);
}

#[test]
fn one_penalty_a_feature() {
    compare_penalty("one penalty a feature", Penalty::PerFeature);
}

#[test]
fn one_penalty() {
    compare_penalty("one penalty", Penalty::Single);
}

#[test]
fn one_weight_a_sample() {
    let [train, validation] = train_and_validation();
    let corrupted = numbers(&golden()["corrupted_train_labels"]);
    let corrupted = corrupted.iter().map(|&l| l as u32).collect();
    let train = train.with_labels(corrupted).unwrap();
    let oracle = hyper_cleaning(&train, &validation, PENALTY)
        .unwrap()
        .with_lower_solver(Lbfgs::default());
    compare("hyper-cleaning", |theta, accuracy| {
        let mut state = oracle.start(theta).unwrap();
        oracle.hypergradient(theta, accuracy, &mut state).unwrap()
    });
}
