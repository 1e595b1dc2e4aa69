//! argmin's solvers on images.

use bilevel::argmin::{Lbfgs, NelderMead, ParticleSwarm};
use bilevel::{Maid, Report, Run, SearchBox, Trust};
use bilevel_problems::imaging::{Norm, TvOracle, Weights, tv_denoising};

use crate::common::picture;
use crate::common::runs::resumes;

fn small_images() -> TvOracle<f64> {
    let clean: Vec<_> = (0..2).map(|i| picture(14, 12, i)).collect();
    let noisy: Vec<_> = clean
        .iter()
        .zip(0..)
        .map(|(image, i)| image.with_noise(0.1, 1, i))
        .collect();
    tv_denoising(
        &clean,
        &noisy,
        Norm::Isotropic,
        Weights::Global,
        Trust::Certified,
    )
    .unwrap()
}

fn swarm(entries: usize, lower: f64, upper: f64) -> ParticleSwarm {
    ParticleSwarm::with_accuracy(SearchBox::cube(entries, lower, upper), 1e-6)
}

#[test]
fn argmins_solvers_resume_to_the_same_bytes() {
    let (images, theta) = (small_images(), vec![-4.0, -3.0]);
    resumes(&images, &Lbfgs::with_accuracy(1e-5), &theta);
    resumes(&images, &NelderMead::with_accuracy(1e-4), &theta);
    resumes(&images, &swarm(2, -5.0, -1.0), &theta);
}

#[test]
fn argmins_solvers_learn_total_variation() {
    let images = small_images();
    let theta = vec![-4.0, -3.0];
    let maid = Run::new(&images, Maid::default())
        .tolerance(1e-2)
        .start(theta.clone())
        .unwrap();
    let value = |report: Report<Vec<f64>>| {
        println!("{report}");
        report.value.upper
    };
    let most = 1.01 * maid.value.upper;
    let run = |limit| Run::new(&images, Lbfgs::with_accuracy(1e-4)).max_iterations(limit);
    assert!(value(run(20).start(theta.clone()).unwrap()) < most);
    let run = Run::new(&images, NelderMead::with_accuracy(1e-3)).max_iterations(60);
    assert!(value(run.start(theta.clone()).unwrap()) < most);
    let run = Run::new(&images, swarm(2, -8.0, -1.0)).max_iterations(15);
    assert!(value(run.start(theta).unwrap()) < 1.05 * maid.value.upper);
}
