//! What the lower levels of imaging have in common, so that any of them fits into deblurring, pairs and risk estimates.

use bilevel::LowerLevel;

/// A lower level that restores one image.
pub trait Restoration: LowerLevel {
    /// The rows and columns of the image.
    fn shape(&self) -> (usize, usize);
}

/// A lower level that denoises one image: g(x, θ) = ½‖x − y‖² + R(x, θ) with the image y that it was made from.
///
/// [`Deblurring`](super::Deblurring) replaces the first term of any of them.
pub trait Denoiser: Restoration {
    /// y, the image that is denoised.
    fn noisy(&self) -> &Self::X;
}
