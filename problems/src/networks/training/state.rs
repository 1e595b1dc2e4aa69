//! The state of a training run: the weights, the moments, and the targets of every sample, in one vector.

use bilevel::autodiff::{Dual, Number, Real};
use std::ops::Range;

use super::Training;
use super::optimizer::Moving;
use super::pass::Targets;
use crate::data::Samples;
use crate::networks::models::Classifier;

/// The ranges of the parts of a state.
pub(super) struct Layout {
    pub(super) w: Range<usize>,
    pub(super) m: Range<usize>,
    pub(super) s: Range<usize>,
    pub(super) elr: Range<usize>,
    pub(super) pskd: Range<usize>,
}

impl<M: Classifier, D: Samples, E: Real> Training<M, D, E> {
    pub(super) fn layout(&self) -> Layout {
        let n = self.model.parameters();
        let rows = self.data.len() * self.model.classes();
        let mut end = 0;
        let mut next = |len: usize| {
            let start = end;
            end += len;
            start..end
        };
        Layout {
            w: next(n),
            m: next(n),
            s: next(n * (self.settings.optimizer.moments() - 1)),
            elr: next(self.recipe.elr.map_or(0, |_| rows)),
            pskd: next(self.recipe.pskd.map_or(0, |_| rows)),
        }
    }

    /// Collects the parts of a state that step t reads, converted by `number`.
    pub(super) fn collect<S: Number>(
        &self,
        t: usize,
        number: impl Fn(usize) -> S,
    ) -> (Moving<S>, Targets<S>) {
        let layout = self.layout();
        let range = |range: Range<usize>| range.map(&number).collect::<Vec<S>>();
        let rows = |range: Range<usize>| -> Vec<S> {
            if range.is_empty() {
                return Vec::new();
            }
            let places = self.rows(t, range.start);
            places.map(&number).collect()
        };
        let moving = Moving {
            w: range(layout.w),
            m: range(layout.m),
            s: range(layout.s),
        };
        let targets = Targets {
            elr: rows(layout.elr),
            pskd: rows(layout.pskd),
        };
        (moving, targets)
    }

    /// The indices of the targets of the samples of step t, in a state whose targets begin at `start`.
    pub(super) fn rows(&self, t: usize, start: usize) -> impl Iterator<Item = usize> + '_ {
        let classes = self.model.classes();
        self.batch(t)
            .iter()
            .flat_map(move |&i| (0..classes).map(move |c| start + i as usize * classes + c))
    }

    /// Writes the results of step t into a state.
    pub(super) fn write<S: Number>(
        &self,
        t: usize,
        moving: &Moving<S>,
        targets: &Targets<S>,
        state: &mut [E],
        part: impl Fn(S) -> E,
    ) {
        let layout = self.layout();
        for (range, numbers) in [
            (layout.w, &moving.w),
            (layout.m, &moving.m),
            (layout.s, &moving.s),
        ] {
            for (to, &from) in state[range].iter_mut().zip(numbers) {
                *to = part(from);
            }
        }
        for (range, numbers) in [(layout.elr, &targets.elr), (layout.pskd, &targets.pskd)] {
            for (place, &number) in self.rows(t, range.start).zip(numbers) {
                state[place] = part(number);
            }
        }
    }

    /// Targets from the notes of the samples, each of which left those of one kind and then those of the other.
    pub(super) fn take_notes<S: Number>(&self, notes: &[S], targets: &mut Targets<S>) {
        let classes = self.model.classes();
        let mut parts = notes.chunks_exact(classes);
        let samples = targets.elr.len().max(targets.pskd.len()) / classes;
        for k in 0..samples {
            for rows in [&mut targets.elr, &mut targets.pskd] {
                if let Some(row) = rows.chunks_exact_mut(classes).nth(k)
                    && let Some(part) = parts.next()
                {
                    row.copy_from_slice(part);
                }
            }
        }
    }

    /// Adjoints of the targets before a step from the notes of the samples, each of which left those of its own targets and, where it is
    /// mixed, those of its partner.
    pub(super) fn take_adjoints(&self, notes: &[Dual<E>], targets: &mut Targets<E>) {
        let classes = self.model.classes();
        let mut parts = notes.chunks_exact(classes);
        targets.elr.fill(E::default());
        targets.pskd.fill(E::default());
        let samples = targets.elr.len().max(targets.pskd.len()) / classes;
        let mut add = |to: &mut [E], k: usize| {
            if to.is_empty() {
                return;
            }
            if let Some(part) = parts.next() {
                let row = &mut to[k * classes..(k + 1) * classes];
                row.iter_mut()
                    .zip(part)
                    .for_each(|(to, from)| *to += from.eps);
            }
        };
        for k in 0..samples {
            add(&mut targets.elr, k);
            add(&mut targets.pskd, k);
            if self.recipe.mixup.is_some() {
                add(&mut targets.pskd, (k + 1) % samples);
            }
        }
    }
}
