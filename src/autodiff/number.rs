//! [`Number`]: scalars that hold their value, and the kernels on registers.

use std::cell::{Cell, RefCell};
use std::thread::LocalKey;

use super::dual::Dual;
use super::jet::{self, Jet};
use super::rows::{self, RowBuffers};
use super::scalar::Scalar;
use super::tape::Tape;
use crate::simd::{Registers, dispatch};
use crate::vector::Element;

/// Partial sums of an inner product: independent, so that additions overlap and share a register.
const LANES: usize = 16;

/// A [`Scalar`] that holds its value: `f64`, `f32`, or a [`Dual`] number of either. [`Gradients`](super::Gradients) are evaluated in it, and
/// tapes record it.
pub trait Number: Scalar + Default + Send + Sync + 'static {
    /// This real number, without a tangent.
    fn real(value: Self::Real) -> Self;
    /// The value without the tangent.
    fn real_part(self) -> Self::Real;
    /// The tangent of a dual number; zero for a real one.
    fn tangent(self) -> Self::Real;
    /// φ'(x) as a number of this type, from φ, φ' and φ'' at the value: the factor of reverse mode.
    fn slope(self, phi: [f64; 3]) -> Self;
    /// self · r.
    fn times_real(self, r: Self::Real) -> Self;
    /// The number of real components: 1, or 2 with a tangent.
    const PARTS: usize;
    /// The number with this value and this tangent. A real number drops the tangent.
    fn with_tangent(value: Self::Real, tangent: Self::Real) -> Self;
    /// The same slice if the numbers are real, else `None`.
    fn as_reals(x: &[Self]) -> Option<&[Self::Real]>;
    /// The same, mutable.
    fn as_reals_mut(x: &mut [Self]) -> Option<&mut [Self::Real]>;
    /// Calls `f` with buffers that this thread keeps.
    #[doc(hidden)]
    fn with_buffers<R>(f: impl FnOnce(&mut RowBuffers<Self>) -> R) -> R;
    /// Calls `f` with the tape of this thread for [`Var`](super::Var)s of this type.
    #[doc(hidden)]
    fn with_tape<R>(f: impl FnOnce(&mut Tape<Self>) -> R) -> R;
}

/// `f64` or `f32`: a [`Number`] without a tangent, and the component type of a [`Dual`] one. Not meant for other types.
pub trait Real: Element + Number<Real = Self> + Registers {
    /// The same slice if its numbers are of this type, else `None`.
    fn same<D: Real>(x: &[D]) -> Option<&[Self]>;
    /// The same slice if its numbers are `f64`, else `None`.
    fn as_f64(x: &[Self]) -> Option<&[f64]>;
    /// The same slice if its numbers are `f32`, else `None`.
    fn as_f32(x: &[Self]) -> Option<&[f32]>;
    /// Calls `f` with buffers that this thread keeps.
    #[doc(hidden)]
    fn with_dual_buffers<R>(f: impl FnOnce(&mut RowBuffers<Dual<Self>>) -> R) -> R;
    /// Calls `f` with the tape of this thread for dual numbers of this type.
    #[doc(hidden)]
    fn with_dual_tape<R>(f: impl FnOnce(&mut Tape<Dual<Self>>) -> R) -> R;
}

#[inline(always)]
fn inner<S: Number, D: Copy>(a: &[S], b: &[D], times: impl Fn(S, D) -> S) -> S {
    let mut lanes = [S::default(); LANES];
    let (a_head, a_tail) = a.as_chunks::<LANES>();
    let (b_head, b_tail) = b.as_chunks::<LANES>();
    for (a, b) in a_head.iter().zip(b_head) {
        for k in 0..LANES {
            lanes[k] += times(a[k], b[k]);
        }
    }
    for (k, (a, b)) in a_tail.iter().zip(b_tail).enumerate() {
        lanes[k] += times(*a, *b);
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

#[inline(always)]
fn add<S: Number, D: Copy>(y: &mut [S], a: S, x: &[D], times: impl Fn(S, D) -> S) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += times(a, x);
    }
}

/// Whether a matrix of `entries` numbers has the shape `rows` × `columns`.
pub(super) fn fits(entries: usize, rows: usize, columns: usize) -> bool {
    columns > 0 && entries == rows * columns
}

/// Result for mismatched lengths: NaN, or 0 if both are empty.
pub(super) fn misfit(entries: usize, columns: usize) -> f64 {
    if entries == 0 && columns == 0 {
        0.0
    } else {
        f64::NAN
    }
}

/// out ← W x, row by row; NaN if the lengths do not match, which the run then reports.
#[inline(always)]
fn row_by_row<S: Number, D: Copy>(
    w: &[S],
    x: &[D],
    out: &mut [S],
    times: impl Fn(S, D) -> S + Copy,
) {
    if !fits(w.len(), out.len(), x.len()) {
        return out.fill(S::constant(misfit(w.len(), x.len())));
    }
    for (out, w) in out.iter_mut().zip(w.chunks_exact(x.len())) {
        *out = inner(w, x, times);
    }
}

/// out ← W x in registers if the numbers are real; returns whether they are.
fn in_registers<S: Number>(w: &[S], x: &[S::Real], out: &mut [S]) -> bool {
    let fits = fits(w.len(), out.len(), x.len());
    match (S::as_reals(w), S::as_reals_mut(out)) {
        (Some(w), Some(out)) if fits => {
            rows::scores_of_one(w, x, out);
            true
        }
        _ => false,
    }
}

/// out ← W x.
pub(super) fn mat_vec<S: Number>(w: &[S], x: &[S], out: &mut [S]) {
    if S::as_reals(x).is_some_and(|x| in_registers(w, x, out)) {
        return;
    }
    dispatch(
        #[inline(always)]
        || row_by_row(w, x, out, |a, b| a * b),
    );
}

/// out ← W d.
pub(super) fn mat_data<S: Number>(w: &[S], d: &[S::Real], out: &mut [S]) {
    if in_registers(w, d, out) {
        return;
    }
    dispatch(
        #[inline(always)]
        || row_by_row(w, d, out, S::times_real),
    );
}

/// out ← W d, with the data converted first.
pub(super) fn mat_data_of<S: Number>(w: &[S], d: &[f64], out: &mut [S]) {
    if let Some(d) = S::Real::same(d) {
        return mat_data(w, d, out);
    }
    // Once for all rows.
    let mut converted = Vec::new();
    extend::<S>(&mut converted, d);
    mat_data(w, &converted, out);
}

/// W ← W + y xᵀ.
pub(super) fn add_outer<S: Number>(w: &mut [S], y: &[S], x: &[S]) {
    if fits(w.len(), y.len(), x.len()) {
        dispatch(
            #[inline(always)]
            || {
                for (w, &y) in w.chunks_exact_mut(x.len()).zip(y) {
                    add(w, y, x, |a, b| a * b);
                }
            },
        );
    }
}

/// W ← W + y dᵀ.
pub(super) fn add_outer_data<S: Number>(w: &mut [S], y: &[S], d: &[S::Real]) {
    if fits(w.len(), y.len(), d.len()) {
        dispatch(
            #[inline(always)]
            || {
                for (w, &y) in w.chunks_exact_mut(d.len()).zip(y) {
                    add(w, y, d, S::times_real);
                }
            },
        );
    }
}

/// x ← x + Wᵀy.
pub(super) fn add_transposed<S: Number>(w: &[S], y: &[S], x: &mut [S]) {
    if fits(w.len(), y.len(), x.len()) {
        dispatch(
            #[inline(always)]
            || {
                for (w, &y) in w.chunks_exact(x.len()).zip(y) {
                    add(x, y, w, |a, b| a * b);
                }
            },
        );
    }
}

/// x ← x + `more`, as far as both reach.
pub(super) fn add_to<S: Number>(x: &mut [S], more: &[S]) {
    dispatch(
        #[inline(always)]
        || {
            for (x, &more) in x.iter_mut().zip(more) {
                *x += more;
            }
        },
    );
}

/// x ← x + y · slopes.
pub(super) fn add_scaled<S: Number>(x: &mut [S], y: S, slopes: &[S]) {
    dispatch(
        #[inline(always)]
        || {
            for (x, &slope) in x.iter_mut().zip(slopes) {
                *x += y * slope;
            }
        },
    );
}

/// Appends data, converted to the real type of S.
pub(super) fn extend<S: Number>(to: &mut Vec<S::Real>, data: &[f64]) {
    let first = to.len();
    to.resize(first + data.len(), S::Real::default());
    convert(data, &mut to[first..]);
}

/// to ← the first entries of the data, rounded to the type E.
pub(super) fn convert<E: Real>(data: &[f64], to: &mut [E]) {
    if let Some(data) = E::same(data) {
        return to.copy_from_slice(&data[..to.len()]);
    }
    dispatch(
        #[inline(always)]
        || {
            for (to, &d) in to.iter_mut().zip(data) {
                *to = E::from_f64(d);
            }
        },
    );
}

/// Lends the buffers of this thread. A nested call gets empty ones.
fn lend<T: Default, R>(kept: &'static LocalKey<Cell<T>>, f: impl FnOnce(&mut T) -> R) -> R {
    let mut buffer = kept.take();
    let result = f(&mut buffer);
    kept.set(buffer);
    result
}

thread_local! {
    static TAPE_F64: RefCell<Tape<f64>> = RefCell::default();
    static TAPE_F32: RefCell<Tape<f32>> = RefCell::default();
    static DUAL_TAPE_F64: RefCell<Tape<Dual<f64>>> = RefCell::default();
    static DUAL_TAPE_F32: RefCell<Tape<Dual<f32>>> = RefCell::default();
    static BUFFERS_F64: Cell<RowBuffers<f64>> = Cell::default();
    static BUFFERS_F32: Cell<RowBuffers<f32>> = Cell::default();
    static DUAL_BUFFERS_F64: Cell<RowBuffers<Dual<f64>>> = Cell::default();
    static DUAL_BUFFERS_F32: Cell<RowBuffers<Dual<f32>>> = Cell::default();
}

macro_rules! real {
    ($type:ty, $tape:ident, $dual_tape:ident, $buffers:ident, $dual_buffers:ident, $f64:expr, $f32:expr, $same:ident) => {
        impl Scalar for $type {
            type Real = $type;
            #[inline(always)]
            fn constant(value: f64) -> Self {
                value as $type
            }
            #[inline(always)]
            fn value(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn chain(self, phi: [f64; 3]) -> Self {
                phi[0] as $type
            }
            /// In the type itself: a loop over it is vectorised.
            #[inline(always)]
            fn sqrt(self) -> Self {
                <$type>::sqrt(self)
            }
            #[inline(always)]
            fn inverse_sqrt(self) -> Self {
                1.0 / <$type>::sqrt(self)
            }
            fn mat_vec(w: &[Self], x: &[Self], out: &mut [Self]) {
                mat_vec(w, x, out);
            }
            fn mat_data(w: &[Self], data: &[f64], out: &mut [Self]) {
                mat_data_of(w, data, out);
            }
            fn sum_each<const K: usize, const M: usize>(
                x: [&[Self]; K],
                data: [&[f64]; M],
                phi: impl Fn([Jet<K, Self::Real>; K], [f64; M]) -> Jet<K, Self::Real>,
            ) -> Self {
                jet::sum_of_numbers(x, data, phi)
            }
        }

        impl Number for $type {
            #[inline(always)]
            fn real(value: $type) -> Self {
                value
            }
            #[inline(always)]
            fn real_part(self) -> $type {
                self
            }
            #[inline(always)]
            fn tangent(self) -> $type {
                0.0
            }
            #[inline(always)]
            fn slope(self, phi: [f64; 3]) -> Self {
                phi[1] as $type
            }
            #[inline(always)]
            fn times_real(self, r: $type) -> Self {
                self * r
            }
            const PARTS: usize = 1;
            #[inline(always)]
            fn with_tangent(value: $type, _tangent: $type) -> Self {
                value
            }
            #[inline(always)]
            fn as_reals(x: &[Self]) -> Option<&[$type]> {
                Some(x)
            }
            #[inline(always)]
            fn as_reals_mut(x: &mut [Self]) -> Option<&mut [$type]> {
                Some(x)
            }
            fn with_buffers<R>(f: impl FnOnce(&mut RowBuffers<Self>) -> R) -> R {
                lend(&$buffers, f)
            }
            fn with_tape<R>(f: impl FnOnce(&mut Tape<Self>) -> R) -> R {
                $tape.with_borrow_mut(f)
            }
        }

        impl Real for $type {
            fn same<D: Real>(x: &[D]) -> Option<&[Self]> {
                D::$same(x)
            }
            fn as_f64(x: &[Self]) -> Option<&[f64]> {
                $f64(x)
            }
            fn as_f32(x: &[Self]) -> Option<&[f32]> {
                $f32(x)
            }
            fn with_dual_buffers<R>(f: impl FnOnce(&mut RowBuffers<Dual<Self>>) -> R) -> R {
                lend(&$dual_buffers, f)
            }
            fn with_dual_tape<R>(f: impl FnOnce(&mut Tape<Dual<Self>>) -> R) -> R {
                $dual_tape.with_borrow_mut(f)
            }
        }
    };
}

real!(
    f64,
    TAPE_F64,
    DUAL_TAPE_F64,
    BUFFERS_F64,
    DUAL_BUFFERS_F64,
    Some,
    |_| None,
    as_f64
);
real!(
    f32,
    TAPE_F32,
    DUAL_TAPE_F32,
    BUFFERS_F32,
    DUAL_BUFFERS_F32,
    |_| None,
    Some,
    as_f32
);
