//! Sums as eight interleaved partial sums, which a processor adds at once: the same bits for registers of any width.

use bilevel::Element;

/// The number of partial sums.
pub(crate) const LANES: usize = 8;

/// Σ `term(i, valueᵢ)`. Term i belongs to partial sum i mod 8, those of the last incomplete chunk included.
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

/// ⟨a, b⟩. The products of the last incomplete chunk are summed apart and added last.
#[inline(always)]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for k in 0..LANES {
            lanes[k] += a[k] * b[k];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}
