//! [`Tape`]: reverse mode over any [`Number`], and [`Var`], the scalar that is recorded on it.
//!
//! A tape is a list of values and the list of the steps that made them from earlier ones. Products with data, products of matrices, sums,
//! softmax and elementwise functions are one step each, so a sample of a model takes few steps and most of the time goes into
//! kernels. [`Tape::sweep`] runs the steps backwards: the adjoint of every value is ∂(result)/∂(value). Samples are recorded, swept and
//! truncated in turn; the adjoints of the leaves (the independent variables) accumulate over them.

mod scalar;
mod sweep;
mod var;

pub use var::Var;

use std::ops::Range;

use super::number::Number;
use crate::simd::dispatch;

/// Values, the steps that computed them, and their adjoints.
#[derive(Debug, Default)]
#[doc(hidden)]
pub struct Tape<S: Number> {
    line: Line<S>,
    side: Side<S>,
}

/// Grows with every step.
#[derive(Debug)]
struct Line<S> {
    values: Vec<S>,
    adjoints: Vec<S>,
    steps: Vec<Step<S>>,
}

/// Arguments, slopes and data that steps on slices refer to.
#[derive(Debug)]
struct Side<S: Number> {
    /// Places of arguments that are not contiguous.
    places: Vec<u32>,
    /// Arguments of steps with a variable number of them.
    spans: Vec<Span>,
    /// Slopes of elementwise steps.
    slopes: Vec<S>,
    data: Vec<S::Real>,
    /// Arguments that are not contiguous are collected here.
    buffers: [Vec<S>; 2],
}

/// A step and the place of its first result.
#[derive(Debug, Clone, Copy)]
struct Step<S> {
    out: u32,
    kind: Kind<S>,
}

#[derive(Debug, Clone, Copy)]
enum Kind<S> {
    /// φ(a), with φ'(a) as its slope.
    Function {
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
    /// Σᵢ φ(x₀ᵢ, x₁ᵢ, …), one result. The spans of its slices start at `spans`, their slopes, in the same order, at `slopes`.
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

/// The places of a slice of arguments: contiguous from `first`, or listed from `places[first]`.
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

/// The places for the slopes of a sum along slices.
#[derive(Clone, Copy)]
struct SlopesAlong<S, const K: usize> {
    /// The place of the first slope of each slice.
    of_slices: [usize; K],
    kind: Kind<S>,
}

/// A position on a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
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
            buffers: [Vec::new(), Vec::new()],
        }
    }
}

/// Returns a tape to its owner, even if `record` panics.
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
    /// Appends a leaf: a value that no step computes.
    pub fn leaf(&mut self, value: S) -> Var<S> {
        self.line.leaf(value)
    }

    /// Appends a leaf for each of these values, at consecutive places.
    pub(super) fn leaves(&mut self, values: &[S]) {
        self.line.values.extend_from_slice(values);
        let len = self.line.values.len();
        self.line.adjoints.resize(len, S::default());
    }

    /// Calls `f` and records its operations on [`Var`]s.
    pub fn record<R>(&mut self, f: impl FnOnce() -> R) -> R {
        let mut lent = Lent(self);
        lent.swap();
        let result = f();
        drop(lent);
        result
    }

    /// The current end of the tape.
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

    /// Removes everything behind the mark. The adjoints before it keep their values.
    pub fn truncate(&mut self, mark: Mark) {
        self.line.values.truncate(mark.values);
        self.line.adjoints.truncate(mark.values);
        self.line.steps.truncate(mark.steps);
        self.side.places.truncate(mark.places);
        self.side.spans.truncate(mark.spans);
        self.side.slopes.truncate(mark.slopes);
        self.side.data.truncate(mark.data);
    }

    /// Removes everything.
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

    /// The adjoints of the first leaves and of the `then` leaves behind them.
    pub(super) fn adjoints(&self, first: usize, then: usize) -> (&[S], &[S]) {
        self.line.adjoints[..first + then].split_at(first)
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

    /// Appends the results of one step. `fill` computes them from the earlier values.
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

    /// Appends zeros for the slopes of a sum along slices. Slices that overlap, such as neighbours in an image, share one range, gaps
    /// included, so that the backward sweep visits each number once.
    fn slopes_along<const K: usize>(&mut self, slices: [Span; K]) -> SlopesAlong<S, K> {
        let (first, at) = (self.spans.len(), self.slopes.len());
        let may_overlap = |span: &Span| !span.listed && span.len != 1;
        let candidates = || slices.iter().filter(|span| may_overlap(span));
        let (start, end) = candidates().fold((u32::MAX, 0), |(start, end), span| {
            (start.min(span.first), end.max(span.first + span.len))
        });
        let overlap = u64::from(end.saturating_sub(start))
            < candidates().map(|span| u64::from(span.len)).sum::<u64>();
        let mut next = at;
        if overlap {
            let len = end - start;
            next += len as usize;
            self.spans.push(Span {
                first: start,
                len,
                listed: false,
            });
        }
        let of_slices = slices.map(|span| {
            if overlap && may_overlap(&span) {
                return at + (span.first - start) as usize;
            }
            self.spans.push(span);
            next += span.len as usize;
            next - span.len as usize
        });
        self.slopes.resize(next, S::default());
        SlopesAlong {
            of_slices,
            kind: Kind::SumEach {
                spans: first as u32,
                count: (self.spans.len() - first) as u32,
                slopes: at as u32,
            },
        }
    }
}

/// The numbers at a span: a part of `from` if contiguous, else collected in `buffer`.
fn gathered<'a, S: Copy>(
    from: &'a [S],
    places: &[u32],
    buffer: &'a mut Vec<S>,
    span: Span,
) -> &'a [S] {
    if !span.listed {
        return &from[span.range()];
    }
    buffer.clear();
    buffer.extend(places[span.range()].iter().map(|&k| from[k as usize]));
    buffer
}
