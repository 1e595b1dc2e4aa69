//! Image denoising as a bilevel problem: the lower level denoises an image, the upper level compares it with a clean one.

pub mod blur;
pub mod deblurring;
mod finite_differences;
pub mod foe;
mod pairs;
mod restoration;
mod ssim;
pub mod sure;
#[cfg(feature = "direct")]
pub mod tikhonov;
mod transform;
pub mod tv;

pub use crate::data::Image;
pub use blur::{Blur, Boundary, Kernel};
pub use deblurring::Deblurring;
pub use foe::{Experts, FoeDenoising, FoeModel, FoeOracle, Potential, foe_denoising};
pub use pairs::{PairsOracle, SquaredError, pairs};
pub use restoration::{Denoiser, Restoration};
pub use sure::{Pair, PerturbedPair, Sure, SureOracle, sure};
#[cfg(feature = "direct")]
pub use tikhonov::Tikhonov;
pub use tv::{Norm, Preconditioner, TvDenoising, TvOracle, Weights, tv_denoising};
