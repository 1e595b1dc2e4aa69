//! [`Jet`]: a value with its gradient and Hessian in a few variables, the scalar of formulas along slices.

use std::array::from_fn;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::number::{Real, misfit};
use super::scalar::Scalar;
use crate::vector::Element;

mod sums;

pub(super) use sums::{common_len, copy, lane_sum, sum_each, sum_of_numbers};

/// A value with its gradient and its Hessian in K variables: the scalar of formulas in [`Scalar::sum_each`].
#[derive(Debug, Clone, Copy)]
#[doc(hidden)]
pub struct Jet<const K: usize, E = f64> {
    value: E,
    gradient: [E; K],
    hessian: [[E; K]; K],
}

impl<const K: usize, E: Real> Jet<K, E> {
    /// The k-th variable.
    #[inline(always)]
    fn variable(value: E, k: usize) -> Self {
        let mut jet = Jet::still(value);
        jet.gradient[k] = E::constant(1.0);
        jet
    }

    /// A constant.
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

    /// A function of two jets, from its value, its slopes a and b, and the second-order terms `curve` of its Hessian.
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
    /// One slope per variable, where the product rule takes two.
    #[inline(always)]
    fn squared(self) -> Self {
        let x = self.value;
        self.through([x * x, x + x, E::constant(2.0)])
    }
    /// In the type itself, so that loops over it are vectorised.
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
            let at = x.map(|x| sums::entry(x, i));
            let jets = from_fn(|m| Jet::variable(at[m].value, m));
            // Rounded to the type, as in a sum of numbers.
            let inner = phi(jets, data.map(|d| E::from_f64(sums::entry(d, i)).to_f64()));
            // Its Taylor polynomial, exact in the first two derivatives.
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
