//! The imaging problems beside plain denoising: derivatives and constants by the checker, certificates against closed forms.

#![allow(clippy::unwrap_used)] // helpers of tests are tests

mod common;

use bilevel::{
    Accuracy, Checker, Element, Implicit, LowerLevel, Oracle, SolveStatus, Trust, Vector,
};
use bilevel_problems::imaging::{
    Blur, Boundary, Deblurring, Image, Kernel, Norm, SquaredError, TvDenoising, Weights,
};
use common::{distance, picture, random};

/// A point near `x` and not on it.
fn near<E: Element>(x: &[E], seed: u64) -> Vec<E> {
    let mut next = common::uniform(seed);
    let moved = x.iter().map(|x| E::from_f64(x.to_f64() + 0.2 * next()));
    moved.collect()
}

/// The checker with some seeds passes.
fn check<P: LowerLevel<X = Vec<E>>, E: Element>(
    lower: &P,
    x: &[E],
    theta: &P::Theta,
    expected: &[&str],
) {
    for seed in 0..3 {
        let checker = Checker {
            seed,
            ..Checker::default()
        };
        let report = checker.lower(lower, &near(x, seed), theta);
        assert!(report.passed(), "{}\n{report}", lower.identity());
        for name in expected {
            assert!(report.checks.iter().any(|c| c.name == *name), "{name}");
        }
    }
}

const ALL: [&str; 6] = [
    "gradient",
    "hvp",
    "symmetry",
    "cross_jvp",
    "cross_vjp",
    "curvature: mu",
];

/// All blurs of images of the shape, each with a γ.
fn blurs(rows: usize, cols: usize) -> Vec<(Blur, f64)> {
    let kernels = [
        Kernel::gaussian(1.0).unwrap(),
        Kernel::mean(3).unwrap(),
        Kernel::motion(4.0, 0.7).unwrap(),
    ];
    let mut blurs = Vec::new();
    for kernel in &kernels {
        for boundary in [Boundary::Periodic, Boundary::Reflecting] {
            if let Ok(blur) = Blur::new(kernel, boundary, rows, cols) {
                blurs.push((blur, 0.05));
            }
        }
    }
    assert_eq!(blurs.len(), 5);
    blurs
}

fn check_deblurring<E: Element>(rows: usize, cols: usize) {
    let clean = picture(rows, cols, 0);
    for (blur, ridge) in blurs(rows, cols) {
        let blurred = blur.apply(&clean).unwrap();
        let y: Image<E> = blurred.with_noise(0.02, 0, 0).cast();
        let denoiser = TvDenoising::new(&y, Norm::Isotropic).unwrap();
        let lower = Deblurring::new(denoiser, blur, ridge).unwrap();
        check(&lower, y.pixels(), &vec![-2.0, -1.0], &ALL);
    }
}

#[test]
fn deblurring_has_right_derivatives_and_constants() {
    check_deblurring::<f64>(16, 13);
    check_deblurring::<f32>(16, 13);
}
