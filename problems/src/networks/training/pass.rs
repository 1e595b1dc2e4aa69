//! The loss of one sample in a training step, recorded on a tape, for the step and for its transpose.

use bilevel::autodiff::{Dual, Number, Real, Scalar, Tape, Var, Workspace};
use std::ops::Range;

use crate::data::{Sample, Samples};
use crate::networks::models::{Classifier, Input, mix, scores};
use crate::networks::regularizers::{
    DecoupledMixup, Elr, PsKd, Recipe, Split, cross_entropy, negative_log,
};

/// A batch of a training step, of which one sample after the other is recorded.
pub(super) struct Pass<'a, M, D> {
    pub(super) model: &'a M,
    pub(super) data: &'a D,
    pub(super) recipe: &'a Recipe,
    pub(super) layers: usize,
    pub(super) batch: Vec<Place>,
    /// e/E.
    pub(super) progress: f64,
}

/// The indices of a sample of a batch and of the sample that it is mixed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Its index in the data, and its row in the targets.
    pub(super) sample: usize,
    pub(super) row: usize,
    /// The same of the sample that it is mixed with.
    pub(super) partner: usize,
    pub(super) partner_row: usize,
    /// λ of the mixup with its first and second derivative in α, at the α of the step.
    pub(super) share: [f64; 3],
}

/// The targets of the samples of a batch, row after row.
#[derive(Debug, Clone, Default)]
pub(super) struct Targets<S> {
    pub(super) elr: Vec<S>,
    pub(super) pskd: Vec<S>,
}

/// The variables that are targets of one sample.
struct Rows<S> {
    elr: Vec<Var<S>>,
    pskd: Vec<Var<S>>,
    /// That of the sample that it is mixed with.
    partner: Vec<Var<S>>,
}

/// The updated targets of the sample itself.
struct Next<S> {
    elr: Vec<Var<S>>,
    pskd: Vec<Var<S>>,
}

/// The products of the first matrix of the model with the samples of a block and with those that they are mixed with.
struct Products<S> {
    products: Vec<Var<S>>,
    outputs: usize,
    /// The places of both for every sample of the block.
    places: Vec<[usize; 2]>,
}

impl<S> Products<S> {
    /// The products of a sample of the block and of the one that it is mixed with; `None` for a model without a first matrix.
    fn of(&self, place: usize) -> Option<[&[Var<S>]; 2]> {
        let places = self.places.get(place)?;
        Some(places.map(|place| &self.products[place * self.outputs..][..self.outputs]))
    }
}

/// A sample of a batch that is being recorded.
pub(super) struct Member<'a, S> {
    place: Place,
    products: Option<[&'a [Var<S>]; 2]>,
}

/// Samples of a block: enough for the kernels, few enough for the second-level cache.
const BLOCK: usize = 64;

fn numbers<S: Number>(tape: &Tape<S>, vars: &[Var<S>]) -> Vec<S> {
    vars.iter().map(|&v| tape.value(v)).collect()
}

impl<M: Classifier, D: Samples> Pass<'_, M, D> {
    fn row<'s, S>(&self, targets: &'s [S], row: usize) -> &'s [S] {
        if targets.is_empty() {
            return &[];
        }
        let classes = self.model.classes();
        &targets[row * classes..(row + 1) * classes]
    }

    fn label(&self, sample: usize) -> usize {
        self.data.labels()[sample] as usize
    }

    /// Calls `record` for the samples of a part of the batch, block after block, with the products of the first matrix; then propagates the
    /// adjoints of these products to the matrix.
    pub(super) fn each<S: Number>(
        &self,
        workspace: &mut Workspace<S>,
        part: Range<usize>,
        mut record: impl FnMut(&mut Workspace<S>, &Member<'_, S>),
    ) {
        for first in (part.start..part.end).step_by(BLOCK) {
            let mark = workspace.tape.mark();
            let block = &self.batch[first..part.end.min(first + BLOCK)];
            let products = self.products(workspace, block);
            for (k, &place) in block.iter().enumerate() {
                let products = products.of(k);
                record(workspace, &Member { place, products });
            }
            workspace.tape.sweep(mark);
            workspace.tape.truncate(mark);
        }
    }

    fn products<S: Number>(&self, workspace: &mut Workspace<S>, block: &[Place]) -> Products<S> {
        let mut found = Products {
            products: Vec::new(),
            outputs: 0,
            places: Vec::new(),
        };
        let Some(matrix) = self.model.first_matrix() else {
            return found;
        };
        let mut samples: Vec<usize> = block.iter().map(|place| place.sample).collect();
        for (k, place) in block.iter().enumerate() {
            let at = match samples.get(k + 1) {
                _ if self.recipe.mixup.is_none() => k,
                // Mostly it is mixed with the next one.
                Some(&next) if next == place.partner => k + 1,
                _ => {
                    samples.push(place.partner);
                    samples.len() - 1
                }
            };
            found.places.push([k, at]);
        }
        let rows = samples.iter().map(|&i| match self.data.sample(i) {
            Sample::Features(features) => features,
            // Refused when the training was made.
            Sample::Tokens(_) => &[],
        });
        let rows: Vec<&[f64]> = rows.collect();
        found.outputs = matrix.len() / rows[0].len().max(1);
        let Workspace { tape, x, .. } = workspace;
        found.products = tape.record(|| {
            let mut products = vec![Var::constant(0.0); rows.len() * found.outputs];
            Var::mat_rows(&x[matrix], &rows, &mut products);
            products
        });
        found
    }

    /// Records a sample of the batch, and adds its share of the gradient to the adjoints of the workspace. The notes get the new targets.
    pub(super) fn step<S: Number>(
        &self,
        workspace: &mut Workspace<S>,
        member: &Member<'_, S>,
        targets: &Targets<S>,
    ) {
        let mark = workspace.tape.mark();
        let (scores, rows) = self.predict(workspace, member, targets);
        let next = self.next(workspace, &scores, &rows);
        // No derivative flows through the targets, which are numbers to the loss.
        let elr = numbers(&workspace.tape, &next.elr);
        let pskd = numbers(&workspace.tape, &next.pskd);
        self.record_loss(workspace, member, &scores, &rows, &elr);
        workspace.tape.sweep(mark);
        workspace.tape.truncate(mark);
        workspace.notes.extend(elr);
        workspace.notes.extend(pskd);
    }

    /// Records a sample with constant targets, and adds its share of the gradients to the adjoints.
    pub(super) fn with_fixed_targets<S: Number>(
        &self,
        workspace: &mut Workspace<S>,
        member: &Member<'_, S>,
        targets: &Targets<S>,
    ) {
        let mark = workspace.tape.mark();
        let (scores, rows) = self.predict(workspace, member, targets);
        let elr = self.row(&targets.elr, member.place.row);
        self.record_loss(workspace, member, &scores, &rows, elr);
        workspace.tape.sweep(mark);
        workspace.tape.truncate(mark);
    }

    /// Appends the new targets of a sample, and nothing else.
    pub(super) fn refreshed<S: Number>(
        &self,
        workspace: &mut Workspace<S>,
        member: &Member<'_, S>,
        targets: &Targets<S>,
        new: &mut Targets<S>,
    ) {
        let mark = workspace.tape.mark();
        let (scores, rows) = self.predict(workspace, member, targets);
        let next = self.next(workspace, &scores, &rows);
        new.elr.extend(numbers(&workspace.tape, &next.elr));
        new.pskd.extend(numbers(&workspace.tape, &next.pskd));
        workspace.tape.truncate(mark);
    }

    /// [`step`](Pass::step) over dual numbers whose tangents are along the adjoint of the gradient, for the transpose of the step: the tangents of the
    /// adjoints are then the adjoints of the step. `later` has the adjoints of the new targets; the notes get those of the old ones, of the sample
    /// itself and of the one that it is mixed with.
    pub(super) fn transposed<E: Real>(
        &self,
        workspace: &mut Workspace<Dual<E>>,
        member: &Member<'_, Dual<E>>,
        targets: &Targets<Dual<E>>,
        later: &Targets<E>,
    ) {
        let mark = workspace.tape.mark();
        let (scores, rows) = self.predict(workspace, member, targets);
        let next = self.next(workspace, &scores, &rows);
        // The loss is differentiated at targets that stay where they are.
        let mut elr = numbers(&workspace.tape, &next.elr);
        elr.iter_mut().for_each(|t| t.eps = E::default());
        let by_elr = self.record_loss(workspace, member, &scores, &rows, &elr);
        // The adjoint of a new target: from the loss, and from later steps.
        let row = member.place.row;
        let of_elr = self.row(&later.elr, row);
        for ((&var, own), &later) in next.elr.iter().zip(by_elr).zip(of_elr) {
            *workspace.tape.adjoint_mut(var) = Dual::new(E::default(), own.eps + later);
        }
        let of_pskd = self.row(&later.pskd, row);
        for (&var, &later) in next.pskd.iter().zip(of_pskd) {
            *workspace.tape.adjoint_mut(var) = Dual::new(E::default(), later);
        }
        workspace.tape.sweep(mark);
        for group in [&rows.elr, &rows.pskd, &rows.partner] {
            let adjoints = group.iter().map(|&var| workspace.tape.adjoint(var));
            workspace.notes.extend(adjoints);
        }
        workspace.tape.truncate(mark);
    }

    /// The scores of a sample unmixed, where they are needed, and the targets.
    fn predict<S: Number>(
        &self,
        workspace: &mut Workspace<S>,
        member: &Member<'_, S>,
        targets: &Targets<S>,
    ) -> (Vec<Var<S>>, Rows<S>) {
        let place = member.place;
        let mixed = self.recipe.mixup.is_some();
        let Workspace { tape, x, .. } = workspace;
        tape.record(|| {
            let leaves = |row: &[S]| row.iter().map(|&t| Var::constant_number(t)).collect();
            let rows = Rows {
                elr: leaves(self.row(&targets.elr, place.row)),
                pskd: leaves(self.row(&targets.pskd, place.row)),
                partner: if mixed {
                    leaves(self.row(&targets.pskd, place.partner_row))
                } else {
                    Vec::new()
                },
            };
            if mixed && !self.recipe.keeps_targets() {
                return (Vec::new(), rows);
            }
            let input = match member.products {
                Some([own, _]) => Input::Products(own),
                None => self.data.sample(place.sample).into(),
            };
            (scores(self.model, x, input), rows)
        })
    }

    /// The updated targets of a sample.
    fn next<S: Number>(
        &self,
        workspace: &mut Workspace<S>,
        scores: &[Var<S>],
        rows: &Rows<S>,
    ) -> Next<S> {
        let Workspace { tape, theta, .. } = workspace;
        let theta = self.recipe.split(theta, self.layers);
        tape.record(|| {
            let mut next = Next {
                elr: Vec::new(),
                pskd: Vec::new(),
            };
            if self.recipe.elr.is_some() {
                next.elr = scores.to_vec();
                Elr::target(scores, &rows.elr, theta.elr, &mut next.elr);
            }
            if self.recipe.pskd.is_some() {
                next.pskd = scores.to_vec();
                Var::softmax(scores, &mut next.pskd);
            }
            next
        })
    }

    /// Records the loss of a sample, propagates its adjoint to the scores, and returns the adjoint of `elr`.
    fn record_loss<S: Number>(
        &self,
        workspace: &mut Workspace<S>,
        member: &Member<'_, S>,
        scores: &[Var<S>],
        rows: &Rows<S>,
        elr: &[S],
    ) -> Vec<S> {
        let weight = 1.0 / self.batch.len() as f64;
        let Workspace { tape, x, theta, .. } = workspace;
        let theta = self.recipe.split(theta, self.layers);
        let target: Vec<Var<S>> = elr.iter().map(|&t| tape.leaf(t)).collect();
        let mark = tape.mark();
        let loss = tape.record(|| self.loss(x, &theta, member, scores, rows, &target));
        workspace.value += workspace.tape.value(loss).times(weight);
        *workspace.tape.adjoint_mut(loss) += S::constant(weight);
        workspace.tape.sweep(mark);
        workspace.tape.truncate(mark);
        target.iter().map(|&t| workspace.tape.adjoint(t)).collect()
    }

    fn loss<S: Number>(
        &self,
        w: &[Var<S>],
        theta: &Split<'_, Var<S>>,
        member: &Member<'_, S>,
        scores: &[Var<S>],
        rows: &Rows<S>,
        target: &[Var<S>],
    ) -> Var<S> {
        let one = |scores: &[Var<S>], label: usize, previous: &[Var<S>]| {
            if previous.is_empty() {
                return negative_log(scores, label);
            }
            cross_entropy(
                scores,
                &PsKd::label(label, previous, theta.pskd, self.progress),
            )
        };
        let mut loss = match self.recipe.mixup {
            None => one(scores, self.label(member.place.sample), &rows.pskd),
            Some(mixup) => self.mixed(w, theta, member, rows, mixup, &one),
        };
        if self.recipe.elr.is_some() {
            loss += Elr::term(scores, target, theta.elr);
        }
        loss
    }

    /// The loss of a sample mixed with its partner.
    fn mixed<S: Number>(
        &self,
        w: &[Var<S>],
        theta: &Split<'_, Var<S>>,
        member: &Member<'_, S>,
        rows: &Rows<S>,
        mixup: DecoupledMixup,
        one: &impl Fn(&[Var<S>], usize, &[Var<S>]) -> Var<S>,
    ) -> Var<S> {
        let place = member.place;
        let share = DecoupledMixup::share(theta.mixup, place.share);
        let pair = [place.sample, place.partner];
        let mixed: Vec<Var<S>>;
        let input = match (member.products, pair.map(|i| self.data.sample(i))) {
            (Some([own, other]), _) => {
                let mut products = own.to_vec();
                mix(own, other, share, &mut products);
                mixed = products;
                Input::Products(&mixed)
            }
            (None, [Sample::Features(first), Sample::Features(second)]) => Input::Mixed {
                first,
                second,
                share,
            },
            // Refused when the training was made.
            _ => Input::Tokens(&[]),
        };
        let scores = scores(self.model, w, input);
        let classes = pair.map(|i| self.label(i));
        let first = one(&scores, classes[0], &rows.pskd);
        let second = one(&scores, classes[1], &rows.partner);
        second + share * (first - second) + mixup.term(&scores, classes, share, theta.mixup)
    }
}
