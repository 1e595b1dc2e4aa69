//! The training objective at fixed targets: a lower level.

use bilevel::Error;
use bilevel::autodiff::workspaces::{gather, value};
use bilevel::autodiff::{Gradients, Number, Real, Workspace, Workspaces};
use bilevel::problem::minibatch::Batch;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use std::ops::Range;

use super::pass::{Pass, Place, Targets};
use super::{Criterion, Training};
use crate::data::Samples;
use crate::networks::models::Classifier;
use crate::networks::regularizers::Recipe;
use crate::support::random::uniform;

/// g(w, θ) = (1/n) Σ ℓᵢ(w; targets, θ) + (C/2)‖w‖², with the losses of the last epoch of a [`Training`] and constant targets.
///
/// Its hypergradient, by the implicit function theorem, takes the dependence of the minimiser on θ into account, but not that of the targets.
/// β of ELR acts through the targets alone, so its derivative is 0. [`refreshed`](FixedTargets::refreshed) replaces the targets by the
/// predictions at given weights, usually the minimiser, after every few steps of θ. With mixup every sample is mixed with the next one,
/// with a λ of its own.
pub struct FixedTargets<M, D> {
    model: M,
    data: D,
    recipe: Recipe,
    layers: Vec<Range<usize>>,
    decay: f64,
    seed: u64,
    targets: Targets<f64>,
    /// The random numbers of mixup.
    chances: Vec<f64>,
    workspaces: Workspaces,
}

impl<M: Classifier + Clone, D: Samples, E: Real> Training<M, D, E> {
    /// The objective of the last epoch, with the targets of a state of this run.
    pub fn freeze(&self, state: &[E]) -> FixedTargets<M, D> {
        let layout = self.layout();
        let part = |range: Range<usize>| state[range].iter().map(|t| t.value()).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(self.settings.seed);
        FixedTargets {
            model: self.model.clone(),
            recipe: self.recipe,
            layers: self.layers.clone(),
            decay: self.settings.decay,
            seed: self.settings.seed,
            targets: Targets {
                elr: part(layout.elr),
                pskd: part(layout.pskd),
            },
            chances: (0..self.data.len()).map(|_| uniform(&mut rng)).collect(),
            data: self.data.clone(),
            workspaces: Workspaces::default(),
        }
    }
}

impl<M: Classifier + Clone, D: Samples> FixedTargets<M, D> {
    /// The same objective with the targets updated by the predictions at the weights w.
    pub fn refreshed(mut self, w: &[f64], theta: &[f64]) -> Self {
        let mut weights = w.to_vec();
        self.recipe.weights(w, &self.layers, theta, &mut weights);
        let all: Vec<usize> = (0..self.data.len()).collect();
        let pass = self.pass(&all, theta);
        let mut workspace = Workspace::default();
        workspace.open(&weights, theta);
        let mut new = Targets::default();
        pass.each(&mut workspace, 0..all.len(), |workspace, member| {
            pass.refreshed(workspace, member, &self.targets, &mut new);
        });
        self.targets = new;
        self
    }

    /// The criterion for its minimiser: the mean cross-entropy on `data`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for data that the model does not take.
    pub fn criterion<V: Samples>(&self, data: V) -> Result<Criterion<M, V>, Error> {
        Criterion::new(
            self.model.clone(),
            data,
            self.recipe,
            self.model.parameters(),
        )
    }
}

impl<M: Classifier, D: Samples> FixedTargets<M, D> {
    fn pass<S: Number>(&self, batch: &[usize], theta: &[S]) -> Pass<'_, M, D> {
        let next = |i: usize| (i + 1) % self.data.len();
        let place = |&i: &usize| Place {
            sample: i,
            row: i,
            partner: next(i),
            partner_row: next(i),
            share: self.recipe.share(theta, self.layers.len(), self.chances[i]),
        };
        Pass {
            model: &self.model,
            data: &self.data,
            recipe: &self.recipe,
            layers: self.layers.len(),
            batch: batch.iter().map(place).collect(),
            progress: 1.0,
        }
    }
}

impl<M: Classifier, D: Samples> Gradients for FixedTargets<M, D> {
    fn parameters(&self) -> usize {
        self.model.parameters()
    }

    fn hyperparameters(&self) -> usize {
        self.recipe.hyperparameters(self.layers.len())
    }

    fn samples(&self) -> usize {
        self.data.len()
    }

    fn start(&self) -> Vec<f64> {
        self.model.start(self.seed)
    }

    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        self.recipe.check(theta, self.layers.len())
    }

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        let (mut by_x, mut by_theta) = (x.to_vec(), theta.to_vec());
        self.gradients(batch, x, theta, &mut by_x, &mut by_theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        let mut by_theta = theta.to_vec();
        self.gradients(batch, x, theta, out, &mut by_theta);
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
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
        let mut weights = x.to_vec();
        self.recipe.weights(x, &self.layers, theta, &mut weights);
        let numbers = |targets: &[f64]| targets.iter().map(|&t| S::constant(t)).collect();
        let targets = Targets {
            elr: numbers(&self.targets.elr),
            pskd: numbers(&self.targets.pskd),
        };
        let places: Vec<usize> = batch.iter().collect();
        let pass = self.pass(&places, theta);
        let mut total = self.workspaces.parts(
            places.len(),
            &weights,
            theta,
            |workspace: &mut Workspace<S>, part| {
                pass.each(workspace, part, |workspace, member| {
                    pass.with_fixed_targets(workspace, member, &targets);
                });
            },
            |workspaces| {
                gather(workspaces, 0, by_x);
                gather(workspaces, 1, by_theta);
                value(workspaces)
            },
        );
        self.recipe
            .pull_back((x, &weights), &self.layers, theta, by_x, by_theta);
        for (by_x, &x) in by_x.iter_mut().zip(x) {
            *by_x += x.times(self.decay);
            total += x.squared().times(0.5 * self.decay);
        }
        total
    }

    fn explain(&self, x: &[f64], theta: &[f64]) -> Option<String> {
        let mut weights = x.to_vec();
        self.recipe.weights(x, &self.layers, theta, &mut weights);
        let all: Vec<usize> = (0..self.data.len()).collect();
        let pass = self.pass(&all, theta);
        let mut workspace = Workspace::default();
        let at = all.into_iter().find(|&k| {
            workspace.open(&weights, theta);
            pass.each(&mut workspace, k..k + 1, |workspace, member| {
                pass.with_fixed_targets(workspace, member, &self.targets);
            });
            !(workspace.value.is_finite() && workspace.adjoints()[0].iter().all(|a| a.is_finite()))
        })?;
        Some(format!(
            "the loss of sample {at} or its gradient is not finite"
        ))
    }

    fn identity(&self) -> String {
        format!(
            "training objective of {} on {:08x}, {:?}, decay {}, seed {}, targets {:08x}",
            self.model.name(),
            self.data.fingerprint(),
            self.recipe,
            self.decay,
            self.seed,
            crate::support::fingerprint::fingerprint(
                &[&self.targets.elr[..], &self.targets.pskd].concat()
            )
        )
    }
}
