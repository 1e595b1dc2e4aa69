//! [`Jet`]: a value with its gradient and its Hessian in a few numbers, which a formula along slices is written in.

use std::array::from_fn;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::number::{self, Number, Real, misfit};
use super::scalar::Scalar;
use crate::simd::dispatch;
use crate::vector::Element;

/// A value, its gradient and its Hessian in K numbers, all of type E.
#[derive(Debug, Clone, Copy)]
pub struct Jet<const K: usize, E = f64> {
    value: E,
    gradient: [E; K],
    hessian: [[E; K]; K],
}

impl<const K: usize, E: Real> Jet<K, E> {
    /// The k-th of the numbers.
    #[inline(always)]
    fn variable(value: E, k: usize) -> Self {
        let mut jet = Jet::still(value);
        jet.gradient[k] = E::constant(1.0);
        jet
    }

    /// A number that depends on none.
    #[inline(always)]
    fn still(value: E) -> Self {
        Jet {
            value,
            gradient: [E::default(); K],
            hessian: [[E::default(); K]; K],
        }
    }

    /// φ of it, by φ, φ' and φ''.
    #[inline(always)]
    fn through(self, [value, slope, curve]: [E; 3]) -> Self {
        let mut jet = Jet::still(value);
        for k in 0..K {
            jet.gradient[k] = slope * self.gradient[k];
            for l in 0..K {
                let product = self.gradient[k] * self.gradient[l];
                jet.hessian[k][l] = slope * self.hessian[k][l] + curve * product;
            }
        }
        jet
    }

    /// c · self.
    #[inline(always)]
    fn scaled(self, c: E) -> Self {
        let mut jet = Jet::still(c * self.value);
        for k in 0..K {
            jet.gradient[k] = c * self.gradient[k];
            for l in 0..K {
                jet.hessian[k][l] = c * self.hessian[k][l];
            }
        }
        jet
    }

    /// A function of two jets, by its value, its slopes a and b, and what a term of the Hessian gets beside those by the slopes.
    #[inline(always)]
    fn of_two(
        self,
        other: Self,
        value: E,
        [a, b]: [E; 2],
        curve: impl Fn(usize, usize) -> E,
    ) -> Self {
        let (p, q) = (self, other);
        let mut jet = Jet::still(value);
        for k in 0..K {
            jet.gradient[k] = a * p.gradient[k] + b * q.gradient[k];
            for l in 0..K {
                jet.hessian[k][l] = a * p.hessian[k][l] + b * q.hessian[k][l] + curve(k, l);
            }
        }
        jet
    }
}

impl<const K: usize, E: Real> Add for Jet<K, E> {
    type Output = Self;
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        let one = E::constant(1.0);
        self.of_two(b, self.value + b.value, [one, one], |_, _| E::default())
    }
}

impl<const K: usize, E: Real> Sub for Jet<K, E> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        let one = E::constant(1.0);
        self.of_two(b, self.value - b.value, [one, -one], |_, _| E::default())
    }
}

impl<const K: usize, E: Real> Mul for Jet<K, E> {
    type Output = Self;
    #[allow(clippy::suspicious_arithmetic_impl)] // the product rule has a sum
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        let (p, q) = (self.gradient, b.gradient);
        self.of_two(
            b,
            self.value * b.value,
            [b.value, self.value],
            #[inline(always)]
            |k, l| p[k] * q[l] + p[l] * q[k],
        )
    }
}

impl<const K: usize, E: Real> Div for Jet<K, E> {
    type Output = Self;
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        let inverse = E::constant(1.0) / b.value;
        let slope = -inverse * inverse;
        let mut quotient = self * b.through([inverse, slope, -(slope + slope) * inverse]);
        quotient.value = self.value / b.value;
        quotient
    }
}

impl<const K: usize, E: Real> Neg for Jet<K, E> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.scaled(E::constant(-1.0))
    }
}

impl<const K: usize, E: Real> AddAssign for Jet<K, E> {
    #[inline(always)]
    fn add_assign(&mut self, b: Self) {
        *self = *self + b;
    }
}

impl<const K: usize, E: Real> SubAssign for Jet<K, E> {
    #[inline(always)]
    fn sub_assign(&mut self, b: Self) {
        *self = *self - b;
    }
}

impl<const K: usize, E: Real> MulAssign for Jet<K, E> {
    #[inline(always)]
    fn mul_assign(&mut self, b: Self) {
        *self = *self * b;
    }
}

impl<const K: usize, E: Real> Scalar for Jet<K, E> {
    type Real = E;

    #[inline(always)]
    fn constant(value: f64) -> Self {
        Jet::still(E::constant(value))
    }
    #[inline(always)]
    fn value(self) -> f64 {
        self.value.to_f64()
    }
    #[inline(always)]
    fn chain(self, [value, slope, curve]: [f64; 3]) -> Self {
        self.through([E::constant(value), E::constant(slope), E::constant(curve)])
    }
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        Jet {
            value: self.value + E::constant(c),
            ..self
        }
    }
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self.scaled(E::constant(c))
    }
    /// A slope for each number, where the product rule takes two.
    #[inline(always)]
    fn squared(self) -> Self {
        let x = self.value;
        self.through([x * x, x + x, E::constant(2.0)])
    }
    /// In the type itself: a loop over it is vectorised.
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = Element::sqrt(self.value);
        let slope = E::constant(0.5) / root;
        self.through([root, slope, E::constant(-0.5) * slope / self.value])
    }
    #[inline(always)]
    fn inverse_sqrt(self) -> Self {
        let r = E::constant(1.0) / Element::sqrt(self.value);
        let slope = E::constant(-0.5) * r * (r * r);
        self.through([r, slope, E::constant(-1.5) * slope * (r * r)])
    }
    fn mat_vec(w: &[Self], x: &[Self], out: &mut [Self]) {
        rows(w, x, out, |a, b| a * b);
    }
    fn mat_data(w: &[Self], data: &[f64], out: &mut [Self]) {
        rows(w, data, out, |a, b| a.times(b));
    }
    fn sum_each<const N: usize, const M: usize>(
        x: [&[Self]; N],
        data: [&[f64]; M],
        phi: impl Fn([Jet<N, E>; N], [f64; M]) -> Jet<N, E>,
    ) -> Self {
        let Some(n) = common_len(x.map(<[Self]>::len), data.map(<[f64]>::len)) else {
            return Jet::constant(f64::NAN);
        };
        let mut total = Jet::constant(0.0);
        for i in 0..n {
            let at = x.map(|x| entry(x, i));
            let jets = from_fn(|m| Jet::variable(at[m].value, m));
            // Rounded to the type, as in a sum of numbers.
            let inner = phi(jets, data.map(|d| E::from_f64(entry(d, i)).to_f64()));
            // Its Taylor polynomial, of which derivatives up to the second are right.
            let steps = at.map(|x| x - Jet::still(x.value));
            total += Jet::still(inner.value);
            for m in 0..N {
                total += steps[m].scaled(inner.gradient[m]);
                for l in 0..N {
                    total += (steps[m] * steps[l]).scaled(E::constant(0.5) * inner.hessian[m][l]);
                }
            }
        }
        total
    }
}

fn rows<S: Scalar, D: Copy>(w: &[S], x: &[D], out: &mut [S], times: impl Fn(S, D) -> S) {
    if x.is_empty() || w.len() != out.len() * x.len() {
        return out.fill(S::constant(misfit(w.len(), x.len())));
    }
    for (out, w) in out.iter_mut().zip(w.chunks_exact(x.len())) {
        *out = S::constant(0.0);
        for (&w, &x) in w.iter().zip(x) {
            *out += times(w, x);
        }
    }
}

/// How far slices of these lengths go, of which those of one entry count for every i; `None` where they do not fit.
pub(super) fn common_len<const K: usize, const M: usize>(
    lens: [usize; K],
    of_data: [usize; M],
) -> Option<usize> {
    let mut long = lens.into_iter().chain(of_data).filter(|&len| len != 1);
    let len = long.next().unwrap_or(1);
    long.all(|other| other == len).then_some(len)
}

/// The i-th entry, or the only one.
fn entry<T: Copy>(x: &[T], i: usize) -> T {
    if x.len() == 1 { x[0] } else { x[i] }
}

/// block ← the entries from `start` on, or the only one throughout.
pub(super) fn copy<T: Copy>(x: &[T], start: usize, block: &mut [T]) {
    match x {
        &[one] => block.fill(one),
        _ => block.copy_from_slice(&x[start..start + block.len()]),
    }
}

/// Σᵢ φ(x₀ᵢ, x₁ᵢ, …) of numbers.
pub(super) fn sum_of_numbers<S: Number, const K: usize, const M: usize>(
    x: [&[S]; K],
    data: [&[f64]; M],
    phi: impl Fn([Jet<K, S::Real>; K], [f64; M]) -> Jet<K, S::Real>,
) -> S {
    let Some(n) = common_len(x.map(<[S]>::len), data.map(<[f64]>::len)) else {
        return S::constant(f64::NAN);
    };
    let fetch = |k: usize, start: usize, numbers: &mut [S]| copy(x[k], start, numbers);
    sum_each(n, fetch, data, phi, |_, _, _| {})
}

/// Σᵢ φ(x₀ᵢ, x₁ᵢ, …) of n terms, block by block: by `fetch(k, start, to)` the entries of the k-th slice from `start` on go `to` a block, and
/// `keep(k, start, slopes)` is given the derivatives of the terms in them.
pub(super) fn sum_each<S: Number, const K: usize, const M: usize>(
    n: usize,
    fetch: impl FnMut(usize, usize, &mut [S]),
    data: [&[f64]; M],
    phi: impl Fn([Jet<K, S::Real>; K], [f64; M]) -> Jet<K, S::Real>,
    keep: impl FnMut(usize, usize, &[S]),
) -> S {
    // What is known of a block stays in the first-level cache where the formula is of a few numbers, and a short sum does not pay for the room of
    // a long one.
    match (n, size_of::<S>()) {
        (..=16, _) => blocks::<S, K, M, 16>(n, fetch, data, phi, keep),
        (_, ..=8) => blocks::<S, K, M, 256>(n, fetch, data, phi, keep),
        _ => blocks::<S, K, M, 128>(n, fetch, data, phi, keep),
    }
}

/// The same with blocks of this many entries.
fn blocks<S: Number, const K: usize, const M: usize, const BLOCK: usize>(
    n: usize,
    mut fetch: impl FnMut(usize, usize, &mut [S]),
    data: [&[f64]; M],
    phi: impl Fn([Jet<K, S::Real>; K], [f64; M]) -> Jet<K, S::Real>,
    mut keep: impl FnMut(usize, usize, &[S]),
) -> S {
    let mut points = [[S::default(); BLOCK]; K];
    // In the type itself, so that registers are filled with it.
    let mut constants = [[S::Real::default(); BLOCK]; M];
    let mut terms = [S::default(); BLOCK];
    let mut derivatives = [[S::default(); BLOCK]; K];
    let mut total = S::default();
    for start in (0..n).step_by(BLOCK) {
        let len = (n - start).min(BLOCK);
        for (k, points) in points.iter_mut().enumerate() {
            fetch(k, start, &mut points[..len]);
        }
        for (constants, data) in constants.iter_mut().zip(data) {
            match data {
                &[one] => constants[..len].fill(S::Real::from_f64(one)),
                _ => number::convert(&data[start..], &mut constants[..len]),
            }
        }
        dispatch(
            #[inline(always)]
            || {
                // Within the arrays, for the compiler too: with a check in the loop the last numbers would be done one by one.
                for i in 0..len.min(BLOCK) {
                    let at: [S; K] = from_fn(
                        #[inline(always)]
                        |k| points[k][i],
                    );
                    let jets = from_fn(
                        #[inline(always)]
                        |k| Jet::variable(at[k].real_part(), k),
                    );
                    let constants = from_fn(
                        #[inline(always)]
                        |m| constants[m][i].to_f64(),
                    );
                    let jet = phi(jets, constants);
                    terms[i] = along(jet.value, jet.gradient, at);
                    for (k, of_slice) in derivatives.iter_mut().enumerate() {
                        of_slice[i] = along(jet.gradient[k], jet.hessian[k], at);
                    }
                }
            },
        );
        for (k, derivatives) in derivatives.iter().enumerate() {
            keep(k, start, &derivatives[..len]);
        }
        total += lane_sum(&terms[..len]);
    }
    total
}

/// A value with the tangent that a gradient gives it.
#[inline(always)]
fn along<S: Number, const K: usize>(value: S::Real, gradient: [S::Real; K], at: [S; K]) -> S {
    let mut tangent = S::Real::default();
    for k in 0..K {
        tangent += gradient[k] * at[k].tangent();
    }
    S::with_tangent(value, tangent)
}

/// The sum of the entries, in lanes.
pub(super) fn lane_sum<S: Number>(x: &[S]) -> S {
    const LANES: usize = 16;
    let (head, tail) = x.as_chunks::<LANES>();
    let mut lanes = dispatch(
        #[inline(always)]
        || {
            let mut lanes = [S::default(); LANES];
            for chunk in head {
                for k in 0..LANES {
                    lanes[k] += chunk[k];
                }
            }
            lanes
        },
    );
    for (lane, &x) in lanes.iter_mut().zip(tail) {
        *lane += x;
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
