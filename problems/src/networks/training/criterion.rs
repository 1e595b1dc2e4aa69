//! The criterion for a trained model: its cross-entropy or error on held-out data.

use bilevel::Error;
use bilevel::autodiff::workspaces::{gather, sum};
use bilevel::autodiff::{Gradients, Number, Real, Scalar, Var, Workspace, Workspaces};
use bilevel::problem::minibatch::Batch;
use serde::{Deserialize, Serialize};
use std::ops::Range;

use super::calibrated;
use crate::data::{Sample, Samples};
use crate::networks::models::{Classifier, Input, fits, predicted, scores};
use crate::networks::regularizers::{Recipe, negative_log};

/// The loss of a prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// −log p of the label: a proper score of the probabilities, which penalises confident mistakes most.
    #[default]
    CrossEntropy,
    /// 1 − p of the label: a smooth form of the error rate, nearly independent of how confident a mistake is.
    Error,
    /// The minimum over κ of the cross-entropy of κ times the scores, i.e. the cross-entropy after temperature scaling. It does not penalise
    /// the underconfidence that soft targets and mixed samples cause. κ is fitted to each batch.
    Calibrated,
}

/// f(x, θ) = the mean [`Measure`] of the model on data, with the weights at the front of x, after the compander if there is one.
pub struct Criterion<M, D> {
    model: M,
    data: D,
    recipe: Recipe,
    layers: Vec<Range<usize>>,
    measure: Measure,
    /// The length of x.
    len: usize,
    workspaces: Workspaces,
}

/// The quality of a model on data.
#[derive(Debug, Clone, PartialEq)]
#[doc(hidden)]
pub struct Judged {
    /// The mean cross-entropy.
    pub loss: f64,
    /// The share of samples whose largest score is that of their label.
    pub accuracy: f64,
    /// The probabilities of the classes, sample after sample.
    pub probabilities: Vec<f64>,
}

impl<M: Classifier, D: Samples> Criterion<M, D> {
    /// For states of the length `len`, which begin with the weights.
    pub(super) fn new(model: M, data: D, recipe: Recipe, len: usize) -> Result<Self, Error> {
        fits("data", &model, &data)?;
        Ok(Criterion {
            layers: model.layers(),
            measure: Measure::default(),
            model,
            data,
            recipe,
            len,
            workspaces: Workspaces::default(),
        })
    }

    /// The same with another measure.
    pub fn with_measure(self, measure: Measure) -> Self {
        Criterion { measure, ..self }
    }

    /// The data.
    pub fn data(&self) -> &D {
        &self.data
    }

    /// Loss, accuracy and probabilities at a state.
    pub fn judge<E: Real>(&self, state: &[E], theta: &[f64]) -> Judged {
        let theta: Vec<E> = theta.iter().map(|&t| E::constant(t)).collect();
        let w = self.weights(state, &theta);
        let classes = self.model.classes();
        let mut rows: Vec<Vec<f64>> = vec![Vec::new(); self.data.len()];
        bilevel::parallel::for_each(&mut rows, |i, row| {
            let scores = scores(&self.model, &w, self.data.sample(i));
            let mut p = vec![E::default(); classes];
            E::softmax(&scores, &mut p);
            row.extend(p.iter().map(|p| p.value()));
            let label = self.label(i);
            row.push(negative_log(&scores, label).value());
            row.push(f64::from(u8::from(predicted(&scores) == Some(label))));
        });
        let (mut loss, mut right) = (0.0, 0.0);
        let mut probabilities = Vec::with_capacity(rows.len() * classes);
        for row in &rows {
            let (p, rest) = row.split_at(classes);
            loss += rest[0];
            right += rest[1];
            probabilities.extend_from_slice(p);
        }
        let n = rows.len() as f64;
        Judged {
            loss: loss / n,
            accuracy: right / n,
            probabilities,
        }
    }

    /// The weights at the front of a state, as the model computes with them.
    pub fn model_weights<E: Real>(&self, state: &[E], theta: &[f64]) -> Vec<f64> {
        let theta: Vec<E> = theta.iter().map(|&t| E::constant(t)).collect();
        let w = self.weights(state, &theta);
        w.iter().map(|w| w.value()).collect()
    }

    /// Mixes every sample with the next one if their labels differ, and returns how often their two classes have the two largest scores;
    /// `None` if there are no such samples, and for texts.
    pub fn both_found<E: Real>(&self, state: &[E], theta: &[f64], share: f64) -> Option<f64> {
        let theta: Vec<E> = theta.iter().map(|&t| E::constant(t)).collect();
        let w = self.weights(state, &theta);
        let labels = self.data.labels();
        let (mut pairs, mut found) = (0, 0);
        for i in 0..self.data.len() {
            let next = (i + 1) % self.data.len();
            let (Sample::Features(first), Sample::Features(second)) =
                (self.data.sample(i), self.data.sample(next))
            else {
                return None;
            };
            if labels[i] == labels[next] {
                continue;
            }
            let mut scores = vec![E::default(); self.model.classes()];
            let input = Input::Mixed {
                first,
                second,
                share: E::constant(share),
            };
            self.model.scores(&w, input, &mut scores);
            let own = [labels[i], labels[next]].map(|label| scores[label as usize].value());
            let least = own[0].min(own[1]);
            let above = scores.iter().filter(|s| s.value() > least).count();
            pairs += 1;
            found += usize::from(predicted(&scores).is_some() && above <= 1);
        }
        (pairs > 0).then(|| found as f64 / pairs as f64)
    }

    fn weights<S: Number>(&self, x: &[S], theta: &[S]) -> Vec<S> {
        let w = &x[..self.model.parameters()];
        let mut weights = w.to_vec();
        self.recipe.weights(w, &self.layers, theta, &mut weights);
        weights
    }

    fn label(&self, i: usize) -> usize {
        self.data.labels()[i] as usize
    }

    /// κ of a batch, for the measure that has one. It is a minimiser, so no derivative flows through it to the gradient of a loss.
    fn scale<S: Number>(&self, batch: Batch<'_>, w: &[S]) -> S {
        if self.measure != Measure::Calibrated {
            return S::constant(1.0);
        }
        let mut all: Vec<Vec<S>> = vec![Vec::new(); batch.len()];
        bilevel::parallel::for_each(&mut all, |k, own| {
            *own = scores(&self.model, w, self.data.sample(batch.get(k)));
        });
        let labels: Vec<usize> = batch.iter().map(|i| self.label(i)).collect();
        calibrated::scale(&all, &labels)
    }

    fn loss<S: Scalar>(&self, w: &[S], i: usize, scale: S) -> S {
        let scores = scores(&self.model, w, self.data.sample(i));
        let label = self.label(i);
        match self.measure {
            Measure::CrossEntropy => negative_log(&scores, label),
            Measure::Calibrated => {
                let mut scaled = scores.clone();
                S::scaled(&scores, scale, &mut scaled);
                negative_log(&scaled, label)
            }
            Measure::Error => {
                let mut p = scores.clone();
                S::softmax(&scores, &mut p);
                (-p[label]).plus(1.0)
            }
        }
    }
}

impl<M: Classifier, D: Samples> Gradients for Criterion<M, D> {
    fn parameters(&self) -> usize {
        self.len
    }

    fn hyperparameters(&self) -> usize {
        self.recipe.hyperparameters(self.layers.len())
    }

    fn samples(&self) -> usize {
        self.data.len()
    }

    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        self.recipe.check(theta, self.layers.len())
    }

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        let w = self.weights(x, theta);
        let scale = self.scale(batch, &w);
        let total = sum(batch.len(), |k| self.loss(&w, batch.get(k), scale));
        total.times(1.0 / batch.len() as f64)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let mut by_theta = theta.to_vec();
        self.gradients(batch, x, theta, out, &mut by_theta);
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        if self.recipe.compander.is_none() {
            return out.fill(S::default());
        }
        let mut by_x = x.to_vec();
        self.gradients(batch, x, theta, &mut by_x, out);
    }

    fn gradients<S: Number>(
        &self,
        batch: Batch<'_>,
        x: &[S],
        theta: &[S],
        by_x: &mut [S],
        by_theta: &mut [S],
    ) -> S {
        let weights = self.weights(x, theta);
        let weight = 1.0 / batch.len() as f64;
        let scale = self.scale(batch, &weights);
        by_x.fill(S::default());
        by_theta.fill(S::default());
        let n = weights.len();
        let value = self.workspaces.each(
            batch.len(),
            &weights,
            &[],
            |workspace: &mut Workspace<S>, k| {
                workspace.add(weight, |w, _| {
                    self.loss(w, batch.get(k), Var::constant_number(scale))
                });
            },
            |workspaces| {
                gather(workspaces, 0, &mut by_x[..n]);
                bilevel::autodiff::workspaces::value(workspaces)
            },
        );
        let at = (&x[..n], &weights[..]);
        self.recipe
            .pull_back(at, &self.layers, theta, &mut by_x[..n], by_theta);
        value
    }

    fn explain(&self, x: &[f64], theta: &[f64]) -> Option<String> {
        let w = self.weights(x, theta);
        let at = (0..self.data.len()).find(|&i| !self.loss(&w, i, 1.0).is_finite())?;
        Some(format!(
            "the loss of sample {at} of the validation data is not finite"
        ))
    }

    fn identity(&self) -> String {
        format!(
            "{:?} of {} on {:08x}",
            self.measure,
            self.model.name(),
            self.data.fingerprint()
        )
    }
}
