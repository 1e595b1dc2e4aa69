//! Kernels compiled for several instruction sets, one of which is chosen at run time.

mod registers;

pub use registers::Registers;

use pulp::{Arch, Simd, WithSimd};

struct Kernel<F>(F);

impl<R, F: FnMut() -> R> WithSimd for Kernel<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _simd: S) -> R {
        // Called by the trait of its kind: through `FnOnce` it would not be inlined, and not be compiled for the instruction set.
        (self.0)()
    }
}

/// Calls `kernel`, a plain loop over slices that is marked `#[inline(always)]`, compiled for the widest registers that this
/// processor has.
///
/// Only what is inlined into `kernel` profits. The results are those of the plain loop: no operation is fused or reordered.
#[inline(always)]
pub fn dispatch<R>(kernel: impl FnMut() -> R) -> R {
    Arch::new().dispatch(Kernel(kernel))
}
