//! Searches without gradients on an image.

use bilevel::{DerivativeFree, Maid, Run, Trust};
use bilevel_problems::imaging::{Norm, TvOracle, Weights, tv_denoising};

use crate::common::picture;

fn small_image() -> TvOracle<f64> {
    let clean = picture(14, 12, 0);
    let noisy = clean.with_noise(0.1, 1, 0);
    tv_denoising(
        &[clean],
        &[noisy],
        Norm::Isotropic,
        Weights::Global,
        Trust::Certified,
    )
    .unwrap()
}

#[test]
fn derivative_free_search_learns_total_variation_as_maid_does() {
    let oracle = small_image();
    let theta = vec![-4.0, -3.0];
    let report = Run::new(&oracle, DerivativeFree::default())
        .max_iterations(12)
        .start(theta.clone())
        .unwrap();
    let maid = Run::new(&oracle, Maid::default())
        .tolerance(1e-2)
        .start(theta)
        .unwrap();
    println!("{report}\n{maid}");
    assert!(
        report.value.upper < 1.005 * maid.value.lower,
        "{report}\n{maid}"
    );
}
