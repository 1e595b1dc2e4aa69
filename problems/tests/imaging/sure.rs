//! The risk estimate without clean data: against closed forms of linear smoothers, finite differences, and what is refused.

use crate::common::{picture, random};
use bilevel::lower::NewtonCg;
use bilevel::problem::closures::lower;
use bilevel::{Accuracy, Curvature, Error, Implicit, LowerLevel, Oracle, Trust, check_upper};
use bilevel_problems::imaging::{Denoiser, Image, Tikhonov};
use bilevel_problems::sure::{Itself, Pair, PerturbedPair, Prediction, Sure, monte_carlo_sure};
use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, Side};
use std::borrow::Cow;
use std::sync::Arc;

const SIGMA: f64 = 0.3;
const TRUST: Trust = Trust::Estimated;
const EXACT: Accuracy = Accuracy {
    epsilon: 1e-11,
    delta: 1e-11,
};

/// Features times weights, 12 samples of 3.
#[derive(Clone)]
struct Features(Arc<Mat<f64>>);

fn features() -> Features {
    let entries = random(36, 4);
    Features(Arc::new(Mat::from_fn(12, 3, |i, j| entries[3 * i + j])))
}

impl Prediction<f64> for Features {
    type X = Vec<f64>;

    fn predict<'a>(&self, w: &'a Vec<f64>) -> Cow<'a, [f64]> {
        let row = |i: usize| (0..3).map(|j| self.0[(i, j)] * w[j]).sum();
        Cow::Owned((0..12).map(row).collect())
    }

    fn transposed(&self, v: Vec<f64>, out: &mut Vec<f64>) {
        for (j, out) in out.iter_mut().enumerate() {
            *out = (0..12).map(|i| self.0[(i, j)] * v[i]).sum();
        }
    }

    fn norm(&self) -> Option<f64> {
        Some(self.0.norm_l2())
    }
}

/// g(w, θ) = ½‖Aw − y‖² + ½e^θ‖w‖².
fn regression(a: &Features, y: &[f64]) -> impl LowerLevel<Theta = Vec<f64>, X = Vec<f64>> + use<> {
    let residual = |a: &Features, y: &[f64], w: &[f64]| -> Vec<f64> {
        let w = w.to_vec();
        a.predict(&w).iter().zip(y).map(|(p, y)| p - y).collect()
    };
    let normal = |a: &Features, r: Vec<f64>, theta: &[f64], w: &[f64], out: &mut [f64]| {
        let mut sums = vec![0.0; 3];
        a.transposed(r, &mut sums);
        for j in 0..3 {
            out[j] = sums[j] + theta[0].exp() * w[j];
        }
    };
    let (a, b, c) = (a.clone(), a.clone(), a.clone());
    let (y, z) = (y.to_vec(), y.to_vec());
    let square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    let norm = a.0.norm_l2();
    lower(
        vec![0.0; 3],
        1,
        move |w, t| 0.5 * square(&residual(&a, &y, w)) + 0.5 * t[0].exp() * square(w),
        move |w, t, out| normal(&b, residual(&b, &z, w), t, w, out),
    )
    .products(
        move |_, t, v, out| normal(&c, residual(&c, &[0.0; 12], v), t, v, out),
        |w, t, v, out| out[0] = t[0].exp() * w.iter().zip(v).map(|(w, v)| w * v).sum::<f64>(),
        |w, t, u, out| {
            for (out, w) in out.iter_mut().zip(w) {
                *out = t[0].exp() * u[0] * w;
            }
        },
    )
    .with_curvature(move |t| Curvature {
        strong_convexity: Some(t[0].exp()),
        smoothness: Some(norm * norm + t[0].exp()),
        hessian_lipschitz: Some(0.0),
        cross_norm: None,
        cross_lipschitz: Some(t[0].exp()),
    })
}

/// S with the predictions Sy = A(AᵀA + e^θ)⁻¹Aᵀy.
fn smoother(a: &Features, theta: f64) -> Mat<f64> {
    let a = &*a.0;
    let mut normal = a.transpose() * a;
    for j in 0..3 {
        normal[(j, j)] += theta.exp();
    }
    let factor = Llt::new(normal.as_ref(), Side::Lower).unwrap();
    a * factor.solve(a.transpose())
}

/// ½‖Sy − y‖² − nσ²/2 + σ² d.
fn risk(s: &Mat<f64>, y: &[f64], divergence: f64) -> f64 {
    let n = y.len();
    let of = |i: usize| (0..n).map(|j| s[(i, j)] * y[j]).sum::<f64>() - y[i];
    let squares: f64 = (0..n).map(|i| of(i).powi(2)).sum();
    0.5 * squares - 0.5 * n as f64 * SIGMA * SIGMA + SIGMA * SIGMA * divergence
}

fn trace(s: &Mat<f64>) -> f64 {
    (0..s.nrows()).map(|i| s[(i, i)]).sum()
}

/// The value and the gradient for one probe of a regression.
fn estimate(a: &Features, y: &[f64], probe: &[f64], theta: f64) -> (f64, f64) {
    let (upper, moved) = Sure::with_probe(y, SIGMA, probe).unwrap();
    let both = PerturbedPair(regression(a, y), regression(a, &moved));
    let oracle = Implicit::new(both, upper.of_prediction(a.clone()))
        .with_lower_solver(NewtonCg::default())
        .with_trust(Trust::Estimated);
    let theta = vec![theta];
    let mut state = oracle.start(&theta).unwrap();
    let z = oracle.hypergradient(&theta, EXACT, &mut state).unwrap();
    (z.value.value, z.gradient[0])
}

/// Twelve orthogonal vectors of ±1 (Hadamard, by the squares modulo 11): the mean of ⟨b, Sb⟩ over them is the trace of S.
fn all_signs() -> Vec<Vec<f64>> {
    let is_square = |k: i32| (1..=5).any(|r| (r * r - k).rem_euclid(11) == 0);
    let entry = |i: i32, j: i32| match (i, j) {
        (0, _) => 1.0,
        (_, 0) => -1.0,
        _ if i == j || is_square(j - i) => 1.0,
        _ => -1.0,
    };
    let rows: Vec<Vec<f64>> = (0..12)
        .map(|i| (0..12).map(|j| entry(i, j)).collect())
        .collect();
    for (i, a) in rows.iter().enumerate() {
        for b in &rows[..i] {
            assert_eq!(a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>(), 0.0);
        }
    }
    rows
}

#[test]
fn of_a_regression_it_is_the_closed_form() {
    let (a, y) = (features(), random(12, 9));
    for theta in [-2.0, 0.5] {
        let s = smoother(&a, theta);
        let probes = all_signs();
        let mut means = (0.0, 0.0);
        for probe in &probes {
            let exact = |theta: f64| {
                let s = smoother(&a, theta);
                let sb = |i: usize| (0..12).map(|j| s[(i, j)] * probe[j]).sum::<f64>();
                risk(&s, &y, (0..12).map(|i| probe[i] * sb(i)).sum())
            };
            let (value, gradient) = estimate(&a, &y, probe, theta);
            assert!((value - exact(theta)).abs() < 1e-9, "{value}");
            let h = 1e-4;
            let difference = (exact(theta + h) - exact(theta - h)) / (2.0 * h);
            assert!(
                (gradient - difference).abs() < 1e-7,
                "{gradient} {difference}"
            );
            means.0 += value / 12.0;
            means.1 += gradient / 12.0;
        }
        let sure = |theta: f64| {
            let s = smoother(&a, theta);
            risk(&s, &y, trace(&s))
        };
        let h = 1e-4;
        let slope = (sure(theta + h) - sure(theta - h)) / (2.0 * h);
        println!("{means:?}, exactly {} {slope}", sure(theta));
        assert!((means.0 - risk(&s, &y, trace(&s))).abs() < 1e-9);
        assert!((means.1 - slope).abs() < 1e-7);
    }
}

/// Over normal vectors the mean comes to the exact risk as chance does: the variance of ⟨b, Sb⟩ is 2‖S‖².
#[test]
fn the_mean_over_many_probes_is_the_exact_risk() {
    let (a, y) = (features(), random(12, 9));
    let theta = vec![0.5];
    let s = smoother(&a, 0.5);
    let probes = 400;
    let oracle = monte_carlo_sure(&y, SIGMA, probes, 3, a.clone(), TRUST, |y| {
        Ok(regression(&a, y))
    });
    let oracle = oracle.unwrap();
    let mut state = oracle.start(&theta).unwrap();
    let found = oracle.value(&theta, 1e-8, &mut state).unwrap().value.value;
    let exact = risk(&s, &y, trace(&s));
    let deviation = SIGMA * SIGMA * s.norm_l2() * (2.0 / probes as f64).sqrt();
    println!("{found} {exact} ± {deviation}");
    assert!((found - exact).abs() < 4.0 * deviation);
    // It is chance and not nothing.
    assert!((found - exact).abs() > 1e-3 * deviation);
}

/// The linear smoother among the images: certified, and the divergence that of its closed form.
#[test]
fn of_tikhonov_it_is_the_closed_form_within_certified_bounds() {
    let y = picture(6, 5, 0).with_noise(SIGMA, 0, 0);
    let theta = vec![-2.0, 0.5, 0.0];
    let (upper, moved) = Sure::of_data(y.pixels(), SIGMA, 8, 0).unwrap();
    let tau = 0.1 * SIGMA;
    let b = moved.iter().zip(y.pixels()).map(|(m, y)| (m - y) / tau);
    let b: Vec<f64> = b.collect();
    let lower = Tikhonov::new(&y).unwrap();
    let exact = |theta: &Vec<f64>| {
        let x = lower.solve(lower.noisy(), theta).unwrap();
        let s_b = lower.solve(&b, theta).unwrap();
        let squares: f64 = x.iter().zip(y.pixels()).map(|(x, y)| (x - y).powi(2)).sum();
        let divergence: f64 = b.iter().zip(&s_b).map(|(b, s)| b * s).sum();
        0.5 * squares - 15.0 * SIGMA * SIGMA + SIGMA * SIGMA * divergence
    };
    let moved = Image::new(6, 5, moved).unwrap();
    let both = PerturbedPair(Tikhonov::new(&y).unwrap(), Tikhonov::new(&moved).unwrap());
    let oracle = Implicit::new(both, upper);
    let mut state = oracle.start(&theta).unwrap();
    let z = oracle.hypergradient(&theta, EXACT, &mut state).unwrap();
    assert_eq!(z.trust, Trust::Certified);
    let value = exact(&theta);
    assert!((z.value.value - value).abs() < 1e-9 + z.value.error());
    assert!(z.value.error() < 1e-6);
    for k in 0..3 {
        let h = 1e-4;
        let at = |t: f64| {
            let mut theta = theta.clone();
            theta[k] += t;
            exact(&theta)
        };
        let difference = (at(h) - at(-h)) / (2.0 * h);
        assert!((z.gradient[k] - difference).abs() < 1e-6, "{k}");
    }
}

#[test]
fn derivatives_and_constants_are_right() {
    let (a, y) = (features(), random(12, 9));
    let x = Pair(random(3, 1), random(3, 2));
    let (upper, _) = Sure::of_data(&y, SIGMA, 0, 0).unwrap();
    let report = check_upper(&upper.of_prediction(a), &x, &vec![0.3]);
    assert!(report.passed(), "{report}");
}

#[test]
fn what_cannot_be_used_is_refused() {
    let y = [0.1, 0.2];
    let words = |refused: Option<Error>, words: &str| {
        let message = refused.unwrap().to_string();
        assert!(message.contains(words), "{message}");
    };
    for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        words(Sure::of_data(&y, sigma, 0, 0).err(), "sigma");
    }
    words(
        Sure::of_data(&[] as &[f64], 0.1, 0, 0).err(),
        "at least one",
    );
    words(Sure::with_probe(&y, 0.1, &[1.0]).err(), "as many");
    words(Sure::with_probe(&y, 0.1, &[1.0, f64::NAN]).err(), "finite");
    words(
        Sure::with_probe(&[f64::NAN, 0.0], 0.1, &[1.0, 1.0]).err(),
        "finite",
    );
    let a = features();
    let none = monte_carlo_sure(&[0.5; 12], 0.1, 0, 0, a.clone(), TRUST, |y| {
        Ok(regression(&a, y))
    });
    assert!(none.is_err());
    let refuses = |_: &[f64]| Err::<Tikhonov<f64>, _>(Error::invalid("data", 1, "others"));
    words(
        monte_carlo_sure(&y, 0.1, 1, 0, Itself, TRUST, refuses).err(),
        "others",
    );
}
