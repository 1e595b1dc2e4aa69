//! [`Vector`]: the operations on θ and x that the methods need.
//!
//! Vectors are storage; coefficients and results are `f64` for any storage. So an image in `f32` accumulates its inner products in `f64`,
//! and no solver has a scalar type parameter. `Vec<f64>` and `Vec<f32>` are built in; nalgebra, faer and ndarray view them without a copy.
//!
//! Inner products are summed in a fixed order that depends on the length alone: in 32 lanes within a block, then over the blocks, without
//! fused multiply-add. The result is the same to the last bit for any number of threads and any width of SIMD registers.

use serde::{Serialize, de::DeserializeOwned};
use std::ops::{Add, Div, Mul, Sub};

use crate::parallel::for_each_piece;
use crate::simd::dispatch;

/// An element of a finite-dimensional Euclidean space over `f64`.
///
/// All vectors of one call have the same length. Implement the trait for your own storage (on a GPU, on many hosts), and every solver runs on
/// it.
pub trait Vector: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The unit roundoff of the storage type: the largest relative error of one rounding.
    const UNIT_ROUNDOFF: f64;
    /// The number of entries.
    fn len(&self) -> usize;
    /// A zero vector of the same length.
    fn zeros_like(&self) -> Self;
    /// self ← x, without allocation.
    fn copy_from(&mut self, x: &Self);
    /// self ← a·x + b·self, in one pass. With `b = 0` the old content is ignored, even NaN.
    fn axpby(&mut self, a: f64, x: &Self, b: f64);
    /// ⟨self, x⟩, accumulated in `f64`.
    fn dot(&self, x: &Self) -> f64;
    /// self_i ← f(i), in the order of i.
    fn assign(&mut self, f: &mut dyn FnMut(usize) -> f64);
    /// The entries, as `f64`.
    fn to_f64(&self) -> Vec<f64>;

    /// Whether there are no entries.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// self ← self + a·x.
    fn axpy(&mut self, a: f64, x: &Self) {
        self.axpby(a, x, 1.0);
    }
    /// self ← a·self.
    fn scale(&mut self, a: f64);
    /// ‖self‖, the Euclidean norm.
    fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }
    /// Whether every entry is finite.
    fn is_finite(&self) -> bool;
}

/// `f64` or `f32`: the entries of the built-in vectors and of the kernels.
pub trait Element:
    Copy
    + Send
    + Sync
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Serialize
    + DeserializeOwned
    + 'static
{
    /// The largest relative error of one rounding.
    const UNIT_ROUNDOFF: f64;
    /// The name of the type, such as `f64`.
    const NAME: &'static str;
    /// The square root.
    fn sqrt(self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// The nearest element.
    fn from_f64(value: f64) -> Self;
    /// This number as `f64`.
    fn to_f64(self) -> f64;
}

impl Element for f64 {
    const UNIT_ROUNDOFF: f64 = f64::EPSILON / 2.0;
    const NAME: &'static str = "f64";
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }
}

impl Element for f32 {
    const UNIT_ROUNDOFF: f64 = f32::EPSILON as f64 / 2.0;
    const NAME: &'static str = "f32";
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn abs(self) -> Self {
        self.abs()
    }
    #[inline(always)]
    fn from_f64(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
}

/// Independent partial sums of an inner product, so that additions overlap.
const LANES: usize = 32;
/// Blocks of a long vector; their partial sums fit on the stack.
const BLOCKS: usize = 64;
/// From this length on, about 20 µs of work, a vector operation runs in parallel; starting a thread's share takes a few µs.
const PARALLEL_FROM: usize = 1 << 16;
/// The fewest entries of one thread's share.
const PARALLEL_SHARE: usize = 1 << 14;

/// The length of a block of a vector of length `len`: a function of the length alone.
fn block(len: usize) -> usize {
    len.div_ceil(BLOCKS).next_multiple_of(LANES).max(4096)
}

#[inline(always)]
fn dot_block<E: Element>(a: &[E], b: &[E]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (a_head, a_tail) = a.as_chunks::<LANES>();
    let (b_head, b_tail) = b.as_chunks::<LANES>();
    for (a, b) in a_head.iter().zip(b_head) {
        for k in 0..LANES {
            lanes[k] += a[k].to_f64() * b[k].to_f64();
        }
    }
    for (k, (a, b)) in a_tail.iter().zip(b_tail).enumerate() {
        lanes[k] += a.to_f64() * b.to_f64();
    }
    let mut width = LANES / 2;
    while width > 0 {
        for k in 0..width {
            lanes[k] += lanes[k + width];
        }
        width /= 2;
    }
    lanes[0]
}

fn parallel(len: usize) -> bool {
    len >= PARALLEL_FROM && crate::parallel::width() > 1
}

impl<E: Element> Vector for Vec<E> {
    const UNIT_ROUNDOFF: f64 = E::UNIT_ROUNDOFF;

    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn zeros_like(&self) -> Self {
        vec![E::default(); Vec::len(self)]
    }

    fn copy_from(&mut self, x: &Self) {
        self.copy_from_slice(x);
    }

    fn axpby(&mut self, a: f64, x: &Self, b: f64) {
        let (a, b) = (E::from_f64(a), E::from_f64(b));
        let kernel = |y: &mut [E], x: &[E]| {
            dispatch(
                #[inline(always)]
                || axpby_slice(a, x, b, y),
            )
        };
        if parallel(self.len()) {
            let size = block(self.len()).max(PARALLEL_SHARE);
            for_each_piece(self, size, |i, y| kernel(y, &x[i * size..][..y.len()]));
        } else {
            kernel(self, x);
        }
    }

    fn scale(&mut self, a: f64) {
        let a = E::from_f64(a);
        dispatch(
            #[inline(always)]
            || {
                for y in self.iter_mut() {
                    *y = a * *y;
                }
            },
        );
    }

    fn dot(&self, x: &Self) -> f64 {
        let size = block(self.len());
        let kernel = |a: &[E], b: &[E]| {
            dispatch(
                #[inline(always)]
                || dot_block(a, b),
            )
        };
        let mut partial = [0.0f64; BLOCKS];
        let fill = |first: usize, sums: &mut [f64]| {
            let blocks = self.chunks(size).zip(x.chunks(size)).skip(first);
            for (s, (a, b)) in sums.iter_mut().zip(blocks) {
                *s = kernel(a, b);
            }
        };
        if parallel(self.len()) {
            let blocks = PARALLEL_SHARE.div_ceil(size);
            for_each_piece(&mut partial, blocks, |i, sums| fill(i * blocks, sums));
        } else {
            fill(0, &mut partial);
        }
        partial.iter().sum()
    }

    fn assign(&mut self, f: &mut dyn FnMut(usize) -> f64) {
        for (i, y) in self.iter_mut().enumerate() {
            *y = E::from_f64(f(i));
        }
    }

    fn to_f64(&self) -> Vec<f64> {
        self.iter().map(|e| e.to_f64()).collect()
    }

    fn is_finite(&self) -> bool {
        // x·0 is 0 for a finite x and NaN otherwise: a test without branches.
        let sum = dispatch(
            #[inline(always)]
            || {
                let mut lanes = [0.0f64; LANES];
                let (head, tail) = self.as_chunks::<LANES>();
                for x in head {
                    for k in 0..LANES {
                        lanes[k] += x[k].to_f64() * 0.0;
                    }
                }
                lanes.iter().sum::<f64>() + tail.iter().map(|x| x.to_f64() * 0.0).sum::<f64>()
            },
        );
        sum == 0.0
    }
}

#[inline(always)]
fn axpby_slice<E: Element>(a: E, x: &[E], b: E, y: &mut [E]) {
    if b == E::default() {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = a * x;
        }
    } else {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = a * x + b * *y;
        }
    }
}

/// A pool of vectors, so that a loop allocates only in its first pass.
#[derive(Debug)]
#[doc(hidden)]
pub struct Scratch<V> {
    free: Vec<V>,
}

impl<V> Default for Scratch<V> {
    fn default() -> Self {
        Scratch { free: Vec::new() }
    }
}

impl<V: Vector> Scratch<V> {
    /// A vector as long as `like`, with unspecified content.
    pub fn take(&mut self, like: &V) -> V {
        while let Some(v) = self.free.pop() {
            if v.len() == like.len() {
                return v;
            }
        }
        like.zeros_like()
    }

    /// Returns a vector to the pool.
    pub fn put(&mut self, v: V) {
        self.free.push(v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp<E: Element>(n: usize, phase: f64) -> Vec<E> {
        (0..n)
            .map(|i| E::from_f64((i as f64 * 0.37 + phase).sin()))
            .collect()
    }

    fn check_operations<E: Element>(tolerance: f64) {
        for n in [0, 1, 31, 32, 33, 4096, 5000, (1 << 17) + 3] {
            let x: Vec<E> = ramp(n, 0.2);
            let mut y: Vec<E> = ramp(n, 1.1);
            let exact: f64 = x.iter().zip(&y).map(|(a, b)| a.to_f64() * b.to_f64()).sum();
            assert!(
                (x.dot(&y) - exact).abs() <= 1e-12 * (1.0 + n as f64),
                "dot, n = {n}"
            );
            let old = y.clone();
            y.axpby(0.5, &x, -2.0);
            for i in 0..n {
                let expected = 0.5 * x[i].to_f64() - 2.0 * old[i].to_f64();
                assert!((y[i].to_f64() - expected).abs() <= tolerance);
            }
            y.scale(3.0);
            assert!(y.is_finite());
            if n > 0 {
                y[n - 1] = E::from_f64(f64::NAN);
                assert!(!y.is_finite());
                y[n - 1] = E::from_f64(f64::INFINITY);
                assert!(!y.is_finite());
                y.axpby(2.0, &x, 0.0);
                assert!(y.is_finite(), "b = 0 forgets the old content");
            }
        }
    }

    #[test]
    fn operations_agree_with_plain_loops() {
        check_operations::<f64>(1e-15);
        check_operations::<f32>(1e-6);
    }

    #[test]
    fn f32_inner_products_are_accumulated_in_f64() {
        let ones = vec![1.0f32; 1 << 25];
        assert_eq!(ones.dot(&ones), (1u32 << 25) as f64);
    }

    #[test]
    fn results_are_the_same_bits_on_any_number_of_threads() {
        let x: Vec<f64> = ramp(300_001, 0.0);
        let y: Vec<f64> = ramp(300_001, 0.5);
        let run = |threads| {
            crate::parallel::with_threads(threads, || {
                let mut z = y.clone();
                z.axpby(1.7, &x, 0.3);
                (x.dot(&y).to_bits(), z.dot(&z).to_bits())
            })
            .unwrap()
        };
        assert_eq!(run(1), run(2));
        assert_eq!(run(1), run(5));
    }
}
