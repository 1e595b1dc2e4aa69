//! ψ(t) = φ_ν(t) − ρ φ_κ(t) along the rows of responses, with its derivatives. φ_ν(t) = √(t² + ν²).
//!
//! ```text
//! φ' = t/φ,   φ'' = ν²/φ³,   φ''' = −3ν²t/φ⁵,   ∂φ'/∂ν = −νt/φ³,   |φ'''| ≤ 48/(25√5) ν⁻² at |t| = ν/2
//! ```
//!
//! The concave part counts at positions whose support lies within the image, and nowhere for the convex potential.

use bilevel::Element;
use std::ops::Range;

use crate::support::sums::lane_sum;

/// The largest |φ'''| is this over ν².
pub(super) const MAX_THIRD: f64 = 0.858_650_103_355_036_9; // 48/(25√5)

/// One expert as the kernels use it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expert<E> {
    /// w and ν².
    pub(super) weight: E,
    pub(super) nu2: E,
    /// wρ and κ².
    pub(super) concave: E,
    pub(super) kappa2: E,
}

/// Calls `f(range, concave part counts)` for the three ranges of columns left of, within and right of `inside`.
#[inline(always)]
fn columns(cols: usize, inside: &Range<usize>, mut f: impl FnMut(Range<usize>, bool)) {
    f(0..inside.start, false);
    f(inside.clone(), true);
    f(inside.end..cols, false);
}

impl<E: Element> Expert<E> {
    /// t ← w ψ'(t); adds w ψ(t) to `energy` where `VALUE`.
    #[inline(always)]
    pub(super) fn gradient<const VALUE: bool>(
        &self,
        t: &mut [E],
        energy: &mut [E],
        inside: &Range<usize>,
    ) {
        let one = E::from_f64(1.0);
        columns(
            t.len(),
            inside,
            #[inline(always)]
            |range, concave| {
                let energy = &mut energy[range.clone()];
                let t = &mut t[range];
                if concave {
                    for (t, e) in t.iter_mut().zip(energy) {
                        let t2 = *t * *t;
                        let (a, b) = (t2 + self.nu2, t2 + self.kappa2);
                        // ψ' = t w/φ_ν − t wρ/φ_κ
                        let (p, q) = (self.weight / a.sqrt(), self.concave / b.sqrt());
                        if VALUE {
                            *e = *e + (a * p - b * q);
                        }
                        *t = *t * (p - q);
                    }
                } else {
                    for (t, e) in t.iter_mut().zip(energy) {
                        let a = *t * *t + self.nu2;
                        let inverse = one / a.sqrt();
                        let p = self.weight * inverse;
                        if VALUE {
                            *e = *e + a * p;
                        }
                        *t = *t * p;
                    }
                }
            },
        );
    }

    /// h ← w ψ''(t).
    #[inline(always)]
    pub(super) fn curvature(&self, t: &[E], h: &mut [E], inside: &Range<usize>) {
        let one = E::from_f64(1.0);
        let (scale, concave_scale) = (self.weight * self.nu2, self.concave * self.kappa2);
        columns(
            t.len(),
            inside,
            #[inline(always)]
            |range, concave| {
                let h = &mut h[range.clone()];
                let t = &t[range];
                for (t, h) in t.iter().zip(h) {
                    let t2 = *t * *t;
                    let a = t2 + self.nu2;
                    *h = scale * (one / (a * a.sqrt()));
                    if concave {
                        let b = t2 + self.kappa2;
                        *h = *h - concave_scale * (one / (b * b.sqrt()));
                    }
                }
            },
        );
    }

    /// The sums over a row of ψ's, w ∂ψ'/∂ν s and w ∂ψ'/∂κ s; then r ← wψ'(r) and s ← wψ''(r)s.
    #[inline(always)]
    pub(super) fn cross(&self, r: &mut [E], s: &mut [E], inside: &Range<usize>) -> [f64; 3] {
        // In pieces, whose terms are stored and then summed up: a loop that does both is not vectorised.
        const PIECE: usize = 64;
        let mut sums = [0.0; 3];
        columns(
            r.len(),
            inside,
            #[inline(always)]
            |range, concave| {
                let (r, s) = (&mut r[range.clone()], &mut s[range]);
                for (r, s) in r.chunks_mut(PIECE).zip(s.chunks_mut(PIECE)) {
                    let [mut a, mut b, mut c] = [[E::default(); PIECE]; 3];
                    let terms = a.iter_mut().zip(&mut b).zip(&mut c);
                    if concave {
                        for ((r, s), ((a, b), c)) in r.iter_mut().zip(s).zip(terms) {
                            [*a, *b, *c] = self.cross_at(r, s, true);
                        }
                    } else {
                        for ((r, s), ((a, b), c)) in r.iter_mut().zip(s).zip(terms) {
                            [*a, *b, *c] = self.cross_at(r, s, false);
                        }
                    }
                    for (sum, terms) in sums.iter_mut().zip([a, b, c]) {
                        *sum += lane_sum(
                            &terms,
                            #[inline(always)]
                            |_, t| t,
                        );
                    }
                }
            },
        );
        // The sums contain an extra factor w, ν or κ: w∂φ'/∂ν = −(t/ν) wν²/φ³.
        let [first, by_nu, by_kappa] = sums;
        [
            first / self.weight.to_f64(),
            by_nu / self.nu2.to_f64().sqrt(),
            by_kappa / self.kappa2.to_f64().sqrt(),
        ]
    }

    /// The terms of [`cross`](Expert::cross) at one position.
    #[inline(always)]
    fn cross_at(&self, r: &mut E, s: &mut E, concave: bool) -> [E; 3] {
        let one = E::from_f64(1.0);
        let (t, v) = (*r, *s);
        let t2 = t * t;
        // w/φ and wν²/φ³ of both parts.
        let inverse = one / (t2 + self.nu2).sqrt();
        let mut first = self.weight * inverse;
        let mut second = self.weight * self.nu2 * inverse * inverse * inverse;
        let by_nu = E::default() - t * second * v;
        let mut by_kappa = E::default();
        if concave {
            let inverse = one / (t2 + self.kappa2).sqrt();
            let other = self.concave * self.kappa2 * inverse * inverse * inverse;
            first = first - self.concave * inverse;
            second = second - other;
            by_kappa = t * other * v;
        }
        *r = t * first;
        *s = second * v;
        [*r * v, by_nu, by_kappa]
    }

    /// (φ', φ'', ∂φ'/∂ν) of φ_ν at one response t, without weights.
    #[inline(always)]
    pub(super) fn parts(t: f64, nu2: f64) -> (f64, f64, f64) {
        let a = t * t + nu2;
        let phi = a.sqrt();
        let cubed = a * phi;
        (t / phi, nu2 / cubed, -nu2.sqrt() * t / cubed)
    }
}

/// Suprema within `reach` of a response t: of |φ'''|, of φ'' and of |∂²φ'/∂t∂ν|.
#[inline(always)]
pub(super) fn local_suprema(t: f64, reach: f64, nu2: f64) -> (f64, f64, f64) {
    let nu = nu2.sqrt();
    let (lo, hi) = ((t.abs() - reach).max(0.0), t.abs() + reach);
    // |φ'''| rises to |t| = ν/2 and falls after, so its largest value in [lo, hi] is at the point closest to ν/2.
    let peak = (0.5 * nu).max(lo).min(hi);
    let phi2 = peak * peak + nu2;
    let third = 3.0 * peak * nu2 / (phi2 * phi2 * phi2.sqrt());
    let phi2 = lo * lo + nu2;
    let second = nu2 / (phi2 * phi2.sqrt());
    // ∂φ''/∂ν = ν (2t² − ν²)/φ⁵ = (φ''/ν)(3t²/φ² − 1)
    let ratio = hi * hi / (hi * hi + nu2);
    (third, second, second / nu * (3.0 * ratio - 1.0).max(1.0))
}
