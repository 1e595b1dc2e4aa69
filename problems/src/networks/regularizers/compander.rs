//! The weight compander.

use bilevel::Error;
use bilevel::autodiff::{Number, Scalar, scalar};
use bilevel::simd::dispatch;
use serde::{Deserialize, Serialize};
use std::f64::consts::FRAC_PI_2;

/// The shape of a weight compander.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compander {
    /// ψ(v) = a atan(v/b).
    #[default]
    Atan,
    /// ψ(v) = a tanh(v/b).
    Tanh,
}

/// Bounds large weights, and pushes small ones away from zero.
///
/// ```text
/// w = ψ(v),   ψ odd, |ψ| ≤ bound, ψ'(0) = slope > 1:      ψ(v) = a atan(v/b)  with  a = bound/(π/2),  b = a/slope
/// ```
///
/// v is trained, and the model computes with w. θ is (ln(slope − 1), ln(bound)) per layer: the slope is above 1 for every θ. Biases are
/// not changed.
///
/// # Reference
/// R. A. Cakaj, J. Mehnert, B. Yang: Weight compander: a simple weight reparameterization for regularization. IJCNN 2023,
/// [arXiv:2306.16993](https://arxiv.org/abs/2306.16993). There a and b are trained with the weights; here they are hyperparameters, tuned on validation data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WeightCompander {
    /// The function.
    pub shape: Compander,
    /// ψ'(0) > 1 (default 1.25).
    pub slope: f64,
    /// The bound of the weights (default 1).
    pub bound: f64,
}

impl Default for WeightCompander {
    fn default() -> Self {
        WeightCompander {
            shape: Compander::Atan,
            slope: 1.25,
            bound: 1.0,
        }
    }
}

impl WeightCompander {
    pub(super) fn theta(self) -> Result<[f64; 2], Error> {
        if !(self.slope > 1.0 && self.slope.is_finite()) {
            let expected = "a finite number above 1";
            return Err(Error::invalid("compander.slope", self.slope, expected));
        }
        if !(self.bound > 0.0 && self.bound.is_finite()) {
            let expected = "a positive, finite number";
            return Err(Error::invalid("compander.bound", self.bound, expected));
        }
        Ok([(self.slope - 1.0).ln(), self.bound.ln()])
    }

    pub(super) fn natural(theta: &[f64]) -> [(&'static str, f64); 2] {
        [("slope", 1.0 + theta[0].exp()), ("bound", theta[1].exp())]
    }

    /// ψ'(0) and a.
    fn numbers<S: Scalar>(self, theta: &[S]) -> (S, S) {
        let (slope, bound) = (theta[0].exp().plus(1.0), theta[1].exp());
        let a = match self.shape {
            Compander::Atan => bound.times(1.0 / FRAC_PI_2),
            Compander::Tanh => bound,
        };
        (slope, a)
    }

    /// out ← ψ(v), for the θ of one layer.
    pub fn apply<S: Scalar>(self, v: &[S], theta: &[S], out: &mut [S]) {
        let (slope, a) = self.numbers(theta);
        let mut scaled = out.to_vec();
        S::scaled(v, slope / a, out);
        match self.shape {
            Compander::Atan => S::map(out, scalar::atan, &mut scaled),
            Compander::Tanh => S::map(out, scalar::tanh, &mut scaled),
        }
        S::scaled(&scaled, a, out);
    }

    /// Turns derivatives by w = ψ(v) into derivatives by v, in place, and adds those by θ. With ψ(v) = a φ(u), u = v slope/a,
    ///
    /// ```text
    /// ∂w/∂v = slope φ'(u),    ∂w/∂slope = v φ'(u),    ∂w/∂a = φ(u) − u φ'(u)
    /// ```
    ///
    /// and φ(u) = w/a, so that the function itself is not evaluated again.
    pub(super) fn pull_back<S: Number>(
        self,
        (v, w): (&[S], &[S]),
        theta: &[S],
        by: &mut [S],
        by_theta: &mut [S],
    ) {
        let (slope, a) = self.numbers(theta);
        let (inverse, ratio) = (S::constant(1.0) / a, slope / a);
        let (mut by_slope, mut by_a) = (by.to_vec(), by.to_vec());
        dispatch(
            #[inline(always)]
            || {
                let sums = by_slope.iter_mut().zip(&mut by_a);
                for (((by, &v), &w), (by_slope, by_a)) in by.iter_mut().zip(v).zip(w).zip(sums) {
                    let (u, phi) = (v * ratio, w * inverse);
                    let steepness = match self.shape {
                        Compander::Atan => S::constant(1.0) / (u * u).plus(1.0),
                        Compander::Tanh => (-(phi * phi)).plus(1.0),
                    };
                    *by_slope = *by * v * steepness;
                    *by_a = *by * (phi - u * steepness);
                    *by *= slope * steepness;
                }
            },
        );
        by_theta[0] += S::sum(&by_slope) * slope.plus(-1.0);
        by_theta[1] += S::sum(&by_a) * a;
    }
}
