//! MAID, its variants and HOAG on images.

use bilevel::parallel::with_threads;
use bilevel::{Hoag, Maid, Run, ToleranceSchedule, Trust};
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::{Norm, Weights, tv_denoising};

use crate::common::variants::all;
use crate::common::{data_that_do_not_ship, picture};

/// Found by a reviewer: the last evaluation of a run met the θ of a step that had left the domain.
#[test]
fn a_budget_that_ends_hoag_outside_the_domain_ends_it_at_the_last_point_inside() {
    let clean = picture(8, 8, 0);
    let noisy = clean.with_noise(0.1, 0, 0);
    let oracle = tv_denoising(
        &[clean],
        &[noisy],
        Norm::Anisotropic,
        Weights::Global,
        Trust::Certified,
    )
    .unwrap();
    for iterations in [1, 2, 3, 10, 20, 25, 40] {
        let report = Run::new(&oracle, Hoag::new(ToleranceSchedule::Quadratic))
            .tolerance(1e-300)
            .max_iterations(iterations)
            .start(vec![-100.0, -100.0])
            .unwrap();
        assert!(report.value.value.is_finite());
        assert!(
            report.theta.iter().all(|t| t.abs() <= 120.0),
            "{:?}",
            report.theta
        );
    }
}

#[test]
fn variants_on_images_give_the_same_bytes_on_any_number_of_threads_and_after_a_stop() {
    let clean: Vec<_> = (0..4).map(|i| picture(12, 10, i)).collect();
    let noisy: Vec<_> = clean
        .iter()
        .zip(0..)
        .map(|(image, i)| image.with_noise(0.1, 1, i))
        .collect();
    let oracle = tv_denoising(
        &clean,
        &noisy,
        Norm::Isotropic,
        Weights::Global,
        Trust::Certified,
    )
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.ckpt");
    for maid in all() {
        let run = |limit| {
            Run::new(&oracle, maid.clone())
                .tolerance(1e-6)
                .max_iterations(limit)
        };
        let theta = vec![-4.0, -3.0];
        let csv = |threads| {
            with_threads(threads, || {
                let report = run(6).start(theta.clone()).unwrap();
                assert!(report.iterations >= 4, "{report}");
                report.trace.to_csv()
            })
            .unwrap()
        };
        let one = csv(1);
        assert_eq!(one, csv(2), "{maid:?}");
        assert_eq!(one, csv(3), "{maid:?}");
        run(3).checkpoint(&path, 1).start(theta.clone()).unwrap();
        assert_eq!(run(6).resume(&path).unwrap().trace.to_csv(), one);
    }
}

/// Twelve photographs.
#[test]
#[ignore = "needs data that do not ship: set BILEVEL_DATA"]
fn lbfgs_reaches_the_optimum_of_the_photographs_at_no_more_than_eight_points() {
    let folder = data_that_do_not_ship("tv_kodak96");
    let read = |name| read_npy(folder.join(name)).unwrap();
    let (clean, noisy) = (read("clean.npy"), read("noisy.npy"));
    let oracle = tv_denoising(
        &clean,
        &noisy,
        Norm::Anisotropic,
        Weights::Global,
        Trust::Certified,
    )
    .unwrap();
    let report = Run::new(&oracle, Maid::lbfgs())
        .max_iterations(4)
        .start(vec![-5.0, -5.0])
        .unwrap();
    // The minimum was computed independently.
    assert!(
        report.value.upper <= 1.001 * 8.621_962_825_476_6,
        "{report}"
    );
    assert_eq!(report.trust, Trust::Certified);
    // θ₀ and the trials; hypergradients are at these.
    let points: u64 = 1 + report.trace.rows().iter().map(|r| r.trials).sum::<u64>();
    assert!(points <= 8, "{points} points");
}
