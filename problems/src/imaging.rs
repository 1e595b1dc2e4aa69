//! Image restoration as a bilevel problem: the lower level denoises or deblurs an image, the upper level compares the result with a clean
//! image, or estimates its risk without one.

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
