//! The driver on images: the same bytes on any number of threads and after any interruption, and checkpoints of other images refused.

use bilevel::{
    CheckpointError, DerivativeFree, Error, GradientDescent, GridSearch, Hoag, Implicit, Maid,
    RandomSearch, Run, SearchBox, ToleranceSchedule, Tpe, Trust,
};
use bilevel_problems::imaging::{Norm, TvOracle, Weights, tv_denoising};
use bilevel_problems::synthetic::quadratic::Quadratic;

use crate::common::picture;
use crate::common::runs::{assert_resumes, assert_same_on_all_threads, resume_error};

fn small_images(norm: Norm, weights: Weights) -> TvOracle<f64> {
    let clean: Vec<_> = (0..4).map(|i| picture(12, 10, i)).collect();
    let noisy: Vec<_> = clean
        .iter()
        .zip(0..)
        .map(|(image, i)| image.with_noise(0.1, 1, i))
        .collect();
    tv_denoising(&clean, &noisy, norm, weights, Trust::Certified).unwrap()
}

#[test]
fn a_sum_of_images_gives_the_same_bytes_on_any_number_of_threads() {
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        let oracle = small_images(norm, Weights::Global);
        let theta = vec![-2.0, -3.0];
        assert_same_on_all_threads(&oracle, &Maid::default(), &theta, 8);
        assert_same_on_all_threads(&oracle, &Hoag::new(ToleranceSchedule::Quadratic), &theta, 8);
        assert_same_on_all_threads(&oracle, &GradientDescent::with_accuracy(1e-4), &theta, 8);
        let oracle = small_images(norm, Weights::PerPixel);
        let theta = [vec![-2.0; 120], vec![-3.0]].concat();
        assert_same_on_all_threads(&oracle, &GradientDescent::with_accuracy(1e-4), &theta, 4);
    }
}

#[test]
fn a_single_large_image_gives_the_same_bytes_on_any_number_of_threads() {
    let clean = picture(300, 200, 0);
    let noisy = clean.with_noise(0.1, 1, 0);
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        let images = (std::slice::from_ref(&clean), std::slice::from_ref(&noisy));
        let oracle =
            tv_denoising(images.0, images.1, norm, Weights::Global, Trust::Certified).unwrap();
        assert_same_on_all_threads(&oracle, &Maid::default(), &vec![-2.0, -3.0], 3);
        let oracle = tv_denoising(
            images.0,
            images.1,
            norm,
            Weights::PerPixel,
            Trust::Estimated,
        )
        .unwrap();
        let theta = [vec![-2.0; 60_000], vec![-3.0]].concat();
        assert_same_on_all_threads(&oracle, &GradientDescent::with_accuracy(1e-1), &theta, 2);
    }
}

#[test]
fn an_image_long_enough_to_divide_its_vectors_gives_the_same_bytes_on_any_number_of_threads() {
    let clean = picture(330, 410, 0);
    let (clean, noisy) = (
        clean.cast::<f32>(),
        clean.with_noise(0.1, 1, 0).cast::<f32>(),
    );
    let oracle = tv_denoising(
        &[clean],
        &[noisy],
        Norm::Isotropic,
        Weights::Global,
        Trust::Certified,
    )
    .unwrap();
    assert_same_on_all_threads(&oracle, &Maid::with_accuracy(1.0), &vec![-2.0, -3.0], 2);
}

#[test]
fn searches_without_gradients_resume_to_the_same_trace_on_any_number_of_threads() {
    let images = small_images(Norm::Isotropic, Weights::Global);
    let plane = SearchBox::cube(2, -6.0, -1.0);
    let tpe = |region: &SearchBox, points| Tpe {
        startup: 3, // so that a resumed run asks the estimator
        ..Tpe::new(region.clone(), points)
    };
    let theta = vec![-4.0, -3.0];
    assert_resumes(&images, &DerivativeFree::default(), &theta, 8);
    assert_resumes(&images, &RandomSearch::new(plane.clone(), 7), &theta, 15);
    assert_resumes(&images, &tpe(&plane, 7), &theta, 15);
    assert_same_on_all_threads(&images, &DerivativeFree::default(), &theta, 6);
    assert_same_on_all_threads(&images, &RandomSearch::new(plane.clone(), 9), &theta, 9);
    assert_same_on_all_threads(&images, &tpe(&plane, 9), &theta, 9);
    assert_same_on_all_threads(&images, &GridSearch::new(plane, 3), &theta, 12);
}

#[test]
fn images_resume_to_the_same_trace() {
    let oracle = small_images(Norm::Isotropic, Weights::Global);
    let theta = vec![-4.0, -3.0];
    assert_resumes(&oracle, &Maid::default(), &theta, 8);
    assert_resumes(&oracle, &Hoag::new(ToleranceSchedule::Cubic), &theta, 8);
    assert_resumes(&oracle, &GradientDescent::with_accuracy(1e-4), &theta, 8);
}

#[test]
fn a_checkpoint_of_other_images_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    let maid = Maid::default();
    // Another problem altogether.
    let problem = Quadratic::random(20, 3, 30.0, 0);
    let quadratic = Implicit::new(problem.lower(), problem.upper());
    Run::new(&quadratic, maid.clone())
        .max_iterations(2)
        .checkpoint(&path, 1)
        .start(vec![0.0; 3])
        .unwrap();
    let images = small_images(Norm::Isotropic, Weights::Global);
    let error = resume_error(&images, maid.clone(), &path);
    let text = error.to_string();
    let reason = matches!(
        error,
        Error::Checkpoint {
            reason: CheckpointError::OtherRun { .. },
            ..
        }
    );
    assert!(reason, "{text}");
    assert!(
        text.contains("run.ckpt") && text.contains("belongs to another run"),
        "{text}"
    );
    // Images that differ in one pixel of one of them, in their order, or in the norm.
    let images = |norm, swap: bool, change: f64| {
        let mut clean: Vec<_> = (0..4).map(|i| picture(6, 5, i)).collect();
        let mut noisy: Vec<_> = clean
            .iter()
            .zip(0..)
            .map(|(c, i)| c.with_noise(0.1, 1, i))
            .collect();
        if swap {
            clean.swap(1, 2);
            noisy.swap(1, 2);
        }
        let mut pixels = noisy[3].pixels().to_vec();
        pixels[17] += change;
        noisy[3] = bilevel_problems::imaging::Image::new(6, 5, pixels).unwrap();
        tv_denoising(&clean, &noisy, norm, Weights::Global, Trust::Certified).unwrap()
    };
    Run::new(&images(Norm::Isotropic, false, 0.0), maid.clone())
        .max_iterations(1)
        .checkpoint(&path, 1)
        .start(vec![-2.0, -2.0])
        .unwrap();
    for other in [
        images(Norm::Isotropic, false, 1e-9),
        images(Norm::Isotropic, true, 0.0),
        images(Norm::Anisotropic, false, 0.0),
    ] {
        let error = resume_error(&other, maid.clone(), &path);
        assert!(
            error.to_string().contains("belongs to another run"),
            "{error}"
        );
    }
    assert!(
        Run::new(&images(Norm::Isotropic, false, 0.0), maid)
            .max_iterations(2)
            .resume(&path)
            .is_ok()
    );
}
