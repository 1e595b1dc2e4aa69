//! [`Tape`]: reverse mode over any [`Number`], and [`Var`], the scalar that is recorded on it.
//!
//! A tape is a list of values and the list of the steps that made them from earlier ones. Products with data, products of matrices, sums,
//! softmax and elementwise functions are one step each, so that a sample of a model is few steps and most of the time goes into
//! kernels. [`Tape::sweep`] walks the steps back: the adjoint of every value is ∂(result)/∂(value). The adjoints of the leaves, what the
//! derivative is wanted of, are summed over as many samples as are recorded and truncated one after the other.

use std::marker::PhantomData;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Range, Sub, SubAssign};

use super::jet::{self, Block, Jet};
use super::number::{self, Number};
use super::rows::Rows;
use super::scalar::Scalar;
use crate::simd::dispatch;

/// Values, the steps that they come from, and their adjoints.
#[derive(Debug, Default)]
pub struct Tape<S: Number> {
    line: Line<S>,
    side: Side<S>,
}

/// What grows by every step.
#[derive(Debug)]
struct Line<S> {
    values: Vec<S>,
    adjoints: Vec<S>,
    steps: Vec<Step<S>>,
}

/// What steps on slices refer to.
#[derive(Debug)]
struct Side<S: Number> {
    /// Places of arguments that do not lie side by side.
    places: Vec<u32>,
    /// Arguments of steps that have any number of them.
    spans: Vec<Span>,
    /// Slopes of elementwise steps.
    slopes: Vec<S>,
    data: Vec<S::Real>,
    /// Where arguments that do not lie side by side are collected.
    rooms: [Vec<S>; 2],
}

/// A step and the place of its first result.
#[derive(Debug, Clone, Copy)]
struct Step<S> {
    out: u32,
    kind: Kind<S>,
}

#[derive(Debug, Clone, Copy)]
enum Kind<S> {
    /// φ(a), by its slope.
    Chain {
        a: u32,
        slope: S,
    },
    Add {
        a: u32,
        b: u32,
    },
    Sub {
        a: u32,
        b: u32,
    },
    Mul {
        a: u32,
        b: u32,
    },
    Div {
        a: u32,
        b: u32,
    },
    Sum {
        x: Span,
    },
    /// W d, with the data from `data` on.
    MatData {
        w: Span,
        rows: u32,
        data: u32,
        columns: u32,
    },
    /// W dᵢ of several samples, one after the other, with their data from `data` on.
    MatRows {
        w: Span,
        data: u32,
        columns: u32,
        samples: u32,
    },
    MatVec {
        w: Span,
        x: Span,
        rows: u32,
    },
    /// φᵢ(xᵢ), with the slopes from `slopes` on.
    Map {
        x: Span,
        slopes: u32,
    },
    /// Σ φᵢ(xᵢ), one result, likewise.
    SumMap {
        x: Span,
        slopes: u32,
    },
    /// Σᵢ φ(x₀ᵢ, x₁ᵢ, …), one result, with the slices from `spans` on and their slopes one after the other.
    SumEach {
        spans: u32,
        count: u32,
        slopes: u32,
    },
    Scaled {
        x: Span,
        s: u32,
    },
    /// aᵢ + bᵢ.
    Added {
        a: Span,
        b: Span,
    },
    /// aᵢ bᵢ.
    Multiplied {
        a: Span,
        b: Span,
    },
    Softmax {
        x: Span,
    },
}

/// The places of a slice of arguments: side by side from `first` on, or listed from `places[first]` on.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u32,
    len: u32,
    listed: bool,
}

impl Span {
    fn range(self) -> Range<usize> {
        let first = self.first as usize;
        first..first + self.len as usize
    }
}

/// How far a tape was written at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    values: usize,
    steps: usize,
    places: usize,
    spans: usize,
    slopes: usize,
    data: usize,
}

impl<S> Default for Line<S> {
    fn default() -> Self {
        Line {
            values: Vec::new(),
            adjoints: Vec::new(),
            steps: Vec::new(),
        }
    }
}

impl<S: Number> Default for Side<S> {
    fn default() -> Self {
        Side {
            places: Vec::new(),
            spans: Vec::new(),
            slopes: Vec::new(),
            data: Vec::new(),
            rooms: [Vec::new(), Vec::new()],
        }
    }
}

/// Puts a tape back into the hands of its owner, be it that `record` panicked.
struct Lent<'a, S: Number>(&'a mut Tape<S>);

impl<S: Number> Lent<'_, S> {
    fn swap(&mut self) {
        S::with_tape(|tape| std::mem::swap(tape, self.0));
    }
}

impl<S: Number> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        self.swap();
    }
}

impl<S: Number> Tape<S> {
    /// Appends a value that nothing is known of but itself, a leaf.
    pub fn leaf(&mut self, value: S) -> Var<S> {
        self.line.leaf(value)
    }

    /// Appends a leaf for each of these values. Their places follow each other.
    pub(super) fn leaves(&mut self, values: &[S]) {
        self.line.values.extend_from_slice(values);
        let len = self.line.values.len();
        self.line.adjoints.resize(len, S::default());
    }

    /// Calls `f`, and records on this tape what it does with [`Var`]s.
    pub fn record<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let mut lent = Lent(self);
        lent.swap();
        let result = f();
        drop(lent);
        result
    }

    /// How far the tape is written.
    pub fn mark(&self) -> Mark {
        Mark {
            values: self.line.values.len(),
            steps: self.line.steps.len(),
            places: self.side.places.len(),
            spans: self.side.spans.len(),
            slopes: self.side.slopes.len(),
            data: self.side.data.len(),
        }
    }

    /// Forgets everything behind the mark; what has flowed to the adjoints before it stays.
    pub fn truncate(&mut self, mark: Mark) {
        self.line.values.truncate(mark.values);
        self.line.adjoints.truncate(mark.values);
        self.line.steps.truncate(mark.steps);
        self.side.places.truncate(mark.places);
        self.side.spans.truncate(mark.spans);
        self.side.slopes.truncate(mark.slopes);
        self.side.data.truncate(mark.data);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.truncate(Tape::<S>::default().mark());
    }

    /// The value of a variable.
    pub fn value(&self, var: Var<S>) -> S {
        self.line.values[var.place()]
    }

    /// The adjoint of a variable.
    pub fn adjoint(&self, var: Var<S>) -> S {
        self.line.adjoints[var.place()]
    }

    /// The adjoint of a variable, to be set or added to.
    pub fn adjoint_mut(&mut self, var: Var<S>) -> &mut S {
        &mut self.line.adjoints[var.place()]
    }

    /// The adjoints of the first leaves, and of those behind them.
    pub(super) fn adjoints(&self, first: usize, then: usize) -> (&[S], &[S]) {
        self.line.adjoints[..first + then].split_at(first)
    }

    /// Sends the adjoints of everything behind `mark` back to what it came from, the last step first.
    pub fn sweep(&mut self, mark: Mark) {
        let Line {
            values,
            adjoints,
            steps,
        } = &mut self.line;
        let Side {
            places,
            spans,
            slopes,
            data,
            rooms: [left, right],
        } = &mut self.side;
        for step in steps[mark.steps..].iter().rev() {
            let (before, after) = adjoints.split_at_mut(step.out as usize);
            let y = after[0];
            match step.kind {
                Kind::Chain { a, slope } => before[a as usize] += y * slope,
                Kind::Add { a, b } => {
                    before[a as usize] += y;
                    before[b as usize] += y;
                }
                Kind::Sub { a, b } => {
                    before[a as usize] += y;
                    before[b as usize] -= y;
                }
                Kind::Mul { a, b } => {
                    before[a as usize] += y * values[b as usize];
                    before[b as usize] += y * values[a as usize];
                }
                Kind::Div { a, b } => {
                    let share = y / values[b as usize];
                    before[a as usize] += share;
                    before[b as usize] -= share * values[step.out as usize];
                }
                Kind::Sum { x } => spread(before, places, left, x, |x| {
                    x.iter_mut().for_each(|x| *x += y);
                }),
                Kind::MatData {
                    w,
                    rows,
                    data: at,
                    columns,
                } => {
                    let y = &after[..rows as usize];
                    let d = &data[at as usize..(at + columns) as usize];
                    spread(before, places, left, w, |w| number::add_outer_data(w, y, d));
                }
                Kind::MatRows {
                    w,
                    data: at,
                    columns,
                    samples,
                } => {
                    let rows = Rows::all(&data[at as usize..], columns as usize, samples as usize);
                    let y = &after[..rows.products(w.len as usize)];
                    spread(before, places, left, w, |w| rows.add_outer(y, w));
                }
                Kind::MatVec { w, x, rows } => {
                    let y = &after[..rows as usize];
                    let at = gathered(values, places, right, x);
                    spread(before, places, left, w, |w| number::add_outer(w, y, at));
                    let at = gathered(values, places, right, w);
                    spread(before, places, left, x, |x| {
                        number::add_transposed(at, y, x);
                    });
                }
                Kind::Map { x, slopes: at } => {
                    let slopes = &slopes[at as usize..];
                    spread(before, places, left, x, |x| {
                        for ((x, &y), &slope) in x.iter_mut().zip(after.iter()).zip(slopes) {
                            *x += y * slope;
                        }
                    });
                }
                Kind::SumMap { x, slopes: at } => {
                    let slopes = &slopes[at as usize..];
                    spread(before, places, left, x, |x| {
                        number::add_scaled(x, y, slopes)
                    });
                }
                Kind::SumEach {
                    spans: first,
                    count,
                    slopes: at,
                } => {
                    let mut slopes = &slopes[at as usize..];
                    for &x in &spans[first as usize..(first + count) as usize] {
                        let of_x;
                        (of_x, slopes) = slopes.split_at(x.len as usize);
                        spread(before, places, left, x, |x| number::add_scaled(x, y, of_x));
                    }
                }
                Kind::Scaled { x, s } => {
                    let (factor, y) = (values[s as usize], &after[..x.len as usize]);
                    let mut along = S::default();
                    let at = gathered(values, places, right, x);
                    at.iter().zip(y).for_each(|(&x, &y)| along += x * y);
                    before[s as usize] += along;
                    spread(before, places, left, x, |x| {
                        x.iter_mut().zip(y).for_each(|(x, &y)| *x += factor * y);
                    });
                }
                Kind::Added { a, b } => {
                    for x in [a, b] {
                        spread(before, places, left, x, |x| {
                            x.iter_mut().zip(after.iter()).for_each(|(x, &y)| *x += y);
                        });
                    }
                }
                Kind::Multiplied { a, b } => {
                    for (x, other) in [(a, b), (b, a)] {
                        let other = gathered(values, places, right, other);
                        spread(before, places, left, x, |x| {
                            for ((x, &y), &other) in x.iter_mut().zip(after.iter()).zip(other) {
                                *x += y * other;
                            }
                        });
                    }
                }
                Kind::Softmax { x } => {
                    let y = &after[..x.len as usize];
                    let p = &values[step.out as usize..];
                    let mut mean = S::default();
                    y.iter().zip(p).for_each(|(&y, &p)| mean += y * p);
                    spread(before, places, left, x, |x| {
                        for ((x, &y), &p) in x.iter_mut().zip(y).zip(p) {
                            *x += p * (y - mean);
                        }
                    });
                }
            }
        }
    }
}

impl<S: Number> Line<S> {
    fn leaf(&mut self, value: S) -> Var<S> {
        self.values.push(value);
        self.adjoints.push(S::default());
        Var::at(self.values.len() - 1)
    }

    fn push(&mut self, value: S, kind: Kind<S>) -> Var<S> {
        let out = self.values.len() as u32;
        self.steps.push(Step { out, kind });
        self.leaf(value)
    }

    /// Appends the results of one step, which `fill` computes from the values before them.
    fn push_all(&mut self, kind: Kind<S>, out: &mut [Var<S>], fill: impl FnOnce(&[S], &mut [S])) {
        if out.is_empty() {
            return;
        }
        let first = self.values.len();
        let end = first + out.len();
        self.steps.push(Step {
            out: first as u32,
            kind,
        });
        self.values.resize(end, S::default());
        self.adjoints.resize(end, S::default());
        let (before, after) = self.values.split_at_mut(first);
        fill(before, after);
        for (out, place) in out.iter_mut().zip(first..) {
            *out = Var::at(place);
        }
    }
}

impl<S: Number> Side<S> {
    fn span(&mut self, x: &[Var<S>]) -> Span {
        let first = x.first().map_or(0, |x| x.index);
        let len = x.len() as u32;
        let apart = dispatch(
            #[inline(always)]
            || {
                let places = x.iter().zip(first..);
                places.fold(0, |apart, (x, expected)| apart | (x.index ^ expected))
            },
        );
        if apart == 0 {
            return Span {
                first,
                len,
                listed: false,
            };
        }
        let at = self.places.len() as u32;
        self.places.extend(x.iter().map(|x| x.index));
        Span {
            first: at,
            len,
            listed: true,
        }
    }
}

/// The numbers at a span: a part of `from`, or collected in `room`.
fn gathered<'a, S: Copy>(
    from: &'a [S],
    places: &[u32],
    room: &'a mut Vec<S>,
    span: Span,
) -> &'a [S] {
    if !span.listed {
        return &from[span.range()];
    }
    room.clear();
    room.extend(places[span.range()].iter().map(|&k| from[k as usize]));
    room
}

/// Lets `f` add to the numbers at a span.
fn spread<S: Number>(
    to: &mut [S],
    places: &[u32],
    room: &mut Vec<S>,
    span: Span,
    f: impl FnOnce(&mut [S]),
) {
    if !span.listed {
        return f(&mut to[span.range()]);
    }
    room.clear();
    room.resize(span.len as usize, S::default());
    f(room);
    for (&k, &more) in places[span.range()].iter().zip(room.iter()) {
        to[k as usize] += more;
    }
}

/// A number on the [`Tape`] that is being recorded on this thread.
///
/// It means nothing outside [`Tape::record`], on another thread, and behind a [`Tape::truncate`].
#[derive(Debug)]
pub struct Var<S> {
    index: u32,
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
    pub(super) fn at(place: usize) -> Self {
        Var {
            index: place as u32,
            number: PhantomData,
        }
    }

    #[inline(always)]
    fn place(self) -> usize {
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

    /// A linear function of one number.
    #[inline(always)]
    fn linear(self, slope: f64, shift: f64) -> Self {
        S::with_tape(|tape| {
            let value = tape.value(self).times(slope).plus(shift);
            let slope = S::constant(slope);
            let a = self.index;
            tape.line.push(value, Kind::Chain { a, slope })
        })
    }

    /// The numbers at a slice, and room for as many: taken off the tape, so that it is free while a function of the user's is called,
    /// and to be put back.
    fn collected(x: &[Self]) -> [Vec<S>; 2] {
        S::with_tape(|Tape { line, side }| {
            let [mut values, slopes] = std::mem::take(&mut side.rooms);
            values.clear();
            values.extend(x.iter().map(|x| line.values[x.place()]));
            [values, slopes]
        })
    }

    /// out ← W dᵢ of every sample, one after the other, for a matrix W, row after row: the same as
    /// [`mat_data`](Scalar::mat_data) of each, in one step and in registers. NaN where the lengths do not fit.
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
            let [room, _] = &mut side.rooms;
            let kind = Kind::MatRows {
                w,
                data: at as u32,
                columns: columns as u32,
                samples: data.len() as u32,
            };
            line.push_all(kind, out, |values, out| {
                let rows = Rows::all(&side.data[at..], columns, data.len());
                rows.scores(gathered(values, &side.places, room, w), out);
            });
        });
    }

    /// The number on the tape, tangent and all.
    pub fn number(self) -> S {
        S::with_tape(|tape| tape.value(self))
    }

    /// A number that no derivative flows to.
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

impl<S: Number> Scalar for Var<S> {
    fn constant(value: f64) -> Self {
        Var::constant_number(S::constant(value))
    }

    fn value(self) -> f64 {
        self.number().value()
    }

    fn chain(self, phi: [f64; 3]) -> Self {
        S::with_tape(|tape| {
            let at = tape.value(self);
            let (a, slope) = (self.index, at.slope(phi));
            tape.line.push(at.chain(phi), Kind::Chain { a, slope })
        })
    }

    fn detach(self) -> Self {
        Var::constant_number(self.number())
    }

    fn plus(self, c: f64) -> Self {
        self.linear(1.0, c)
    }

    fn times(self, c: f64) -> Self {
        self.linear(c, 0.0)
    }

    fn sum(x: &[Self]) -> Self {
        S::with_tape(|Tape { line, side }| {
            let x = side.span(x);
            let [room, _] = &mut side.rooms;
            let total = S::sum(gathered(&line.values, &side.places, room, x));
            line.push(total, Kind::Sum { x })
        })
    }

    fn mat_vec(w: &[Self], x: &[Self], out: &mut [Self]) {
        if !number::fits(w.len(), out.len(), x.len()) {
            return out.fill(Self::constant(number::misfit(w.len(), x.len())));
        }
        S::with_tape(|Tape { line, side }| {
            let (w, x, rows) = (side.span(w), side.span(x), out.len() as u32);
            let [left, right] = &mut side.rooms;
            line.push_all(Kind::MatVec { w, x, rows }, out, |values, out| {
                number::mat_vec(
                    gathered(values, &side.places, left, w),
                    gathered(values, &side.places, right, x),
                    out,
                );
            });
        });
    }

    fn mat_data(w: &[Self], data: &[f64], out: &mut [Self]) {
        if !number::fits(w.len(), out.len(), data.len()) {
            return out.fill(Self::constant(number::misfit(w.len(), data.len())));
        }
        S::with_tape(|Tape { line, side }| {
            let (w, at) = (side.span(w), side.data.len());
            number::extend::<S>(&mut side.data, data);
            let [room, _] = &mut side.rooms;
            let kind = Kind::MatData {
                w,
                rows: out.len() as u32,
                data: at as u32,
                columns: data.len() as u32,
            };
            line.push_all(kind, out, |values, out| {
                let w = gathered(values, &side.places, room, w);
                number::mat_data(w, &side.data[at..], out);
            });
        });
    }

    fn map(x: &[Self], phi: impl Fn(f64) -> [f64; 3], out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        let [mut values, mut slopes] = Self::collected(x);
        slopes.clear();
        for value in &mut values {
            let phi = phi(value.value());
            slopes.push(value.slope(phi));
            *value = value.chain(phi);
        }
        S::with_tape(|Tape { line, side }| {
            let (x, at) = (side.span(x), side.slopes.len());
            side.slopes.extend_from_slice(&slopes);
            let kind = Kind::Map {
                x,
                slopes: at as u32,
            };
            line.push_all(kind, out, |_, out| out.copy_from_slice(&values));
            side.rooms = [values, slopes];
        });
    }

    fn scaled(x: &[Self], s: Self, out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let x = side.span(x);
            let [room, _] = &mut side.rooms;
            line.push_all(Kind::Scaled { x, s: s.index }, out, |values, out| {
                let x = gathered(values, &side.places, room, x);
                S::scaled(x, values[s.place()], out);
            });
        });
    }

    fn added(a: &[Self], b: &[Self], out: &mut [Self]) {
        if a.len() != out.len() || b.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let (a, b) = (side.span(a), side.span(b));
            let [left, right] = &mut side.rooms;
            line.push_all(Kind::Added { a, b }, out, |values, out| {
                S::added(
                    gathered(values, &side.places, left, a),
                    gathered(values, &side.places, right, b),
                    out,
                );
            });
        });
    }

    fn multiplied(a: &[Self], b: &[Self], out: &mut [Self]) {
        if a.len() != out.len() || b.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let (a, b) = (side.span(a), side.span(b));
            let [left, right] = &mut side.rooms;
            line.push_all(Kind::Multiplied { a, b }, out, |values, out| {
                S::multiplied(
                    gathered(values, &side.places, left, a),
                    gathered(values, &side.places, right, b),
                    out,
                );
            });
        });
    }

    fn sum_each<const K: usize, const M: usize>(
        x: [&[Self]; K],
        data: [&[f64]; M],
        phi: impl Fn([Jet<K>; K], [f64; M]) -> Jet<K>,
    ) -> Self {
        let lens = x.map(<[Self]>::len);
        let Some(n) = jet::common_len(lens, data.map(<[f64]>::len)) else {
            return Self::constant(f64::NAN);
        };
        // The tape is borrowed for a moment a block, and free while the formula is called.
        let (first, at) = S::with_tape(|Tape { side, .. }| {
            let (first, at) = (side.spans.len(), side.slopes.len());
            for x in x {
                let span = side.span(x);
                side.spans.push(span);
            }
            let end = at + lens.iter().sum::<usize>();
            side.slopes.resize(end, S::default());
            (first, at)
        });
        let fetch = |start: usize, len: usize, points: &mut Block<S, K>| {
            S::with_tape(|Tape { line, side }| {
                for (point, &span) in points.iter_mut().zip(&side.spans[first..]) {
                    if span.listed && span.len > 1 {
                        let places = &side.places[span.range()][start..start + len];
                        for (point, &place) in point.iter_mut().zip(places) {
                            *point = line.values[place as usize];
                        }
                    } else {
                        jet::copy(&line.values[span.range()], start, len, point);
                    }
                }
            });
        };
        let keep = |start: usize, len: usize, derivatives: &Block<S, K>| {
            S::with_tape(|Tape { side, .. }| {
                let mut rest = &mut side.slopes[at..];
                for (derivatives, len_of_all) in derivatives.iter().zip(lens) {
                    let part;
                    (part, rest) = std::mem::take(&mut rest).split_at_mut(len_of_all);
                    match part {
                        [one] => *one += jet::lane_sum(&derivatives[..len]),
                        _ => part[start..start + len].copy_from_slice(&derivatives[..len]),
                    }
                }
            });
        };
        let total = jet::sum_each(n, fetch, data, phi, keep);
        let kind = Kind::SumEach {
            spans: first as u32,
            count: K as u32,
            slopes: at as u32,
        };
        S::with_tape(|tape| tape.line.push(total, kind))
    }

    fn log_sum_exp(x: &[Self]) -> Self {
        S::with_tape(|Tape { line, side }| {
            let (x, at) = (side.span(x), side.slopes.len());
            let [room, _] = &mut side.rooms;
            let numbers = gathered(&line.values, &side.places, room, x);
            let total = S::log_sum_exp(numbers);
            side.slopes.resize(at + numbers.len(), S::default());
            S::softmax(numbers, &mut side.slopes[at..]);
            let slopes = at as u32;
            line.push(total, Kind::SumMap { x, slopes })
        })
    }

    fn softmax(x: &[Self], out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        S::with_tape(|Tape { line, side }| {
            let x = side.span(x);
            let [room, _] = &mut side.rooms;
            line.push_all(Kind::Softmax { x }, out, |values, out| {
                S::softmax(gathered(values, &side.places, room, x), out);
            });
        });
    }
}
