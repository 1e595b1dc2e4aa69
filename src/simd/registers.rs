//! Registers of `f32` and `f64`, for kernels that keep their sums in them.

use pulp::Simd;

/// `f32` or `f64`, with operations on whole registers for convolutions and products of matrices.
///
/// Products and sums are fused, with one rounding, on every processor: the results do not depend on the width of the registers. (Processors
/// without such an instruction, which x86-64 has had since 2013, emulate it: the same results, slowly.)
pub trait Registers: Copy + Default {
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

macro_rules! registers {
    ($type:ty, $v:ident, $lanes:ident, $splat:ident, $of:ident, $of_mut:ident, $add:ident, $sum:ident, $fma:ident) => {
        impl Registers for $type {
            type V<S: Simd> = S::$v;
            #[inline(always)]
            fn lanes<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$v {
                simd.$splat(x)
            }
            #[inline(always)]
            fn load<S: Simd, const N: usize>(_simd: S, from: &[Self]) -> [S::$v; N] {
                let from = S::$of(&from[..N * S::$lanes]).0;
                std::array::from_fn(
                    #[inline(always)]
                    |i| from[i],
                )
            }
            #[inline(always)]
            fn store<S: Simd, const N: usize>(_simd: S, to: &mut [Self], v: [S::$v; N]) {
                S::$of_mut(&mut to[..N * S::$lanes]).0.copy_from_slice(&v);
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$v, b: S::$v) -> S::$v {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn total<S: Simd>(simd: S, a: S::$v) -> Self {
                simd.$sum(a)
            }
            #[inline(always)]
            fn multiply_add<S: Simd>(simd: S, a: S::$v, b: S::$v, c: S::$v) -> S::$v {
                simd.$fma(a, b, c)
            }
        }
    };
}

registers!(
    f32,
    f32s,
    F32_LANES,
    splat_f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    add_f32s,
    reduce_sum_f32s,
    mul_add_f32s
);
registers!(
    f64,
    f64s,
    F64_LANES,
    splat_f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    add_f64s,
    reduce_sum_f64s,
    mul_add_f64s
);
