//! θ of TV denoising, and the weights and the smoothing computed from it.

use bilevel::{Element, Error};

use super::TvDenoising;
use super::patches::Patches;

/// The weights in θ, which precede the logarithm of the smoothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The logarithm of one weight: θ ∈ ℝ².
    Global,
    /// The logarithm of a weight for every pixel, row after row: θ ∈ ℝⁿ⁺¹.
    PerPixel,
    /// The logarithm of a weight for every patch of `size`×`size` pixels, row after row; smaller ones at the right and the lower
    /// border. A size of 0 counts as 1.
    PerPatch {
        /// The side of a patch in pixels.
        size: usize,
    },
}

/// "1 number", "2 numbers".
fn count(n: usize) -> String {
    format!("{n} number{}", if n == 1 { "" } else { "s" })
}

#[derive(Default)]
pub(super) struct PixelWeights<E> {
    pub(super) theta: Vec<f64>,
    pub(super) of_patches: Vec<E>,
    pub(super) weights: Vec<E>,
}

/// θ, as the kernels use it.
pub(super) struct Parameters<'a, E> {
    /// w for [`Weights::Global`]; the largest of several.
    pub(super) weight: f64,
    /// Empty for [`Weights::Global`].
    pub(super) weights: &'a [E],
    pub(super) nu: f64,
}

/// The largest weight.
pub(super) fn largest_weight(theta: &[f64]) -> f64 {
    let logs = &theta[..theta.len() - 1];
    logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).exp()
}

impl<E: Element> Parameters<'_, E> {
    /// The weight of pixel i.
    #[inline(always)]
    pub(super) fn at<const PER_PIXEL: bool>(&self, i: usize) -> f64 {
        if PER_PIXEL {
            self.weights[i].to_f64()
        } else {
            self.weight
        }
    }

    /// The weights of row i, or `None` for a global weight.
    #[inline(always)]
    pub(super) fn row(&self, i: usize, cols: usize) -> Option<&[E]> {
        (!self.weights.is_empty()).then(|| &self.weights[i * cols..(i + 1) * cols])
    }
}

impl<E: Element> TvDenoising<E> {
    /// The length of θ.
    pub fn theta_len(&self) -> usize {
        match self.weights {
            Weights::Global => 2,
            _ => self.patches().len() + 1,
        }
    }

    /// The division of the image by weights; a pixel is a patch of size 1.
    pub(super) fn patches(&self) -> Patches {
        let size = match self.weights {
            Weights::PerPatch { size } => size,
            _ => 1,
        };
        Patches::new(self.rows, self.cols, size)
    }

    pub(super) fn check_length(&self, theta: &[f64]) -> Result<(), Error> {
        if theta.len() != self.theta_len() {
            return Err(Error::invalid(
                "theta",
                count(theta.len()),
                match self.weights {
                    Weights::Global => "2 numbers: log weight, log smoothing".to_owned(),
                    Weights::PerPixel => format!(
                        "{} numbers: a log weight for each pixel, then the log smoothing",
                        self.theta_len()
                    ),
                    Weights::PerPatch { size } => format!(
                        "{} numbers: a log weight for each patch of {size}×{size} pixels, then the log smoothing",
                        self.theta_len()
                    ),
                },
            ));
        }
        Ok(())
    }

    /// Calls `f` with the parameters computed from θ. Weights per pixel are reused while θ stays the same.
    pub(super) fn with_parameters<R>(
        &self,
        theta: &[f64],
        f: impl FnOnce(&Parameters<'_, E>) -> R,
    ) -> R {
        let nu = theta[theta.len() - 1].exp();
        match self.weights {
            Weights::Global => f(&Parameters {
                weight: theta[0].exp(),
                weights: &[],
                nu,
            }),
            _ => {
                let logs = &theta[..theta.len() - 1];
                let mut kept = self.pixel_weights.take_or(PixelWeights::default);
                if kept.theta != logs {
                    kept.theta.clear();
                    kept.theta.extend_from_slice(logs);
                    let patches = self.patches();
                    kept.of_patches.clear();
                    kept.of_patches
                        .extend(logs.iter().map(|t| E::from_f64(t.exp())));
                    kept.weights.clear();
                    kept.weights.extend(patches.spread(&kept.of_patches));
                }
                let result = f(&Parameters {
                    weight: largest_weight(theta),
                    weights: &kept.weights,
                    nu,
                });
                self.pixel_weights.put(kept);
                result
            }
        }
    }
}
