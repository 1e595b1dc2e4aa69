//! The parallel loops on rayon's threads. They call their body through a reference, so that rayon is compiled once for a type of items rather
//! than once for every loop.

use rayon::prelude::*;
use std::cell::Cell;

use crate::error::Error;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Marks the current thread as inside a parallel region until dropped.
struct Region {
    outer: bool,
}

impl Region {
    fn enter() -> Self {
        Region {
            outer: INSIDE.replace(true),
        }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        INSIDE.set(self.outer);
    }
}

pub(super) fn width() -> usize {
    if INSIDE.get() {
        1
    } else {
        rayon::current_num_threads()
    }
}

pub(super) fn install<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> Result<R, Error> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Setup {
            what: "the thread pool",
            reason: e.to_string(),
        })?;
    Ok(pool.install(f))
}

pub(super) fn for_each<T: Send>(items: &mut [T], f: &(dyn Fn(usize, &mut T) + Sync)) {
    items.par_iter_mut().enumerate().for_each(|(i, t)| {
        let _region = Region::enter();
        f(i, t);
    });
}

pub(super) fn for_each_piece<T: Send>(
    items: &mut [T],
    size: usize,
    f: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    let pieces = items.par_chunks_mut(size).enumerate();
    pieces.for_each(|(i, piece)| {
        let _region = Region::enter();
        f(i, piece);
    });
}

#[allow(clippy::type_complexity)] // the body of the loop
pub(super) fn for_each_pair<A: Send, B: Send>(
    (a, size_a): (&mut [A], usize),
    (b, size_b): (&mut [B], usize),
    f: &(dyn Fn(usize, &mut [A], &mut [B]) + Sync),
) {
    let pairs = a.par_chunks_mut(size_a).zip(b.par_chunks_mut(size_b));
    pairs.enumerate().for_each(|(i, (a, b))| {
        let _region = Region::enter();
        f(i, a, b);
    });
}
