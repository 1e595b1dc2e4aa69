//! The scalar types of the kernels of this crate.

use bilevel::Element;
use bilevel::simd::Registers;

/// `f32` or `f64`, with arithmetic on whole SIMD registers.
///
/// Every [`Element`] is one; generic code over the problems of this crate names it as a bound.
#[doc(hidden)]
pub trait Lanes: Element + Registers {}

impl<E: Element + Registers> Lanes for E {}
