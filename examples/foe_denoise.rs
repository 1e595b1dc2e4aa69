//! Learns the filters of a field of experts from patches of photographs, and denoises another photograph with them.
//!
//! ```text
//! cargo run --release --example foe_denoise
//! ```
//!
//! It prints the report and PSNR and SSIM of the test image, and writes the learned filters and the test image (clean, noisy, denoised)
//! into `out/foe_denoise`. The command `bilevel foe-denoise` trains on images of yours and keeps models.

use bilevel::plot::Figure;
use bilevel::{Maid, Oracle, Run, Trust};
use bilevel_problems::data::{PHOTOGRAPHS, patches, photograph, resized, write_png};
use bilevel_problems::imaging::{Experts, Image, foe_denoising};
use std::path::Path;

const SIGMA: f64 = 0.1;
/// The photograph that is kept for the test, and the stream of its noise.
const TEST: (&str, u64) = ("camera", 1 << 32);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 8 patches of 32×32 pixels from seven photographs, and the same with noise.
    let mut images = Vec::new();
    for (name, _) in PHOTOGRAPHS.iter().filter(|(name, _)| *name != TEST.0) {
        images.push(photograph(name)?);
    }
    let clean = patches(&images, 8, 32, 0)?;
    let streams = clean.iter().zip(0..);
    let noisy: Vec<_> = streams.map(|(c, k)| c.with_noise(SIGMA, 0, k)).collect();

    // 8 filters of 5×5 coefficients, without their means, from the cosine basis on.
    let experts = Experts::new(8, 5)?.zero_mean();
    let oracle = foe_denoising(&clean, &noisy, &experts, Trust::Estimated)?;
    let report = Run::new(&oracle, Maid::goal_oriented())
        .max_iterations(15)
        .start(experts.dct())?;
    println!("{report}\n");

    // The test image at the learned θ.
    let clean = resized(&photograph(TEST.0)?, 128)?;
    let noisy = clean.with_noise(SIGMA, 0, TEST.1);
    let one = std::slice::from_ref;
    let test = foe_denoising(one(&clean), one(&noisy), &experts, Trust::Unknown)?;
    let mut state = test.start(&report.theta)?;
    test.value(&report.theta, 1e-3 * 128.0, &mut state)?;
    let denoised = Image::new(clean.rows(), clean.cols(), state[0].x().clone())?;
    for (name, image) in [("noisy", &noisy), ("denoised", &denoised)] {
        let (psnr, ssim) = (clean.psnr(image.pixels()), clean.ssim(image.pixels()));
        println!(
            "{name:<9} PSNR {psnr:.2} dB, SSIM {:.3}",
            ssim.unwrap_or(f64::NAN)
        );
    }

    let out = Path::new("out/foe_denoise");
    std::fs::create_dir_all(out)?;
    let filters = experts.picture(&report.theta)?;
    write_png(out.join("filters.png"), &[vec![filters]])?;
    write_png(out.join("comparison.png"), &[vec![clean, noisy, denoised]])?;
    Figure::new()
        .run("MAID", &report.trace)
        .write_svg(out.join("convergence.svg"))?;
    println!(
        "wrote filters.png, comparison.png and convergence.svg into {}",
        out.display()
    );
    Ok(())
}
