//! The numbers of the kernels of this crate.

use bilevel::Element;
use bilevel::simd::Registers;

/// `f32` or `f64`, with the operations on whole registers.
pub trait Lanes: Element + Registers {}

impl<E: Element + Registers> Lanes for E {}
