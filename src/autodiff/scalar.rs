//! [`Scalar`]: the number type of formulas that are evaluated and differentiated.

use super::jet::Jet;
use super::number::Real;
use std::fmt::Debug;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// A number in a formula: `f64`, `f32`, a [`Dual`](super::Dual) number, or a variable on a tape.
///
/// Constants enter through [`constant`](Scalar::constant), [`plus`](Scalar::plus) and [`times`](Scalar::times). Each function on slices is one
/// step of the tape and runs on whole registers: use them for products with data, sums and softmax. Slices of mismatched lengths give NaN.
pub trait Scalar:
    Copy
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
{
    /// The type of the arithmetic, `f64` or `f32`.
    type Real: Real;
    /// The constant `value`.
    fn constant(value: f64) -> Self;
    /// The value, without derivatives.
    fn value(self) -> f64;
    /// φ of this number, given [φ, φ', φ''] at its value. All functions of one number are built on it.
    fn chain(self, phi: [f64; 3]) -> Self;
    /// The same number as a constant of reverse mode: no derivative flows back through it. A dual number keeps its tangent.
    #[inline(always)]
    fn detach(self) -> Self {
        self
    }

    /// self + c.
    #[inline(always)]
    fn plus(self, c: f64) -> Self {
        self + Self::constant(c)
    }
    /// c · self.
    #[inline(always)]
    fn times(self, c: f64) -> Self {
        self * Self::constant(c)
    }
    /// eˣ.
    #[inline(always)]
    fn exp(self) -> Self {
        let e = self.value().exp();
        self.chain([e, e, e])
    }
    /// The natural logarithm.
    #[inline(always)]
    fn ln(self) -> Self {
        let x = self.value();
        // Below 0 the value is NaN; so must be the slope, or the gradient would look valid.
        let slope = if x < 0.0 { f64::NAN } else { 1.0 / x };
        self.chain([x.ln(), slope, -slope / x])
    }
    /// The square root.
    #[inline(always)]
    fn sqrt(self) -> Self {
        let root = self.value().sqrt();
        self.chain([root, 0.5 / root, -0.25 / (root * root * root)])
    }
    /// 1/√x. Faster than a quotient by a square root, because the derivative needs no further division.
    #[inline(always)]
    fn inverse_sqrt(self) -> Self {
        let x = self.value();
        let r = 1.0 / x.sqrt();
        self.chain([r, -0.5 * r / x, 0.75 * r / (x * x)])
    }
    /// x², the product with itself.
    #[inline(always)]
    fn squared(self) -> Self {
        self * self
    }
    /// xᵖ for a constant exponent.
    #[inline(always)]
    fn powf(self, p: f64) -> Self {
        let x = self.value();
        // A zero factor gives a zero derivative, also at x = 0, where the power is infinite.
        let term = |factor: f64, p: f64| {
            if factor == 0.0 {
                0.0
            } else {
                factor * x.powf(p)
            }
        };
        self.chain([x.powf(p), term(p, p - 1.0), term(p * (p - 1.0), p - 2.0)])
    }
    /// The hyperbolic tangent.
    #[inline(always)]
    fn tanh(self) -> Self {
        self.chain(tanh(self.value()))
    }
    /// σ(x) = 1/(1 + e⁻ˣ).
    #[inline(always)]
    fn sigmoid(self) -> Self {
        self.chain(sigmoid(self.value()))
    }
    /// ln(1 + eˣ).
    #[inline(always)]
    fn softplus(self) -> Self {
        self.chain(softplus(self.value()))
    }
    /// The arc tangent.
    #[inline(always)]
    fn atan(self) -> Self {
        self.chain(atan(self.value()))
    }
    /// The sine.
    #[inline(always)]
    fn sin(self) -> Self {
        let (sin, cos) = self.value().sin_cos();
        self.chain([sin, cos, -sin])
    }
    /// The cosine.
    #[inline(always)]
    fn cos(self) -> Self {
        let (sin, cos) = self.value().sin_cos();
        self.chain([cos, -sin, -cos])
    }
    /// The larger of two numbers; `self` if they are equal.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        // A NaN stays: it is no smaller than anything.
        if other.value() > self.value() || other.value().is_nan() {
            other
        } else {
            self
        }
    }
    /// This number if it lies between `least` and `most`, else the nearer of the two, as a constant.
    #[inline(always)]
    fn clamp(self, least: f64, most: f64) -> Self {
        let x = self.value();
        if x < least {
            Self::constant(least)
        } else if x > most {
            Self::constant(most)
        } else {
            self
        }
    }

    /// Σᵢ xᵢ.
    fn sum(x: &[Self]) -> Self {
        let mut total = Self::constant(0.0);
        for &x in x {
            total += x;
        }
        total
    }
    /// Σᵢ aᵢbᵢ.
    fn dot(a: &[Self], b: &[Self]) -> Self {
        let mut out = [Self::constant(0.0)];
        Self::mat_vec(a, b, &mut out);
        out[0]
    }
    /// Σᵢ xᵢdᵢ with data d.
    fn dot_data(x: &[Self], data: &[f64]) -> Self {
        let mut out = [Self::constant(0.0)];
        Self::mat_data(x, data, &mut out);
        out[0]
    }
    /// out ← W x, with W in row-major order and as many rows as `out` has entries.
    fn mat_vec(w: &[Self], x: &[Self], out: &mut [Self]);
    /// out ← W d for data d, with W in row-major order and as many rows as `out` has entries.
    fn mat_data(w: &[Self], data: &[f64], out: &mut [Self]);
    /// outᵢ ← φ(xᵢ), for a function that returns [φ, φ', φ''].
    fn map(x: &[Self], phi: impl Fn(f64) -> [f64; 3], out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        for (out, &x) in out.iter_mut().zip(x) {
            *out = x.chain(phi(x.value()));
        }
    }
    /// Σᵢ φ(aᵢ, bᵢ, …) along K slices, for a formula of K variables and M data: one step of the tape, in one pass. A slice of one entry
    /// is repeated for every i.
    ///
    /// The formula is vectorised if it is marked `#[inline(always)]` and has no branches. In `f32` the data are rounded before the formula
    /// sees them, so take differences of large numbers beforehand; φ, φ' and φ'' must stay within its range, which ends at 10³⁸.
    ///
    /// ```
    /// use bilevel::autodiff::Scalar;
    ///
    /// /// Σ √((xᵢ₊₁ − xᵢ)² + ν²).
    /// fn variation<S: Scalar>(x: &[S], nu: S) -> S {
    ///     let last = x.len() - 1;
    ///     S::sum_each([&x[..last], &x[1..], &[nu]], [], |[x, right, nu], []| {
    ///         ((right - x).squared() + nu.squared()).sqrt()
    ///     })
    /// }
    /// assert_eq!(variation(&[0.0, 4.0, 4.0], 3.0), 8.0);
    /// ```
    fn sum_each<const K: usize, const M: usize>(
        x: [&[Self]; K],
        data: [&[f64]; M],
        phi: impl Fn([Jet<K, Self::Real>; K], [f64; M]) -> Jet<K, Self::Real>,
    ) -> Self;
    /// outᵢ ← s xᵢ.
    fn scaled(x: &[Self], s: Self, out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        for (out, &x) in out.iter_mut().zip(x) {
            *out = s * x;
        }
    }
    /// outᵢ ← aᵢ + bᵢ.
    fn added(a: &[Self], b: &[Self], out: &mut [Self]) {
        if a.len() != out.len() || b.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = a + b;
        }
    }
    /// outᵢ ← aᵢ bᵢ.
    fn multiplied(a: &[Self], b: &[Self], out: &mut [Self]) {
        if a.len() != out.len() || b.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
            *out = a * b;
        }
    }
    /// ln Σᵢ exp(xᵢ), without overflow.
    fn log_sum_exp(x: &[Self]) -> Self {
        let shift = shift(x);
        let mut sum = Self::constant(0.0);
        x.iter().for_each(|x| sum += x.plus(-shift).exp());
        sum.ln().plus(shift)
    }
    /// outᵢ ← exp(xᵢ)/Σⱼ exp(xⱼ), without overflow.
    fn softmax(x: &[Self], out: &mut [Self]) {
        if x.len() != out.len() {
            return out.fill(Self::constant(f64::NAN));
        }
        let shift = shift(x);
        let mut sum = Self::constant(0.0);
        for (out, x) in out.iter_mut().zip(x) {
            *out = x.plus(-shift).exp();
            sum += *out;
        }
        let share = Self::constant(1.0) / sum;
        out.iter_mut().for_each(|out| *out *= share);
    }
}

/// The shift before exponentials: the largest value, or 0 if that is not finite or there are no numbers.
pub(super) fn shift<S: Scalar>(x: &[S]) -> f64 {
    let largest = x.iter().fold(f64::NEG_INFINITY, |m, x| m.max(x.value()));
    if largest.is_finite() { largest } else { 0.0 }
}

/// tanh x, its first and second derivative.
pub fn tanh(x: f64) -> [f64; 3] {
    let t = x.tanh();
    let slope = 1.0 - t * t;
    [t, slope, -2.0 * t * slope]
}

/// σ(x), its first and second derivative.
pub fn sigmoid(x: f64) -> [f64; 3] {
    // The smaller of σ(x) and σ(−x) is computed without cancellation.
    let e = (-x.abs()).exp();
    let small = e / (1.0 + e);
    let s = if x < 0.0 { small } else { 1.0 / (1.0 + e) };
    let slope = small / (1.0 + e);
    [
        s,
        slope,
        slope
            * if x < 0.0 {
                1.0 - 2.0 * s
            } else {
                2.0 * small - 1.0
            },
    ]
}

/// ln(1 + eˣ), its first and second derivative.
pub fn softplus(x: f64) -> [f64; 3] {
    let [s, slope, _] = sigmoid(x);
    [x.max(0.0) + (-x.abs()).exp().ln_1p(), s, slope]
}

/// atan x, its first and second derivative.
pub fn atan(x: f64) -> [f64; 3] {
    let slope = 1.0 / (1.0 + x * x);
    [x.atan(), slope, -2.0 * (x * slope) * slope]
}
