//! Learns to deblur a photograph by total variation, and compares it with denoising alone.
//!
//! ```text
//! cargo run --release --example deblur
//! ```
//!
//! The photograph is blurred by a Gaussian of 1.5 pixels and given noise of 0.01. θ = (log weight, log smoothing) is learned twice: by
//! `TvDenoising`, which knows of no blur, and by `Deblurring` of it. It prints a table and writes the clean image, the blurred one, and
//! the two restored ones side by side into `out/deblur/comparison.png`.

use bilevel::{Maid, Oracle, Run, Trust};
use bilevel_problems::data::{photograph, resized, write_png};
use bilevel_problems::imaging::{
    Blur, Boundary, Deblurring, Image, Kernel, Norm, Restoration, TvDenoising, pairs,
};
use std::error::Error;
use std::time::Instant;

const SIZE: usize = 128;
const SIGMA: f64 = 0.01;
/// γ: keeps the problem strongly convex where the blur leaves nothing.
const RIDGE: f64 = 1e-3;

fn learn<P: Restoration<Theta = Vec<f64>, X = Vec<f64>>>(
    name: &str,
    lower: P,
    clean: &Image<f64>,
    start: [f64; 2],
) -> Result<Image<f64>, Box<dyn Error>> {
    let clock = Instant::now();
    let oracle = pairs(vec![lower], std::slice::from_ref(clean), Trust::Estimated)?;
    let report = Run::new(&oracle, Maid::with_accuracy(1e-2))
        .max_iterations(15)
        .start(start.to_vec())?;
    let mut state = oracle.start(&report.theta)?;
    oracle.value(&report.theta, 1e-3, &mut state)?;
    let x = state[0].x();
    println!(
        "| {name} | {:.2}, {:.2} | {:.2} | {:.3} | {} | {:.1} |",
        report.theta[0],
        report.theta[1],
        clean.psnr(x),
        clean.ssim(x).unwrap_or(f64::NAN),
        report.work.iterations(),
        clock.elapsed().as_secs_f64(),
    );
    Ok(Image::new(clean.rows(), clean.cols(), x.clone())?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let clean = resized(&photograph("camera")?, SIZE)?;
    let blur = Blur::new(&Kernel::gaussian(1.5)?, Boundary::Reflecting, SIZE, SIZE)?;
    let observed = blur.apply(&clean)?.with_noise(SIGMA, 0, 0);
    println!("| | log weight, log smoothing | PSNR | SSIM | gradients and products | seconds |");
    println!("|---|---|---|---|---|---|");
    println!(
        "| observed | | {:.2} | {:.3} | | |",
        clean.psnr(observed.pixels()),
        clean.ssim(observed.pixels()).unwrap_or(f64::NAN)
    );
    let denoiser = || TvDenoising::new(&observed, Norm::Isotropic);
    let denoised = learn("denoised", denoiser()?, &clean, [-5.0, -4.0])?;
    let lower = Deblurring::new(denoiser()?, blur, RIDGE)?;
    let deblurred = learn("deblurred", lower, &clean, [-7.0, -4.0])?;
    std::fs::create_dir_all("out/deblur")?;
    let sheet = [vec![clean, observed, denoised, deblurred]];
    write_png("out/deblur/comparison.png", &sheet)?;
    Ok(())
}
