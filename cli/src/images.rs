//! Clean images, noisy ones, and how good denoised ones are.

use bilevel::{Element, ImplicitState};
use bilevel_problems::data::{PHOTOGRAPHS, photograph, read_pngs, resized};
use bilevel_problems::imaging::Image;
use std::path::PathBuf;

use crate::options::Failure;

/// Images on a comparison sheet, at most.
pub(crate) const SHEET_ROWS: usize = 8;
/// The photograph that is kept for tests where no folder is named.
pub(crate) const HELD_OUT: &str = "camera";
/// More noise than this hides an image from any storage type.
const MAX_SIGMA: f64 = 1e6;

/// The images of all files and folders.
pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Image<f64>>, Failure> {
    let mut images = Vec::new();
    for path in paths {
        images.extend(read_pngs(path)?);
    }
    Ok(images)
}

/// The photographs that come with the crate but for the one that is kept for tests.
pub(crate) fn shipped() -> Result<Vec<Image<f64>>, Failure> {
    let names = PHOTOGRAPHS.iter().map(|(name, _)| *name);
    let names = names.filter(|name| *name != HELD_OUT);
    Ok(names.map(photograph).collect::<Result<_, _>>()?)
}

/// The images cropped to squares and scaled to `size`×`size` pixels, where a size is given.
pub(crate) fn scaled(
    images: Vec<Image<f64>>,
    size: Option<usize>,
) -> Result<Vec<Image<f64>>, Failure> {
    match size {
        Some(size) => Ok(images
            .iter()
            .map(|image| resized(image, size))
            .collect::<Result<_, _>>()?),
        None => Ok(images),
    }
}

/// Refuses a σ that is none.
pub(crate) fn check_sigma(sigma: f64) -> Result<(), Failure> {
    if (0.0..=MAX_SIGMA).contains(&sigma) {
        return Ok(());
    }
    Err(format!("--sigma is {sigma:?}; expected a number from 0 to {MAX_SIGMA:?}").into())
}

/// The images with noise: of the stream `first` for the first one, and so on.
pub(crate) fn with_noise(
    clean: &[Image<f64>],
    sigma: f64,
    seed: u64,
    first: u64,
) -> Vec<Image<f64>> {
    let streams = first..;
    let pairs = clean.iter().zip(streams);
    pairs
        .map(|(image, stream)| image.with_noise(sigma, seed, stream))
        .collect()
}

/// The images in another storage.
pub(crate) fn stored<E: Element>(images: &[Image<f64>]) -> Vec<Image<E>> {
    images.iter().map(Image::cast).collect()
}

/// The images that a state holds.
pub(crate) fn solutions<E: Element>(
    state: &[ImplicitState<Vec<E>>],
    clean: &[Image<f64>],
) -> Result<Vec<Image<f64>>, bilevel::Error> {
    let pairs = state.iter().zip(clean);
    let image = |(s, c): (&ImplicitState<Vec<E>>, &Image<f64>)| {
        let pixels = s.x().iter().map(|x| x.to_f64());
        Image::new(c.rows(), c.cols(), pixels.collect())
    };
    pairs.map(image).collect()
}

/// The mean peak signal-to-noise ratio.
pub(crate) fn mean_psnr(clean: &[Image<f64>], images: &[Image<f64>]) -> f64 {
    let pairs = clean.iter().zip(images);
    pairs.map(|(c, x)| c.psnr(x.pixels())).sum::<f64>() / clean.len() as f64
}

/// PSNR and SSIM; the latter is NaN for images smaller than its window.
pub(crate) fn quality(clean: &Image<f64>, image: &Image<f64>) -> (f64, f64) {
    let ssim = clean.ssim(image.pixels()).unwrap_or(f64::NAN);
    (clean.psnr(image.pixels()), ssim)
}

/// The head of the table of qualities.
pub(crate) const HEADER: &str =
    "image                     PSNR noisy   denoised   SSIM noisy   denoised";

/// A line of that table.
pub(crate) fn row(name: &str, noisy: (f64, f64), denoised: (f64, f64)) -> String {
    format!(
        "{name:<24} {:>11.2} {:>10.2} {:>12.4} {:>10.4}",
        noisy.0, denoised.0, noisy.1, denoised.1
    )
}

/// The means of PSNR and SSIM.
pub(crate) fn mean_quality(clean: &[Image<f64>], images: &[Image<f64>]) -> (f64, f64) {
    let pairs = clean.iter().zip(images);
    let ssim: f64 = pairs.map(|(c, x)| quality(c, x).1).sum();
    (mean_psnr(clean, images), ssim / clean.len() as f64)
}
