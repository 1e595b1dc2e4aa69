//! Random numbers and orders that are the same on every platform.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// A number from [0, 1).
pub(crate) fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A number below n; the probabilities are equal to within 2⁻⁶⁴.
pub(crate) fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// Permutes the entries at random.
pub(crate) fn shuffle<T>(entries: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..entries.len()).rev() {
        entries.swap(last, below(last + 1, rng));
    }
}

/// The numbers 0, …, n − 1 in a random order of this seed.
pub(crate) fn permutation(n: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(&mut order, &mut ChaCha8Rng::seed_from_u64(seed));
    order
}
