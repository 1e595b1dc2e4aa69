//! [`Part`], [`PartMut`] and [`Parts`]: numbers whose values and tangents lie apart, for
//! [`Gradients::gradient_apart`](super::Gradients::gradient_apart).

use std::ops::Range;

use super::number::Number;

/// Numbers of which the values lie side by side, and the tangents of dual ones in another place.
///
/// In a slice of dual numbers each value has its tangent beside it, and a loop spends as many instructions on taking them apart and together
/// again as on the formula. What a gradient needs more than once on its way is better kept so. Numbers without a tangent take no room for
/// one.
///
/// ```
/// use bilevel::autodiff::{Number, Part, PartMut, Parts};
///
/// /// out ← the gradient of ⅓ Σₖ (xₖ₊₁ − xₖ)³.
/// fn gradient<S: Number>(x: Part<'_, S>, mut out: PartMut<'_, S>) {
///     let n = x.len();
///     // What flows through the left border of each number, and through the right one of the last.
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

/// Numbers to be read: some of [`Parts`], or those of two slices, such as x and v.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a, S: Number> {
    values: &'a [S::Real],
    tangents: &'a [S::Real],
}

/// Numbers to be written, likewise.
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
        Part::new(&self.values, &self.tangents).part(range)
    }

    /// The same, to be written.
    #[inline(always)]
    pub fn part_mut(&mut self, range: Range<usize>) -> PartMut<'_, S> {
        PartMut {
            values: &mut self.values[range.clone()],
            tangents: &mut self.tangents[of_tangents::<S>(range)],
        }
    }

    /// Those from `to` on ← those in a range, as they were before.
    #[inline(always)]
    pub fn copy_within(&mut self, range: Range<usize>, to: usize) {
        self.values.copy_within(range.clone(), to);
        if dual::<S>() {
            self.tangents.copy_within(range, to);
        }
    }
}

impl<'a, S: Number> Part<'a, S> {
    /// These values with these tangents, as many, which numbers that have none ignore.
    #[inline(always)]
    pub(super) fn new(values: &'a [S::Real], tangents: &'a [S::Real]) -> Self {
        let tangents = &tangents[of_tangents::<S>(0..values.len())];
        Part { values, tangents }
    }

    /// How many these are.
    #[inline(always)]
    #[allow(clippy::len_without_is_empty)] // nobody asks
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Those in a range of these, which has to lie within them.
    #[inline(always)]
    pub fn part(&self, range: Range<usize>) -> Part<'a, S> {
        Part {
            values: &self.values[range.clone()],
            tangents: &self.tangents[of_tangents::<S>(range)],
        }
    }

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

impl<'a, S: Number> PartMut<'a, S> {
    /// These values with these tangents, as many, which numbers that have none ignore.
    pub(super) fn new(values: &'a mut [S::Real], tangents: &'a mut [S::Real]) -> Self {
        let tangents = &mut tangents[of_tangents::<S>(0..values.len())];
        PartMut { values, tangents }
    }

    /// Those in a range of these, which has to lie within them.
    #[inline(always)]
    pub fn part_mut(&mut self, range: Range<usize>) -> PartMut<'_, S> {
        PartMut {
            values: &mut self.values[range.clone()],
            tangents: &mut self.tangents[of_tangents::<S>(range)],
        }
    }

    /// The k-th of these ← `number`.
    #[inline(always)]
    pub fn set(&mut self, k: usize, number: S) {
        self.values[k] = number.real_part();
        if dual::<S>() {
            self.tangents[k] = number.tangent();
        }
    }
}

/// Calls `f` with x and room for as many results, both in parts, and out ← the results: real numbers where they are, dual ones by copies, for which
/// memory is asked in each call.
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
