//! Kernels compiled for several instruction sets, selected at run time.

mod registers;

pub use registers::Registers;

use pulp::{Arch, Simd, WithSimd};

struct Kernel<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Kernel<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) -> R {
        // Through `FnOnce` the kernel would not be inlined, and so not be compiled for the instruction set.
        (self.0)()
    }
}

/// Calls `kernel`, a plain loop over slices marked `#[inline(always)]`, compiled for the widest registers of this processor.
///
/// Only code inlined into `kernel` benefits. The results are those of the plain loop: no operation is fused or reordered.
#[inline(always)]
pub fn dispatch<R>(kernel: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Kernel(kernel))
}
