//! Data hyper-cleaning: a weight for every training sample, learned so that wrongly labelled ones lose theirs.
//!
//! ```text
//! g(x, θ) = (1/n) Σᵢ σ(θᵢ) ℓᵢ(x) + (C/2)‖x‖²,      f(x) = (1/m) Σ ℓ of the validation samples, whose labels are right
//! ```
//!
//! with the losses of [`logistic`](crate::linear::logistic). On a batch ξ the sum over its samples is divided by |ξ|. The mixed derivative has
//! one column per sample, σ'(θᵢ)/n · aᵢ ⊗ rᵢ, with the residual rᵢ of the loss in its scores.
//!
//! # Hyperparameters
//! θ ∈ ℝⁿ. A sample counts fully for θᵢ → ∞ and not at all for θᵢ → −∞.
//!
//! # Curvature
//! With h, τ and ρ the bounds of the second and third derivative of a loss in its scores and of its residual,
//!
//! ```text
//! μ = C,   L = h maxσ ‖A‖²/n + C,   L_A = τ maxσ ‖A‖² max‖aᵢ‖/n,   ‖B‖ ≤ (‖A‖/n) maxᵢ σ'(θᵢ)‖rᵢ‖,   L_B = h maxσ' ‖A‖ max‖aᵢ‖/n
//! ```
//!
//! and locally, with tᵢ the scores of q, ‖(A(x+e) − A(x)) q‖ ≤ (‖A‖/n) √Σ σ² min(τ‖aᵢ‖‖e‖, h)² ‖tᵢ‖², and
//! ‖(B(x+e) − B(x))ᵀq‖ ≤ (1/n) √Σ σ'² min(h‖aᵢ‖‖e‖, 2ρ)² ‖tᵢ‖².
//!
//! # Other models
//! [`model_cleaning`] takes the loss of any [`Classifier`](crate::networks::models::Classifier), for example a recurrent one for texts.
//!
//! # Reference
//! L. Franceschi, M. Donini, P. Frasconi, M. Pontil: Forward and reverse gradient-based hyperparameter optimization. ICML 2017,
//! [arXiv:1703.01785](https://arxiv.org/abs/1703.01785).

mod linearization;
mod models;

pub use models::{ModelCleaning, judge, model_cleaning};
#[doc(hidden)]
pub use models::{ValidationLoss, WeightedLoss};

use bilevel::problem::minibatch::{Batch, MinibatchLower, Products};
use bilevel::{Curvature, Element, Error, Implicit, Linearization, LowerLevel, Vector};

use crate::data::{LabelledData, same_columns, symmetric};
use crate::linear::linear_model::{Buffers, Model, Part, link_functions, regularise};
use crate::linear::logistic::CrossEntropy;
use crate::support::lanes::Lanes;
use linearization::CleaningLinearization;
use link_functions::sigmoid;

/// The lower level: a weighted linear classifier. See the [module](self).
pub struct HyperCleaning<E> {
    model: Model<E>,
    penalty: f64,
    /// C for every weight.
    penalties: Vec<E>,
}

/// σ'(t).
fn sigmoid_slope(t: f64) -> f64 {
    let s = sigmoid(-t.abs());
    s * (1.0 - s)
}

/// Replaces a share of the labels, chosen by the seed, by another class, each equally likely: symmetric [`Noise`](crate::data::Noise).
///
/// # Errors
/// [`Error::InvalidArgument`] for a share outside [0, 1].
pub fn corrupt_labels<E: Element>(
    data: &LabelledData<E>,
    share: f64,
    seed: u64,
) -> Result<LabelledData<E>, Error> {
    let labels = symmetric(data.labels(), data.classes(), share, seed)?;
    data.clone().with_labels(labels)
}

impl<E: Lanes> HyperCleaning<E> {
    /// The classifier of these training samples with the penalty C.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a penalty that is not positive, and features whose squares overflow.
    pub fn new(train: &LabelledData<E>, penalty: f64) -> Result<Self, Error> {
        if !(penalty > 0.0 && penalty.is_finite()) {
            return Err(Error::invalid(
                "penalty",
                format!("{penalty:?}"),
                "a positive, finite number",
            ));
        }
        let model = Model::new(train, train.classes() == 2)?;
        Ok(HyperCleaning {
            penalties: vec![E::from_f64(penalty); model.len()],
            model,
            penalty,
        })
    }

    fn all(&self) -> Batch<'static> {
        Batch::all(self.model.samples())
    }

    /// weights ← `of_theta` of the θᵢ of the samples of a part.
    fn weigh(
        &self,
        part: Part<'_>,
        buffers: &mut Buffers<E>,
        theta: &[f64],
        of_theta: impl Fn(f64) -> f64,
    ) {
        buffers.weights.clear();
        let weights = part.batch.iter().map(|i| of_theta(theta[i]));
        buffers.weights.extend(weights);
    }

    /// scores ← weights ∘ scores.
    fn apply_weights(&self, buffers: &mut Buffers<E>, which: usize) {
        let Buffers {
            scores, weights, ..
        } = buffers;
        link_functions::weigh(self.model.outputs(), &mut scores[which], weights);
    }

    /// out ← ∇ₓg; returns the weighted sum of the losses where they are asked for.
    fn gradient_pass(
        &self,
        batch: Batch<'_>,
        x: &[E],
        theta: &[f64],
        out: &mut [E],
        losses: bool,
    ) -> f64 {
        let c = self.model.outputs();
        let pass = self.model.pass::<1, 1>(batch, [x], |part, buffers| {
            self.model.activate(buffers, losses);
            link_functions::residual(c, &mut buffers.scores[0], &buffers.labels);
            self.weigh(part, buffers, theta, sigmoid);
            self.apply_weights(buffers, 0);
            let weighted = buffers.numbers.iter().zip(&buffers.weights);
            weighted.map(|(l, w)| l * w).sum()
        });
        let value = pass.value;
        let share = 1.0 / batch.len() as f64;
        regularise(share, pass.sum(0), &self.penalties, x, out);
        self.model.done(pass);
        value
    }

    fn whole_value(&self, losses: f64, x: &Vec<E>) -> f64 {
        losses / self.model.samples() as f64 + 0.5 * self.penalty * x.dot(x)
    }

    /// out ← share · σ'(θᵢ) · the numbers of the samples, zero elsewhere.
    fn scatter(
        &self,
        batch: Batch<'_>,
        numbers: impl Iterator<Item = f64>,
        theta: &[f64],
        out: &mut [f64],
    ) {
        let share = 1.0 / batch.len() as f64;
        out.fill(0.0);
        for (i, number) in batch.iter().zip(numbers) {
            out[i] = share * sigmoid_slope(theta[i]) * number;
        }
    }
}

impl<E: Lanes> MinibatchLower for HyperCleaning<E> {
    fn samples(&self) -> usize {
        self.model.samples()
    }

    fn batch_gradient(&self, batch: Batch<'_>, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.gradient_pass(batch, x, theta, out, false);
    }

    fn batch_gradient_theta(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        let pass = self.model.pass::<1, 0>(batch, [x], |_, buffers| {
            self.model.activate(buffers, true);
            0.0
        });
        self.scatter(batch, pass.numbers(), theta, out);
        self.model.done(pass);
    }

    fn batch_hvp(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: &mut Vec<E>,
    ) {
        let c = self.model.outputs();
        let pass = self.model.pass::<2, 1>(batch, [x, v], |part, buffers| {
            self.model.activate(buffers, false);
            let [p, t] = &mut buffers.scores;
            link_functions::curve(c, p, t);
            buffers.scores.swap(0, 1);
            self.weigh(part, buffers, theta, sigmoid);
            self.apply_weights(buffers, 0);
            0.0
        });
        let share = 1.0 / batch.len() as f64;
        regularise(share, pass.sum(0), &self.penalties, v, out);
        self.model.done(pass);
    }

    fn batch_cross_vjp(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: &mut Vec<f64>,
    ) {
        let c = self.model.outputs();
        let pass = self.model.pass::<2, 0>(batch, [x, v], |_, buffers| {
            self.model.activate(buffers, false);
            buffers.numbers.resize(buffers.labels.len(), 0.0);
            let [p, t] = &buffers.scores;
            link_functions::along(c, p, t, &buffers.labels, &mut buffers.numbers);
            0.0
        });
        self.scatter(batch, pass.numbers(), theta, out);
        self.model.done(pass);
    }

    fn batch_all(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: Products<'_, Vec<E>, Vec<f64>>,
    ) {
        let c = self.model.outputs();
        let pass = self.model.pass::<2, 2>(batch, [x, v], |part, buffers| {
            self.model.activate(buffers, false);
            buffers.numbers.resize(buffers.labels.len(), 0.0);
            let [p, t] = &mut buffers.scores;
            link_functions::along(c, p, t, &buffers.labels, &mut buffers.numbers);
            link_functions::curve(c, p, t);
            link_functions::residual(c, p, &buffers.labels);
            self.weigh(part, buffers, theta, sigmoid);
            self.apply_weights(buffers, 0);
            self.apply_weights(buffers, 1);
            0.0
        });
        let share = 1.0 / batch.len() as f64;
        regularise(share, pass.sum(0), &self.penalties, x, out.gradient);
        regularise(share, pass.sum(1), &self.penalties, v, out.hvp);
        self.scatter(batch, pass.numbers(), theta, out.cross);
        self.model.done(pass);
    }
}

impl<E: Lanes> LowerLevel for HyperCleaning<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        vec![E::default(); self.model.len()]
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        let samples = self.model.samples();
        if theta.len() != samples {
            return Err(Error::invalid(
                "theta",
                format!("{} numbers", theta.len()),
                format!("{samples}, one a sample"),
            ));
        }
        match theta.iter().position(|t| t.is_nan()) {
            None => Ok(()),
            Some(i) => Err(Error::invalid(format!("theta[{i}]"), "NaN", "a number")),
        }
    }

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        let pass = self.model.pass::<1, 0>(self.all(), [x], |part, buffers| {
            self.model.activate(buffers, true);
            self.weigh(part, buffers, theta, sigmoid);
            let weighted = buffers.numbers.iter().zip(&buffers.weights);
            weighted.map(|(l, w)| l * w).sum()
        });
        let losses = pass.value;
        self.model.done(pass);
        self.whole_value(losses, x)
    }

    fn gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.gradient_pass(self.all(), x, theta, out, false);
    }

    fn value_and_gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) -> f64 {
        let losses = self.gradient_pass(self.all(), x, theta, out, true);
        self.whole_value(losses, x)
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<E>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<E>> + 'a {
        CleaningLinearization::new(self, x, theta)
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let m = &self.model;
        let n = m.samples() as f64;
        let weight = theta.iter().copied().map(sigmoid).fold(0.0, f64::max);
        let slope = theta.iter().copied().map(sigmoid_slope).fold(0.0, f64::max);
        let norm = m.norm_squared().sqrt();
        let round = 4.0 * E::UNIT_ROUNDOFF;
        let smoothness = m.loss_smoothness() * weight * norm * norm / n + self.penalty;
        Curvature {
            strong_convexity: Some(self.penalty * (1.0 - round)),
            smoothness: Some(smoothness * (1.0 + round)),
            hessian_lipschitz: Some(m.loss_third() * weight * norm * norm * m.longest() / n),
            cross_norm: Some(m.largest_residual() * slope * norm / n),
            cross_lipschitz: Some(m.loss_smoothness() * slope * norm * m.longest() / n),
        }
    }

    /// As for logistic regression.
    fn gradient_rounding(&self, x: &Vec<E>, theta: &Vec<f64>, gradient_norm: f64) -> f64 {
        let smoothness = self.curvature(theta).smoothness.unwrap_or(1.0);
        let residuals = self.model.largest_residual() * self.model.typical_length();
        8.0 * E::UNIT_ROUNDOFF * (smoothness * x.norm() + gradient_norm + residuals)
    }

    fn identity(&self) -> String {
        format!(
            "hyper-cleaning of {}, C = {}",
            self.model.describe(),
            self.penalty
        )
    }
}

/// The oracle that tunes the weights of the samples of `train` for the cross-entropy on `validation`. Its solvers can be replaced as those
/// of any [`Implicit`].
///
/// # Errors
/// [`Error::InvalidArgument`] for data whose features or classes differ in number, and as [`HyperCleaning::new`].
pub fn hyper_cleaning<E: Lanes>(
    train: &LabelledData<E>,
    validation: &LabelledData<E>,
    penalty: f64,
) -> Result<Implicit<HyperCleaning<E>, CrossEntropy<E>>, Error> {
    same_columns(train, validation)?;
    let lower = HyperCleaning::new(train, penalty)?;
    Ok(Implicit::new(lower, CrossEntropy::new(validation)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_share_of_the_labels_is_corrupted_and_the_seed_decides_which() {
        let labels: Vec<u32> = (0..4000).map(|i| i % 10).collect();
        let data = LabelledData::dense(1, vec![1.0; 4000], labels, 10).unwrap();
        let changed = |t: &LabelledData<f64>| -> Vec<usize> {
            let pairs = t.labels().iter().zip(data.labels()).enumerate();
            pairs.filter(|(_, (a, b))| a != b).map(|(i, _)| i).collect()
        };
        let some = corrupt_labels(&data, 0.3, 1).unwrap();
        let count = changed(&some).len();
        assert!((1100..1300).contains(&count), "{count}");
        assert_eq!(some, corrupt_labels(&data, 0.3, 1).unwrap());
        assert_ne!(some, corrupt_labels(&data, 0.3, 2).unwrap());
        assert_eq!(corrupt_labels(&data, 0.0, 1).unwrap(), data);
        assert_eq!(changed(&corrupt_labels(&data, 1.0, 1).unwrap()).len(), 4000);
        let more = changed(&corrupt_labels(&data, 0.5, 1).unwrap());
        assert!(changed(&some).iter().all(|i| more.contains(i)));
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(corrupt_labels(&data, share, 0).is_err());
        }
        assert!(HyperCleaning::new(&data, 0.0).is_err());
    }
}
