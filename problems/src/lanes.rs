//! Registers of `f32` and `f64`, for the kernels whose speed depends on what stays in them.

use bilevel::Element;
use pulp::Simd;

/// `f32` or `f64`, with the operations on whole registers that convolutions and products of matrices are written in.
///
/// Every product is fused with the sum it goes into, with one rounding, whatever the registers: the results do not depend on their
/// width. Half of the arithmetic units of some processors would otherwise wait. (Without such an instruction, which x86-64 has had
/// since 2013, it is emulated: the same results, slowly.)
pub trait Lanes: Element {
    /// A register of the instruction set S.
    type V<S: Simd>: Copy;
    /// Entries in a register.
    fn lanes<S: Simd>() -> usize;
    /// x in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::V<S>;
    /// The first `N` registers of `from`.
    fn load<S: Simd, const N: usize>(simd: S, from: &[Self]) -> [Self::V<S>; N];
    /// Writes `N` registers to the front of `to`.
    fn store<S: Simd, const N: usize>(simd: S, to: &mut [Self], v: [Self::V<S>; N]);
    /// a + b.
    fn plus<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    /// The sum of the lanes: of the two halves, of their halves, and so on.
    fn total<S: Simd>(simd: S, a: Self::V<S>) -> Self;
    /// a · b + c, rounded once.
    fn multiply_add<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>, c: Self::V<S>) -> Self::V<S>;
}

impl Lanes for f32 {
    type V<S: Simd> = S::f32s;
    #[inline(always)]
    fn lanes<S: Simd>() -> usize {
        S::F32_LANES
    }
    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: f32) -> S::f32s {
        simd.splat_f32s(x)
    }
    #[inline(always)]
    fn load<S: Simd, const N: usize>(_simd: S, from: &[f32]) -> [S::f32s; N] {
        let from = S::as_simd_f32s(&from[..N * S::F32_LANES]).0;
        std::array::from_fn(
            #[inline(always)]
            |i| from[i],
        )
    }
    #[inline(always)]
    fn store<S: Simd, const N: usize>(_simd: S, to: &mut [f32], v: [S::f32s; N]) {
        S::as_mut_simd_f32s(&mut to[..N * S::F32_LANES])
            .0
            .copy_from_slice(&v);
    }
    #[inline(always)]
    fn plus<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.add_f32s(a, b)
    }
    #[inline(always)]
    fn total<S: Simd>(simd: S, a: S::f32s) -> f32 {
        simd.reduce_sum_f32s(a)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, c: S::f32s) -> S::f32s {
        simd.mul_add_f32s(a, b, c)
    }
}

impl Lanes for f64 {
    type V<S: Simd> = S::f64s;
    #[inline(always)]
    fn lanes<S: Simd>() -> usize {
        S::F64_LANES
    }
    #[inline(always)]
    fn splat<S: Simd>(simd: S, x: f64) -> S::f64s {
        simd.splat_f64s(x)
    }
    #[inline(always)]
    fn load<S: Simd, const N: usize>(_simd: S, from: &[f64]) -> [S::f64s; N] {
        let from = S::as_simd_f64s(&from[..N * S::F64_LANES]).0;
        std::array::from_fn(
            #[inline(always)]
            |i| from[i],
        )
    }
    #[inline(always)]
    fn store<S: Simd, const N: usize>(_simd: S, to: &mut [f64], v: [S::f64s; N]) {
        S::as_mut_simd_f64s(&mut to[..N * S::F64_LANES])
            .0
            .copy_from_slice(&v);
    }
    #[inline(always)]
    fn plus<S: Simd>(simd: S, a: S::f64s, b: S::f64s) -> S::f64s {
        simd.add_f64s(a, b)
    }
    #[inline(always)]
    fn total<S: Simd>(simd: S, a: S::f64s) -> f64 {
        simd.reduce_sum_f64s(a)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(simd: S, a: S::f64s, b: S::f64s, c: S::f64s) -> S::f64s {
        simd.mul_add_f64s(a, b, c)
    }
}
