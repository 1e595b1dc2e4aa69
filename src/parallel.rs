//! Parallelism: explicit, never nested, and without influence on results.
//!
//! Work is divided into pieces whose sizes depend on the data alone, and partial results are combined in the order of the pieces. So a run
//! writes the same bytes on any number of threads. Nested parallel work runs serially: [`Mean`](crate::Mean) uses one thread per sample, and
//! only a single large sample divides its rows.
//!
//! The threads are those of rayon's current pool. Without the feature `rayon`, for targets without threads, the same pieces run in turn, with
//! the same results to the last bit.

#[cfg(feature = "rayon")]
mod pool;

use crate::error::Error;

/// The number of threads available to work started here: 1 inside a parallel region and without the feature `rayon`, else the size of the
/// pool.
#[doc(hidden)]
pub fn width() -> usize {
    #[cfg(feature = "rayon")]
    let width = pool::width();
    #[cfg(not(feature = "rayon"))]
    let width = 1;
    width
}

/// Runs `f` on a pool of `threads` threads, used by all parallel loops inside it. Without the feature `rayon`, it calls `f` directly.
///
/// # Errors
/// [`Error::InvalidArgument`] for 0 or more than 1,024 threads, [`Error::Setup`] if the system refuses to start them.
pub fn with_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> Result<R, Error> {
    const MOST: usize = 1024;
    if !(1..=MOST).contains(&threads) {
        let expected = format!("at least 1 and at most {MOST}");
        return Err(Error::invalid("threads", threads, expected));
    }
    #[cfg(feature = "rayon")]
    let result = pool::install(threads, f);
    #[cfg(not(feature = "rayon"))]
    let result = Ok(f());
    result
}

/// Calls `f(i, &mut items[i])` for every item, in parallel unless already inside a parallel region.
#[doc(hidden)]
pub fn for_each<T: Send>(items: &mut [T], f: impl Fn(usize, &mut T) + Sync) {
    #[cfg(feature = "rayon")]
    if width() > 1 && items.len() > 1 {
        return pool::for_each(items, &f);
    }
    items.iter_mut().enumerate().for_each(|(i, t)| f(i, t));
}

/// Calls `f(i, piece)` for consecutive pieces of `size` items (at least 1; the last piece may be shorter), in parallel unless already inside a
/// parallel region.
#[doc(hidden)]
pub fn for_each_piece<T: Send>(items: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync) {
    let size = size.max(1);
    #[cfg(feature = "rayon")]
    if width() > 1 && items.len() > size {
        return pool::for_each_piece(items, size, &f);
    }
    let pieces = items.chunks_mut(size).enumerate();
    pieces.for_each(|(i, piece)| f(i, piece));
}

/// Calls `f(i, piece of a, piece of b)` for the pieces of two slices, each given with its piece size (at least 1), as far as both reach; in
/// parallel unless already inside a parallel region.
#[doc(hidden)]
pub fn for_each_pair<A: Send, B: Send>(
    (a, size_a): (&mut [A], usize),
    (b, size_b): (&mut [B], usize),
    f: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    let (size_a, size_b) = (size_a.max(1), size_b.max(1));
    #[cfg(feature = "rayon")]
    if width() > 1 && a.len() > size_a && b.len() > size_b {
        return pool::for_each_pair((a, size_a), (b, size_b), &f);
    }
    let pairs = a.chunks_mut(size_a).zip(b.chunks_mut(size_b));
    pairs.enumerate().for_each(|(i, (a, b))| f(i, a, b));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parallel_region_is_never_nested() {
        with_threads(2, || {
            let outside = width();
            assert_eq!(outside, if cfg!(feature = "rayon") { 2 } else { 1 });
            let mut seen = [0usize; 8];
            for_each(&mut seen, |_, s| *s = width());
            assert_eq!(seen, [1; 8], "items");
            for_each_piece(&mut seen, 3, |_, s| s.fill(width() + 1));
            assert_eq!(seen, [2; 8], "pieces");
            let mut other = [0usize; 4];
            for_each_pair((&mut seen, 2), (&mut other, 1), |_, a, b| {
                a.fill(width() + 2);
                b.fill(width() + 3);
            });
            assert_eq!((seen, other), ([3; 8], [4; 4]), "pairs");
            assert_eq!(width(), outside);
        })
        .unwrap();
    }

    #[test]
    fn pieces_are_numbered_in_order_and_cover_everything_on_any_number_of_threads() {
        for threads in [1, 3] {
            with_threads(threads, || {
                for size in [0, 1, 3, 10, 11] {
                    let mut items = [(usize::MAX, 0); 10];
                    for_each_piece(&mut items, size, |i, piece| {
                        piece.iter_mut().enumerate().for_each(|(k, t)| *t = (i, k));
                    });
                    for (at, item) in items.iter().enumerate() {
                        let size = size.max(1);
                        assert_eq!(*item, (at / size, at % size), "pieces of {size}");
                    }
                }
                // Four pieces of ten items, and three of the others: the fourth has no partner.
                let (mut a, mut b) = ([0; 10], [0; 3]);
                for_each_pair((&mut a, 3), (&mut b, 1), |i, a, b| {
                    a.fill(i + 1);
                    b.fill(i + 1);
                });
                assert_eq!((a, b), ([1, 1, 1, 2, 2, 2, 3, 3, 3, 0], [1, 2, 3]));
            })
            .unwrap();
        }
    }

    #[test]
    fn no_threads_or_absurdly_many_are_refused() {
        assert!(with_threads(0, || ()).is_err());
        assert!(with_threads(100_000, || ()).is_err());
    }
}
