//! From scores to losses, probabilities, residuals and curvatures, sample by sample.
//!
//! ```text
//! one score z per sample, s = ±1       ℓ = log(1 + e^{−sz}),   q = σ(−sz),   r = −s q,      H t = q(1 − q) t
//! c scores per sample, class y         ℓ = log Σₖ e^{zₖ} − z_y,  p = softmax(z),  r = p − e_y,  H t = p∘t − p⟨p, t⟩
//! ```
//!
//! q is the probability of the wrong class. The code stores q or p per sample and calls both p.

use bilevel::Element;
use bilevel::simd::dispatch;

/// Added to a number of moderate size and subtracted again, this rounds it; between the two the integer stands in the last bits.
const ROUNDING: f64 = 6_755_399_441_055_744.0; // 1.5·2⁵²
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1/13!, …, 1/2!.
const TAYLOR: [f64; 12] = [
    1.0 / 6_227_020_800.0,
    1.0 / 479_001_600.0,
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    1.0 / 2.0,
];

/// eˣ to about one unit in the last place, without branches or calls, so that a loop over it is vectorised. Beyond ±708 it is e^±708.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    // In this form NaN remains NaN.
    let x = if x < -708.0 { -708.0 } else { x };
    let x = if x > 708.0 { 708.0 } else { x };
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUNDING);
    let n = shifted - ROUNDING;
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let mut sum = TAYLOR[0];
    for &coefficient in &TAYLOR[1..] {
        sum = sum.mul_add(r, coefficient);
    }
    let fraction = 1.0 + (r * r).mul_add(sum, r);
    fraction * f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52)
}

/// σ(x) = 1/(1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid(x: f64) -> f64 {
    let t = exp(-x.abs());
    (if x < 0.0 { t } else { 1.0 }) / (1.0 + t)
}

/// +1 for class 1, −1 for class 0.
#[inline(always)]
fn sign(label: u32) -> f64 {
    f64::from(2 * label as i32 - 1)
}

/// scores ← p, and losses ← ℓ for as many samples as `losses` has entries. A sample has `c` scores: one stands for two classes of opposite
/// sign.
pub(crate) fn activate<E: Element>(c: usize, scores: &mut [E], labels: &[u32], losses: &mut [f64]) {
    if c == 1 {
        for ((loss, z), &label) in losses.iter_mut().zip(&*scores).zip(labels) {
            let m = sign(label) * z.to_f64();
            let below = if m < 0.0 { -m } else { 0.0 };
            *loss = below + (-m.abs()).exp().ln_1p();
        }
        dispatch(
            #[inline(always)]
            || {
                for (z, &label) in scores.iter_mut().zip(labels) {
                    *z = E::from_f64(sigmoid(-(sign(label) * z.to_f64())));
                }
            },
        );
        return;
    }
    for (k, (row, &label)) in scores.chunks_exact_mut(c).zip(labels).enumerate() {
        let largest = row[1..]
            .iter()
            .fold(row[0], |a, &b| if b > a { b } else { a });
        row.iter_mut().for_each(|z| *z = *z - largest);
        if let Some(loss) = losses.get_mut(k) {
            *loss = row[label as usize].to_f64();
        }
    }
    dispatch(
        #[inline(always)]
        || {
            for z in scores.iter_mut() {
                *z = E::from_f64(exp(z.to_f64()));
            }
        },
    );
    for (k, row) in scores.chunks_exact_mut(c).enumerate() {
        let sum: f64 = row.iter().map(|z| z.to_f64()).sum();
        let share = E::from_f64(1.0 / sum);
        row.iter_mut().for_each(|z| *z = share * *z);
        if let Some(loss) = losses.get_mut(k) {
            *loss = sum.ln() - *loss;
        }
    }
}

/// p ← r.
pub(crate) fn residual<E: Element>(c: usize, p: &mut [E], labels: &[u32]) {
    if c == 1 {
        for (p, &label) in p.iter_mut().zip(labels) {
            *p = E::from_f64(-sign(label)) * *p;
        }
        return;
    }
    for (row, &label) in p.chunks_exact_mut(c).zip(labels) {
        row[label as usize] = row[label as usize] - E::from_f64(1.0);
    }
}

/// t ← H t.
pub(crate) fn curve<E: Element>(c: usize, p: &[E], t: &mut [E]) {
    if c == 1 {
        let one = E::from_f64(1.0);
        dispatch(
            #[inline(always)]
            || {
                for (t, &p) in t.iter_mut().zip(p) {
                    *t = p * (one - p) * *t;
                }
            },
        );
        return;
    }
    for (t, p) in t.chunks_exact_mut(c).zip(p.chunks_exact(c)) {
        let mut mean = E::default();
        for (&t, &p) in t.iter().zip(p) {
            mean = mean + p * t;
        }
        for (t, &p) in t.iter_mut().zip(p) {
            *t = p * (*t - mean);
        }
    }
}

/// out ← ⟨r, t⟩ of every sample.
pub(crate) fn along<E: Element>(c: usize, p: &[E], t: &[E], labels: &[u32], out: &mut [f64]) {
    if c == 1 {
        for (((out, p), t), &label) in out.iter_mut().zip(p).zip(t).zip(labels) {
            *out = -sign(label) * p.to_f64() * t.to_f64();
        }
        return;
    }
    let rows = p.chunks_exact(c).zip(t.chunks_exact(c)).zip(labels);
    for (out, ((p, t), &label)) in out.iter_mut().zip(rows) {
        let mean: f64 = p.iter().zip(t).map(|(p, t)| p.to_f64() * t.to_f64()).sum();
        *out = mean - t[label as usize].to_f64();
    }
}

/// out ← ‖r‖ of every sample.
pub(crate) fn residual_lengths<E: Element>(c: usize, p: &[E], labels: &[u32], out: &mut Vec<f64>) {
    out.clear();
    out.extend(p.chunks_exact(c).zip(labels).map(|(p, &label)| {
        if c == 1 {
            return p[0].to_f64();
        }
        let of_class = |(k, p): (usize, &E)| {
            let one = if k == label as usize { 1.0 } else { 0.0 };
            (p.to_f64() - one).powi(2)
        };
        p.iter().enumerate().map(of_class).sum::<f64>().sqrt()
    }));
}

/// rows ← weightᵢ · rowᵢ.
pub(crate) fn weigh<E: Element>(c: usize, rows: &mut [E], weights: &[f64]) {
    for (row, &weight) in rows.chunks_exact_mut(c).zip(weights) {
        let weight = E::from_f64(weight);
        row.iter_mut().for_each(|r| *r = weight * *r);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_two_units_in_the_last_place() {
        for i in -70_000..70_000 {
            let x = f64::from(i) * 0.010_01;
            let error = exp(x) / x.exp() - 1.0;
            assert!(error.abs() <= 2.0 * f64::EPSILON, "{x}: {error:e}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(-1e9) > 0.0 && exp(-1e9) < 1e-300);
        assert!(exp(f64::NAN).is_nan() && sigmoid(f64::NAN).is_nan());
        assert_eq!([sigmoid(-1e9), sigmoid(1e9)].map(f64::round), [0.0, 1.0]);
        assert!((sigmoid(-30.0) / (-30f64).exp() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let mut scores = vec![1e4, -1e4];
        let mut losses = vec![0.0; 2];
        activate(1, &mut scores, &[0, 0], &mut losses);
        assert_eq!(losses, [1e4, 0.0]);
        assert!(scores[0] == 1.0 && scores[1] < 1e-300);
        let mut scores = vec![1e4, 0.0, -1e4];
        let mut losses = vec![0.0];
        activate(3, &mut scores, &[1], &mut losses);
        assert_eq!(losses, [1e4]);
        assert!(scores[0] == 1.0 && scores[1] < 1e-300);
    }

    #[test]
    fn two_classes_are_a_sign() {
        for (z, label) in [(0.3, 1), (-2.0, 1), (4.0, 0)] {
            let (mut one, mut two) = (vec![z], vec![0.0, z]);
            let (mut a, mut b) = ([0.0], [0.0]);
            activate(1, &mut one, &[label], &mut a);
            activate(2, &mut two, &[label], &mut b);
            assert!((a[0] - b[0]).abs() < 1e-15);
            let (mut s, mut t) = (vec![0.7], vec![0.0, 0.7]);
            let (mut c, mut d) = ([0.0], [0.0]);
            along(1, &one, &s, &[label], &mut c);
            along(2, &two, &t, &[label], &mut d);
            assert!((c[0] - d[0]).abs() < 1e-15);
            curve(1, &one, &mut s);
            curve(2, &two, &mut t);
            assert!((s[0] - t[1]).abs() < 1e-15);
            residual(1, &mut one, &[label]);
            residual(2, &mut two, &[label]);
            assert!((one[0] - two[1]).abs() < 1e-15);
        }
    }
}
