//! Finite sums: both levels on a batch of their samples.
//!
//! ```text
//! g(x, θ) = (1/n) Σᵢ gᵢ(x, θ),   f(x, θ) = (1/m) Σⱼ fⱼ(x, θ)
//! g_ξ(x, θ) = (1/|ξ|) Σ_{i∈ξ} gᵢ(x, θ)                             for a batch ξ of samples, likewise f_ξ
//! ```
//!
//! A term that does not depend on the samples, such as a penalty on x, belongs to every gᵢ. The batch of all samples is the level itself,
//! and random batches of equal size are unbiased. Methods that need a gradient and products with A and B of one batch get them from one call,
//! because they share the forward pass.

use std::ops::Range;

use super::{LowerLevel, UpperLevel};

/// The samples of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch<'a> {
    /// The samples `start..end`.
    Range {
        /// The first sample.
        start: usize,
        /// One past the last sample.
        end: usize,
    },
    /// These samples, in this order, without duplicates.
    List(&'a [usize]),
}

impl Batch<'_> {
    /// All of `samples` samples.
    pub fn all(samples: usize) -> Self {
        Batch::Range {
            start: 0,
            end: samples,
        }
    }

    /// The number of samples.
    pub fn len(&self) -> usize {
        match self {
            Batch::Range { start, end } => end - start,
            Batch::List(list) => list.len(),
        }
    }

    /// Whether the batch is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The k-th sample.
    pub fn get(&self, k: usize) -> usize {
        match self {
            Batch::Range { start, .. } => start + k,
            Batch::List(list) => list[k],
        }
    }

    /// The samples, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.len()).map(|k| self.get(k))
    }

    /// The samples as a range, if the batch is one.
    pub fn range(&self) -> Option<Range<usize>> {
        match *self {
            Batch::Range { start, end } => Some(start..end),
            Batch::List(_) => None,
        }
    }
}

/// A lower level that is a finite sum.
///
/// Functions overwrite `out`, whose content on entry is unspecified, and allocate only in their first calls.
pub trait MinibatchLower: LowerLevel {
    /// n, the number of samples.
    fn samples(&self) -> usize;

    /// out ← ∇ₓg_ξ(x, θ).
    fn batch_gradient(&self, batch: Batch<'_>, x: &Self::X, theta: &Self::Theta, out: &mut Self::X);

    /// out ← ∇θg_ξ(x, θ), for methods without second derivatives.
    fn batch_gradient_theta(
        &self,
        batch: Batch<'_>,
        x: &Self::X,
        theta: &Self::Theta,
        out: &mut Self::Theta,
    );

    /// out ← A_ξ(x, θ) v.
    fn batch_hvp(
        &self,
        batch: Batch<'_>,
        x: &Self::X,
        theta: &Self::Theta,
        v: &Self::X,
        out: &mut Self::X,
    );

    /// out ← B_ξ(x, θ)ᵀv.
    fn batch_cross_vjp(
        &self,
        batch: Batch<'_>,
        x: &Self::X,
        theta: &Self::Theta,
        v: &Self::X,
        out: &mut Self::Theta,
    );

    /// gradient ← ∇ₓg_ξ, hvp ← A_ξ v and cross ← B_ξᵀv at one point. Override the default, three passes, by a single pass over the samples.
    fn batch_all(
        &self,
        batch: Batch<'_>,
        x: &Self::X,
        theta: &Self::Theta,
        v: &Self::X,
        out: Products<'_, Self::X, Self::Theta>,
    ) {
        self.batch_gradient(batch, x, theta, out.gradient);
        self.batch_hvp(batch, x, theta, v, out.hvp);
        self.batch_cross_vjp(batch, x, theta, v, out.cross);
    }
}

/// The outputs of [`MinibatchLower::batch_all`].
#[doc(hidden)]
pub struct Products<'a, X, T> {
    /// ∇ₓg_ξ.
    pub gradient: &'a mut X,
    /// A_ξ v.
    pub hvp: &'a mut X,
    /// B_ξᵀv.
    pub cross: &'a mut T,
}

/// An upper level that is a finite sum.
pub trait MinibatchUpper: UpperLevel {
    /// m, the number of samples.
    fn samples(&self) -> usize;

    /// f_ξ(x, θ).
    fn batch_value(&self, batch: Batch<'_>, x: &Self::X, theta: &Self::Theta) -> f64;

    /// by_x ← ∇ₓf_ξ(x, θ), by_theta ← ∇θf_ξ(x, θ).
    fn batch_gradients(
        &self,
        batch: Batch<'_>,
        x: &Self::X,
        theta: &Self::Theta,
        by_x: &mut Self::X,
        by_theta: &mut Self::Theta,
    );
}
