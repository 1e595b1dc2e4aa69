//! [`SampleLoss`]: the loss of one sample, from which everything else is derived.

use super::gradients::{Gradients, check_entries};
use super::number::Number;
use super::scalar::Scalar;
use super::workspaces::{self, Workspace, Workspaces};
use crate::error::Error;
use crate::problem::minibatch::Batch;
use crate::problem::{Curvature, UpperCurvature};

/// A level that is a mean over samples, given by the loss of one sample over any [`Scalar`].
///
/// ```text
/// g(x, θ) = (1/n) Σᵢ ℓᵢ(x, θ) + r(x, θ)
/// ```
///
/// [`lower`](super::lower) and [`upper`](super::upper) turn it into a level, with gradients from one tape per thread.
pub trait SampleLoss: Send + Sync {
    /// The length of x.
    fn parameters(&self) -> usize;
    /// The length of θ.
    fn hyperparameters(&self) -> usize;
    /// n, at least 1.
    fn samples(&self) -> usize;
    /// ℓᵢ(x, θ), the loss of sample i.
    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], sample: usize) -> S;
    /// r(x, θ), the term that depends on no sample. The default is 0.
    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        let _ = (x, theta);
        S::constant(0.0)
    }
    /// The first guess of x*. The default is 0; a model with hidden layers needs another one, because at 0 all its hidden units are alike.
    fn start(&self) -> Vec<f64> {
        vec![0.0; self.parameters()]
    }
    /// Refuses a θ outside the domain. The default requires the right length and finite entries.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        check_entries(theta, self.hyperparameters())
    }
    /// Known constants as a lower level. The default is none.
    fn curvature(&self, theta: &[f64]) -> Curvature {
        let _ = theta;
        Curvature::default()
    }
    /// Known constants as an upper level. The default is none.
    fn upper_curvature(&self, theta: &[f64]) -> UpperCurvature {
        let _ = theta;
        UpperCurvature::default()
    }
    /// Identifies this level, data included; resuming a checkpoint of another one is refused.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// The [`Gradients`] of a [`SampleLoss`] by reverse mode: the samples of a batch in parallel, with the same bits on any number of threads.
#[doc(hidden)]
pub struct Taped<L> {
    loss: L,
    workspaces: Workspaces,
}

impl<L: SampleLoss> Taped<L> {
    /// The gradients of this loss.
    pub fn new(loss: L) -> Self {
        Taped {
            loss,
            workspaces: Workspaces::default(),
        }
    }

    /// The loss.
    pub fn loss(&self) -> &L {
        &self.loss
    }

    /// Records and sweeps the batch, then calls `read` with the workspaces.
    fn swept<S: Number, R>(
        &self,
        batch: Batch<'_>,
        x: &[S],
        theta: &[S],
        read: impl FnOnce(&[Workspace<S>]) -> R,
    ) -> R {
        let weight = 1.0 / batch.len() as f64;
        let record = |workspace: &mut Workspace<S>, k: usize| {
            if k == 0 {
                workspace.add(1.0, |x, theta| self.loss.penalty(x, theta));
            }
            workspace.add(weight, |x, theta| self.loss.loss(x, theta, batch.get(k)));
        };
        self.workspaces.each(batch.len(), x, theta, record, read)
    }
}

impl<L: SampleLoss> Gradients for Taped<L> {
    fn parameters(&self) -> usize {
        self.loss.parameters()
    }

    fn hyperparameters(&self) -> usize {
        self.loss.hyperparameters()
    }

    fn samples(&self) -> usize {
        self.loss.samples()
    }

    fn start(&self) -> Vec<f64> {
        self.loss.start()
    }

    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        if self.loss.samples() == 0 {
            return Err(Error::invalid("samples", 0, "at least 1"));
        }
        self.loss.check(theta)
    }

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        let sum = workspaces::sum(batch.len(), |k| self.loss.loss(x, theta, batch.get(k)));
        sum.times(1.0 / batch.len() as f64) + self.loss.penalty(x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        self.swept(batch, x, theta, |all| workspaces::gather(all, 0, out));
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        self.swept(batch, x, theta, |all| workspaces::gather(all, 1, out));
    }

    fn gradients<S: Number>(
        &self,
        batch: Batch<'_>,
        x: &[S],
        theta: &[S],
        by_x: &mut [S],
        by_theta: &mut [S],
    ) -> S {
        self.swept(batch, x, theta, |all| {
            workspaces::gather(all, 0, by_x);
            workspaces::gather(all, 1, by_theta);
            workspaces::value(all)
        })
    }

    fn curvature(&self, theta: &[f64]) -> Curvature {
        self.loss.curvature(theta)
    }

    fn upper_curvature(&self, theta: &[f64]) -> UpperCurvature {
        self.loss.upper_curvature(theta)
    }

    fn explain(&self, x: &[f64], theta: &[f64]) -> Option<String> {
        let penalty = self.loss.penalty(x, theta);
        if !penalty.is_finite() {
            return Some(format!("the penalty is {penalty}"));
        }
        let losses = (0..self.loss.samples()).map(|i| self.loss.loss(x, theta, i));
        if let Some((i, loss)) = losses.enumerate().find(|(_, loss)| !loss.is_finite()) {
            return Some(format!("the loss of sample {i} is {loss}"));
        }
        let mut workspace = Workspace::default();
        let mut finite = |sample: Option<usize>| {
            workspace.open(x, theta);
            workspace.add(1.0, |x, theta| match sample {
                None => self.loss.penalty(x, theta),
                Some(i) => self.loss.loss(x, theta, i),
            });
            workspace
                .adjoints()
                .iter()
                .all(|part| part.iter().all(|a| a.is_finite()))
        };
        if !finite(None) {
            return Some("the gradient of the penalty is not finite".to_owned());
        }
        let at = (0..self.loss.samples()).find(|&i| !finite(Some(i)))?;
        Some(format!(
            "the gradient of the loss of sample {at} is not finite"
        ))
    }

    fn identity(&self) -> String {
        self.loss.identity()
    }
}
