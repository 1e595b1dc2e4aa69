//! Bounds of the change of the second derivatives of TV denoising near an image.

use bilevel::Element;

use super::super::finite_differences::{RowDifferences, larger};
use super::Weights;
use super::linearization::TvLinearization;

/// The constants of a local bound at one pixel: `third` ≥ |Φ'''|, `first` ≥ the Lipschitz constant of ∇Φ, `smoothing` ≥ that of
/// ∂∇Φ/∂log ν, all within `reach` of a difference of size `t`.
#[inline(always)]
fn local_constants(t: f64, reach: f64, nu: f64, isotropic: bool) -> (f64, f64, f64) {
    let lo = (t - reach).max(0.0);
    let hi = t + reach;
    let nu2 = nu * nu;
    // |Φ'''| rises to |t| = ν/2 and falls after, so its largest value in [lo, hi] is at the point closest to ν/2.
    let peak = (0.5 * nu).max(lo).min(hi);
    let phi2 = peak * peak + nu2;
    let along = 3.0 * peak * nu2 / (phi2 * phi2 * phi2.sqrt());
    // In two dimensions a direction oblique to t is worse once t² > ν²/2: then the supremum is 2/(√3 φ²).
    let third = if isotropic && peak * peak > 0.5 * nu2 {
        2.0 / (3f64.sqrt() * phi2)
    } else {
        along
    };
    let phi2 = lo * lo + nu2;
    let phi = phi2.sqrt();
    if isotropic {
        (third, 1.0 / phi, 1.0 / phi)
    } else {
        let first = nu2 / (phi2 * phi);
        let ratio = hi * hi / (hi * hi + nu2);
        (third, first, first * (3.0 * ratio - 1.0).max(1.0))
    }
}

/// Squares of the bounds of the changes of ∇Φ and ∂∇Φ/∂log ν along the differences of q, at one pixel.
#[inline(always)]
fn squares<const ISOTROPIC: bool>([th, tv, qh, qv]: [f64; 4], reach: f64, nu: f64) -> (f64, f64) {
    let (h2, v2) = (qh * qh, qv * qv);
    if ISOTROPIC {
        let t = (th * th + tv * tv).sqrt();
        let (_, f, s) = local_constants(t, reach, nu, true);
        (f * f * (h2 + v2), s * s * (h2 + v2))
    } else {
        let (_, fh, sh) = local_constants(th.abs(), reach, nu, false);
        let (_, fv, sv) = local_constants(tv.abs(), reach, nu, false);
        (fh * fh * h2 + fv * fv * v2, sh * sh * h2 + sv * sv * v2)
    }
}

impl<E: Element> TvLinearization<'_, E> {
    pub(super) fn hessian_change_of<const ISOTROPIC: bool, const PER_PIXEL: bool>(
        &self,
        q: &[E],
        radius: f64,
    ) -> f64 {
        let n = self.problem.difference_norm();
        let reach = self.problem.spread() * radius;
        self.problem.with_parameters(self.theta, |p| {
            let [_, _, largest] = self.problem.differences.totals(
                self.x,
                q,
                #[inline(always)]
                |i, [th, tv, qh, qv]| {
                    let bound = if ISOTROPIC {
                        let t = (th * th + tv * tv).sqrt();
                        local_constants(t, reach, p.nu, true).0 * (qh * qh + qv * qv).sqrt()
                    } else {
                        let h = local_constants(th.abs(), reach, p.nu, false).0 * qh.abs();
                        let v = local_constants(tv.abs(), reach, p.nu, false).0 * qv.abs();
                        h.max(v)
                    };
                    [0.0, 0.0, p.at::<PER_PIXEL>(i) * bound]
                },
            );
            (1.0 + 32.0 * E::UNIT_ROUNDOFF) * n * radius * largest
        })
    }

    pub(super) fn cross_change_of<const ISOTROPIC: bool, const PER_PIXEL: bool>(
        &self,
        q: &[E],
        radius: f64,
    ) -> f64 {
        let n = self.problem.difference_norm();
        let reach = self.problem.spread() * radius;
        self.problem.with_parameters(self.theta, |p| {
            // A global weight has no patches: the first condition spares the compilation of this pass for it.
            let columns = if PER_PIXEL && matches!(self.problem.weights, Weights::PerPatch { .. }) {
                let mut of_pixels = self.problem.numbers.take(self.x.len());
                let cols = self.problem.cols;
                let smoothing = self.problem.differences.rows(
                    &mut of_pixels,
                    cols,
                    #[inline(always)]
                    |i,
                     of_x: &mut RowDifferences<E>,
                     of_q: &mut RowDifferences<E>,
                     out: &mut [f64]| {
                        let (th, tv) = of_x.of(self.x, i);
                        let (qh, qv) = of_q.of(q, i);
                        let mut total = 0.0;
                        for j in 0..cols {
                            let d = [th[j], tv[j], qh[j], qv[j]].map(E::to_f64);
                            let (first, smoothing) = squares::<ISOTROPIC>(d, reach, p.nu);
                            let weight = p.at::<PER_PIXEL>(i * cols + j);
                            out[j] = weight * weight * first;
                            total += weight * weight * smoothing;
                        }
                        total
                    },
                );
                let patches = self.problem.patches();
                let mut sums = self.problem.numbers.take(patches.len());
                patches.sum(&of_pixels, &mut sums);
                let largest = sums.iter().copied().fold(0.0, larger);
                self.problem.numbers.put(of_pixels);
                self.problem.numbers.put(sums);
                smoothing + largest
            } else {
                let [first, smoothing, largest] = self.problem.differences.totals(
                    self.x,
                    q,
                    #[inline(always)]
                    |i, d| {
                        let (first, smoothing) = squares::<ISOTROPIC>(d, reach, p.nu);
                        let w2 = p.at::<PER_PIXEL>(i) * p.at::<PER_PIXEL>(i);
                        [w2 * first, w2 * smoothing, w2 * first]
                    },
                );
                // With one weight per pixel the columns for the weights form a diagonal matrix, whose norm is its largest entry; with patches, blocks.
                smoothing + if PER_PIXEL { largest } else { first }
            };
            (1.0 + 32.0 * E::UNIT_ROUNDOFF) * radius * (n * columns).sqrt()
        })
    }
}
