//! Parallelism that is explicit, never nested, and never seen in the results.
//!
//! Work is divided into pieces whose sizes depend on the data alone, and partial results are combined in the order
//! of the pieces, so a run writes the same bytes on any number of threads. A piece that itself could be divided runs
//! serially: [`Sum`](crate::Sum) takes one thread a sample, and only a lone large sample divides its rows.

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

/// The number of threads that work started here may use: one inside a parallel region, else the width of the pool.
pub fn width() -> usize {
    if INSIDE.get() {
        1
    } else {
        rayon::current_num_threads()
    }
}

/// Runs `f` on a pool of `threads` threads, which every parallel loop inside it then uses.
///
/// # Errors
/// [`Error::InvalidArgument`] for no threads or more than 1,024, [`Error::Setup`] when the system refuses to start them.
pub fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> Result<R, Error> {
    const MOST: usize = 1024;
    if !(1..=MOST).contains(&threads) {
        let expected = format!("at least 1 and at most {MOST}");
        return Err(Error::invalid("threads", threads, expected));
    }
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::Setup {
            what: "the thread pool",
            reason: e.to_string(),
        })?;
    Ok(pool.install(f))
}

/// Calls `f(i, &mut items[i])` for every item, in parallel unless already inside a parallel region.
pub fn for_each<T: Send>(items: &mut [T], f: impl Fn(usize, &mut T) + Sync) {
    if width() == 1 || items.len() < 2 {
        items.iter_mut().enumerate().for_each(|(i, t)| f(i, t));
    } else {
        items.par_iter_mut().enumerate().for_each(|(i, t)| {
            let _region = Region::enter();
            f(i, t);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parallel_region_is_never_nested() {
        with_threads(2, || {
            assert_eq!(width(), 2);
            let mut seen = [0usize; 8];
            for_each(&mut seen, |_, s| *s = width());
            assert_eq!(seen, [1; 8]);
            assert_eq!(width(), 2);
        })
        .unwrap();
    }

    #[test]
    fn no_threads_or_absurdly_many_are_refused() {
        assert!(with_threads(0, || ()).is_err());
        assert!(with_threads(100_000, || ()).is_err());
    }
}
