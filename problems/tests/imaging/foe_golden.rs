//! Fields of Experts against a golden value: value and hypergradient by an independent implementation in float64.

use bilevel::{Accuracy, Hypergradient, Linearization, LowerLevel, Oracle, Trust, Vector};
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::imaging::{Experts, FoeDenoising, Image, Potential, foe_denoising};

use crate::common::{self, distance, picture, random};

struct Golden {
    theta: Vec<f64>,
    value: f64,
    hypergradient: Vec<f64>,
}

fn golden() -> Golden {
    let text = std::fs::read_to_string(common::golden("foe_camera64.json")).unwrap();
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
    let images = read_npy(common::golden(name)).unwrap();
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

/// The relative errors of value and hypergradient at an accuracy.
fn errors<E: Lanes>(accuracy: f64) -> (f64, f64) {
    let golden = golden();
    let z = evaluate::<E>(&golden.theta, Trust::Unknown, accuracy);
    let value = (z.value.value / golden.value - 1.0).abs();
    let gradient = distance(&z.gradient, &golden.hypergradient) / golden.hypergradient.norm();
    println!("value {value:e}, hypergradient {gradient:e}");
    (value, gradient)
}

#[test]
fn value_and_hypergradient_agree_to_1e_6_at_accuracy_1e_9() {
    let (value, gradient) = errors::<f64>(1e-9);
    assert!(value <= 1e-6 && gradient <= 1e-6);
}

#[test]
fn f32_agrees_to_1e_3() {
    let (value, gradient) = errors::<f32>(1e-3);
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

/// A problem, a θ, a point x and a direction q.
type Case = (FoeDenoising<f64>, Vec<f64>, Vec<f64>, Vec<f64>);

/// Cases of every kind of experts.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, cols) in [(19, 70), (8, 8)] {
        let noisy = picture(rows, cols, 0).with_noise(0.1, 3, 0);
        for potential in [Potential::Convex, Potential::weakly_convex()] {
            for zero_mean in [false, true] {
                let mut experts = Experts::new(5, 7)
                    .unwrap()
                    .with_potential(potential)
                    .unwrap();
                if zero_mean {
                    experts = experts.zero_mean();
                }
                let problem = FoeDenoising::new(&noisy, &experts).unwrap();
                let mut theta = experts.random(1);
                for (t, r) in theta.iter_mut().zip(random(300, 5)) {
                    *t += 0.2 * r;
                }
                let x = picture(rows, cols, 1)
                    .with_noise(0.02, 4, 0)
                    .pixels()
                    .to_vec();
                cases.push((problem, theta, x, random(rows * cols, 8)));
            }
        }
    }
    cases
}

#[test]
fn the_bounds_hold_along_random_and_along_the_worst_directions() {
    for (problem, theta, x, q) in cases() {
        let at = problem.linearize(&x, &theta);
        let mut room = x.clone();
        // ‖B‖ by the power method on BᵀB, against its bound.
        let norm_b = at.cross_norm(&mut room).unwrap();
        let mut u = random(theta.len(), 2);
        let mut found = 0.0;
        for _ in 0..60 {
            let length = u.norm();
            u.iter_mut().for_each(|u| *u /= length);
            at.cross_jvp(&u, &mut room);
            found = room.norm();
            at.cross_vjp(&room, &mut u);
        }
        assert!(found <= norm_b, "‖B‖ is {found}, its bound {norm_b}");
        print!("‖B‖: {:.1}", norm_b / found);
        for radius in [1e-4, 1e-2, 1.0] {
            let bounds = [
                at.hessian_change(&q, radius).unwrap(),
                at.cross_change(&q, radius).unwrap(),
                at.cross_change_norm(radius).unwrap(),
            ];
            let mut largest = [0.0f64; 3];
            for seed in 0..12 {
                // A direction that is random, or lies in the response of a filter to a pixel, which is the worst locally.
                let mut e = random(x.len(), seed);
                if seed % 2 == 1 {
                    let mut delta = vec![0.0; x.len()];
                    delta[(seed as usize * 31) % x.len()] = 1.0;
                    at.hvp(&delta, &mut e);
                }
                let scale = radius / e.norm();
                let there: Vec<f64> = x.iter().zip(&e).map(|(x, e)| x + scale * e).collect();
                let moved = problem.linearize(&there, &theta);
                let (mut a, mut b) = (x.clone(), x.clone());
                at.hvp(&q, &mut a);
                moved.hvp(&q, &mut b);
                largest[0] = largest[0].max(distance(&a, &b));
                let (mut a, mut b) = (theta.clone(), theta.clone());
                at.cross_vjp(&q, &mut a);
                moved.cross_vjp(&q, &mut b);
                largest[1] = largest[1].max(distance(&a, &b));
                let mut u = random(theta.len(), seed + 50);
                for _ in 0..4 {
                    let length = u.norm();
                    u.iter_mut().for_each(|u| *u /= length);
                    let (mut a, mut b) = (x.clone(), x.clone());
                    at.cross_jvp(&u, &mut a);
                    moved.cross_jvp(&u, &mut b);
                    largest[2] = largest[2].max(distance(&a, &b));
                    a.iter_mut().zip(&b).for_each(|(a, b)| *a -= b);
                    let (mut c, mut d) = (theta.clone(), theta.clone());
                    at.cross_vjp(&a, &mut c);
                    moved.cross_vjp(&a, &mut d);
                    u = c.iter().zip(&d).map(|(c, d)| c - d).collect();
                }
            }
            for (bound, seen) in bounds.iter().zip(largest) {
                assert!(
                    seen <= *bound,
                    "{seen} seen, bound {bound} at radius {radius}"
                );
                print!("  {:.1}", bound / seen);
            }
        }
        println!();
    }
}

#[test]
fn the_true_errors_lie_within_the_certified_bounds() {
    let golden = golden();
    for accuracy in [1.0, 1e-1, 1e-2, 1e-3, 1e-4] {
        for trust in [Trust::Certified, Trust::Estimated] {
            let z = evaluate::<f64>(&golden.theta, trust, accuracy);
            let error = distance(&z.gradient, &golden.hypergradient);
            println!(
                "{trust} {accuracy:e}: ‖z‖ {:.3}, error {error:.2e}, bound {:.2e}, looseness {:.1}",
                z.gradient.norm(),
                z.error_bound,
                z.error_bound / error
            );
            assert!(error <= z.error_bound);
            assert!(z.value.lower <= golden.value && golden.value <= z.value.upper);
        }
        let z = evaluate::<f32>(&golden.theta, Trust::Certified, accuracy);
        assert!(distance(&z.gradient, &golden.hypergradient) <= z.error_bound);
        assert!(z.value.lower <= golden.value && golden.value <= z.value.upper);
    }
}
