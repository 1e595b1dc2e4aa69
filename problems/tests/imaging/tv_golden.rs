//! TV denoising against golden values: values and hypergradients by an independent implementation in float64.

use bilevel::{Accuracy, Element, Hypergradient, Oracle, SolveStatus, Trust, Vector};
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::{Image, Norm, Weights, tv_denoising};

use crate::common;

struct Case {
    norm: Norm,
    theta: Vec<f64>,
    value: f64,
    hypergradient: Vec<f64>,
}

fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(common::golden("tv_camera64.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    let numbers = |v: &serde_json::Value| -> Vec<f64> {
        v.as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect()
    };
    let mut cases = Vec::new();
    for (norm, name) in [
        (Norm::Anisotropic, "anisotropic"),
        (Norm::Isotropic, "isotropic"),
    ] {
        for case in golden["cases"][name].as_array().unwrap() {
            cases.push(Case {
                norm,
                theta: numbers(&case["theta"]),
                value: case["value"].as_f64().unwrap(),
                hypergradient: numbers(&case["hypergradient"]),
            });
        }
    }
    assert_eq!(cases.len(), 8);
    cases
}

fn evaluate<E: Element>(case: &Case, trust: Trust, accuracy: f64) -> Hypergradient<Vec<f64>> {
    let images = |name| -> Vec<Image<E>> {
        read_npy(common::golden(name))
            .unwrap()
            .iter()
            .map(Image::cast)
            .collect()
    };
    let oracle = tv_denoising(
        &images("camera64_clean.npy"),
        &images("camera64_noisy.npy"),
        case.norm,
        Weights::Global,
        trust,
    )
    .unwrap();
    let mut state = oracle.start(&case.theta).unwrap();
    let accuracy = Accuracy::new(accuracy, accuracy).unwrap();
    oracle
        .hypergradient(&case.theta, accuracy, &mut state)
        .unwrap()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn values_and_hypergradients_agree_to_1e_6_at_accuracy_1e_9() {
    for case in cases() {
        let z = evaluate::<f64>(&case, Trust::Certified, 1e-9);
        assert_eq!(z.status(), SolveStatus::Converged);
        let value = (z.value.value - case.value).abs() / case.value;
        let gradient = distance(&z.gradient, &case.hypergradient) / case.hypergradient.norm();
        assert!(
            value <= 1e-6 && gradient <= 1e-6,
            "{:?} {:?}: value {value:e}, hypergradient {gradient:e}",
            case.norm,
            case.theta
        );
    }
}

#[test]
fn true_errors_lie_within_the_certified_bounds() {
    for case in cases() {
        for accuracy in [1.0, 1e-1, 1e-2, 1e-3, 1e-6, 1e-9, 1e-12] {
            let z = evaluate::<f64>(&case, Trust::Certified, accuracy);
            assert_eq!(z.trust, Trust::Certified);
            let value = (z.value.value - case.value).abs();
            let gradient = distance(&z.gradient, &case.hypergradient);
            // The golden values themselves are rounded.
            let rounding = 1e-11;
            assert!(
                value <= z.value.error() + rounding && gradient <= z.error_bound + rounding,
                "{:?} {:?} at {accuracy:e}: {value:e} ± {:e}, {gradient:e} ± {:e}",
                case.norm,
                case.theta,
                z.value.error(),
                z.error_bound
            );
        }
    }
}

#[test]
fn estimated_bounds_say_so_and_hold_here() {
    for case in cases() {
        for accuracy in [1.0, 1e-1, 1e-2, 1e-3] {
            let z = evaluate::<f64>(&case, Trust::Estimated, accuracy);
            assert_eq!(z.trust, Trust::Estimated);
            assert!((z.value.value - case.value).abs() <= z.value.error());
            assert!(distance(&z.gradient, &case.hypergradient) <= z.error_bound);
        }
    }
}

#[test]
fn the_goal_oriented_value_is_of_second_order() {
    for case in cases() {
        let z = evaluate::<f64>(&case, Trust::Certified, 1e-4);
        let error = (z.goal_oriented - case.value).abs();
        assert!(
            error <= 1e-6 && error <= 0.01 * z.value.error(),
            "{error:e}"
        );
    }
}

#[test]
fn f32_agrees_to_1e_3_and_its_certificates_include_rounding() {
    for case in cases() {
        let z = evaluate::<f32>(&case, Trust::Certified, 1e-5);
        let value = (z.value.value - case.value).abs();
        let gradient = distance(&z.gradient, &case.hypergradient);
        assert!(value <= 1e-3 * case.value);
        assert!(gradient <= 1e-3 * case.hypergradient.norm());
        for accuracy in [1e-1, 1e-3, 1e-5, 1e-9] {
            let z = evaluate::<f32>(&case, Trust::Certified, accuracy);
            // The images themselves are rounded to f32: another problem, by 1e-7 relative.
            let (value, gradient) = (
                (z.value.value - case.value).abs(),
                distance(&z.gradient, &case.hypergradient),
            );
            assert!(
                value <= z.value.error() + 2e-6 && gradient <= z.error_bound + 2e-6,
                "{:?} {:?} at {accuracy:e}: {value:e} ± {:e}, {gradient:e} ± {:e}",
                case.norm,
                case.theta,
                z.value.error(),
                z.error_bound
            );
            if accuracy < 1e-8 {
                assert_eq!(z.lower_status, SolveStatus::Stagnated, "f32 cannot do this");
            }
        }
    }
}

/// With the same weight everywhere the derivatives for the weights of patches, or of pixels, add up to that for one weight.
#[test]
fn weights_of_patches_and_of_pixels_add_up_to_the_golden_derivative_within_their_bounds() {
    for case in cases() {
        let images = |name| read_npy(common::golden(name)).unwrap();
        let (clean, noisy) = (images("camera64_clean.npy"), images("camera64_noisy.npy"));
        for weights in [Weights::PerPatch { size: 24 }, Weights::PerPixel] {
            let oracle =
                tv_denoising(&clean, &noisy, case.norm, weights, Trust::Certified).unwrap();
            let len = oracle.terms()[0].lower().theta_len();
            assert!(weights == Weights::PerPixel || len == 10);
            let mut theta = vec![case.theta[0]; len];
            theta[len - 1] = case.theta[1];
            let mut state = oracle.start(&theta).unwrap();
            let mut all = Vec::new();
            for accuracy in [1.0, 1e-2, 1e-4, 1e-9] {
                let accuracy = Accuracy::new(accuracy, accuracy).unwrap();
                all.push(oracle.hypergradient(&theta, accuracy, &mut state).unwrap());
            }
            let exact = all.last().unwrap().gradient.clone();
            let total: f64 = exact[..len - 1].iter().sum();
            let size = case.hypergradient.norm();
            assert!((total - case.hypergradient[0]).abs() <= 1e-6 * size);
            assert!((exact[len - 1] - case.hypergradient[1]).abs() <= 1e-6 * size);
            for z in &all {
                let error = distance(&z.gradient, &exact);
                let rest = all.last().unwrap().error_bound;
                assert!(
                    error <= z.error_bound + rest,
                    "{error:e} {:e}",
                    z.error_bound
                );
                assert_eq!(z.trust, Trust::Certified);
            }
        }
    }
}
