//! [`Workspaces`]: tapes for the samples of a batch, in parallel.

use std::ops::Range;

use super::buffers::Buffers;
use super::number::{self, Number};
use super::tape::{Tape, Var};
use crate::parallel;

/// The most parts of a batch.
const PARTS: usize = 16;
/// The fewest samples of a part, except the last.
const SHARE: usize = 16;

/// Samples in a part of a batch of `samples`: a function of their number alone.
fn part_size(samples: usize) -> usize {
    samples.div_ceil(PARTS).max(SHARE)
}

/// `f(0) + f(1) + …` of `samples` terms: in parallel, and the same bits on any number of threads.
pub fn sum<S: Number>(samples: usize, f: impl Fn(usize) -> S + Sync) -> S {
    let size = part_size(samples);
    let mut sums = [S::default(); PARTS];
    parallel::for_each(&mut sums[..samples.div_ceil(size)], |part, sum| {
        for k in part * size..((part + 1) * size).min(samples) {
            *sum += f(k);
        }
    });
    let mut total = S::default();
    sums.iter().for_each(|&sum| total += sum);
    total
}

/// A tape with two groups of leaves (independent variables), x and θ, on which the samples of one part of a batch are recorded in turn.
pub struct Workspace<S: Number> {
    /// The tape: the leaves, then the sample being recorded.
    pub tape: Tape<S>,
    /// The leaves x.
    pub x: Vec<Var<S>>,
    /// The leaves θ.
    pub theta: Vec<Var<S>>,
    /// The sum of what [`add`](Workspace::add) added.
    pub value: S,
    /// Numbers that samples record for later use, in the order of the samples.
    pub notes: Vec<S>,
}

impl<S: Number> Default for Workspace<S> {
    fn default() -> Self {
        Workspace {
            tape: Tape::default(),
            x: Vec::new(),
            theta: Vec::new(),
            value: S::default(),
            notes: Vec::new(),
        }
    }
}

impl<S: Number> Workspace<S> {
    /// Clears the tape and puts the leaves on it.
    pub fn open(&mut self, x: &[S], theta: &[S]) {
        self.tape.clear();
        self.tape.leaves(x);
        self.tape.leaves(theta);
        // The leaves are at the same places every time.
        let (first, end) = (x.len(), x.len() + theta.len());
        if self.x.len() != first || self.theta.len() != theta.len() {
            self.x = (0..first).map(Var::at).collect();
            self.theta = (first..end).map(Var::at).collect();
        }
        self.notes.clear();
        self.value = S::default();
    }

    /// Adds `weight` times a loss to the value, and `weight` times its gradients to the adjoints of the leaves.
    pub fn add(&mut self, weight: f64, loss: impl FnOnce(&[Var<S>], &[Var<S>]) -> Var<S>) {
        let mark = self.tape.mark();
        let loss = self.tape.record(|| loss(&self.x, &self.theta));
        self.value += self.tape.value(loss).times(weight);
        *self.tape.adjoint_mut(loss) += S::constant(weight);
        self.tape.sweep(mark);
        self.tape.truncate(mark);
    }

    /// The adjoints of x and of θ.
    pub fn adjoints(&self) -> [&[S]; 2] {
        let (x, theta) = self.tape.adjoints(self.x.len(), self.theta.len());
        [x, theta]
    }
}

/// A pool of [`Workspace`]s, so that a loop allocates only in its first passes.
///
/// A batch is divided into parts whose size depends on the number of its samples alone. The parts run in parallel, each on its own tape, and
/// their results are added in order: the same bits on any number of threads.
#[derive(Default)]
pub struct Workspaces(Buffers);

impl Workspaces {
    /// Opens one workspace per part with these leaves, calls `record` for every k below `samples`, then `read`.
    pub fn each<S: Number, R>(
        &self,
        samples: usize,
        x: &[S],
        theta: &[S],
        record: impl Fn(&mut Workspace<S>, usize) + Sync,
        read: impl FnOnce(&[Workspace<S>]) -> R,
    ) -> R {
        let record = |workspace: &mut Workspace<S>, part: Range<usize>| {
            part.for_each(|k| record(workspace, k));
        };
        self.parts(samples, x, theta, record, read)
    }

    /// The same with one call of `record` per part.
    pub fn parts<S: Number, R>(
        &self,
        samples: usize,
        x: &[S],
        theta: &[S],
        record: impl Fn(&mut Workspace<S>, Range<usize>) + Sync,
        read: impl FnOnce(&[Workspace<S>]) -> R,
    ) -> R {
        self.0.with(|workspaces: &mut Vec<Workspace<S>>| {
            let size = part_size(samples);
            let parts = samples.div_ceil(size).max(1);
            if workspaces.len() < parts {
                workspaces.resize_with(parts, Workspace::default);
            }
            parallel::for_each(&mut workspaces[..parts], |part, workspace| {
                workspace.open(x, theta);
                record(workspace, part * size..((part + 1) * size).min(samples));
            });
            read(&workspaces[..parts])
        })
    }
}

/// The sum of the values of all workspaces.
pub fn value<S: Number>(workspaces: &[Workspace<S>]) -> S {
    let mut value = S::default();
    workspaces
        .iter()
        .for_each(|workspace| value += workspace.value);
    value
}

/// out, of the length of x or θ, ← the sum of the adjoints of x (`group` 0) or θ (1) of all workspaces.
pub fn gather<S: Number>(workspaces: &[Workspace<S>], group: usize, out: &mut [S]) {
    let Some((first, others)) = workspaces.split_first() else {
        return out.fill(S::default());
    };
    out.copy_from_slice(first.adjoints()[group]);
    for workspace in others {
        number::add_to(out, workspace.adjoints()[group]);
    }
}
