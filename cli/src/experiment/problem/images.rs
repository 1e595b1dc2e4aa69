//! Clean and noisy images, and problems learned from them.

use bilevel::lower::LowerSolver;
use bilevel::{Error, Implicit, ImplicitState, LowerLevel, Mean, Oracle, Trust};
use std::path::PathBuf;

use super::{ProblemInstance, Quality, Terms, Whole, derivatives, refused};
use bilevel_problems::data::{PHOTOGRAPHS, photograph, read_pngs, resized};
use bilevel_problems::imaging::{Image, SquaredError};

/// The photograph that no problem learns from, and the stream of its noise.
const HELD_OUT: (&str, u64) = ("camera", 1 << 32);
/// The held-out photograph is denoised to this accuracy in the root mean square over its pixels.
const QUALITY_ACCURACY: f64 = 1e-3;

/// Clean and noisy images to learn from, and the photograph that is held out.
pub(super) struct Pairs {
    clean: Vec<Image<f64>>,
    noisy: Vec<Image<f64>>,
    test: (Image<f64>, Image<f64>),
}

impl Pairs {
    pub(super) fn new(
        images: &[PathBuf],
        size: usize,
        sigma: f64,
        seed: u64,
    ) -> Result<Self, Error> {
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(Error::invalid("sigma", sigma, "a finite number from 0 on"));
        }
        let mut clean = Vec::new();
        for path in images {
            clean.extend(read_pngs(path).map_err(refused)?);
        }
        if images.is_empty() {
            let names = PHOTOGRAPHS.iter().map(|(name, _)| *name);
            for name in names.filter(|name| *name != HELD_OUT.0) {
                clean.push(photograph(name).map_err(refused)?);
            }
        }
        let mut test = photograph(HELD_OUT.0).map_err(refused)?;
        if size > 0 {
            for image in clean.iter_mut().chain([&mut test]) {
                *image = resized(image, size)?;
            }
        }
        let noisy = clean.iter().zip(0..);
        Ok(Pairs {
            noisy: noisy
                .map(|(image, stream)| image.with_noise(sigma, seed, stream))
                .collect(),
            test: (test.clone(), test.with_noise(sigma, seed, HELD_OUT.1)),
            clean,
        })
    }
}

/// The peak signal-to-noise ratio of the held-out photograph, noisy and denoised.
fn quality<O>(test: O, (clean, noisy): (Image<f64>, Image<f64>)) -> Quality
where
    O: Oracle<Theta = Vec<f64>, State = Vec<ImplicitState<Vec<f64>>>> + 'static,
{
    let epsilon = QUALITY_ACCURACY * (clean.pixels().len() as f64).sqrt();
    let before = clean.psnr(noisy.pixels());
    Box::new(move |theta| {
        let mut state = test.start(theta)?;
        test.value(theta, epsilon, &mut state)?;
        let after = state.first().map_or(f64::NAN, |term| clean.psnr(term.x()));
        Ok(vec![
            ("PSNR noisy (dB)", before),
            ("PSNR denoised (dB)", after),
        ])
    })
}

/// The oracle of several images.
type Restored<P, S> = Mean<Implicit<P, SquaredError<f64>, S>>;

/// The problem that `make` makes of clean and noisy images, from a first θ.
pub(super) fn learned<P, S>(
    pairs: Pairs,
    trust: Trust,
    theta: Vec<f64>,
    make: impl Fn(&[Image<f64>], &[Image<f64>], Trust) -> Result<Restored<P, S>, Error>,
) -> Result<Box<dyn ProblemInstance>, Error>
where
    P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>> + 'static,
    S: LowerSolver + 'static,
{
    let oracle = make(&pairs.clean, &pairs.noisy, trust)?;
    let first = make(&pairs.clean[..1], &pairs.noisy[..1], Trust::Unknown)?;
    let (clean, noisy) = &pairs.test;
    let test = make(
        std::slice::from_ref(clean),
        std::slice::from_ref(noisy),
        Trust::Unknown,
    )?;
    Ok(Box::new(Whole::<Terms> {
        oracle: Box::new(oracle),
        start: theta.clone(),
        quality: quality(test, pairs.test),
        derivatives: Some(Box::new(move || {
            let term = &first.terms()[0];
            derivatives(term.lower(), term.upper(), &theta)
        })),
    }))
}
