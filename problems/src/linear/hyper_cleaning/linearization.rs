//! The second derivatives of data hyper-cleaning at one point.

use bilevel::Linearization;

use super::{HyperCleaning, sigmoid_slope};
use crate::linear::linear_model::link_functions::{self, sigmoid};
use crate::linear::linear_model::{largest, regularise, scaled};
use crate::support::lanes::Lanes;

/// Holds the probabilities of all samples and the derivatives of their weights.
pub(super) struct CleaningLinearization<'a, E: Lanes> {
    problem: &'a HyperCleaning<E>,
    theta: &'a [f64],
    probabilities: Vec<E>,
}

impl<'a, E: Lanes> CleaningLinearization<'a, E> {
    pub(super) fn new(problem: &'a HyperCleaning<E>, x: &'a [E], theta: &'a [f64]) -> Self {
        CleaningLinearization {
            probabilities: problem.model.probabilities(x),
            problem,
            theta,
        }
    }
}

impl<E: Lanes> Drop for CleaningLinearization<'_, E> {
    fn drop(&mut self) {
        let arrays = &self.problem.model.arrays;
        arrays.put(std::mem::take(&mut self.probabilities));
    }
}

impl<E: Lanes> Linearization for CleaningLinearization<'_, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn hvp(&self, v: &Vec<E>, out: &mut Vec<E>) {
        let model = &self.problem.model;
        let pass = model.pass::<1, 1>(self.problem.all(), [v], |part, buffers| {
            let p = model.of_part(part, &self.probabilities);
            link_functions::curve(model.outputs(), p, &mut buffers.scores[0]);
            self.problem.weigh(part, buffers, self.theta, sigmoid);
            self.problem.apply_weights(buffers, 0);
            0.0
        });
        let share = 1.0 / model.samples() as f64;
        regularise(share, pass.sum(0), &self.problem.penalties, v, out);
        model.done(pass);
    }

    fn cross_vjp(&self, w: &Vec<E>, out: &mut Vec<f64>) {
        let model = &self.problem.model;
        let all = self.problem.all();
        let pass = model.pass::<1, 0>(all, [w], |part, buffers| {
            let p = model.of_part(part, &self.probabilities);
            buffers.numbers.resize(buffers.labels.len(), 0.0);
            let (t, labels) = (&buffers.scores[0], &buffers.labels);
            link_functions::along(model.outputs(), p, t, labels, &mut buffers.numbers);
            0.0
        });
        self.problem.scatter(all, pass.numbers(), self.theta, out);
        model.done(pass);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<E>) {
        let model = &self.problem.model;
        let pass = model.pass::<0, 1>(self.problem.all(), [], |part, buffers| {
            let p = model.of_part(part, &self.probabilities);
            buffers.scores[0].copy_from_slice(p);
            link_functions::residual(model.outputs(), &mut buffers.scores[0], &buffers.labels);
            self.problem.weigh(part, buffers, self.theta, sigmoid_slope);
            for (weight, i) in buffers.weights.iter_mut().zip(part.batch.iter()) {
                *weight *= u[i];
            }
            self.problem.apply_weights(buffers, 0);
            0.0
        });
        scaled(1.0 / model.samples() as f64, pass.sum(0), out);
        model.done(pass);
    }

    fn hessian_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        let model = &self.problem.model;
        let change = model.score_change(q, |i| {
            let of_sample = model.loss_third() * model.lengths()[i] * radius;
            sigmoid(self.theta[i]) * of_sample.min(model.loss_smoothness())
        });
        Some(model.norm_squared().sqrt() / model.samples() as f64 * change)
    }

    fn cross_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        let model = &self.problem.model;
        let change = model.score_change(q, |i| {
            let of_sample = model.loss_smoothness() * model.lengths()[i] * radius;
            sigmoid_slope(self.theta[i]) * of_sample.min(2.0 * model.largest_residual())
        });
        Some(change / model.samples() as f64)
    }

    fn cross_norm(&self, _buffer: &mut Vec<E>) -> Option<f64> {
        let model = &self.problem.model;
        let pass = model.pass::<0, 0>(self.problem.all(), [], |part, buffers| {
            let p = model.of_part(part, &self.probabilities);
            link_functions::residual_lengths(
                model.outputs(),
                p,
                &buffers.labels,
                &mut buffers.numbers,
            );
            0.0
        });
        let slopes = self.theta.iter().copied().map(sigmoid_slope);
        let size = largest(pass.numbers().zip(slopes).map(|(r, s)| r * s));
        model.done(pass);
        let up = 1.0 + 32.0 * E::UNIT_ROUNDOFF;
        Some(up * model.norm_squared().sqrt() / model.samples() as f64 * size)
    }
}
