//! Draws from a generator, the same on every platform.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::Rng;

/// A number from [0, 1).
pub(crate) fn uniform(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// A number below n, each as likely as the others to 2⁻⁶⁴.
pub(crate) fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// The entries in another order.
pub(crate) fn shuffle<T>(entries: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..entries.len()).rev() {
        entries.swap(last, below(last + 1, rng));
    }
}
