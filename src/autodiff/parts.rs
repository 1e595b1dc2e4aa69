//! [`Part`], [`PartMut`] and [`Parts`]: numbers with values and tangents in separate arrays, for
//! [`Gradients::gradient_apart`](super::Gradients::gradient_apart).

use std::ops::Range;

use super::number::Number;

/// Numbers with their values in one array and, if they are dual, their tangents in another.
///
/// In a slice of dual numbers, values and tangents alternate, and a loop spends as many instructions on separating and joining them as on the
/// formula. Intermediate results that a gradient reads more than once are better kept in this form. Real numbers store no tangents.
///
/// ```
/// use bilevel::autodiff::{Number, Part, PartMut, Parts};
///
/// /// out ← the gradient of ⅓ Σₖ (xₖ₊₁ − xₖ)³.
/// fn gradient<S: Number>(x: Part<'_, S>, mut out: PartMut<'_, S>) {
///     let n = x.len();
///     // The flux through the left border of each number, and through the right border of the last.
///     let mut flux = Parts::new(n + 1);
///     let (here, right) = (x.part(0..n - 1), x.part(1..n));
///     let mut between = flux.part_mut(1..n);
///     for k in 0..n - 1 {
///         between.set(k, (right.get(k) - here.get(k)).squared());
///     }
///     let (left, right) = (flux.part(0..n), flux.part(1..n + 1));
///     for k in 0..n {
///         out.set(k, left.get(k) - right.get(k));
///     }
/// }
/// # use bilevel::autodiff::{Dual, Scalar};
/// # let mut x = Parts::new(3);
/// # let numbers = [Dual::new(1.0, 0.0), Dual::new(3.0, 1.0), Dual::new(4.0, 0.0)];
/// # (0..3).for_each(|k| x.part_mut(0..3).set(k, numbers[k]));
/// # let mut out = Parts::new(3);
/// # gradient(x.part(0..3), out.part_mut(0..3));
/// # let out = [0, 1, 2].map(|k| out.part(0..3).get(k));
/// # assert_eq!(out, [Dual::new(-4.0, -4.0), Dual::new(3.0, 6.0), Dual::new(1.0, -2.0)]);
/// ```
#[derive(Debug, Clone)]
pub struct Parts<S: Number> {
    values: Vec<S::Real>,
    tangents: Vec<S::Real>,
}

/// A read-only range of [`Parts`], or two slices such as x and v.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a, S: Number> {
    values: &'a [S::Real],
    tangents: &'a [S::Real],
}

/// The mutable counterpart of [`Part`].
#[derive(Debug)]
pub struct PartMut<'a, S: Number> {
    values: &'a mut [S::Real],
    tangents: &'a mut [S::Real],
}

/// Whether these numbers have tangents, a constant at compile time.
const fn dual<S: Number>() -> bool {
    S::PARTS == 2
}

/// The range of tangents that belongs to a range of values: empty for real numbers.
#[inline(always)]
fn of_tangents<S: Number>(range: Range<usize>) -> Range<usize> {
    if dual::<S>() { range } else { 0..0 }
}

impl<S: Number> Parts<S> {
    /// `len` zeros.
    pub fn new(len: usize) -> Self {
        let zero = S::Real::default();
        Parts {
            values: vec![zero; len],
            tangents: vec![zero; of_tangents::<S>(0..len).len()],
        }
    }

    /// The numbers in a range, which must lie within bounds.
    #[inline(always)]
    pub fn part(&self, range: Range<usize>) -> Part<'_, S> {
        Part::new(&self.values, &self.tangents).part(range)
    }

    /// The same, mutable.
    #[inline(always)]
    pub fn part_mut(&mut self, range: Range<usize>) -> PartMut<'_, S> {
        PartMut {
            values: &mut self.values[range.clone()],
            tangents: &mut self.tangents[of_tangents::<S>(range)],
        }
    }

    /// Copies the numbers in a range to the places from `to` on; the ranges may overlap.
    #[inline(always)]
    pub fn copy_within(&mut self, range: Range<usize>, to: usize) {
        self.values.copy_within(range.clone(), to);
        if dual::<S>() {
            self.tangents.copy_within(range, to);
        }
    }
}

impl<'a, S: Number> Part<'a, S> {
    /// These values with as many tangents, which real numbers ignore.
    #[inline(always)]
    pub(super) fn new(values: &'a [S::Real], tangents: &'a [S::Real]) -> Self {
        let tangents = &tangents[of_tangents::<S>(0..values.len())];
        Part { values, tangents }
    }

    /// The number of entries.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The numbers in a range, which must lie within bounds.
    #[inline(always)]
    pub fn part(&self, range: Range<usize>) -> Part<'a, S> {
        Part {
            values: &self.values[range.clone()],
            tangents: &self.tangents[of_tangents::<S>(range)],
        }
    }

    /// The k-th number.
    #[inline(always)]
    pub fn get(&self, k: usize) -> S {
        if dual::<S>() {
            S::with_tangent(self.values[k], self.tangents[k])
        } else {
            S::real(self.values[k])
        }
    }
}

impl<'a, S: Number> PartMut<'a, S> {
    /// These values with as many tangents, which real numbers ignore.
    pub(super) fn new(values: &'a mut [S::Real], tangents: &'a mut [S::Real]) -> Self {
        let tangents = &mut tangents[of_tangents::<S>(0..values.len())];
        PartMut { values, tangents }
    }

    /// The numbers in a range, which must lie within bounds.
    #[inline(always)]
    pub fn part_mut(&mut self, range: Range<usize>) -> PartMut<'_, S> {
        PartMut {
            values: &mut self.values[range.clone()],
            tangents: &mut self.tangents[of_tangents::<S>(range)],
        }
    }

    /// The k-th number ← `number`.
    #[inline(always)]
    pub fn set(&mut self, k: usize, number: S) {
        self.values[k] = number.real_part();
        if dual::<S>() {
            self.tangents[k] = number.tangent();
        }
    }
}

/// Calls `f` with x and `out` as parts. Real numbers are used in place; dual ones are copied, with an allocation in each call.
#[doc(hidden)]
pub fn apart<S: Number>(x: &[S], out: &mut [S], f: impl FnOnce(Part<'_, S>, PartMut<'_, S>)) {
    if let (Some(x), Some(out)) = (S::as_reals(x), S::as_reals_mut(out)) {
        return f(Part::new(x, &[]), PartMut::new(out, &mut []));
    }
    let (mut from, mut to) = (Parts::new(x.len()), Parts::new(out.len()));
    let mut all = from.part_mut(0..x.len());
    for (k, &x) in x.iter().enumerate() {
        all.set(k, x);
    }
    f(from.part(0..x.len()), to.part_mut(0..out.len()));
    let results = to.part(0..out.len());
    for (k, out) in out.iter_mut().enumerate() {
        *out = results.get(k);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autodiff::Dual;

    fn shifted<S: Number + PartialEq>(number: impl Fn(f64) -> S) {
        let mut parts = Parts::new(4);
        (0..4).for_each(|k| parts.part_mut(0..4).set(k, number(k as f64)));
        parts.copy_within(0..3, 1);
        let now: Vec<S> = (0..4).map(|k| parts.part(0..4).get(k)).collect();
        assert!(now == [0.0, 0.0, 1.0, 2.0].map(number), "{now:?}");
    }

    #[test]
    fn parts_are_copied_with_their_tangents_and_without() {
        shifted(|k| k);
        shifted(|k| k as f32);
        shifted(|k| Dual::new(k, -k));
    }
}
