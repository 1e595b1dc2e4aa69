//! [`Var`], the recorded scalar, and its operators.

use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::{Kind, Tape, gathered};
use crate::autodiff::number::{self, Number};
use crate::autodiff::rows::Rows;
use crate::autodiff::scalar::Scalar;

/// A number on the [`Tape`] that this thread is recording.
///
/// It is valid inside [`Tape::record`], on the same thread, until [`Tape::truncate`] removes it.
#[derive(Debug)]
#[doc(hidden)]
pub struct Var<S> {
    pub(super) index: u32,
    number: PhantomData<fn() -> S>,
}

impl<S> Clone for Var<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Var<S> {}

impl<S> Var<S> {
    #[inline(always)]
    pub(in super::super) fn at(place: usize) -> Self {
        Var {
            index: place as u32,
            number: PhantomData,
        }
    }

    #[inline(always)]
    pub(super) fn place(self) -> usize {
        self.index as usize
    }
}

impl<S: Number> Var<S> {
    #[inline(always)]
    fn with(self, b: Self, kind: Kind<S>, value: impl FnOnce(S, S) -> S) -> Self {
        S::with_tape(|tape| {
            let line = &mut tape.line;
            let value = value(line.values[self.place()], line.values[b.place()]);
            line.push(value, kind)
        })
    }

    /// slope · self + shift.
    #[inline(always)]
    pub(super) fn linear(self, slope: f64, shift: f64) -> Self {
        S::with_tape(|tape| {
            let value = tape.value(self).times(slope).plus(shift);
            let slope = S::constant(slope);
            let a = self.index;
            tape.line.push(value, Kind::Function { a, slope })
        })
    }

    /// The numbers of a slice and a buffer for as many, both taken off the tape, which stays free while a user's function runs. The caller
    /// puts them back.
    pub(super) fn collected(x: &[Self]) -> [Vec<S>; 2] {
        S::with_tape(|Tape { line, side }| {
            let [mut values, slopes] = std::mem::take(&mut side.buffers);
            values.clear();
            values.extend(x.iter().map(|x| line.values[x.place()]));
            [values, slopes]
        })
    }

    /// out ← W dᵢ for every sample in turn, with W in row-major order: the same numbers as [`mat_data`](Scalar::mat_data) for each, but
    /// one step and in registers. NaN if the lengths do not match.
    pub fn mat_rows(w: &[Self], data: &[&[f64]], out: &mut [Self]) {
        let columns = data.first().map_or(0, |d| d.len());
        let alike = data.iter().all(|d| d.len() == columns);
        if !alike || !number::fits(w.len() * data.len(), out.len(), columns) {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let (w, at) = (side.span(w), side.data.len());
            for data in data {
                number::extend::<S>(&mut side.data, data);
            }
            let [buffer, _] = &mut side.buffers;
            let kind = Kind::MatRows {
                w,
                data: at as u32,
                columns: columns as u32,
                samples: data.len() as u32,
            };
            line.push_all(kind, out, |values, out| {
                let rows = Rows::all(&side.data[at..], columns, data.len());
                rows.scores(gathered(values, &side.places, buffer, w), out);
            });
        });
    }

    /// The number on the tape, with its tangent.
    pub fn number(self) -> S {
        S::with_tape(|tape| tape.value(self))
    }

    /// A constant: no derivative flows to it.
    pub fn constant_number(value: S) -> Self {
        S::with_tape(|tape| tape.leaf(value))
    }
}

impl<S: Number> Add for Var<S> {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        let kind = Kind::Add {
            a: self.index,
            b: b.index,
        };
        self.with(b, kind, |a, b| a + b)
    }
}

impl<S: Number> Sub for Var<S> {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        let kind = Kind::Sub {
            a: self.index,
            b: b.index,
        };
        self.with(b, kind, |a, b| a - b)
    }
}

impl<S: Number> Mul for Var<S> {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        let kind = Kind::Mul {
            a: self.index,
            b: b.index,
        };
        self.with(b, kind, |a, b| a * b)
    }
}

impl<S: Number> Div for Var<S> {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        let kind = Kind::Div {
            a: self.index,
            b: b.index,
        };
        self.with(b, kind, |a, b| a / b)
    }
}

impl<S: Number> Neg for Var<S> {
    type Output = Self;
    fn neg(self) -> Self {
        self.linear(-1.0, 0.0)
    }
}

impl<S: Number> AddAssign for Var<S> {
    fn add_assign(&mut self, b: Self) {
        *self = *self + b;
    }
}

impl<S: Number> SubAssign for Var<S> {
    fn sub_assign(&mut self, b: Self) {
        *self = *self - b;
    }
}

impl<S: Number> MulAssign for Var<S> {
    fn mul_assign(&mut self, b: Self) {
        *self = *self * b;
    }
}
