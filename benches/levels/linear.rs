//! Multinomial regression and hyper-cleaning, from gradients and from a loss. x is class after class: W of ten rows.

use super::super::*;
use bilevel::autodiff::{Number, Rows, Scalar};
use bilevel_problems::data::{Features, LabelledData};
use std::sync::Arc;

pub(crate) const FEATURES: usize = 784;
pub(crate) const CLASSES: usize = 10;

/// The role of θ.
#[derive(Clone, Copy)]
pub(crate) enum Theta {
    /// A logarithm of a penalty for each feature.
    Penalties,
    /// A weight for every sample, beside this penalty.
    Samples(f64),
}

#[derive(Clone)]
pub(crate) struct Linear<E> {
    data: Arc<Vec<E>>,
    /// The same numbers in double precision, in which a loss takes its data.
    wide: Arc<Vec<f64>>,
    labels: Arc<Vec<u32>>,
    theta: Theta,
}

impl<E: Real> Linear<E> {
    pub(crate) fn new(table: &LabelledData<E>, theta: Theta) -> Self {
        let dense = table.to_dense();
        let Features::Dense(values) = dense.features() else {
            unreachable!()
        };
        Linear {
            wide: Arc::new(values.iter().map(|v| v.to_f64()).collect()),
            data: Arc::new(values.clone()),
            labels: Arc::new(table.labels().to_vec()),
            theta,
        }
    }

    fn rows<'a>(&'a self, batch: Batch<'a>) -> Rows<'a, E> {
        Rows::new(&self.data, FEATURES, batch)
    }

    fn label(&self, i: usize) -> usize {
        self.labels[i] as usize
    }

    fn theta_len(&self) -> usize {
        match self.theta {
            Theta::Penalties => FEATURES,
            Theta::Samples(_) => self.labels.len(),
        }
    }
}

impl<E: Real> SampleLoss for Linear<E> {
    fn parameters(&self) -> usize {
        FEATURES * CLASSES
    }
    fn hyperparameters(&self) -> usize {
        self.theta_len()
    }
    fn samples(&self) -> usize {
        self.labels.len()
    }

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], i: usize) -> S {
        let mut scores = [S::constant(0.0); CLASSES];
        S::mat_data(x, &self.wide[i * FEATURES..][..FEATURES], &mut scores);
        let entropy = S::log_sum_exp(&scores) - scores[self.label(i)];
        match self.theta {
            Theta::Penalties => entropy,
            Theta::Samples(_) => theta[i].sigmoid() * entropy,
        }
    }

    fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
        match self.theta {
            Theta::Samples(c) => S::dot(x, x).times(0.5 * c),
            Theta::Penalties => {
                let mut weights = vec![S::constant(0.0); FEATURES];
                S::map(theta, |t| [t.exp(); 3], &mut weights);
                let mut squares = vec![S::constant(0.0); x.len()];
                S::map(x, |x| [x * x, 2.0 * x, 2.0], &mut squares);
                let mut by_class = [S::constant(0.0); CLASSES];
                S::mat_vec(&squares, &weights, &mut by_class);
                S::sum(&by_class).times(0.5)
            }
        }
    }
}

impl<E: Real> Gradients for Linear<E> {
    fn parameters(&self) -> usize {
        FEATURES * CLASSES
    }
    fn hyperparameters(&self) -> usize {
        self.theta_len()
    }
    fn samples(&self) -> usize {
        self.labels.len()
    }

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        let mut total = S::default();
        batch.iter().for_each(|i| total += self.loss(x, theta, i));
        total.times(1.0 / batch.len() as f64) + self.penalty(x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let share = 1.0 / batch.len() as f64;
        let link = |rows: Rows<'_, E>, scores: &mut [S]| {
            for (i, z) in rows.samples().zip(scores.chunks_exact_mut(CLASSES)) {
                let mut p = [S::default(); CLASSES];
                S::softmax(z, &mut p);
                p[self.label(i)] = p[self.label(i)].plus(-1.0);
                let weight = match self.theta {
                    Theta::Penalties => S::constant(share),
                    Theta::Samples(_) => theta[i].sigmoid().times(share),
                };
                S::scaled(&p, weight, z);
            }
        };
        self.rows(batch).pass(x, link, out);
        match self.theta {
            Theta::Samples(c) => {
                let penalty = S::constant(c).real_part();
                for (out, x) in out.iter_mut().zip(x) {
                    *out += x.times_real(penalty);
                }
            }
            Theta::Penalties => {
                let weights: Vec<S> = theta.iter().map(|t| t.exp()).collect();
                let rows = out.chunks_exact_mut(FEATURES).zip(x.chunks_exact(FEATURES));
                for (out, x) in rows {
                    for ((out, &x), &weight) in out.iter_mut().zip(x).zip(&weights) {
                        *out += weight * x;
                    }
                }
            }
        }
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        out.fill(S::default());
        match self.theta {
            Theta::Penalties => {
                for x in x.chunks_exact(FEATURES) {
                    for ((out, x), theta) in out.iter_mut().zip(x).zip(theta) {
                        *out += (theta.exp() * x.squared()).times(0.5);
                    }
                }
            }
            Theta::Samples(_) => {
                let rows = self.rows(batch);
                let mut scores = vec![S::default(); CLASSES * rows.len()];
                rows.scores(x, &mut scores);
                for (i, z) in rows.samples().zip(scores.chunks_exact(CLASSES)) {
                    let s = theta[i].sigmoid();
                    let slope = s * (S::constant(1.0) - s);
                    let entropy = S::log_sum_exp(z) - z[self.label(i)];
                    out[i] = (slope * entropy).times(1.0 / batch.len() as f64);
                }
            }
        }
    }
}
