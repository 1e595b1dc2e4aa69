//! The modulus of strong convexity between a point and the solution, from the data where the penalties are small.
//!
//! # Self-concordance
//! With one score per sample, A(x) = (1/n) Σᵢ s(aᵢᵀx) aᵢaᵢᵀ + diag(e^θ), where s = σ(1 − σ). Let R = max‖aᵢ‖, m the smallest eigenvalue of
//! A(x), G ≥ ‖∇ₓg(x, θ)‖ and r = ‖x − x*‖. **If RG < m, then A ⪰ (m − RG) I on the segment from x to x*.**
//!
//! 1. s'/s = 1 − 2σ lies in (−1, 1), so s(t + d) ≥ e^{−|d|} s(t). With |aᵢᵀh| ≤ R‖h‖, and the penalties as they are,
//!
//!    A(x + h) ⪰ e^{−R‖h‖} A(x) ⪰ e^{−R‖h‖} m I.
//!
//! 2. Let e be the unit vector from x* to x. Then ∇ₓg(x*) = 0 gives
//!
//!    G ≥ ⟨∇ₓg(x), e⟩ = ∫₀ʳ ⟨A(x − te) e, e⟩ dt ≥ m ∫₀ʳ e^{−Rt} dt = (m/R)(1 − e^{−Rr}).
//!
//! 3. So e^{−Rr} ≥ 1 − RG/m, and by 1 A ⪰ e^{−Rr} m I ⪰ (m − RG) I at every point of the segment. ∎
//!
//! None of this holds for several scores: the Hessian of their loss vanishes where all classes shift alike, and m falls to the smallest mean of
//! the penalties of a feature.
//!
//! m is computed from the Hessian as a matrix, with a proof that includes rounding errors ([`hessian`](super::hessian)).
//!
//! # Reference
//! F. Bach: Self-concordant analysis for logistic regression. Electron. J. Statist. 4 (2010),
//! [doi:10.1214/09-EJS521](https://doi.org/10.1214/09-EJS521).

use bilevel::{LocalConvexity, LowerLevel, Work};

use super::LogisticRegression;
use crate::support::lanes::Lanes;

/// A local modulus is returned where it is at least this multiple of the global one.
const GAIN: f64 = 2.0;

impl<E: Lanes> LogisticRegression<E> {
    /// See the [module](self).
    pub(super) fn convexity(
        &self,
        x: &[E],
        theta: &Vec<f64>,
        work: &mut Work,
    ) -> Option<LocalConvexity> {
        if !self.forms_hessian(theta) {
            return None;
        }
        let smallest = self.curvature(theta).strong_convexity?;
        work.hessian_products += self.model.gram_products();
        let mut hessian = self.hessian(x, theta);
        let modulus = hessian.smallest_eigenvalue(smallest);
        self.done_with(hessian);
        Some(LocalConvexity {
            modulus: modulus.filter(|m| *m >= GAIN * smallest)?,
            decay: self.model.longest(),
        })
    }
}
