//! Fields of experts beyond denoising with clean images. Deblurring: derivatives and constants, hypergradients against differences of F,
//! certificates, a training. The risk estimate: certificates.

use crate::common::{self, agree, picture, random};
use bilevel::lower::Lbfgs;
use bilevel::{
    Accuracy, Checker, ErrorEstimator, Implicit, LowerLevel, Maid, Oracle, Run, SolveStatus, Trust,
    Vector,
};
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::imaging::{
    Blur, Boundary, Deblurring, Experts, FoeDenoising, Image, Kernel, Potential, SquaredError,
    pairs, sure,
};

const SHAPE: (usize, usize) = (14, 11);

/// Convex experts, and weakly convex ones that leave the modulus to a denoising energy.
fn experts(modulus: Option<f64>) -> Experts {
    let experts = Experts::new(3, 3).unwrap();
    match modulus {
        None => experts.zero_mean(),
        Some(modulus) => experts
            .with_potential(Potential::WeaklyConvex {
                concavity: 1.0,
                modulus,
            })
            .unwrap(),
    }
}

/// A θ with smoothings about as large as the responses, so that all of its entries matter.
fn theta(experts: &Experts) -> Vec<f64> {
    let mut theta = experts.random(1);
    let k = experts.count();
    theta[0] = -1.0;
    theta[1 + k..=2 * k].fill(-2.0);
    theta.axpy(0.2, &random(theta.len(), 5));
    theta
}

/// The blurs, each with a γ: periodic and reflecting.
fn blurs() -> [(Blur, f64); 2] {
    let blur = |kernel, boundary| Blur::new(&kernel, boundary, SHAPE.0, SHAPE.1).unwrap();
    [
        (
            blur(Kernel::motion(4.0, 0.7).unwrap(), Boundary::Periodic),
            0.2,
        ),
        (
            blur(Kernel::gaussian(1.0).unwrap(), Boundary::Reflecting),
            0.2,
        ),
    ]
}

fn problem<E: Lanes>(experts: &Experts, blur: Blur, ridge: f64) -> Deblurring<FoeDenoising<E>> {
    let observed = blur.apply(&picture(SHAPE.0, SHAPE.1, 0)).unwrap();
    let y: Image<E> = observed.with_noise(0.02, 0, 0).cast();
    let denoiser = FoeDenoising::new(&y, experts).unwrap();
    Deblurring::new(denoiser, blur, ridge).unwrap()
}

/// Convex, and weakly convex with a modulus that outweighs the blur.
fn strongly_convex() -> [Experts; 2] {
    [experts(None), experts(Some(0.95))]
}

fn check<E: Lanes>() {
    for experts in strongly_convex() {
        for (blur, ridge) in blurs() {
            let lower = problem::<E>(&experts, blur, ridge);
            for seed in 0..3 {
                let checker = Checker {
                    seed,
                    ..Checker::default()
                };
                let mut x = lower.start();
                let mut next = common::uniform(seed);
                x.iter_mut()
                    .for_each(|x| *x = E::from_f64(x.to_f64() + 0.2 * next()));
                let report = checker.lower(&lower, &x, &theta(&experts));
                assert!(report.passed(), "{}\n{report}", lower.identity());
                for name in [
                    "hvp",
                    "cross_vjp",
                    "cross_jvp",
                    "curvature: mu",
                    "hessian_change",
                ] {
                    assert!(report.checks.iter().any(|c| c.name == name), "{name}");
                }
            }
        }
    }
}

#[test]
fn deblurring_has_right_derivatives_and_constants() {
    check::<f64>();
    check::<f32>();
}

#[test]
fn no_modulus_is_claimed_where_the_experts_may_outweigh_the_blur() {
    for (blur, ridge) in blurs() {
        let weak = experts(Some(0.1));
        let lower = problem::<f64>(&weak, blur, ridge);
        // What weakly convex experts leave of the denoising energy is 0.1 at worst, and the blur takes more away.
        let mut strong = theta(&weak);
        strong[0] = 8.0;
        assert_eq!(lower.curvature(&strong).strong_convexity, None);
        let mut nothing = theta(&weak);
        nothing[0] = -12.0;
        let mu = lower.curvature(&nothing).strong_convexity.unwrap();
        assert!(mu > 0.1 && mu < 1.0, "{mu}");
    }
}

fn oracle(
    lower: Deblurring<FoeDenoising<f64>>,
) -> Implicit<Deblurring<FoeDenoising<f64>>, SquaredError<f64>, Lbfgs> {
    let clean = picture(SHAPE.0, SHAPE.1, 0);
    Implicit::new(lower, SquaredError::new(&clean)).with_lower_solver(Lbfgs::default())
}

#[test]
fn hypergradients_of_deblurring_agree_with_differences_of_f() {
    for experts in strongly_convex() {
        for (blur, ridge) in blurs() {
            let oracle = oracle(problem(&experts, blur, ridge));
            let theta = theta(&experts);
            let mut state = oracle.start(&theta).unwrap();
            let accuracy = Accuracy::new(1e-10, 1e-10).unwrap();
            let z = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
            assert_eq!(z.status(), SolveStatus::Converged);
            let mut value = |theta: &Vec<f64>| {
                let answer = oracle.value(theta, 1e-11, &mut state).unwrap();
                assert_eq!(answer.status, SolveStatus::Converged);
                answer.value.value
            };
            let h = 1e-4;
            for seed in 0..4 {
                let mut u = random(theta.len(), seed);
                u.scale(1.0 / u.norm());
                let mut at = |step: f64| {
                    let mut moved = theta.clone();
                    moved.axpy(step, &u);
                    value(&moved)
                };
                // Of the fourth order.
                let near = (at(h) - at(-h)) / (2.0 * h);
                let far = (at(2.0 * h) - at(-2.0 * h)) / (4.0 * h);
                let difference = (4.0 * near - far) / 3.0;
                let slope = z.gradient.dot(&u);
                assert!(
                    (slope - difference).abs() <= 1e-6 * z.gradient.norm(),
                    "{experts:?} {slope} {difference}"
                );
            }
        }
    }
}

#[test]
fn deblurring_is_within_its_certified_bounds() {
    for experts in strongly_convex() {
        for (blur, ridge) in blurs() {
            agree(&oracle(problem(&experts, blur, ridge)), &theta(&experts));
        }
    }
}

#[test]
fn risk_estimates_are_within_their_certified_bounds() {
    let noisy = [picture(SHAPE.0, SHAPE.1, 0).with_noise(0.1, 0, 0)];
    for experts in strongly_convex() {
        let oracle = sure(&noisy, 0.1, 0, Trust::Certified, |y| {
            FoeDenoising::new(y, &experts)
        });
        agree(&oracle.unwrap(), &theta(&experts));
    }
}

#[test]
fn a_short_training_of_deblurring_lowers_the_loss() {
    let clean = picture(SHAPE.0, SHAPE.1, 0);
    for experts in strongly_convex() {
        let [_, (blur, _)] = blurs();
        let lower = problem::<f64>(&experts, blur, 0.06);
        let oracle = pairs(vec![lower], std::slice::from_ref(&clean), Trust::Estimated)
            .unwrap()
            .map(|term| {
                term.with_lower_solver(Lbfgs::default())
                    .with_estimator(ErrorEstimator::NewtonStep)
            });
        let value = |theta: &Vec<f64>| {
            let mut state = oracle.start(theta).unwrap();
            oracle.value(theta, 1e-8, &mut state).unwrap().value.value
        };
        let start = experts.dct();
        let report = Run::new(&oracle, Maid::goal_oriented())
            .max_iterations(5)
            .start(start.clone())
            .unwrap();
        let (before, after) = (value(&start), value(&report.theta));
        assert!(after < 0.99 * before, "{experts:?}: {before} {after}");
    }
}
