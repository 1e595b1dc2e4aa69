//! Denoising by total variation.

use bilevel::{Error, Trust};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::images::{Pairs, learned};
use super::{ProblemInstance, ProblemSettings};
use bilevel_problems::imaging::{Norm, Weights, tv_denoising};

/// Images and their noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[doc(hidden)]
pub struct Tv {
    /// Clean images: PNG files, and folders of them (default: the photographs that ship with the crate but for one, by which θ is judged).
    pub images: Vec<PathBuf>,
    /// Images are cropped to squares and scaled to so many pixels a side; 0 leaves them as they are (default 64).
    pub size: usize,
    /// Standard deviation of the noise; white is 1 (default 0.1).
    pub sigma: f64,
    /// Anisotropic (the default) or isotropic.
    pub norm: Norm,
    /// The first θ (default `[-5, -5]`).
    pub theta: [f64; 2],
    /// How sure the bounds shall be (default certified).
    pub trust: Trust,
}

impl Default for Tv {
    fn default() -> Self {
        Tv {
            images: Vec::new(),
            size: 64,
            sigma: 0.1,
            norm: Norm::default(),
            theta: [-5.0, -5.0],
            trust: Trust::Certified,
        }
    }
}

impl ProblemSettings for Tv {
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error> {
        let pairs = Pairs::new(&self.images, self.size, self.sigma, seed)?;
        learned(
            pairs,
            self.trust,
            self.theta.to_vec(),
            |clean, noisy, trust| tv_denoising(clean, noisy, self.norm, Weights::Global, trust),
        )
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        self.images.iter_mut().collect()
    }
}
