//! The training of a classifier as an iteration that can be differentiated, and the criterion for the trained model.
//!
//! ```text
//! s = (w, moments, targets),    s ← Φ_t(s, θ): a batch ξ_t, the new targets of its samples, the gradient of its mean loss, a step
//! ```
//!
//! θ are the strengths of the regularisers of a [`Recipe`]. [`Training`] implements [`Dynamics`], so that
//! [`Unrolled`](bilevel::Unrolled) makes an oracle of it. The hypergradient differentiates everything that a step does: the gradient (and so
//! the Hessian of the loss), the momentum, and the targets. The targets are constants to the gradient of a step, but functions of earlier
//! weights to the hypergradient. [`FixedTargets`] is a lower level with constant targets instead: its hypergradient, by the implicit function
//! theorem, ignores how the targets depend on θ.
//!
//! [`Training::train`] is the plain run, with early stopping. Batches, the order of the samples and the random numbers of mixup are functions of the seed and of t.

mod calibrated;
mod criterion;
mod early_stopping;
mod fixed_targets;
mod optimizer;
mod pass;
mod settings;
mod state;

pub use criterion::{Criterion, Judged, Measure};
pub use early_stopping::Trained;
pub use fixed_targets::FixedTargets;
pub use optimizer::{Optimizer, Schedule};
pub use settings::Settings;

use bilevel::autodiff::workspaces::gather;
use bilevel::autodiff::{Dual, Number, Real, Workspace, Workspaces};
use bilevel::{Dynamics, Error};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use std::marker::PhantomData;
use std::ops::Range;

use crate::data::{Kind, Samples};
use crate::networks::models::{Classifier, fits};
use crate::networks::regularizers::Recipe;
use crate::support::random::{shuffle, uniform};
use optimizer::Moving;
use pass::{Member, Pass, Place, Targets};

/// Most samples in all epochs together.
const MOST_ENTRIES: usize = 1 << 31;

/// A training run of a model on data, with regularisers. See the [module](self).
///
/// Its state holds numbers of type E, `f64` or `f32`: the weights, the moments, and the targets of all samples.
pub struct Training<M, D, E = f64> {
    model: M,
    data: D,
    recipe: Recipe,
    settings: Settings,
    layers: Vec<Range<usize>>,
    /// The order of the samples in every epoch.
    orders: Vec<Vec<u32>>,
    /// The random number of the mixup of every step.
    chances: Vec<f64>,
    workspaces: Workspaces,
    number: PhantomData<fn() -> E>,
}

/// Gradients of the mean loss of a batch, and the notes of its samples.
struct Gradients<S> {
    by_w: Vec<S>,
    by_theta: Vec<S>,
    notes: Vec<S>,
}

impl<M: Classifier, D: Samples, E: Real> Training<M, D, E> {
    /// A run with these settings.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for data that the model does not take, settings outside their ranges, and mixup of texts.
    pub fn new(model: M, data: D, recipe: Recipe, settings: Settings) -> Result<Self, Error> {
        settings.check()?;
        fits("data", &model, &data)?;
        if recipe.mixup.is_some() && !matches!(data.kind(), Kind::Features(_)) {
            let expected = "features: texts cannot be mixed";
            return Err(Error::invalid("data of the mixup", data.kind(), expected));
        }
        recipe.theta(1)?;
        // Orders and steps are held in memory, and samples are counted in 32 bits.
        let entries = settings.epochs.checked_mul(data.len());
        if data.len() > u32::MAX as usize || entries.is_none_or(|n| n > MOST_ENTRIES) {
            let found = format!("{} epochs of {} samples", settings.epochs, data.len());
            let expected = format!("at most {MOST_ENTRIES} samples in all epochs");
            return Err(Error::invalid("epochs", found, expected));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let mut order: Vec<u32> = (0..data.len() as u32).collect();
        let orders = (0..settings.epochs)
            .map(|_| {
                shuffle(&mut order, &mut rng);
                order.clone()
            })
            .collect();
        let steps = settings.epochs * data.len().div_ceil(settings.batch);
        let chances = (0..steps).map(|_| uniform(&mut rng)).collect();
        Ok(Training {
            layers: model.layers(),
            model,
            data,
            recipe,
            settings,
            orders,
            chances,
            workspaces: Workspaces::default(),
            number: PhantomData,
        })
    }

    /// θ of the values in the recipe.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for values outside their ranges.
    pub fn theta(&self) -> Result<Vec<f64>, Error> {
        self.recipe.theta(self.layers.len())
    }

    /// The names and values of the entries of θ in natural units.
    pub fn named(&self, theta: &[f64]) -> Vec<(String, f64)> {
        self.recipe.named(theta, self.layers.len())
    }

    /// The criterion for the end of this run: the mean cross-entropy on `data`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for data that the model does not take.
    pub fn criterion<V: Samples>(&self, data: V) -> Result<Criterion<M, V>, Error>
    where
        M: Clone,
    {
        Criterion::new(
            self.model.clone(),
            data,
            self.recipe,
            self.layout().pskd.end,
        )
    }

    /// The number of steps of an epoch.
    pub fn steps_of_epoch(&self) -> usize {
        self.data.len().div_ceil(self.settings.batch)
    }

    fn batch(&self, t: usize) -> &[u32] {
        let steps = self.steps_of_epoch();
        let order = &self.orders[(t / steps).min(self.orders.len() - 1)];
        let start = (t % steps) * self.settings.batch;
        &order[start..(start + self.settings.batch).min(order.len())]
    }

    fn step_length(&self, t: usize) -> f64 {
        let epoch = t / self.steps_of_epoch();
        self.settings.step * self.settings.schedule.share(t, self.chances.len(), epoch)
    }

    /// Calls `f` with the batch of step t.
    fn pass<S: Number, R>(&self, t: usize, theta: &[S], f: impl FnOnce(&Pass<'_, M, D>) -> R) -> R {
        let chance = self.chances[t.min(self.chances.len() - 1)];
        let share = self.recipe.share(theta, self.layers.len(), chance);
        let epoch = t / self.steps_of_epoch() + 1;
        let batch = self.batch(t);
        let partner = |k: usize| (k + 1) % batch.len();
        let place = |(k, &sample): (usize, &u32)| Place {
            sample: sample as usize,
            row: k,
            partner: batch[partner(k)] as usize,
            partner_row: partner(k),
            share,
        };
        f(&Pass {
            model: &self.model,
            data: &self.data,
            recipe: &self.recipe,
            layers: self.layers.len(),
            batch: batch.iter().enumerate().map(place).collect(),
            progress: epoch as f64 / self.settings.epochs as f64,
        })
    }

    /// The gradients of the mean loss of step t in w and θ. `record` records a sample on a workspace whose leaves are the weights that the
    /// model computes with.
    fn gradients<S: Number>(
        &self,
        t: usize,
        w: &[S],
        theta: &[S],
        record: impl Fn(&Pass<'_, M, D>, &mut Workspace<S>, &Member<'_, S>) + Sync,
    ) -> Gradients<S> {
        let mut weights = w.to_vec();
        self.recipe.weights(w, &self.layers, theta, &mut weights);
        let mut result = Gradients {
            by_w: vec![S::default(); w.len()],
            by_theta: vec![S::default(); theta.len()],
            notes: Vec::new(),
        };
        self.pass(t, theta, |pass| {
            self.workspaces.parts(
                pass.batch.len(),
                &weights,
                theta,
                |workspace, part| {
                    pass.each(workspace, part, |workspace, member| {
                        record(pass, workspace, member)
                    });
                },
                |workspaces| {
                    gather(workspaces, 0, &mut result.by_w);
                    gather(workspaces, 1, &mut result.by_theta);
                    for workspace in workspaces {
                        result.notes.extend_from_slice(&workspace.notes);
                    }
                },
            );
        });
        let Gradients { by_w, by_theta, .. } = &mut result;
        self.recipe
            .pull_back((w, &weights), &self.layers, theta, by_w, by_theta);
        result
    }

    /// Step t in any numbers.
    fn advance<S: Number>(
        &self,
        t: usize,
        moving: &mut Moving<S>,
        targets: &mut Targets<S>,
        theta: &[S],
    ) {
        let found = self.gradients(t, &moving.w, theta, |pass, workspace, member| {
            pass.step(workspace, member, targets);
        });
        let mut gradient = found.by_w;
        self.add_decay(&moving.w, &mut gradient);
        self.settings
            .optimizer
            .step(t, self.step_length(t), &gradient, moving);
        self.take_notes(&found.notes, targets);
    }

    fn add_decay<S: Number>(&self, w: &[S], gradient: &mut [S]) {
        if self.settings.decay > 0.0 {
            for (g, &w) in gradient.iter_mut().zip(w) {
                *g += w.times(self.settings.decay);
            }
        }
    }
}

impl<M: Classifier, D: Samples, E: Real> Dynamics for Training<M, D, E> {
    type Theta = Vec<f64>;
    type State = Vec<E>;

    fn steps(&self) -> usize {
        self.chances.len()
    }

    fn start(&self) -> Vec<E> {
        let layout = self.layout();
        let mut state = vec![E::default(); layout.pskd.end];
        let w = self.model.start(self.settings.seed);
        for (to, from) in state[layout.w].iter_mut().zip(w) {
            *to = E::constant(from);
        }
        // Before its first prediction a sample has its label.
        let rows = state[layout.pskd].chunks_exact_mut(self.model.classes());
        for (row, &label) in rows.zip(self.data.labels()) {
            row[label as usize] = E::constant(1.0);
        }
        state
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        self.recipe.check(theta, self.layers.len())
    }

    fn step(&self, t: usize, state: &mut Vec<E>, theta: &Vec<f64>) {
        let (mut moving, mut targets) = self.collect(t, |k| state[k]);
        let theta: Vec<E> = theta.iter().map(|&t| E::constant(t)).collect();
        self.advance(t, &mut moving, &mut targets, &theta);
        self.write(t, &moving, &targets, state, |number| number);
    }

    fn jvp(&self, t: usize, state: &Vec<E>, theta: &Vec<f64>, tangent: &mut Vec<E>, u: &Vec<f64>) {
        let (mut moving, mut targets) = self.collect(t, |k| Dual::new(state[k], tangent[k]));
        let along = |(&t, &u): (&f64, &f64)| Dual::new(E::constant(t), E::constant(u));
        let theta: Vec<Dual<E>> = theta.iter().zip(u).map(along).collect();
        self.advance(t, &mut moving, &mut targets, &theta);
        self.write(t, &moving, &targets, tangent, |number| number.eps);
    }

    fn vjp(
        &self,
        t: usize,
        state: &Vec<E>,
        theta: &Vec<f64>,
        adjoint: &mut Vec<E>,
        by_theta: &mut Vec<f64>,
    ) {
        let (at, rows) = self.collect(t, |k| state[k]);
        let (mut moving, mut next) = self.collect(t, |k| adjoint[k]);
        let numbers: Vec<E> = theta.iter().map(|&t| E::constant(t)).collect();
        // Only gradient descent is linear in the gradient; other optimisers need the gradient itself.
        let mut gradient = vec![E::default(); at.w.len()];
        if self.settings.optimizer.moments() > 1 {
            let found = self.gradients(t, &at.w, &numbers, |pass, workspace, member| {
                pass.step(workspace, member, &rows);
            });
            gradient = found.by_w;
            self.add_decay(&at.w, &mut gradient);
        }
        let mut along = vec![E::default(); at.w.len()];
        let optimizer = self.settings.optimizer;
        optimizer.transposed(
            t,
            self.step_length(t),
            &gradient,
            &at,
            &mut moving,
            &mut along,
        );
        // The derivative of the gradient along `along`, transposed, is that of ⟨gradient, along⟩.
        let dual = |numbers: &[E], tangents: &[E]| -> Vec<Dual<E>> {
            let pairs = numbers.iter().zip(tangents);
            pairs.map(|(&re, &eps)| Dual::new(re, eps)).collect()
        };
        let still = |numbers: &[E]| dual(numbers, &vec![E::default(); numbers.len()]);
        let old = Targets {
            elr: still(&rows.elr),
            pskd: still(&rows.pskd),
        };
        let found = self.gradients(
            t,
            &dual(&at.w, &along),
            &still(&numbers),
            |pass, workspace, member| pass.transposed(workspace, member, &old, &next),
        );
        for ((w, &along), by_w) in moving.w.iter_mut().zip(&along).zip(&found.by_w) {
            *w += by_w.eps + Number::times_real(along, E::constant(self.settings.decay));
        }
        for (sum, more) in by_theta.iter_mut().zip(&found.by_theta) {
            *sum += more.eps.value();
        }
        self.take_adjoints(&found.notes, &mut next);
        self.write(t, &moving, &next, adjoint, |number| number);
    }

    fn explain(&self, t: usize, state: &Vec<E>, theta: &Vec<f64>) -> Option<String> {
        let (moving, targets) = self.collect(t, |k| state[k].value());
        let mut weights = moving.w.clone();
        self.recipe
            .weights(&moving.w, &self.layers, theta, &mut weights);
        self.pass(t, theta, |pass| {
            let mut workspace = Workspace::default();
            (0..pass.batch.len()).find_map(|k| {
                workspace.open(&weights, theta);
                pass.each(&mut workspace, k..k + 1, |workspace, member| {
                    pass.step(workspace, member, &targets);
                });
                let finite = workspace.adjoints()[0].iter().all(|a| a.is_finite());
                let what = match (workspace.value.is_finite(), finite) {
                    (false, _) => "the loss",
                    (true, false) => "the gradient of the loss",
                    (true, true) => return None,
                };
                Some(format!(
                    "{what} of sample {} is not finite",
                    pass.batch[k].sample
                ))
            })
        })
    }

    fn identity(&self) -> String {
        format!(
            "training of {} on {:08x}, {:?}, {:?}, {}",
            self.model.name(),
            self.data.fingerprint(),
            self.recipe,
            self.settings,
            E::NAME
        )
    }
}
