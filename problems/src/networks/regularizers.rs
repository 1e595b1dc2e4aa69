//! Regularisers for the training of a classifier, whose strengths are tuned by hypergradients; they can be combined.
//!
//! | regulariser | what it adds | θ | published default |
//! |---|---|---|---|
//! | [`Elr`], early-learning regularisation | λ log(1 − ⟨p, t⟩), t a moving average of earlier predictions | ln λ, logit β | λ = 3, β = 0.7 |
//! | [`PsKd`], self-knowledge distillation | labels mixed with the predictions of the epoch before | logit `α_T` | `α_T` = 0.8 |
//! | [`DecoupledMixup`] | mixed samples, and a term in which the two classes do not compete | ln η, ln α | η = 0.1, α = 1 |
//! | [`WeightCompander`] | an odd bounded function of every weight | ln(slope − 1), ln(bound), per layer | none |
//!
//! θ holds the logarithm of a positive number and the logit of one between 0 and 1, so every value can be reached. Entries beyond ±30 are
//! refused, and so is an α of the mixup outside [0.02, 100]. A [`Recipe`] is any set of regularisers. Targets, where a regulariser keeps
//! them, change while a model trains, and there are two correct ways to a hypergradient:
//! [`Training`](crate::networks::training::Training) is differentiated through all of its steps, targets included;
//! [`FixedTargets`](crate::networks::training::FixedTargets) fixes them, so that the implicit function theorem applies.

mod compander;
mod elr;
mod mixup;
mod pskd;

pub use compander::{Compander, WeightCompander};
pub use elr::Elr;
pub use mixup::DecoupledMixup;
use mixup::share_of;
pub use pskd::PsKd;

use bilevel::Error;
use bilevel::autodiff::{Number, Scalar};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// The regularisers that a training run uses, with the values that θ starts from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Early-learning regularisation.
    pub elr: Option<Elr>,
    /// Self-knowledge distillation.
    pub pskd: Option<PsKd>,
    /// Decoupled mixup.
    pub mixup: Option<DecoupledMixup>,
    /// The weight compander.
    pub compander: Option<WeightCompander>,
}

/// The parts of θ that belong to each regulariser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Split<'a, S> {
    pub(crate) elr: &'a [S],
    pub(crate) pskd: &'a [S],
    pub(crate) mixup: &'a [S],
    pub(crate) compander: &'a [S],
}

/// ln(x/(1 − x)).
fn logit(x: f64) -> f64 {
    (x / (1.0 - x)).ln()
}

/// −Σ y log p of a distribution y over the classes, p the softmax of the scores.
pub(crate) fn cross_entropy<S: Scalar>(scores: &[S], y: &[S]) -> S {
    let total = S::log_sum_exp(scores);
    let losses: Vec<S> = scores.iter().map(|&z| total - z).collect();
    S::dot(&losses, y)
}

/// −log p of one class.
pub(crate) fn negative_log<S: Scalar>(scores: &[S], class: usize) -> S {
    S::log_sum_exp(scores) - scores[class]
}

impl Recipe {
    /// Early-learning regularisation alone, as published.
    pub fn elr() -> Self {
        Recipe {
            elr: Some(Elr::default()),
            ..Recipe::default()
        }
    }

    /// Self-knowledge distillation alone, as published.
    pub fn pskd() -> Self {
        Recipe {
            pskd: Some(PsKd::default()),
            ..Recipe::default()
        }
    }

    /// Decoupled mixup alone, as published.
    pub fn mixup() -> Self {
        Recipe {
            mixup: Some(DecoupledMixup::default()),
            ..Recipe::default()
        }
    }

    /// The weight compander alone.
    pub fn compander() -> Self {
        Recipe {
            compander: Some(WeightCompander::default()),
            ..Recipe::default()
        }
    }

    fn lengths(&self, layers: usize) -> [usize; 4] {
        [
            self.elr.map_or(0, |_| 2),
            self.pskd.map_or(0, |_| 1),
            self.mixup.map_or(0, |_| 2),
            self.compander.map_or(0, |_| 2 * layers),
        ]
    }

    /// The length of θ for a model with `layers` layers.
    pub fn hyperparameters(&self, layers: usize) -> usize {
        self.lengths(layers).iter().sum()
    }

    /// θ of the values in the recipe.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for values outside their ranges.
    pub fn theta(&self, layers: usize) -> Result<Vec<f64>, Error> {
        let mut theta = Vec::new();
        if let Some(elr) = self.elr {
            theta.extend(elr.theta()?);
        }
        if let Some(pskd) = self.pskd {
            theta.extend(pskd.theta()?);
        }
        if let Some(mixup) = self.mixup {
            theta.extend(mixup.theta()?);
        }
        if let Some(compander) = self.compander {
            let one = compander.theta()?;
            (0..layers).for_each(|_| theta.extend(one));
        }
        Ok(theta)
    }

    /// The names of the entries of θ in natural units, with their values: `("lambda", 3.0)`.
    pub fn named(&self, theta: &[f64], layers: usize) -> Vec<(String, f64)> {
        let split = self.split(theta, layers);
        let mut named: Vec<(String, f64)> = Vec::new();
        if self.elr.is_some() {
            named.extend(Elr::natural(split.elr).map(|(n, v)| (n.to_owned(), v)));
        }
        if self.pskd.is_some() {
            named.extend(PsKd::natural(split.pskd).map(|(n, v)| (n.to_owned(), v)));
        }
        if self.mixup.is_some() {
            named.extend(DecoupledMixup::natural(split.mixup).map(|(n, v)| (n.to_owned(), v)));
        }
        for (k, part) in split.compander.chunks_exact(2).enumerate() {
            let values = WeightCompander::natural(part);
            named.extend(values.map(|(n, v)| (format!("{n} of layer {}", k + 1), v)));
        }
        named
    }

    pub(crate) fn split<'a, S>(&self, theta: &'a [S], layers: usize) -> Split<'a, S> {
        let [elr, pskd, mixup, compander] = self.lengths(layers);
        let (elr, rest) = theta.split_at(elr);
        let (pskd, rest) = rest.split_at(pskd);
        let (mixup, rest) = rest.split_at(mixup);
        Split {
            elr,
            pskd,
            mixup,
            compander: &rest[..compander],
        }
    }

    /// λ of the mixup at the random number `chance`, with its first two derivatives in α, at the α of θ.
    pub(crate) fn share<S: Number>(&self, theta: &[S], layers: usize, chance: f64) -> [f64; 3] {
        if self.mixup.is_none() {
            return [1.0, 0.0, 0.0];
        }
        share_of(self.split(theta, layers).mixup[1].value().exp(), chance)
    }

    /// Whether a sample keeps targets between the epochs.
    pub fn keeps_targets(&self) -> bool {
        self.elr.is_some() || self.pskd.is_some()
    }

    /// Refuses a θ of another length, and entries that are not finite or outside the range of a regulariser.
    pub(crate) fn check(&self, theta: &[f64], layers: usize) -> Result<(), Error> {
        let expected = self.hyperparameters(layers);
        if theta.len() != expected {
            let found = format!("{} numbers", theta.len());
            return Err(Error::invalid(
                "theta",
                found,
                format!("{expected} numbers"),
            ));
        }
        for (i, &value) in theta.iter().enumerate() {
            // e³⁰ is beyond any use, and keeps every formula finite.
            if value.is_nan() || value.abs() > 30.0 {
                let argument = format!("theta[{i}]");
                return Err(Error::invalid(argument, value, "a number from -30 to 30"));
            }
        }
        if self.mixup.is_some() {
            DecoupledMixup::check(self.split(theta, layers).mixup)?;
        }
        Ok(())
    }

    /// out ← the weights that the model computes with: `w`, or ψ(w) with a compander.
    pub(crate) fn weights<S: Scalar>(
        &self,
        w: &[S],
        layers: &[Range<usize>],
        theta: &[S],
        out: &mut [S],
    ) {
        out.copy_from_slice(w);
        if let Some(compander) = self.compander {
            let theta = self.split(theta, layers.len()).compander;
            for (layer, theta) in layers.iter().zip(theta.chunks_exact(2)) {
                compander.apply(&w[layer.clone()], theta, &mut out[layer.clone()]);
            }
        }
    }

    /// Turns derivatives by the weights that the model computes with into derivatives by `w`, in place, and adds those by θ.
    pub(crate) fn pull_back<S: Number>(
        &self,
        (w, weights): (&[S], &[S]),
        layers: &[Range<usize>],
        theta: &[S],
        by_w: &mut [S],
        by_theta: &mut [S],
    ) {
        let Some(compander) = self.compander else {
            return;
        };
        let theta = self.split(theta, layers.len()).compander;
        let first = self.hyperparameters(layers.len()) - theta.len();
        let by_theta = by_theta[first..].chunks_exact_mut(2);
        for ((layer, theta), by_theta) in layers.iter().zip(theta.chunks_exact(2)).zip(by_theta) {
            let at = (&w[layer.clone()], &weights[layer.clone()]);
            compander.pull_back(at, theta, &mut by_w[layer.clone()], by_theta);
        }
    }

    /// A short name, as in `ELR + PS-KD`.
    pub fn name(&self) -> String {
        let parts = [
            self.elr.map(|_| "ELR"),
            self.pskd.map(|_| "PS-KD"),
            self.mixup.map(|_| "decoupled mixup"),
            self.compander.map(|_| "weight compander"),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        if parts.is_empty() {
            "no regulariser".to_owned()
        } else {
            parts.join(" + ")
        }
    }
}
