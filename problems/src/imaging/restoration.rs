//! The traits of the lower levels of imaging: deblurring, pairs and risk estimates take any implementor.

use bilevel::LowerLevel;

/// A lower level that restores one image.
#[doc(hidden)]
pub trait Restoration: LowerLevel {
    /// The rows and columns of the image.
    fn shape(&self) -> (usize, usize);
}

/// A lower level that denoises one image y: g(x, θ) = ½‖x − y‖² + R(x, θ).
///
/// [`Deblurring`](super::Deblurring) replaces the data term ½‖x − y‖² of any implementor.
#[doc(hidden)]
pub trait Denoiser: Restoration {
    /// y, the noisy image.
    fn noisy(&self) -> &Self::X;
}
