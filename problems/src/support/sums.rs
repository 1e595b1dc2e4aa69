//! Sums in the order of the registers: the same bits on every width.

use bilevel::Element;

/// Lanes of a sum.
pub(crate) const LANES: usize = 8;

/// The sum of the entries, in lanes.
#[inline(always)]
pub(crate) fn lane_sum<E: Element>(values: &[E], term: impl Fn(usize, f64) -> f64) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let (head, tail) = values.as_chunks::<LANES>();
    for (c, chunk) in head.iter().enumerate() {
        for k in 0..LANES {
            lanes[k] += term(c * LANES + k, chunk[k].to_f64());
        }
    }
    for (k, value) in tail.iter().enumerate() {
        lanes[k] += term(head.len() * LANES + k, value.to_f64());
    }
    lanes.iter().sum()
}
