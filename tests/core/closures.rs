//! Levels of closures: derivatives, certificates, and what is refused.

use bilevel::problem::closures::{lower, upper};
use bilevel::{
    Curvature, Implicit, LowerLevel, Maid, Run, Status, Trust, UpperCurvature, UpperLevel,
    check_lower, check_upper,
};

/// g = ½ Σ aⱼ (xⱼ − 1)² + ½ e^θ ‖x‖², f = ½ ‖x − z‖²: x* = a/(a + e^θ).
const A: [f64; 3] = [0.5, 1.0, 2.0];

fn g() -> impl LowerLevel<Theta = Vec<f64>, X = Vec<f64>> {
    let each = |x: &[f64]| (0..3).map(|j| (A[j], x[j])).collect::<Vec<_>>();
    lower(
        vec![0.0; 3],
        1,
        move |x, t| {
            let terms = each(x).into_iter();
            terms
                .map(|(a, x)| 0.5 * a * (x - 1.0).powi(2) + 0.5 * t[0].exp() * x * x)
                .sum()
        },
        |x, t, out| (0..3).for_each(|j| out[j] = A[j] * (x[j] - 1.0) + t[0].exp() * x[j]),
    )
    .products(
        |_, t, v, out| (0..3).for_each(|j| out[j] = (A[j] + t[0].exp()) * v[j]),
        |x, t, w, out| out[0] = t[0].exp() * x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>(),
        |x, t, u, out| (0..3).for_each(|j| out[j] = t[0].exp() * x[j] * u[0]),
    )
    .with_curvature(|t| Curvature {
        strong_convexity: Some(0.5 + t[0].exp()),
        smoothness: Some(2.0 + t[0].exp()),
        hessian_lipschitz: Some(0.0),
        cross_norm: Some(10.0 * t[0].exp()), // for ‖x‖ ≤ 10
        cross_lipschitz: Some(t[0].exp()),
    })
}

fn f() -> impl UpperLevel<Theta = Vec<f64>, X = Vec<f64>> {
    upper(
        |x| x.iter().map(|x| 0.5 * (x - 0.4).powi(2)).sum(),
        |x, out| (0..3).for_each(|j| out[j] = x[j] - 0.4),
    )
    .with_curvature(UpperCurvature {
        gradient_x_lipschitz: Some(1.0),
        gradient_theta_lipschitz: Some(0.0),
        convex: true,
    })
}

#[test]
fn closures_are_levels_like_others() {
    let (x, theta) = (vec![0.3, -0.2, 0.7], vec![-0.5]);
    let report = check_lower(&g(), &x, &theta);
    assert!(report.passed(), "{report}");
    let report = check_upper(&f(), &x, &theta);
    assert!(report.passed(), "{report}");
    let oracle = Implicit::new(g(), f());
    let report = Run::new(&oracle, Maid::default())
        .tolerance(1e-7)
        .start(vec![0.0])
        .unwrap();
    assert_eq!(report.status, Status::Converged);
    assert_eq!(report.trust, Trust::Certified);
    // F'(θ) = −Σ (x* − 0.4) a e^θ/(a + e^θ)².
    let e = report.theta[0].exp();
    let exact: f64 = A
        .iter()
        .map(|a| -(a / (a + e) - 0.4) * a * e / (a + e).powi(2))
        .sum();
    assert!(exact.abs() <= 1e-7);
    assert!((report.hypergradient[0] - exact).abs() <= report.error_bound);
}

#[test]
fn a_wrong_theta_and_a_value_that_is_not_finite_are_errors() {
    assert!(g().check(&vec![0.0, 1.0]).is_err());
    assert!(g().check(&vec![f64::NAN]).is_err());
    let broken = lower(vec![0.0], 1, |_, _| f64::NAN, |_, _, out| out[0] = f64::NAN).products(
        |_, _, v, out| out[0] = v[0],
        |_, _, _, out| out[0] = 0.0,
        |_, _, _, out| out[0] = 0.0,
    );
    let judge = upper(|x| x[0], |_, out| out[0] = 1.0);
    let oracle = Implicit::new(broken, judge).with_trust(Trust::Estimated);
    let message = Run::new(&oracle, Maid::default()).start(vec![0.0]);
    let message = message.unwrap_err().to_string();
    assert!(message.contains("lower"), "{message}");
}
