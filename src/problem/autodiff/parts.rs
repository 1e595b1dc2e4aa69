//! [`Parts`]: numbers whose values and tangents lie apart, for what a gradient computes on its way.

use std::ops::Range;

use super::number::Number;

/// Numbers of which the values lie side by side, and the tangents of dual ones in another place.
///
/// In a slice of dual numbers each value has its tangent beside it, and a loop spends as many instructions on taking them apart and together
/// again as on the formula. What is needed more than once on the way, such as the rows of an image that a difference is taken of, is better
/// kept so. Numbers without a tangent take no room for one.
///
/// ```
/// use bilevel::problem::autodiff::{Number, Parts};
///
/// /// out ← the differences of neighbours, squared.
/// fn squared_differences<S: Number>(x: &[S], out: &mut Parts<S>) {
///     let mut kept = Parts::new(x.len());
///     kept.copy_from(x);
///     let n = x.len() - 1;
///     let (here, right, mut out) = (kept.part(0..n), kept.part(1..n + 1), out.part_mut(0..n));
///     for k in 0..n {
///         out.set(k, (right.get(k) - here.get(k)).squared());
///     }
/// }
/// # use bilevel::problem::autodiff::{Dual, Scalar};
/// # let mut out = Parts::new(2);
/// # squared_differences(&[Dual::new(1.0, 0.0), Dual::new(3.0, 1.0), Dual::new(4.0, 0.0)], &mut out);
/// # assert_eq!(out.part(0..2).get(0), Dual::new(4.0, 4.0));
/// # assert_eq!(out.part(0..2).get(1), Dual::new(1.0, -2.0));
/// ```
#[derive(Debug, Clone)]
pub struct Parts<S: Number> {
    values: Vec<S::Real>,
    tangents: Vec<S::Real>,
}

/// Some of them, to be read.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a, S: Number> {
    values: &'a [S::Real],
    tangents: &'a [S::Real],
}

/// Some of them, to be written.
#[derive(Debug)]
pub struct PartMut<'a, S: Number> {
    values: &'a mut [S::Real],
    tangents: &'a mut [S::Real],
}

/// Whether these numbers have tangents: known when a loop over them is compiled.
const fn dual<S: Number>() -> bool {
    S::PARTS == 2
}

/// The tangents that belong to the values in a range: none of numbers that have none.
#[inline(always)]
fn of_tangents<S: Number>(range: Range<usize>) -> Range<usize> {
    if dual::<S>() { range } else { 0..0 }
}

impl<S: Number> Parts<S> {
    /// This many zeros.
    pub fn new(len: usize) -> Self {
        let zero = S::Real::default();
        Parts {
            values: vec![zero; len],
            tangents: vec![zero; of_tangents::<S>(0..len).len()],
        }
    }

    /// Those in a range, which has to lie within them.
    #[inline(always)]
    pub fn part(&self, range: Range<usize>) -> Part<'_, S> {
        Part {
            values: &self.values[range.clone()],
            tangents: &self.tangents[of_tangents::<S>(range)],
        }
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn part_mut(&mut self, range: Range<usize>) -> PartMut<'_, S> {
        PartMut {
            values: &mut self.values[range.clone()],
            tangents: &mut self.tangents[of_tangents::<S>(range)],
        }
    }

    /// The first of them ← these.
    #[inline(always)]
    pub fn copy_from(&mut self, numbers: &[S]) {
        let mut part = self.part_mut(0..numbers.len());
        for (k, &number) in numbers.iter().enumerate() {
            part.set(k, number);
        }
    }
}

impl<S: Number> Part<'_, S> {
    /// The k-th of these.
    #[inline(always)]
    pub fn get(&self, k: usize) -> S {
        if dual::<S>() {
            S::with_tangent(self.values[k], self.tangents[k])
        } else {
            S::real(self.values[k])
        }
    }
}

impl<S: Number> PartMut<'_, S> {
    /// The k-th of these ← `number`.
    #[inline(always)]
    pub fn set(&mut self, k: usize, number: S) {
        self.values[k] = number.real_part();
        if dual::<S>() {
            self.tangents[k] = number.tangent();
        }
    }
}
