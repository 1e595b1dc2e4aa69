//! [`Penalty`]: which weights share a penalty.

use bilevel::simd::dispatch;
use bilevel::{Element, Error};
use serde::{Deserialize, Serialize};

use crate::linear::linear_model::{largest, link_functions::exp};
use crate::support::checks::check_logarithms;

/// The penalties that θ holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Penalty {
    /// One logarithm for all weights.
    Single,
    /// One logarithm per class (one in the binary form).
    PerClass,
    /// One logarithm per feature.
    PerFeature,
    /// One logarithm per weight, in the order of x.
    PerWeight,
}

impl Penalty {
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Penalty::Single => "the logarithm of one penalty",
            Penalty::PerClass => "the logarithm of a penalty for each class",
            Penalty::PerFeature => "the logarithm of a penalty for each feature",
            Penalty::PerWeight => "the logarithm of a penalty for each weight",
        }
    }

    /// Refuses a θ of another length than that of `groups`, and logarithms beyond the storage type.
    pub(crate) fn check<E: Element>(self, groups: &Groups, theta: &[f64]) -> Result<(), Error> {
        if theta.len() != groups.len() {
            let found = format!("{} numbers", theta.len());
            let expected = format!("{}, {}", groups.len(), self.describe());
            return Err(Error::invalid("theta", found, expected));
        }
        check_logarithms::<E>(theta)
    }
}

/// The least and the largest penalty e^θ.
pub(crate) fn extremes(theta: &[f64]) -> [f64; 2] {
    let least = theta.iter().copied().fold(f64::INFINITY, f64::min);
    let most = theta.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    [least.exp(), most.exp()]
}

/// The size of the terms of A v, where the loss alone is `smoothness`-smooth: a large penalty counts for its own weight only.
pub(crate) fn product_terms<E: Element>(smoothness: f64, v: &[E], weights: &[E]) -> f64 {
    let mut squares = [0.0, 0.0];
    for (v, w) in v.iter().zip(weights) {
        let v = v.to_f64();
        squares[0] += v * v;
        squares[1] += (w.to_f64() * v).powi(2);
    }
    smoothness * squares[0].sqrt() + squares[1].sqrt()
}

/// Weights of `columns` × c, divided into groups that share a penalty.
pub(crate) struct Groups {
    penalty: Penalty,
    columns: usize,
    c: usize,
}

impl Groups {
    pub(crate) fn new(penalty: Penalty, columns: usize, c: usize) -> Self {
        // One class has as many weights as features.
        let penalty = match penalty {
            Penalty::PerFeature if c == 1 => Penalty::PerWeight,
            Penalty::PerClass if c == 1 => Penalty::Single,
            other => other,
        };
        Groups {
            penalty,
            columns,
            c,
        }
    }

    /// The number of groups.
    pub(crate) fn len(&self) -> usize {
        match self.penalty {
            Penalty::Single => 1,
            Penalty::PerClass => self.c,
            Penalty::PerFeature => self.columns,
            Penalty::PerWeight => self.columns * self.c,
        }
    }

    /// out ← for each weight `f` of the entry of its group in `of_groups`.
    #[inline(always)]
    fn expand<E: Element>(&self, of_groups: &[f64], f: impl Fn(f64) -> f64, out: &mut [E]) {
        match self.penalty {
            Penalty::Single => out.fill(E::from_f64(f(of_groups[0]))),
            Penalty::PerWeight => {
                for (o, &t) in out.iter_mut().zip(of_groups) {
                    *o = E::from_f64(f(t));
                }
            }
            Penalty::PerFeature => {
                for (row, &t) in out.chunks_exact_mut(self.c).zip(of_groups) {
                    row.fill(E::from_f64(f(t)));
                }
            }
            Penalty::PerClass => {
                let (first, others) = out.split_at_mut(self.c);
                for (o, &t) in first.iter_mut().zip(of_groups) {
                    *o = E::from_f64(f(t));
                }
                for row in others.chunks_exact_mut(self.c) {
                    row.copy_from_slice(first);
                }
            }
        }
    }

    /// out ← e^θ for each weight.
    pub(crate) fn weights<E: Element>(&self, theta: &[f64], out: &mut [E]) {
        dispatch(
            #[inline(always)]
            || self.expand(theta, exp, out),
        );
    }

    /// out ← u e^θ for each weight: the derivative of e^θ along u.
    pub(crate) fn expand_by<E: Element>(&self, u: &[f64], weights: &[E], out: &mut [E]) {
        self.expand(u, |u| u, out);
        for (o, &w) in out.iter_mut().zip(weights) {
            *o = w * *o;
        }
    }

    /// out ← the sum of the terms of each group, in f64.
    fn sum(&self, term: impl Fn(usize) -> f64, out: &mut [f64]) {
        let (n, c) = (self.columns * self.c, self.c);
        match self.penalty {
            Penalty::Single => out[0] = (0..n).map(term).sum(),
            Penalty::PerWeight => {
                for (i, o) in out.iter_mut().enumerate() {
                    *o = term(i);
                }
            }
            Penalty::PerFeature => {
                for (j, o) in out.iter_mut().enumerate() {
                    *o = (j * c..(j + 1) * c).map(&term).sum();
                }
            }
            Penalty::PerClass => {
                out.fill(0.0);
                for start in (0..n).step_by(c) {
                    for (k, o) in out.iter_mut().enumerate() {
                        *o += term(start + k);
                    }
                }
            }
        }
    }

    /// out ← ⟨a, b⟩ over each group.
    pub(crate) fn inner<E: Element>(&self, a: &[E], b: &[E], out: &mut [f64]) {
        let n = self.columns * self.c;
        let (a, b) = (&a[..n], &b[..n]);
        self.sum(|i| a[i].to_f64() * b[i].to_f64(), out);
    }

    /// out ← ⟨w ∘ a, b⟩ over each group.
    pub(crate) fn cross<E: Element>(&self, weights: &[E], a: &[E], b: &[E], out: &mut [f64]) {
        let n = self.columns * self.c;
        let (w, a, b) = (&weights[..n], &a[..n], &b[..n]);
        self.sum(|i| w[i].to_f64() * a[i].to_f64() * b[i].to_f64(), out);
    }

    /// A bound of max e^θ ‖·‖ over the groups; `sums` is a buffer of one number per group.
    pub(crate) fn largest<E: Element>(&self, of: &[E], theta: &[f64], sums: &mut [f64]) -> f64 {
        self.inner(of, of, sums);
        let sizes = sums.iter().zip(theta);
        (1.0 + 64.0 * E::UNIT_ROUNDOFF) * largest(sizes.map(|(s, t)| t.exp() * s.sqrt()))
    }

    /// out ← scale e^θ ∘ out.
    pub(crate) fn times_penalty(&self, scale: f64, theta: &[f64], out: &mut [f64]) {
        dispatch(
            #[inline(always)]
            || {
                for (o, &t) in out.iter_mut().zip(theta) {
                    *o *= scale * exp(t);
                }
            },
        );
    }
}
