//! The bound ω ≥ ‖z − ∇F(θ)‖ of the error of an implicit hypergradient z = ∇θf(x̃) − B(x̃)ᵀq.
//!
//! With q* = A(x*)⁻¹∇ₓf(x*) the exact gradient is ∇F = ∇θf(x*) − B(x*)ᵀq*. Three triangle inequalities:
//!
//! 1. The adjoint. From A(x*)(q − q*) = (A(x*) − A(x̃)) q + (A(x̃) q − ∇ₓf(x̃)) + (∇ₓf(x̃) − ∇ₓf(x*)) follows
//!
//!    ‖q − q*‖ ≤ Δ = (1/μ) · \[ ‖(A(x*) − A(x̃)) q‖ + δ + L_f ε \].
//!
//! 2. The mixed derivative. B(x*)ᵀq* − B(x̃)ᵀq = B(x̃)ᵀ(q* − q) + (B(x*) − B(x̃))ᵀq*, whose last term has two bounds, of which the
//!    smaller counts: by ‖q*‖ ≤ (‖∇ₓf(x̃)‖ + L_f ε)/μ, or by splitting q* = q + (q* − q).
//!
//! 3. ‖∇θf(x̃) − ∇θf(x*)‖ ≤ L_fθ ε. Together:
//!
//! ```text
//! ω = L_fθ ε + ‖B(x̃)‖ Δ + min{ L_B ε (‖∇ₓf(x̃)‖ + L_f ε)/μ,  ‖(B(x*) − B(x̃))ᵀq‖ + L_B ε Δ }
//! ```
//!
//! This is the a-posteriori bound of Ehrhardt and Roberts with two changes, which both make it smaller: the computed q replaces their
//! ‖q‖ + δ/μ, and the terms along q may use the structure of the problem
//! ([`Linearization::hessian_change`](crate::Linearization::hessian_change)) instead of a worst case over directions.
//!
//! # Reference
//! M. J. Ehrhardt, L. Roberts: Analyzing inexact hypergradients for bilevel learning. IMA J. Appl. Math. 89 (2024),
//! [doi:10.1093/imamat/hxad035](https://doi.org/10.1093/imamat/hxad035).

/// The terms of the bound. Norms are Euclidean or spectral; `B` is taken at x̃, and ε ≥ ‖x̃ − x*‖.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BoundTerms {
    /// δ ≥ ‖A(x̃) q − ∇ₓf(x̃)‖.
    pub(crate) delta: f64,
    /// μ: A(x*) ⪰ μI.
    pub(crate) mu: f64,
    /// A bound of ‖B(x̃)‖.
    pub(crate) cross_norm: f64,
    /// A bound of ‖∇ₓf(x̃) − ∇ₓf(x*)‖, at most `L_f` ε.
    pub(crate) gradient_x_change: f64,
    /// A bound of ‖∇θf(x̃) − ∇θf(x*)‖, at most `L_fθ` ε.
    pub(crate) gradient_theta_change: f64,
    /// A bound of ‖(A(x*) − A(x̃)) q‖, at most `L_A` ε ‖q‖.
    pub(crate) hessian_change: f64,
    /// A bound of ‖(B(x*) − B(x̃))ᵀ q‖, at most `L_B` ε ‖q‖.
    pub(crate) cross_change: f64,
    /// `L_B` ε ≥ ‖B(x*) − B(x̃)‖.
    pub(crate) cross_change_norm: f64,
    /// ‖∇ₓf(x̃)‖.
    pub(crate) gradient_x_norm: f64,
}

/// ω from its terms.
pub(crate) fn error_bound(t: &BoundTerms) -> f64 {
    let adjoint = (t.hessian_change + t.delta + t.gradient_x_change) / t.mu;
    let by_norm = t.cross_change_norm * (t.gradient_x_norm + t.gradient_x_change) / t.mu;
    let by_split = t.cross_change + t.cross_change_norm * adjoint;
    t.gradient_theta_change + t.cross_norm * adjoint + by_norm.min(by_split)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published bound, which ours never exceeds.
    #[allow(clippy::too_many_arguments)] // the symbols of the formula
    fn published(
        e: f64,
        d: f64,
        mu: f64,
        b: f64,
        lf: f64,
        lft: f64,
        la: f64,
        lb: f64,
        q: f64,
        f: f64,
    ) -> f64 {
        lft * e + b / mu * (d + lf * e + la * e * (q + d / mu)) + lb * e / mu * (f + lf * e)
    }

    #[test]
    fn is_never_above_the_published_bound() {
        let grid = [1e-6, 1e-2, 1.0, 30.0];
        for &e in &grid {
            for &d in &grid {
                for &la in &grid {
                    for &lb in &grid {
                        for &q in &grid {
                            let (mu, b, lf, lft, f) = (0.7, 3.0, 1.3, 0.2, 2.0);
                            let omega = error_bound(&BoundTerms {
                                delta: d,
                                mu,
                                cross_norm: b,
                                gradient_x_change: lf * e,
                                gradient_theta_change: lft * e,
                                hessian_change: la * e * q,
                                cross_change: lb * e * q,
                                cross_change_norm: lb * e,
                                gradient_x_norm: f,
                            });
                            let reference = published(e, d, mu, b, lf, lft, la, lb, q, f);
                            assert!(omega <= reference * (1.0 + 1e-12));
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn vanishes_with_the_accuracies() {
        let exact = BoundTerms {
            delta: 0.0,
            mu: 1.0,
            cross_norm: 5.0,
            gradient_x_change: 0.0,
            gradient_theta_change: 0.0,
            hessian_change: 0.0,
            cross_change: 0.0,
            cross_change_norm: 0.0,
            gradient_x_norm: 9.0,
        };
        assert_eq!(error_bound(&exact), 0.0);
    }
}
