//! [`Gradients`]: value and gradients of a level, written once over any [`Number`].

use super::number::Number;
use super::parts::{Part, PartMut};
use crate::error::Error;
use crate::problem::minibatch::Batch;
use crate::problem::{Curvature, UpperCurvature};

/// Value and gradients of a level, a mean over samples, written over any [`Number`].
///
/// [`Lower`](super::Lower) turns it into a lower level, [`Upper`](super::Upper) into an upper one. A level that is not a mean has one sample
/// and may ignore the batch. Functions overwrite `out`, whose content on entry is unspecified.
pub trait Gradients: Send + Sync {
    /// The length of x.
    fn parameters(&self) -> usize;
    /// The length of θ.
    fn hyperparameters(&self) -> usize;
    /// The number of samples that the level averages over. The default is 1.
    fn samples(&self) -> usize {
        1
    }
    /// The first guess of x*. The default is 0.
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
    /// The mean over the batch.
    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S;
    /// out ← ∇ₓ of [`value`](Gradients::value).
    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]);
    /// out ← ∇θ of [`value`](Gradients::value).
    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]);
    /// [`gradient`](Gradients::gradient) with values and tangents in separate arrays. Returns true if it wrote `out`; the default, false,
    /// means that it is not implemented.
    ///
    /// A gradient that does little arithmetic per entry, such as that of an image, computes A v and B u 1.5 to 2 times as fast this way,
    /// because x and v are read in place. Implement it here then, and `gradient` by [`apart`](super::apart).
    fn gradient_apart<S: Number>(
        &self,
        batch: Batch<'_>,
        x: Part<'_, S>,
        theta: &[S],
        out: PartMut<'_, S>,
    ) -> bool {
        let _ = (batch, x, theta, out);
        false
    }
    /// Both gradients and the value. Override it if one pass gives all three.
    fn gradients<S: Number>(
        &self,
        batch: Batch<'_>,
        x: &[S],
        theta: &[S],
        by_x: &mut [S],
        by_theta: &mut [S],
    ) -> S {
        self.gradient(batch, x, theta, by_x);
        self.gradient_theta(batch, x, theta, by_theta);
        self.value(batch, x, theta)
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
    /// The reason why the value or a gradient is infinite or NaN at (x, θ), if known, such as `the loss of sample 17 is NaN`.
    fn explain(&self, x: &[f64], theta: &[f64]) -> Option<String> {
        let _ = (x, theta);
        None
    }
    /// Identifies this level, data included; resuming a checkpoint of another one is refused.
    fn identity(&self) -> String {
        std::any::type_name::<Self>().to_owned()
    }
}

/// Refuses a θ whose length is not `expected` or whose entries are not all finite.
pub(crate) fn check_entries(theta: &[f64], expected: usize) -> Result<(), Error> {
    if theta.len() != expected {
        let found = format!("{} numbers", theta.len());
        return Err(Error::invalid(
            "theta",
            found,
            format!("{expected} numbers"),
        ));
    }
    match theta.iter().position(|t| !t.is_finite()) {
        None => Ok(()),
        Some(i) => {
            let argument = format!("theta[{i}]");
            Err(Error::invalid(argument, theta[i], "a finite number"))
        }
    }
}
