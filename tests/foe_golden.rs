//! Fields of Experts against a golden value: value and hypergradient by an independent implementation in float64.

#![allow(clippy::unwrap_used)] // in the helpers of tests, as in tests

use bilevel::{Accuracy, Hypergradient, Oracle, Trust, Vector};
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::imaging::{Experts, FoeDenoising, Image, Potential, foe_denoising};

mod common;
use common::{distance, picture, random};

fn data(name: &str) -> String {
    format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

struct Golden {
    theta: Vec<f64>,
    value: f64,
    hypergradient: Vec<f64>,
}

fn golden() -> Golden {
    let text = std::fs::read_to_string(data("foe_camera64.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let case = &json["cases"][0];
    let numbers = |v: &serde_json::Value| -> Vec<f64> {
        let numbers = v.as_array().unwrap().iter();
        numbers.map(|x| x.as_f64().unwrap()).collect()
    };
    Golden {
        theta: numbers(&case["theta"]),
        value: case["value"].as_f64().unwrap(),
        hypergradient: numbers(&case["hypergradient"]),
    }
}

fn images<E: Lanes>(name: &str) -> Vec<Image<E>> {
    let images = read_npy(data(name)).unwrap();
    images.iter().map(Image::cast).collect()
}

fn evaluate<E: Lanes>(theta: &Vec<f64>, trust: Trust, accuracy: f64) -> Hypergradient<Vec<f64>> {
    let experts = Experts::new(3, 5).unwrap();
    let oracle = foe_denoising::<E>(
        &images("camera64_clean.npy"),
        &images("camera64_noisy.npy"),
        &experts,
        trust,
    )
    .unwrap();
    let mut state = oracle.start(theta).unwrap();
    let accuracy = Accuracy::new(accuracy, accuracy).unwrap();
    oracle.hypergradient(theta, accuracy, &mut state).unwrap()
}

#[test]
fn value_and_hypergradient_agree_to_1e_6_at_accuracy_1e_9() {
    let golden = golden();
    let z = evaluate::<f64>(&golden.theta, Trust::Unknown, 1e-9);
    let value = (z.value.value / golden.value - 1.0).abs();
    let gradient = distance(&z.gradient, &golden.hypergradient) / golden.hypergradient.norm();
    println!("value {value:e}, hypergradient {gradient:e}");
    assert!(value <= 1e-6 && gradient <= 1e-6);
}

#[test]
fn f32_agrees_to_1e_3() {
    let golden = golden();
    let z = evaluate::<f32>(&golden.theta, Trust::Unknown, 1e-3);
    let value = (z.value.value / golden.value - 1.0).abs();
    let gradient = distance(&z.gradient, &golden.hypergradient) / golden.hypergradient.norm();
    println!("value {value:e}, hypergradient {gradient:e}");
    assert!(value <= 1e-3 && gradient <= 1e-3);
}

#[test]
fn the_derivatives_are_right_for_every_kind_of_experts() {
    let noisy = picture(21, 37, 0).with_noise(0.1, 3, 0);
    for potential in [Potential::Convex, Potential::weakly_convex()] {
        for zero_mean in [false, true] {
            let mut experts = Experts::new(4, 3)
                .unwrap()
                .with_potential(potential)
                .unwrap();
            if zero_mean {
                experts = experts.zero_mean();
            }
            let problem = FoeDenoising::new(&noisy, &experts).unwrap();
            let mut theta = experts.random(1);
            for (t, r) in theta.iter_mut().zip(random(200, 5)) {
                *t += 0.2 * r;
            }
            let x = picture(21, 37, 1).with_noise(0.05, 4, 0).pixels().to_vec();
            let report = bilevel::check_lower(&problem, &x, &theta);
            println!("{report}");
            assert!(report.passed(), "{experts:?}\n{report}");
        }
    }
}
