//! [`Sheets`]: tapes for the samples of a batch, in parallel.

use std::any::Any;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::number::{self, Number};
use super::tape::{Tape, Var};
use crate::parallel;

/// Parts of a batch, at most.
const PARTS: usize = 16;
/// Samples of a part, at least, but of the last one.
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

/// A tape with two groups of leaves, x and θ, on which the samples of a part of a batch are recorded one after the other.
pub struct Sheet<S: Number> {
    /// The tape, which holds the leaves and the sample that is being recorded.
    pub tape: Tape<S>,
    /// The leaves x.
    pub x: Vec<Var<S>>,
    /// The leaves θ.
    pub theta: Vec<Var<S>>,
    /// The sum of what [`add`](Sheet::add) added.
    pub value: S,
    /// Numbers that samples leave behind, in the order of the samples.
    pub notes: Vec<S>,
}

impl<S: Number> Default for Sheet<S> {
    fn default() -> Self {
        Sheet {
            tape: Tape::default(),
            x: Vec::new(),
            theta: Vec::new(),
            value: S::default(),
            notes: Vec::new(),
        }
    }
}

impl<S: Number> Sheet<S> {
    /// A tape of nothing but the leaves.
    pub fn open(&mut self, x: &[S], theta: &[S]) {
        self.tape.clear();
        self.tape.leaves(x);
        self.tape.leaves(theta);
        // The leaves of one opening are at the places of those of any other.
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

/// Tapes that are lent out and taken back, so that a loop allocates nothing after its first passes.
///
/// A batch is divided into parts whose size depends on the number of its samples alone, each with a tape of its own, in parallel; what the
/// parts found is added in their order. The result is the same bits on any number of threads.
#[derive(Default)]
pub struct Sheets(Rooms);

impl Sheets {
    /// Opens a sheet a part with these leaves, calls `record` for every k below `samples`, then `read`.
    pub fn each<S: Number, R>(
        &self,
        samples: usize,
        x: &[S],
        theta: &[S],
        record: impl Fn(&mut Sheet<S>, usize) + Sync,
        read: impl FnOnce(&[Sheet<S>]) -> R,
    ) -> R {
        let record = |sheet: &mut Sheet<S>, part: Range<usize>| {
            part.for_each(|k| record(sheet, k));
        };
        self.parts(samples, x, theta, record, read)
    }

    /// The same with the samples of a part at once.
    pub fn parts<S: Number, R>(
        &self,
        samples: usize,
        x: &[S],
        theta: &[S],
        record: impl Fn(&mut Sheet<S>, Range<usize>) + Sync,
        read: impl FnOnce(&[Sheet<S>]) -> R,
    ) -> R {
        self.0.with(|sheets: &mut Vec<Sheet<S>>| {
            let size = part_size(samples);
            let parts = samples.div_ceil(size).max(1);
            if sheets.len() < parts {
                sheets.resize_with(parts, Sheet::default);
            }
            parallel::for_each(&mut sheets[..parts], |part, sheet| {
                sheet.open(x, theta);
                record(sheet, part * size..((part + 1) * size).min(samples));
            });
            read(&sheets[..parts])
        })
    }
}

/// The sum of the values of all sheets.
pub fn value<S: Number>(sheets: &[Sheet<S>]) -> S {
    let mut value = S::default();
    sheets.iter().for_each(|sheet| value += sheet.value);
    value
}

/// out, of the length of x or θ, ← the sum of the adjoints of x (`group` 0) or θ (1) of all sheets.
pub fn gather<S: Number>(sheets: &[Sheet<S>], group: usize, out: &mut [S]) {
    let Some((first, others)) = sheets.split_first() else {
        return out.fill(S::default());
    };
    out.copy_from_slice(first.adjoints()[group]);
    for sheet in others {
        number::add_to(out, sheet.adjoints()[group]);
    }
}

/// Things of any type, lent out and taken back.
#[derive(Default)]
pub(super) struct Rooms(Mutex<Vec<Box<dyn Any + Send>>>);

impl Rooms {
    /// Calls `f` with room of the type, whose content is what the last user left.
    pub(super) fn with<T: Default + Send + 'static, R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // A panic elsewhere leaves the list usable.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = lock();
        let at = free.iter().position(|room| room.is::<T>());
        let room = at.map(|at| free.swap_remove(at));
        drop(free);
        let mut room: Box<T> = room.and_then(|r| r.downcast().ok()).unwrap_or_default();
        let result = f(&mut room);
        lock().push(room);
        result
    }
}
