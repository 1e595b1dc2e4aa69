//! The derivative checker of an iteration.

use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;

use super::Dynamics;
use crate::problem::check::{CheckReport, Checker, random, vector_error};
use crate::vector::Vector;

/// Tests the derivatives of step t of an iteration at (s, θ): the product with ∂Φ against finite differences, and the product with its
/// transpose against the product with ∂Φ. Choose a generic state of typical size.
pub fn check_dynamics<D: Dynamics>(
    dynamics: &D,
    t: usize,
    state: &D::State,
    theta: &D::Theta,
) -> CheckReport {
    let checker = Checker::default();
    let (by_difference, by_product) = checker.tolerances::<D::State>();
    let mut report = CheckReport { checks: Vec::new() };
    let mut rng = ChaCha8Rng::seed_from_u64(checker.seed);
    let after = |h: f64, v: &D::State, u: &D::Theta| {
        let (mut state, mut theta) = (state.clone(), theta.clone());
        state.axpy(h, v);
        theta.axpy(h, u);
        dynamics.step(t, &mut state, &theta);
        state
    };
    for _ in 0..checker.directions {
        let (v, u) = (random(state, &mut rng), random(theta, &mut rng));
        let (no_v, no_u) = (state.zeros_like(), theta.zeros_like());
        let mut by_state = v.clone();
        dynamics.jvp(t, state, theta, &mut by_state, &no_u);
        let mut by_theta = no_v.clone();
        dynamics.jvp(t, state, theta, &mut by_theta, &u);
        let along_state = state.norm().max(1.0) / v.norm();
        let along_theta = 1.0 / u.norm().max(f64::MIN_POSITIVE);
        report.record(
            "jvp in the state",
            vector_error(&by_state, along_state, |h| after(h, &v, &no_u)),
            by_difference,
            "it is not the derivative of the step in the state",
        );
        report.record(
            "jvp in theta",
            vector_error(&by_theta, along_theta, |h| after(h, &no_v, &u)),
            by_difference,
            "it is not the derivative of the step in θ",
        );
        let w = random(state, &mut rng);
        let (mut adjoint, mut by) = (w.clone(), theta.zeros_like());
        dynamics.vjp(t, state, theta, &mut adjoint, &mut by);
        let error =
            |left: f64, right: f64, size: f64| (left - right).abs() / size.max(f64::MIN_POSITIVE);
        report.record(
            "vjp to the state",
            error(
                adjoint.dot(&v),
                w.dot(&by_state),
                w.norm() * by_state.norm(),
            ),
            by_product,
            "⟨(∂ₛΦ)ᵀw, v⟩ differs from ⟨w, ∂ₛΦ v⟩",
        );
        report.record(
            "vjp to theta",
            error(by.dot(&u), w.dot(&by_theta), w.norm() * by_theta.norm()),
            by_product,
            "⟨(∂θΦ)ᵀw, u⟩ differs from ⟨w, ∂θΦ u⟩",
        );
    }
    report
}
