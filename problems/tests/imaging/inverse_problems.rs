//! The imaging problems beside plain denoising: derivatives and constants by the checker, certificates against closed forms.

use crate::common::{self, agree, distance, picture, random};
use bilevel::linear::Fallback;
use bilevel::lower::{Fista, NewtonCg};
use bilevel::{
    Accuracy, Checker, Element, Implicit, LowerLevel, Oracle, SolveStatus, Trust, Vector,
};
use bilevel::{Linearization, Maid, Run, check_upper};
use bilevel_problems::data::{photograph, resized};
use bilevel_problems::imaging::{
    Blur, Boundary, Deblurring, Denoiser, Image, Kernel, Norm, Pair, PerturbedPair, Preconditioner,
    SquaredError, Sure, Tikhonov, TvDenoising, Weights, pairs, sure, tv_denoising,
};
use faer::linalg::solvers::Solve;

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

fn check_tikhonov<E: Element>() {
    for (rows, cols) in [(1, 1), (1, 7), (9, 1), (12, 17)] {
        let y: Image<E> = picture(rows, cols, 0).with_noise(0.1, 0, 0).cast();
        let lower = Tikhonov::new(&y).unwrap();
        check(&lower, y.pixels(), &vec![-1.0, 0.5, -0.3], &ALL);
    }
}

#[test]
fn tikhonov_has_right_derivatives_and_constants() {
    check_tikhonov::<f64>();
    check_tikhonov::<f32>();
}

/// A dense symmetric positive definite matrix by its columns; A⁻¹b.
fn dense_solve(columns: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let n = b.len();
    let a = faer::Mat::<f64>::from_fn(n, n, |i, j| columns[j][i]);
    let factor = faer::linalg::solvers::Llt::new(a.as_ref(), faer::Side::Lower).unwrap();
    let x = factor.solve(faer::Col::from_fn(n, |i| b[i]));
    (0..n).map(|i| x[i]).collect()
}

/// F and ∇F of a Tikhonov problem from its solution and its adjoint: ∂F/∂θ_k = −w_k⟨D_k x, D_k q⟩.
fn closed_form(
    (rows, cols): (usize, usize),
    theta: &[f64],
    clean: &[f64],
    x: &[f64],
    q: &[f64],
) -> (f64, Vec<f64>) {
    let value = 0.5 * distance(x, clean).powi(2);
    let mut gradient = vec![0.0; 3];
    for i in 0..rows {
        for j in 0..cols {
            let at = i * cols + j;
            gradient[0] -= x[at] * q[at];
            if j + 1 < cols {
                gradient[1] -= (x[at + 1] - x[at]) * (q[at + 1] - q[at]);
            }
            if i + 1 < rows {
                gradient[2] -= (x[at + cols] - x[at]) * (q[at + cols] - q[at]);
            }
        }
    }
    gradient
        .iter_mut()
        .zip(theta)
        .for_each(|(g, t)| *g *= t.exp());
    (value, gradient)
}

fn residual(x: &[f64], clean: &[f64]) -> Vec<f64> {
    x.iter().zip(clean).map(|(x, c)| x - c).collect()
}

/// The oracle's answers at all accuracies are within their certified bounds of the exact ones.
fn within_bounds<P, E: Element>(
    lower: P,
    clean: &Image<f64>,
    theta: &Vec<f64>,
    exact: &(f64, Vec<f64>),
    slack: f64,
) where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<E>>,
{
    let case = lower.identity();
    let oracle = Implicit::new(lower, SquaredError::new(&clean.cast::<E>()));
    let mut state = oracle.start(theta).unwrap();
    for accuracy in [1.0, 1e-2, 1e-4, 1e-7, 1e-10] {
        let accuracy = Accuracy::new(accuracy, accuracy).unwrap();
        let z = oracle.hypergradient(theta, accuracy, &mut state).unwrap();
        assert_eq!(z.trust, Trust::Certified);
        let value = (z.value.value - exact.0).abs();
        let gradient = distance(&z.gradient, &exact.1);
        assert!(
            value <= z.value.error() + slack && gradient <= z.error_bound + slack,
            "{case}, {accuracy:?}: {value:e} ± {:e}, {gradient:e} ± {:e}",
            z.value.error(),
            z.error_bound
        );
        if slack < 1e-10 && accuracy.epsilon < 1e-9 {
            assert_eq!(z.status(), SolveStatus::Converged, "{case}");
            let size = exact.1.norm();
            assert!(value <= 1e-8 * exact.0 && gradient <= 1e-7 * size, "{case}");
        }
    }
}

#[test]
fn tikhonov_is_within_its_bounds_of_the_closed_form() {
    let shape = (12, 15);
    let clean = picture(shape.0, shape.1, 0);
    let y = clean.with_noise(0.1, 0, 0);
    for theta in [
        vec![-3.0, -1.0, 0.0],
        vec![-8.0, 2.0, 1.0],
        vec![0.0, -4.0, 3.0],
    ] {
        let lower = Tikhonov::new(&y).unwrap();
        let x = lower.solve(y.pixels(), &theta).unwrap();
        let q = lower.solve(&residual(&x, clean.pixels()), &theta).unwrap();
        let exact = closed_form(shape, &theta, clean.pixels(), &x, &q);
        within_bounds::<_, f64>(lower, &clean, &theta, &exact, 1e-12);
        // The data are rounded to f32: another problem.
        let lower = Tikhonov::new(&y.cast::<f32>()).unwrap();
        within_bounds::<_, f32>(lower, &clean, &theta, &exact, 2e-6);
    }
}

#[test]
fn deblurring_is_within_its_bounds_of_the_closed_form() {
    let shape = (11, 13);
    let n = shape.0 * shape.1;
    let clean = picture(shape.0, shape.1, 0);
    let theta = vec![-6.0, -3.0, -2.0];
    for (blur, ridge) in blurs(shape.0, shape.1) {
        let y = blur.apply(&clean).unwrap().with_noise(0.02, 0, 0);
        let denoiser = Tikhonov::new(&y).unwrap();
        // A = HᵀH + γI + (A_P − I), column by column, from blurred unit images.
        let unit = |i: usize| -> Vec<f64> { (0..n).map(|j| f64::from(u8::from(i == j))).collect() };
        let image = |x: Vec<f64>| Image::new(shape.0, shape.1, x).unwrap();
        let h: Vec<Vec<f64>> = (0..n)
            .map(|j| blur.apply(&image(unit(j))).unwrap().pixels().to_vec())
            .collect();
        let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (zero, at) = (vec![0.0; n], theta.clone());
        let of_p = denoiser.linearize(&zero, &at);
        let columns: Vec<Vec<f64>> = (0..n)
            .map(|j| {
                let mut column = vec![0.0; n];
                of_p.hvp(&unit(j), &mut column);
                for (i, c) in column.iter_mut().enumerate() {
                    *c += inner(&h[i], &h[j]) + f64::from(u8::from(i == j)) * (ridge - 1.0);
                }
                column
            })
            .collect();
        let rhs: Vec<f64> = h.iter().map(|h| inner(h, y.pixels())).collect();
        let x = dense_solve(&columns, &rhs);
        let q = dense_solve(&columns, &residual(&x, clean.pixels()));
        let exact = closed_form(shape, &theta, clean.pixels(), &x, &q);
        let single = Tikhonov::new(&y.cast::<f32>()).unwrap();
        let again = |blur: &Blur| {
            let (kernel, boundary) = (blur.kernel().clone(), blur.boundary());
            Blur::new(&kernel, boundary, shape.0, shape.1).unwrap()
        };
        let lower = Deblurring::new(single, again(&blur), ridge).unwrap();
        within_bounds::<_, f32>(lower, &clean, &theta, &exact, 2e-5);
        let lower = Deblurring::new(Tikhonov::new(&y).unwrap(), blur, ridge).unwrap();
        within_bounds::<_, f64>(lower, &clean, &theta, &exact, 1e-12);
    }
}

#[test]
fn deblurring_refuses_what_is_not_strongly_convex() {
    let y = picture(12, 12, 0);
    let make = |kernel: &Kernel, ridge: f64, size: usize| {
        let blur = Blur::new(kernel, Boundary::Periodic, size, size).unwrap();
        Deblurring::new(Tikhonov::new(&y).unwrap(), blur, ridge)
    };
    // A mean over three of twelve pixels keeps nothing of a wave of period three.
    let kernel = Kernel::mean(3).unwrap();
    for (ridge, size) in [(0.0, 12), (-1.0, 12), (f64::NAN, 12), (0.1, 13)] {
        let error = make(&kernel, ridge, size).err().unwrap();
        assert!(!error.to_string().is_empty());
    }
    assert!(make(&kernel, 1e-3, 12).is_ok());
    assert!(make(&Kernel::gaussian(0.4).unwrap(), 0.0, 12).is_ok());
}

#[test]
fn deblurring_restores_a_photograph_and_learns_to() {
    let clean = resized(&photograph("camera").unwrap(), 32).unwrap();
    let blur = |image: &Image<f64>| {
        let kernel = Kernel::gaussian(1.0).unwrap();
        Blur::new(&kernel, Boundary::Reflecting, image.rows(), image.cols()).unwrap()
    };
    let y = blur(&clean).apply(&clean).unwrap().with_noise(0.01, 0, 0);
    let denoiser = TvDenoising::new(&y, Norm::Isotropic).unwrap();
    let lower = Deblurring::new(denoiser, blur(&clean), 1e-2).unwrap();
    let oracle = pairs(vec![lower], std::slice::from_ref(&clean), Trust::Estimated).unwrap();
    let report = Run::new(&oracle, Maid::default())
        .max_iterations(8)
        .start(vec![-7.0, -3.0])
        .unwrap();
    let mut state = oracle.start(&report.theta).unwrap();
    let value = oracle.value(&report.theta, 1e-4, &mut state).unwrap().value;
    assert!(value.value < 0.5 * distance(y.pixels(), clean.pixels()).powi(2));
    let gain = clean.psnr(state[0].x()) - clean.psnr(y.pixels());
    assert!(gain > 0.5, "{gain} dB");
}

#[test]
fn preconditioned_solvers_reach_the_same_answers() {
    let clean = picture(20, 17, 0);
    let y = clean.with_noise(0.1, 0, 0);
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        let theta = vec![-1.0, -3.0];
        let answer = |preconditioner, newton: bool| {
            let lower = TvDenoising::new(&y, norm)
                .unwrap()
                .with_preconditioner(preconditioner);
            let upper = SquaredError::new(&clean);
            let accuracy = Accuracy::new(1e-9, 1e-9).unwrap();
            let z = if newton {
                let oracle = Implicit::new(lower, upper).with_lower_solver(NewtonCg::default());
                let mut state = oracle.start(&theta).unwrap();
                oracle.hypergradient(&theta, accuracy, &mut state).unwrap()
            } else {
                let oracle: Implicit<_, _, Fista, Fallback> = Implicit::new(lower, upper);
                let mut state = oracle.start(&theta).unwrap();
                oracle.hypergradient(&theta, accuracy, &mut state).unwrap()
            };
            assert_eq!(z.status(), SolveStatus::Converged);
            assert!(z.attained.delta <= 1e-9);
            z
        };
        let plain = answer(Preconditioner::None, false);
        for preconditioner in [
            Preconditioner::None,
            Preconditioner::Diagonal,
            Preconditioner::Cosine,
        ] {
            for newton in [false, true] {
                let z = answer(preconditioner, newton);
                let error = distance(&z.gradient, &plain.gradient);
                assert!(error <= z.error_bound + plain.error_bound, "{error:e}");
            }
        }
    }
}

/// The diagonal preconditioner is the inverse of the Hessian's diagonal; the one by cosine transform inverts I + cDᵀD for the c that
/// is its own mean, which at a flat image with one weight is the whole Hessian.
#[test]
fn preconditioners_are_what_they_say() {
    let (rows, cols) = (7, 9);
    let y = picture(rows, cols, 0).with_noise(0.1, 0, 0);
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        let theta = vec![-0.5, -2.0];
        let lower = TvDenoising::new(&y, norm)
            .unwrap()
            .with_preconditioner(Preconditioner::Diagonal);
        let x = y.pixels().to_vec();
        let at = lower.linearize(&x, &theta);
        let mut out = vec![0.0; rows * cols];
        for i in 0..rows * cols {
            let mut unit = vec![0.0; rows * cols];
            unit[i] = 1.0;
            at.hvp(&unit, &mut out);
            let entry = out[i];
            at.precondition(&unit, &mut out);
            assert!((out[i] * entry - 1.0).abs() <= 1e-12);
        }
        let flat = Image::new(rows, cols, vec![0.3; rows * cols]).unwrap();
        let lower = TvDenoising::new(&flat, norm)
            .unwrap()
            .with_preconditioner(Preconditioner::Cosine);
        let x = flat.pixels().to_vec();
        let at = lower.linearize(&x, &theta);
        let v = random(rows * cols, 3);
        let mut back = v.zeros_like();
        at.hvp(&v, &mut out);
        at.precondition(&out, &mut back);
        assert!(distance(&back, &v) <= 1e-12 * v.norm());
    }
}

#[test]
fn two_stacked_problems_and_the_risk_estimate_have_right_derivatives() {
    fn of<E: Element>() {
        let y: Image<E> = picture(9, 8, 0).with_noise(0.1, 0, 0).cast();
        let (upper, moved) = Sure::new(&y, 0.1, 0, 0).unwrap();
        let tv = |y: &Image<E>| TvDenoising::new(y, Norm::Isotropic).unwrap();
        let lower = PerturbedPair(tv(&y), tv(&moved));
        let x = Pair(near(y.pixels(), 1), near(moved.pixels(), 2));
        let theta = vec![-1.0, -1.0];
        for seed in 0..3 {
            let checker = Checker {
                seed,
                ..Checker::default()
            };
            let report = checker.lower(&lower, &x, &theta);
            assert!(report.passed(), "{}\n{report}", E::NAME);
        }
        let report = check_upper(&upper, &x, &theta);
        assert!(report.passed(), "{}\n{report}", E::NAME);
    }
    of::<f64>();
    of::<f32>();
}

/// The divergence of the denoiser, estimated by the difference quotient, against bᵀA⁻¹b: ∂x*/∂y = A⁻¹.
#[test]
fn the_risk_estimate_has_the_divergence_of_the_adjoint() {
    let clean = picture(16, 16, 0);
    let sigma = 0.1;
    let y = clean.with_noise(sigma, 0, 0);
    let theta = vec![-2.0, -3.0];
    let (upper, moved) = Sure::new(&y, sigma, 5, 0).unwrap();
    let tau = 0.1 * sigma;
    let b: Vec<f64> = residual(moved.pixels(), y.pixels())
        .iter()
        .map(|d| d / tau)
        .collect();
    let tv = |y: &Image<f64>| TvDenoising::new(y, Norm::Isotropic).unwrap();
    let oracle = Implicit::new(PerturbedPair(tv(&y), tv(&moved)), upper);
    let mut state = oracle.start(&theta).unwrap();
    let value = oracle.value(&theta, 1e-9, &mut state).unwrap().value;
    let x = &state.x().0;
    let lower = tv(&y);
    let at = lower.linearize(x, &theta);
    let columns: Vec<Vec<f64>> = (0..256)
        .map(|j| {
            let unit: Vec<f64> = (0..256).map(|i| f64::from(u8::from(i == j))).collect();
            let mut column = vec![0.0; 256];
            at.hvp(&unit, &mut column);
            column
        })
        .collect();
    let divergence = b.dot(&dense_solve(&columns, &b));
    let risk = 0.5 * distance(x, lower.noisy()).powi(2) - 128.0 * sigma * sigma
        + sigma * sigma * divergence;
    assert!(
        (value.value - risk).abs() <= 0.02 * risk,
        "{} {risk}",
        value.value
    );
}

/// With a fixed seed: on a photograph the risk estimate is within its fluctuation of the loss, and so are the minimisers.
#[test]
fn learning_without_clean_images_comes_close_to_learning_with_them() {
    let clean = vec![resized(&photograph("camera").unwrap(), 64).unwrap()];
    let sigma = 0.1;
    let noisy = vec![clean[0].with_noise(sigma, 0, 0)];
    let norm = Norm::Isotropic;
    let supervised = tv_denoising(&clean, &noisy, norm, Weights::Global, Trust::Estimated).unwrap();
    let unsupervised = sure(&noisy, sigma, 0, Trust::Estimated, |y| {
        TvDenoising::new(y, norm)
    })
    .unwrap();
    // σ²√(n/2) of Stein's estimate, and about as much of the divergence.
    let fluctuation = sigma * sigma * (2.0 * 4096.0f64).sqrt();
    for theta in [vec![-3.0, -4.0], vec![-2.0, -4.0], vec![-2.5, -2.0]] {
        let mut state = supervised.start(&theta).unwrap();
        let loss = supervised.value(&theta, 1e-5, &mut state).unwrap().value;
        let mut state = unsupervised.start(&theta).unwrap();
        let risk = unsupervised.value(&theta, 1e-5, &mut state).unwrap().value;
        assert!(
            (loss.value - risk.value).abs() <= 3.0 * fluctuation,
            "{} {} ± {fluctuation}",
            loss.value,
            risk.value
        );
    }
    let start = vec![-3.0, -4.0];
    let solve = || Maid::with_accuracy(0.01);
    let with = Run::new(&supervised, solve())
        .max_iterations(12)
        .start(start.clone())
        .unwrap();
    let without = Run::new(&unsupervised, solve())
        .max_iterations(12)
        .start(start)
        .unwrap();
    let loss = |theta: &Vec<f64>| {
        let mut state = supervised.start(theta).unwrap();
        supervised
            .value(theta, 1e-5, &mut state)
            .unwrap()
            .value
            .value
    };
    let (best, found) = (loss(&with.theta), loss(&without.theta));
    println!("{:?} {best} {:?} {found}", with.theta, without.theta);
    assert!(found <= 1.03 * best, "{found} {best}");
    assert!((with.theta[0] - without.theta[0]).abs() <= 0.3);
}

#[test]
fn deblurring_by_total_variation_and_the_risk_estimate_are_within_their_certified_bounds() {
    let clean = picture(16, 13, 0);
    for (blur, ridge) in blurs(16, 13) {
        let y = blur.apply(&clean).unwrap().with_noise(0.02, 0, 0);
        let denoiser = TvDenoising::new(&y, Norm::Isotropic).unwrap();
        let lower = Deblurring::new(denoiser, blur, ridge).unwrap();
        let oracle = pairs(vec![lower], std::slice::from_ref(&clean), Trust::Certified).unwrap();
        agree(&oracle, &vec![-4.0, -3.0]);
    }
    let noisy = [clean.with_noise(0.1, 0, 0), clean.with_noise(0.1, 0, 1)];
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        let oracle = sure(&noisy, 0.1, 0, Trust::Certified, |y| {
            TvDenoising::new(y, norm)
        });
        agree(&oracle.unwrap(), &vec![-2.0, -3.0]);
    }
    assert!(sure(&noisy, 0.0, 0, Trust::Certified, Tikhonov::new).is_err());
    assert!(
        sure(
            &[] as &[Image<f64>],
            0.1,
            0,
            Trust::Certified,
            Tikhonov::new
        )
        .is_err()
    );
}
