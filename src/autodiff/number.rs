//! [`Number`]: the scalars that hold a value of their own, with the kernels that run on registers.

use std::cell::{Cell, RefCell};
use std::thread::LocalKey;

use super::dual::Dual;
use super::jet::{self, Jet};
use super::rows::{self, Room};
use super::scalar::Scalar;
use super::tape::Tape;
use crate::simd::{Registers, dispatch};
use crate::vector::Element;

/// Sums that a product keeps apart, so that additions overlap in time and share a register.
const LANES: usize = 16;

/// A [`Scalar`] that holds its value: `f64`, `f32`, or a [`Dual`] number of either. A tape can be over it, and gradients
/// that are written once are evaluated in it.
pub trait Number: Scalar + Default + Send + Sync + 'static {
    /// This real number, without a tangent.
    fn real(value: Self::Real) -> Self;
    /// The value without the tangent.
    fn real_part(self) -> Self::Real;
    /// The tangent of a dual number, zero for others.
    fn tangent(self) -> Self::Real;
    /// φ'(x) as a number of this type, from φ' and φ'' at the value: what reverse mode multiplies by.
    fn slope(self, phi: [f64; 3]) -> Self;
    /// self · r.
    fn times_real(self, r: Self::Real) -> Self;
    /// The real numbers that it consists of: 1, or 2 with the tangent.
    const PARTS: usize;
    /// This value with this tangent, which is lost but in a dual number.
    fn with_tangent(value: Self::Real, tangent: Self::Real) -> Self;
    /// The same numbers, where they are real.
    fn as_reals(x: &[Self]) -> Option<&[Self::Real]>;
    /// The same, to be written.
    fn as_reals_mut(x: &mut [Self]) -> Option<&mut [Self::Real]>;
    /// Calls `f` with room that this thread keeps.
    #[doc(hidden)]
    fn with_room<R>(f: impl FnOnce(&mut Room<Self>) -> R) -> R;
    /// Calls `f` with the tape of this thread that [`Var`](super::Var)s of this type are on.
    fn with_tape<R>(f: impl FnOnce(&mut Tape<Self>) -> R) -> R;
}

/// `f64` or `f32`: a [`Number`] without a tangent, and the parts of a [`Dual`] one.
pub trait Real: Element + Number<Real = Self> + Registers {
    /// These numbers, where they are of this type.
    fn same<D: Real>(x: &[D]) -> Option<&[Self]>;
    /// These numbers, where they are `f64`.
    fn as_f64(x: &[Self]) -> Option<&[f64]>;
    /// These numbers, where they are `f32`.
    fn as_f32(x: &[Self]) -> Option<&[f32]>;
    /// Calls `f` with room that this thread keeps.
    #[doc(hidden)]
    fn with_dual_room<R>(f: impl FnOnce(&mut Room<Dual<Self>>) -> R) -> R;
    /// Calls `f` with the tape of this thread for dual numbers of this type.
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

/// Whether a matrix of `entries` takes vectors of `columns` entries to such of `rows`.
pub(super) fn fits(entries: usize, rows: usize, columns: usize) -> bool {
    columns > 0 && entries == rows * columns
}

/// What a product is whose lengths do not fit: NaN, but of nothing with nothing 0.
pub(super) fn misfit(entries: usize, columns: usize) -> f64 {
    if entries == 0 && columns == 0 {
        0.0
    } else {
        f64::NAN
    }
}

/// out ← W x, row by row; NaN where the lengths do not fit, which the caller of the formula is told of.
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

/// out ← W x, of real numbers in registers; whether it is of such.
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

/// The same with data that are converted on the way.
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

/// The first of x ← these + `more`.
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

/// Appends data in the numbers of S.
pub(super) fn extend<S: Number>(to: &mut Vec<S::Real>, data: &[f64]) {
    let first = to.len();
    to.resize(first + data.len(), S::Real::default());
    convert(data, &mut to[first..]);
}

/// to ← the first of the data, rounded to another type where it is one.
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

/// Lends the room of this thread; a call within another finds none, and begins with an empty one.
fn lend<T: Default, R>(kept: &'static LocalKey<Cell<T>>, f: impl FnOnce(&mut T) -> R) -> R {
    let mut room = kept.take();
    let result = f(&mut room);
    kept.set(room);
    result
}

thread_local! {
    static TAPE_F64: RefCell<Tape<f64>> = RefCell::default();
    static TAPE_F32: RefCell<Tape<f32>> = RefCell::default();
    static DUAL_TAPE_F64: RefCell<Tape<Dual<f64>>> = RefCell::default();
    static DUAL_TAPE_F32: RefCell<Tape<Dual<f32>>> = RefCell::default();
    static ROOM_F64: Cell<Room<f64>> = Cell::default();
    static ROOM_F32: Cell<Room<f32>> = Cell::default();
    static DUAL_ROOM_F64: Cell<Room<Dual<f64>>> = Cell::default();
    static DUAL_ROOM_F32: Cell<Room<Dual<f32>>> = Cell::default();
}

macro_rules! real {
    ($type:ty, $tape:ident, $dual_tape:ident, $room:ident, $dual_room:ident, $f64:expr, $f32:expr, $same:ident) => {
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
            fn with_room<R>(f: impl FnOnce(&mut Room<Self>) -> R) -> R {
                lend(&$room, f)
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
            fn with_dual_room<R>(f: impl FnOnce(&mut Room<Dual<Self>>) -> R) -> R {
                lend(&$dual_room, f)
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
    ROOM_F64,
    DUAL_ROOM_F64,
    Some,
    |_| None,
    as_f64
);
real!(
    f32,
    TAPE_F32,
    DUAL_TAPE_F32,
    ROOM_F32,
    DUAL_ROOM_F32,
    |_| None,
    Some,
    as_f32
);
