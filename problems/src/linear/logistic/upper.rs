//! The mean cross-entropy on validation samples.

use bilevel::problem::minibatch::{Batch, MinibatchUpper};
use bilevel::{Error, UpperCurvature, UpperLevel};

use crate::data::LabelledData;
use crate::linear::linear_model::{Model, link_functions, scaled};
use crate::support::lanes::Lanes;

/// f(x) = (1/m) Σⱼ ℓⱼ(x), with the losses of [`logistic`](super).
pub struct CrossEntropy<E> {
    model: Model<E>,
}

impl<E: Lanes> CrossEntropy<E> {
    /// The cross-entropy on these samples, binary for two classes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for features whose squares overflow.
    pub fn new(validation: &LabelledData<E>) -> Result<Self, Error> {
        let model = Model::new(validation, validation.classes() == 2)?;
        Ok(CrossEntropy { model })
    }

    /// The multinomial form, also where there are two classes.
    ///
    /// # Errors
    /// As [`new`](CrossEntropy::new).
    pub fn multinomial(validation: &LabelledData<E>) -> Result<Self, Error> {
        let model = Model::new(validation, false)?;
        Ok(CrossEntropy { model })
    }

    /// The accuracy of x: the share of samples whose class it predicts.
    pub fn accuracy(&self, x: &[E]) -> f64 {
        let c = self.model.outputs();
        let all = Batch::all(self.model.samples());
        let pass = self.model.pass::<1, 0>(all, [x], |_, buffers| {
            let rows = buffers.scores[0].chunks_exact(c).zip(&buffers.labels);
            let right = rows.filter(|(row, label)| {
                let zero = E::default();
                let label = **label as usize;
                if c == 1 {
                    (row[0] > zero) == (label == 1)
                } else {
                    // A tie counts as wrong.
                    let others = row.iter().enumerate().filter(|(k, _)| *k != label);
                    others.fold(true, |best, (_, z)| best && row[label] > *z)
                }
            });
            right.count() as f64
        });
        let right = pass.value;
        self.model.done(pass);
        right / self.model.samples() as f64
    }

    fn gradient(&self, batch: Batch<'_>, x: &[E], out: &mut Vec<E>) {
        let c = self.model.outputs();
        let pass = self.model.pass::<1, 1>(batch, [x], |_, buffers| {
            self.model.activate(buffers, false);
            link_functions::residual(c, &mut buffers.scores[0], &buffers.labels);
            0.0
        });
        scaled(1.0 / batch.len() as f64, pass.sum(0), out);
        self.model.done(pass);
    }
}

impl<E: Lanes> MinibatchUpper for CrossEntropy<E> {
    fn samples(&self) -> usize {
        self.model.samples()
    }

    fn batch_value(&self, batch: Batch<'_>, x: &Vec<E>, _theta: &Vec<f64>) -> f64 {
        self.model.losses(batch, x) / batch.len() as f64
    }

    fn batch_gradients(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        _theta: &Vec<f64>,
        by_x: &mut Vec<E>,
        by_theta: &mut Vec<f64>,
    ) {
        self.gradient(batch, x, by_x);
        by_theta.fill(0.0);
    }
}

impl<E: Lanes> UpperLevel for CrossEntropy<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        self.batch_value(Batch::all(self.model.samples()), x, theta)
    }

    fn gradient_x(&self, x: &Vec<E>, _theta: &Vec<f64>, out: &mut Vec<E>) {
        self.gradient(Batch::all(self.model.samples()), x, out);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        let m = &self.model;
        UpperCurvature {
            gradient_x_lipschitz: Some(m.loss_smoothness() * m.norm_squared() / m.samples() as f64),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    /// A score of one sample is rounded relative to ‖aᵢ‖‖x‖, and the loss changes as much.
    fn value_rounding(&self, x: &Vec<E>, _theta: &Vec<f64>, value: f64) -> f64 {
        let scores = self.model.longest() * bilevel::Vector::norm(x);
        8.0 * E::UNIT_ROUNDOFF * (value.abs() + scores)
    }

    fn identity(&self) -> String {
        format!("cross-entropy of {}", self.model.describe())
    }
}
