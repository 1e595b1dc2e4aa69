//! Binomial checkpointing: the placement of stored states that recomputes the fewest steps.
//!
//! With s stored states and at most r repetitions of every step, β(s, r) = C(s + r, s) steps can be reversed, and no more. To reverse l
//! steps, with the smallest r such that l ≤ β(s, r), takes r l − β(s+1, r−1) steps forward.
//!
//! # Reference
//! A. Griewank, A. Walther: Algorithm 799: revolve. ACM Trans. Math. Softw. 26 (2000),
//! [doi:10.1145/347837.347846](https://doi.org/10.1145/347837.347846).

/// β(s, r) = C(s + r, s), at most `u64::MAX`; 0 for a negative r.
fn reach(s: u64, r: i64) -> u64 {
    let Ok(r) = u64::try_from(r) else {
        return 0;
    };
    let (few, sum) = (s.min(r), s + r);
    let mut value: u128 = 1;
    for k in 1..=few {
        value = value * u128::from(sum - few + k) / u128::from(k);
        if value > u128::from(u64::MAX) {
            return u64::MAX;
        }
    }
    value as u64
}

/// The smallest r with l ≤ β(s, r).
fn repetitions(l: u64, s: u64) -> i64 {
    let mut r = 0;
    while reach(s, r) < l {
        r += 1;
    }
    r
}

/// The distance to the next stored state, for l steps to reverse and s states, the first of which is the one before these steps. l > 1,
/// s > 1.
pub(super) fn advance(l: usize, s: usize) -> usize {
    let (l, s) = (l as u64, s as u64);
    let r = repetitions(l, s);
    // Both parts must be reversible: the first with s states and one repetition less, the second with one state less.
    let first = reach(s, r - 2).max(l.saturating_sub(reach(s - 1, r)));
    first.clamp(1, l - 1) as usize
}

/// The number of recomputed steps of [`Mode::Reverse`](super::Mode::Reverse) for a run of `steps` with this many `checkpoints`, which is the
/// minimum.
///
/// ```
/// use bilevel::hypergradient::unrolled::recomputation;
///
/// assert_eq!(recomputation(10_000, 10_000), 0);
/// assert_eq!(recomputation(10_000, 141), 9_858); // 141 states: less than one run more
/// assert_eq!(recomputation(10_000, 10), 47_625);
/// ```
#[doc(hidden)]
pub fn recomputation(steps: usize, checkpoints: usize) -> u64 {
    if steps == 0 || checkpoints == 0 || checkpoints >= steps {
        return 0;
    }
    let (l, s) = (steps as u64, checkpoints as u64);
    if s == 1 {
        // Every step is reached from the start again.
        return (u128::from(l) * u128::from(l - 1) / 2).min(u128::from(u64::MAX)) as u64 + 1 - l;
    }
    let r = repetitions(l, s);
    // The last step is taken once more than in the formula, because f is evaluated at its end.
    (r as u64 * l - reach(s + 1, r - 1)) + 1 - l
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least number of steps forward, by trying every place.
    fn least(l: usize, s: usize, known: &mut Vec<Vec<Option<u64>>>) -> u64 {
        if l == 1 {
            return 0;
        }
        if s == 1 {
            return (l * (l - 1) / 2) as u64;
        }
        if let Some(value) = known[s][l] {
            return value;
        }
        let mut best = u64::MAX;
        for m in 1..l {
            let cost = m as u64 + least(l - m, s - 1, known) + least(m, s, known);
            best = best.min(cost);
        }
        known[s][l] = Some(best);
        best
    }

    fn by_rule(l: usize, s: usize) -> u64 {
        match (l, s) {
            (1, _) => 0,
            (_, 1) => (l * (l - 1) / 2) as u64,
            _ => {
                let m = advance(l, s);
                m as u64 + by_rule(l - m, s - 1) + by_rule(m, s)
            }
        }
    }

    #[test]
    fn no_other_places_of_the_checkpoints_take_fewer_steps() {
        let mut known = vec![vec![None; 61]; 12];
        for l in 1..=60 {
            for s in 1..12 {
                let best = least(l, s, &mut known);
                assert_eq!(by_rule(l, s), best, "{l} steps, {s} checkpoints");
                assert_eq!(recomputation(l, s) + l as u64, best + 1);
            }
        }
    }
}
