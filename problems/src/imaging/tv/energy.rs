//! g and ∇ₓg of TV denoising, in one pass over the image.

use bilevel::Element;

use super::super::finite_differences::Difference;
use super::TvDenoising;
use crate::support::sums::lane_sum;

impl<E: Element> TvDenoising<E> {
    /// out ← ∇ₓg; returns g.
    pub(super) fn value_pass<const ISOTROPIC: bool, const PER_PIXEL: bool>(
        &self,
        x: &[E],
        theta: &[f64],
        out: &mut [E],
    ) -> f64 {
        let variation = self.pass::<ISOTROPIC, PER_PIXEL, true>(x, theta, out);
        variation + 0.5 * self.squared_distance(x)
    }

    /// out ← ∇ₓg.
    pub(super) fn gradient_pass<const ISOTROPIC: bool, const PER_PIXEL: bool>(
        &self,
        x: &[E],
        theta: &[f64],
        out: &mut [E],
    ) {
        self.pass::<ISOTROPIC, PER_PIXEL, false>(x, theta, out);
    }

    /// out ← ∇ₓg; returns Σ wᵢ Φ((Dx)ᵢ) where `VALUE`.
    fn pass<const ISOTROPIC: bool, const PER_PIXEL: bool, const VALUE: bool>(
        &self,
        x: &[E],
        theta: &[f64],
        out: &mut [E],
    ) -> f64 {
        self.with_parameters(theta, |p| {
            let cols = self.cols;
            let nu2 = E::from_f64(p.nu * p.nu);
            let weight = E::from_f64(p.weight);
            self.differences.divergence::<VALUE, _>(
                x,
                Difference(x, &self.noisy),
                out,
                #[inline(always)]
                |i| {
                    let weights = if PER_PIXEL {
                        &p.weights[i * cols..(i + 1) * cols]
                    } else {
                        &[]
                    };
                    #[inline(always)]
                    move |j: usize, th: E, tv: E| {
                        let weight = if PER_PIXEL { weights[j] } else { weight };
                        if ISOTROPIC {
                            let phi = (th * th + (tv * tv + nu2)).sqrt();
                            let scale = weight / phi;
                            (scale * th, scale * tv, phi)
                        } else {
                            // One division for both: 1/φ_h = φ_v/(φ_h φ_v).
                            let phi_h = (th * th + nu2).sqrt();
                            let phi_v = (tv * tv + nu2).sqrt();
                            let scale = weight / (phi_h * phi_v);
                            (scale * phi_v * th, scale * phi_h * tv, phi_h + phi_v)
                        }
                    }
                },
                #[inline(always)]
                |i, j, phi| match p.row(i, cols) {
                    Some(w) => w[j].to_f64() * phi,
                    None => p.weight * phi,
                },
            )
        })
    }

    /// ‖x − y‖².
    fn squared_distance(&self, x: &[E]) -> f64 {
        let cols = self.cols;
        self.differences.rows(
            &mut [] as &mut [E],
            0,
            #[inline(always)]
            |i, _, _, _| {
                let y = &self.noisy[i * cols..(i + 1) * cols];
                lane_sum(
                    &x[i * cols..(i + 1) * cols],
                    #[inline(always)]
                    |j, x| {
                        let d = x - y[j].to_f64();
                        d * d
                    },
                )
            },
        )
    }
}
