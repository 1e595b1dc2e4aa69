//! Random numbers and orders that depend on a seed alone.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::Rng;

/// 64 random bits as a number in [0, 1), a multiple of 2⁻⁵³.
pub(crate) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * 2f64.powi(-53)
}

/// An integer below `bound`, uniformly distributed.
pub(crate) fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    // Numbers from the last, incomplete multiple of `bound` on are drawn again.
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let x = rng.next_u64();
        if x < limit {
            return x % bound;
        }
    }
}

/// Fisher and Yates's shuffle; `below` draws an integer below its argument.
pub(crate) fn shuffle(entries: &mut [usize], mut below: impl FnMut(u64) -> u64) {
    for last in (1..entries.len()).rev() {
        entries.swap(last, below(last as u64 + 1) as usize);
    }
}
