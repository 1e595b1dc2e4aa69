//! Hyper-cleaning with any model: the loss of a sample is written once, and its derivatives are automatic.

use bilevel::autodiff::{Lower, Real, SampleLoss, Scalar, Taped, Upper};
use bilevel::{Error, Implicit};

use crate::data::Samples;
use crate::networks::models::{Classifier, fits, predicted, scores};
use crate::networks::regularizers::negative_log;

/// g(x, θ) = (1/n) Σ σ(θᵢ) ℓᵢ(x) + (C/2)‖x‖², with the cross-entropy ℓᵢ of a [`Classifier`] with the parameters x.
///
/// For most models g is not convex: a hypergradient belongs to the minimiser nearby, where the Hessian is positive definite.
#[doc(hidden)]
pub struct WeightedLoss<M, D> {
    model: M,
    data: D,
    penalty: f64,
    seed: u64,
}

/// f(x) = (1/m) Σ ℓ over samples whose labels are right.
#[doc(hidden)]
pub struct ValidationLoss<M, D> {
    model: M,
    data: D,
    /// The length of θ, which f does not depend on.
    weights: usize,
}

/// The oracle that [`model_cleaning`] returns: g(x, θ) = (1/n) Σ σ(θᵢ) ℓᵢ(x) + (C/2)‖x‖² below, the mean cross-entropy of validation samples above.
#[doc(hidden)]
pub type ModelCleaning<M, D, E> =
    Implicit<Lower<Taped<WeightedLoss<M, D>>, E>, Upper<Taped<ValidationLoss<M, D>>, E>>;

/// The oracle of hyper-cleaning with any model: training samples with some wrong labels, validation samples with right ones, the penalty C, and the
/// seed of the initial parameters.
///
/// # Errors
/// [`Error::InvalidArgument`] for a penalty that is negative or not finite, no samples, and data of another kind than the model takes.
pub fn model_cleaning<M: Classifier + Clone, D: Samples, E: Real>(
    model: &M,
    train: D,
    validation: D,
    penalty: f64,
    seed: u64,
) -> Result<ModelCleaning<M, D, E>, Error> {
    if !(penalty >= 0.0 && penalty.is_finite()) {
        let expected = "a finite number from 0 on";
        return Err(Error::invalid("penalty", format!("{penalty:?}"), expected));
    }
    for (name, data) in [("train", &train), ("validation", &validation)] {
        fits(name, model, data)?;
    }
    let upper = ValidationLoss {
        model: model.clone(),
        data: validation,
        weights: train.len(),
    };
    let lower = WeightedLoss {
        model: model.clone(),
        data: train,
        penalty,
        seed,
    };
    Ok(Implicit::new(
        Lower::new(Taped::new(lower)),
        Upper::new(Taped::new(upper)),
    ))
}

/// The cross-entropy of sample i.
fn loss<S: Scalar, M: Classifier, D: Samples>(model: &M, data: &D, x: &[S], i: usize) -> S {
    negative_log(&scores(model, x, data.sample(i)), data.labels()[i] as usize)
}

/// The mean cross-entropy of a model with the parameters x on data, and its accuracy: the share of samples whose label has the largest score.
#[doc(hidden)]
pub fn judge<M: Classifier, D: Samples, E: Real>(model: &M, data: &D, x: &[E]) -> [f64; 2] {
    let mut rows = vec![[0.0; 2]; data.len()];
    bilevel::parallel::for_each(&mut rows, |i, row| {
        let scores = scores(model, x, data.sample(i));
        let label = data.labels()[i] as usize;
        let right = predicted(&scores) == Some(label);
        *row = [
            negative_log(&scores, label).value(),
            f64::from(u8::from(right)),
        ];
    });
    [0, 1].map(|k| rows.iter().map(|row| row[k]).sum::<f64>() / rows.len() as f64)
}

impl<M: Classifier, D: Samples> SampleLoss for WeightedLoss<M, D> {
    fn parameters(&self) -> usize {
        self.model.parameters()
    }

    fn hyperparameters(&self) -> usize {
        self.data.len()
    }

    fn samples(&self) -> usize {
        self.data.len()
    }

    fn start(&self) -> Vec<f64> {
        self.model.start(self.seed)
    }

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], sample: usize) -> S {
        theta[sample].sigmoid() * loss(&self.model, &self.data, x, sample)
    }

    fn penalty<S: Scalar>(&self, x: &[S], _theta: &[S]) -> S {
        S::dot(x, x).times(0.5 * self.penalty)
    }

    fn identity(&self) -> String {
        format!(
            "hyper-cleaning of {} on {:08x}, penalty {}",
            self.model.name(),
            self.data.fingerprint(),
            self.penalty
        )
    }
}

impl<M: Classifier, D: Samples> SampleLoss for ValidationLoss<M, D> {
    fn parameters(&self) -> usize {
        self.model.parameters()
    }

    fn hyperparameters(&self) -> usize {
        self.weights
    }

    fn samples(&self) -> usize {
        self.data.len()
    }

    fn loss<S: Scalar>(&self, x: &[S], _theta: &[S], sample: usize) -> S {
        loss(&self.model, &self.data, x, sample)
    }

    fn identity(&self) -> String {
        format!(
            "cross-entropy of {} on {:08x}",
            self.model.name(),
            self.data.fingerprint()
        )
    }
}
