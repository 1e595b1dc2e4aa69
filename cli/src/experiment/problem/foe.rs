//! Denoising by a field of experts.

use bilevel::{Error, Trust};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

use super::images::{Pairs, learned};
use super::{ProblemInstance, ProblemSettings};
use bilevel_problems::imaging::{Experts, foe_denoising};

/// Images, their noise, and filters. The first θ is the cosine basis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[doc(hidden)]
pub struct Foe {
    /// As for [`Tv::images`](crate::experiment::Tv::images).
    pub images: Vec<PathBuf>,
    /// As for [`Tv::size`](crate::experiment::Tv::size).
    pub size: usize,
    /// As for [`Tv::sigma`](crate::experiment::Tv::sigma).
    pub sigma: f64,
    /// How many filters there are (default 8).
    pub filters: usize,
    /// Their width and height, an odd number (default 5).
    pub filter_size: usize,
    /// How sure the bounds shall be (default estimated).
    pub trust: Trust,
}

impl Default for Foe {
    fn default() -> Self {
        Foe {
            images: Vec::new(),
            size: 64,
            sigma: 0.1,
            filters: 8,
            filter_size: 5,
            trust: Trust::Estimated,
        }
    }
}

impl ProblemSettings for Foe {
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error> {
        let pairs = Pairs::new(&self.images, self.size, self.sigma, seed)?;
        let experts = Experts::new(self.filters, self.filter_size)?.zero_mean();
        learned(pairs, self.trust, experts.dct(), |clean, noisy, trust| {
            foe_denoising(clean, noisy, &experts, trust)
        })
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        self.images.iter_mut().collect()
    }
}
