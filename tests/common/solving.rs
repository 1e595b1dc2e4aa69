//! Solves of a lower level by each solver, and what is asserted of them.

use bilevel::lower::{Fista, GradientDescent, Lbfgs, LowerReport, LowerSolver, NewtonCg};
use bilevel::vector::Scratch;
use bilevel::{LowerLevel, SolveStatus, Vector};

use super::{AnySolver, distance};

pub(crate) const ACCURACIES: [f64; 5] = [1.0, 1e-2, 1e-4, 1e-7, 1e-10];

pub(crate) fn limited(max_iterations: u64) -> [AnySolver; 4] {
    [
        AnySolver::GradientDescent(GradientDescent { max_iterations }),
        AnySolver::Fista(Fista {
            max_iterations,
            ..Fista::default()
        }),
        AnySolver::NewtonCg(NewtonCg {
            max_iterations,
            ..NewtonCg::default()
        }),
        AnySolver::Lbfgs(Lbfgs {
            max_iterations,
            ..Lbfgs::default()
        }),
    ]
}

pub(crate) fn minimize<P: LowerLevel>(
    solver: &AnySolver,
    problem: &P,
    theta: &P::Theta,
    epsilon: f64,
) -> (P::X, LowerReport) {
    let mut x = problem.start();
    let report = solver.minimize(problem, theta, epsilon, &mut x, &mut Scratch::default());
    (x, report)
}

pub(crate) fn gradient_norm<P: LowerLevel>(problem: &P, x: &P::X, theta: &P::Theta) -> f64 {
    let mut gradient = x.zeros_like();
    problem.gradient(x, theta, &mut gradient);
    gradient.norm()
}

/// Asserts that ε is reached from the start and from a warm start, and that no more is certified than is true.
pub(crate) fn assert_accurate<P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>>(
    solver: &AnySolver,
    problem: &P,
    theta: &Vec<f64>,
    exact: &[f64],
    exact_to: f64,
    case: &str,
) {
    let mut warm = problem.start();
    let mut scratch = Scratch::default();
    for epsilon in ACCURACIES {
        let warm_report = solver.minimize(problem, theta, epsilon, &mut warm, &mut scratch);
        let (cold, cold_report) = minimize(solver, problem, theta, epsilon);
        for (x, report) in [(&warm, warm_report), (&cold, cold_report)] {
            let case = format!("{case}, {solver:?}, ε={epsilon:e}: {report:?}");
            assert_eq!(report.status, SolveStatus::Converged, "{case}");
            let error = distance(x, exact);
            assert!(error <= epsilon + exact_to, "{case}: {error:e}");
            let certified = report.epsilon.unwrap();
            assert!(error <= certified + exact_to, "{case}: {error:e}");
            assert!(certified <= epsilon, "{case}");
            assert_eq!(
                report.gradient_norm,
                gradient_norm(problem, x, theta),
                "{case}"
            );
            assert_eq!(report.work.lower_solves, 1);
            assert!(report.work.lower_gradients > 0);
        }
    }
}

/// All problems have μ ≥ 1, so that ‖∇g‖ ≤ ε implies the distance ε whether μ is known or not.
pub(crate) fn assert_without_constants<P: LowerLevel<Theta = Vec<f64>, X = Vec<f64>>>(
    solver: &AnySolver,
    problem: &P,
    theta: &Vec<f64>,
    exact: &[f64],
    case: &str,
) {
    for epsilon in ACCURACIES {
        let (x, report) = minimize(solver, problem, theta, epsilon);
        let case = format!("{case}, {solver:?}, ε={epsilon:e}: {report:?}");
        assert_eq!(report.status, SolveStatus::Converged, "{case}");
        assert!(gradient_norm(problem, &x, theta) <= epsilon, "{case}");
        assert!(distance(&x, exact) <= epsilon + 2e-12, "{case}");
        let known = problem.curvature(theta).strong_convexity;
        assert_eq!(report.epsilon.is_some(), known.is_some(), "{case}");
    }
}
