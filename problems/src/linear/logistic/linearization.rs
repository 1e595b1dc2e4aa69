//! The second derivatives of logistic regression at one point.

use bilevel::Linearization;
use std::sync::OnceLock;

use super::LogisticRegression;
use super::hessian::Hessian;
use crate::linear::linear_model::{link_functions, regularise};
use crate::support::lanes::Lanes;

/// Holds the probabilities of all samples and the penalties of all weights.
pub(super) struct LogisticLinearization<'a, E: Lanes> {
    problem: &'a LogisticRegression<E>,
    x: &'a [E],
    theta: &'a Vec<f64>,
    probabilities: Vec<E>,
    weights: Vec<E>,
    /// A with its factor, computed once a preconditioner is asked for; `None` inside where A has no factor.
    hessian: OnceLock<Option<Hessian>>,
}

impl<'a, E: Lanes> LogisticLinearization<'a, E> {
    pub(super) fn new(problem: &'a LogisticRegression<E>, x: &'a [E], theta: &'a Vec<f64>) -> Self {
        LogisticLinearization {
            probabilities: problem.model.probabilities(x),
            weights: problem.weights(theta),
            problem,
            x,
            theta,
            hessian: OnceLock::new(),
        }
    }

    fn hessian(&self) -> Option<&Hessian> {
        let factored = || {
            let mut hessian = self.problem.hessian(self.x, self.theta);
            let is_definite = hessian.factor(0.0);
            if is_definite {
                return Some(hessian);
            }
            self.problem.done_with(hessian);
            None
        };
        self.hessian.get_or_init(factored).as_ref()
    }

    /// max over the groups of e^θ ‖·‖.
    fn largest_group(&self, of: &[E]) -> f64 {
        let numbers = &self.problem.model.numbers;
        let mut sums = numbers.take(self.theta.len());
        let size = self.problem.groups.largest(of, self.theta, &mut sums);
        numbers.put(sums);
        size
    }
}

impl<E: Lanes> Drop for LogisticLinearization<'_, E> {
    fn drop(&mut self) {
        let arrays = &self.problem.model.arrays;
        arrays.put(std::mem::take(&mut self.probabilities));
        arrays.put(std::mem::take(&mut self.weights));
        if let Some(Some(hessian)) = self.hessian.take() {
            self.problem.done_with(hessian);
        }
    }
}

impl<E: Lanes> Linearization for LogisticLinearization<'_, E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn hvp(&self, v: &Vec<E>, out: &mut Vec<E>) {
        let model = &self.problem.model;
        let pass = model.pass::<1, 1>(self.problem.all(), [v], |part, buffers| {
            let p = model.of_part(part, &self.probabilities);
            link_functions::curve(model.outputs(), p, &mut buffers.scores[0]);
            0.0
        });
        let share = 1.0 / model.samples() as f64;
        regularise(share, pass.sum(0), &self.weights, v, out);
        model.done(pass);
    }

    fn cross_vjp(&self, w: &Vec<E>, out: &mut Vec<f64>) {
        self.problem.groups.cross(&self.weights, self.x, w, out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<E>) {
        self.problem.groups.expand_by(u, &self.weights, out);
        for (out, &x) in out.iter_mut().zip(self.x) {
            *out = *out * x;
        }
    }

    fn hvp_terms(&self, v: &Vec<E>) -> Option<f64> {
        Some(self.problem.product_terms(v, &self.weights))
    }

    fn has_preconditioner(&self) -> bool {
        self.problem.forms_hessian(self.theta)
    }

    /// With A itself, up to rounding.
    fn precondition(&self, r: &Vec<E>, out: &mut Vec<E>) {
        let Some(hessian) = self.hessian() else {
            return out.copy_from_slice(r);
        };
        let numbers = &self.problem.model.numbers;
        let mut buffer = numbers.take(r.len());
        for (to, from) in buffer.iter_mut().zip(r) {
            *to = from.to_f64();
        }
        hessian.solve(&mut buffer);
        for (to, from) in out.iter_mut().zip(&buffer) {
            *to = E::from_f64(*from);
        }
        numbers.put(buffer);
    }

    fn preparation(&self) -> u64 {
        match self.hessian.get() {
            Some(_) => self.problem.model.gram_products(),
            None => 0,
        }
    }

    fn hessian_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        let model = &self.problem.model;
        let change = model.score_change(q, |i| {
            (model.loss_third() * model.lengths()[i] * radius).min(model.loss_smoothness())
        });
        Some(model.norm_squared().sqrt() / model.samples() as f64 * change)
    }

    fn cross_change(&self, q: &Vec<E>, radius: f64) -> Option<f64> {
        Some(radius * self.largest_group(q))
    }

    fn cross_norm(&self, _buffer: &mut Vec<E>) -> Option<f64> {
        Some(self.largest_group(self.x))
    }
}
