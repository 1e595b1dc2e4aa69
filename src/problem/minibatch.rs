//! Finite sums: both levels on a batch of their samples.
//!
//! ```text
//! g(x, θ) = (1/n) Σᵢ gᵢ(x, θ),   f(x, θ) = (1/m) Σⱼ fⱼ(x, θ)
//! g_ξ(x, θ) = (1/|ξ|) Σ_{i∈ξ} gᵢ(x, θ)                             for a batch ξ of samples, likewise f_ξ
//! ```
//!
//! What does not depend on the samples, a penalty on x, belongs to every gᵢ. A batch of all samples is the level itself, and a mean
//! over batches of equal size is unbiased. The products with A and B and the gradient of one batch share its forward product, so
//! they come from one call where a method needs all of them.

use std::ops::Range;

use super::{LowerLevel, UpperLevel};

/// The samples of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch<'a> {
    /// The samples from `start` up to and without `end`.
    Range {
        /// The first sample.
        start: usize,
        /// The one behind the last.
        end: usize,
    },
    /// These samples, in this order; none twice.
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

    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Batch::Range { start, end } => end - start,
            Batch::List(list) => list.len(),
        }
    }

    /// Whether there are none.
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

    /// The samples as a range, where they are one.
    pub fn range(&self) -> Option<Range<usize>> {
        match *self {
            Batch::Range { start, end } => Some(start..end),
            Batch::List(_) => None,
        }
    }
}

/// A lower level that is a finite sum.
///
/// The functions write into `out`, whose content on entry is unspecified. They allocate nothing after a few first calls.
pub trait MinibatchLower: LowerLevel {
    /// n.
    fn samples(&self) -> usize;

    /// out ← ∇ₓg_ξ(x, θ).
    fn batch_gradient(&self, batch: Batch<'_>, x: &Self::X, theta: &Self::Theta, out: &mut Self::X);

    /// out ← ∇θg_ξ(x, θ): what methods without second derivatives use.
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

    /// gradient ← ∇ₓg_ξ, hvp ← A_ξ v and cross ← B_ξᵀv at one point, from one pass over the samples. The default makes three.
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

/// Where [`MinibatchLower::batch_all`] writes.
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
    /// m.
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
