//! Registers of `f32` and `f64`, for the products whose speed depends on what stays in them.
//!
//! Every product is fused with the sum it goes into, with one rounding, and sums are over a block of 64 bytes of lanes, whatever the
//! registers: the results do not depend on their width. (Without such an instruction it is emulated: the same results, slowly.)

use pulp::Simd;

/// Entries of a block: one of the widest registers.
pub(super) const fn lanes<E>() -> usize {
    64 / size_of::<E>()
}

/// `f32` or `f64`.
pub trait Registers: Copy + Default {
    /// A register of the instruction set S.
    type V<S: Simd>: Copy;
    /// Entries in a register.
    fn width_v<S: Simd>() -> usize;
    /// x in every lane.
    fn splat_v<S: Simd>(simd: S, x: Self) -> Self::V<S>;
    /// The first `N` registers of `from`.
    fn load_v<S: Simd, const N: usize>(from: &[Self]) -> [Self::V<S>; N];
    /// Writes `N` registers to the front of `to`.
    fn store_v<S: Simd, const N: usize>(to: &mut [Self], v: [Self::V<S>; N]);
    /// a + b.
    fn plus_v<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>) -> Self::V<S>;
    /// The sum of the lanes: of the two halves, of their halves, and so on.
    fn total_v<S: Simd>(simd: S, a: Self::V<S>) -> Self;
    /// a · b + c, rounded once.
    fn multiply_add_v<S: Simd>(simd: S, a: Self::V<S>, b: Self::V<S>, c: Self::V<S>) -> Self::V<S>;
}

macro_rules! registers {
    ($type:ty, $v:ident, $lanes:ident, $splat:ident, $of:ident, $of_mut:ident, $add:ident, $sum:ident, $fma:ident) => {
        impl Registers for $type {
            type V<S: Simd> = S::$v;
            #[inline(always)]
            fn width_v<S: Simd>() -> usize {
                S::$lanes
            }
            #[inline(always)]
            fn splat_v<S: Simd>(simd: S, x: Self) -> S::$v {
                simd.$splat(x)
            }
            #[inline(always)]
            fn load_v<S: Simd, const N: usize>(from: &[Self]) -> [S::$v; N] {
                let from = S::$of(&from[..N * S::$lanes]).0;
                std::array::from_fn(
                    #[inline(always)]
                    |i| from[i],
                )
            }
            #[inline(always)]
            fn store_v<S: Simd, const N: usize>(to: &mut [Self], v: [S::$v; N]) {
                S::$of_mut(&mut to[..N * S::$lanes]).0.copy_from_slice(&v);
            }
            #[inline(always)]
            fn plus_v<S: Simd>(simd: S, a: S::$v, b: S::$v) -> S::$v {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn total_v<S: Simd>(simd: S, a: S::$v) -> Self {
                simd.$sum(a)
            }
            #[inline(always)]
            fn multiply_add_v<S: Simd>(simd: S, a: S::$v, b: S::$v, c: S::$v) -> S::$v {
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
