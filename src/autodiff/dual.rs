//! [`Dual`] numbers: a value and a tangent.

use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use super::jet::{self, Jet};
use super::number::{self, Number, Real};
use super::rows::RowBuffers;
use super::scalar::Scalar;
use super::tape::Tape;
use crate::vector::Element;

/// A dual number x + ẋε with ε² = 0: a formula evaluated in it gives its value and its derivative along ẋ.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Dual<E> {
    /// The value x.
    pub re: E,
    /// The tangent ẋ.
    pub eps: E,
}

impl<E: Element> Dual<E> {
    /// x + ẋε.
    #[inline(always)]
    pub fn new(re: E, eps: E) -> Self {
        Dual { re, eps }
    }
}

impl<E: Element> Add for Dual<E> {
    type Output = Self;
    #[inline(always)]
    fn add(self, b: Self) -> Self {
        Dual::new(self.re + b.re, self.eps + b.eps)
    }
}

impl<E: Element> Sub for Dual<E> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, b: Self) -> Self {
        Dual::new(self.re - b.re, self.eps - b.eps)
    }
}

impl<E: Element> Mul for Dual<E> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, b: Self) -> Self {
        Dual::new(self.re * b.re, self.re * b.eps + self.eps * b.re)
    }
}

impl<E: Element> Div for Dual<E> {
    type Output = Self;
    #[inline(always)]
    fn div(self, b: Self) -> Self {
        let quotient = self.re / b.re;
        Dual::new(quotient, (self.eps - quotient * b.eps) / b.re)
    }
}

impl<E: Element> Neg for Dual<E> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Dual::default() - self
    }
}

impl<E: Element> AddAssign for Dual<E> {
    #[inline(always)]
    fn add_assign(&mut self, b: Self) {
        *self = *self + b;
    }
}

impl<E: Element> SubAssign for Dual<E> {
    #[inline(always)]
    fn sub_assign(&mut self, b: Self) {
        *self = *self - b;
    }
}

impl<E: Element> MulAssign for Dual<E> {
    #[inline(always)]
    fn mul_assign(&mut self, b: Self) {
        *self = *self * b;
    }
}

impl<E: Real> Scalar for Dual<E> {
    type Real = E;
    #[inline(always)]
    fn constant(value: f64) -> Self {
        Dual::new(E::constant(value), E::default())
    }
    #[inline(always)]
    fn value(self) -> f64 {
        self.re.value()
    }
    #[inline(always)]
    fn chain(self, phi: [f64; 3]) -> Self {
        Dual::new(E::constant(phi[0]), E::constant(phi[1]) * self.eps)
    }
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        Dual::new(self.re + E::constant(c), self.eps)
    }
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self.times_real(E::constant(c))
    }
    /// In the type itself, so that loops over it are vectorised.
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = Element::sqrt(self.re);
        Dual::new(root, self.eps / (root + root))
    }
    #[inline(always)]
    fn inverse_sqrt(self) -> Self {
        let r = E::constant(1.0) / Element::sqrt(self.re);
        Dual::new(r, E::constant(-0.5) * (r * r * r) * self.eps)
    }
    fn mat_vec(w: &[Self], x: &[Self], out: &mut [Self]) {
        number::mat_vec(w, x, out);
    }
    fn mat_data(w: &[Self], data: &[f64], out: &mut [Self]) {
        number::mat_data_of(w, data, out);
    }
    fn sum_each<const K: usize, const M: usize>(
        x: [&[Self]; K],
        data: [&[f64]; M],
        phi: impl Fn([Jet<K, Self::Real>; K], [f64; M]) -> Jet<K, Self::Real>,
    ) -> Self {
        jet::sum_of_numbers(x, data, phi)
    }
}

impl<E: Real> Number for Dual<E> {
    #[inline(always)]
    fn real(value: E) -> Self {
        Dual::new(value, E::default())
    }
    #[inline(always)]
    fn real_part(self) -> E {
        self.re
    }
    #[inline(always)]
    fn tangent(self) -> E {
        self.eps
    }
    #[inline(always)]
    fn slope(self, phi: [f64; 3]) -> Self {
        Dual::new(E::constant(phi[1]), E::constant(phi[2]) * self.eps)
    }
    #[inline(always)]
    fn times_real(self, r: E) -> Self {
        Dual::new(self.re * r, self.eps * r)
    }
    const PARTS: usize = 2;
    #[inline(always)]
    fn with_tangent(value: E, tangent: E) -> Self {
        Dual::new(value, tangent)
    }
    #[inline(always)]
    fn as_reals(_x: &[Self]) -> Option<&[E]> {
        None
    }
    #[inline(always)]
    fn as_reals_mut(_x: &mut [Self]) -> Option<&mut [E]> {
        None
    }
    fn with_buffers<R>(f: impl FnOnce(&mut RowBuffers<Self>) -> R) -> R {
        E::with_dual_buffers(f)
    }
    fn with_tape<R>(f: impl FnOnce(&mut Tape<Self>) -> R) -> R {
        E::with_dual_tape(f)
    }
}
