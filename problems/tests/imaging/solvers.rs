//! The lower solvers on signals and images: they reach the accuracy asked for, certify what they reached, and never end worse than they
//! began.

use bilevel::lower::{LowerSolver, NewtonCg};
use bilevel::vector::Scratch;
use bilevel::{Curvature, SolveStatus, Vector};
use bilevel_problems::imaging::{Norm, TvDenoising};

use crate::common::solving::{
    assert_accurate, assert_without_constants, gradient_norm, limited, minimize,
};
use crate::common::{
    AnySolver, WithCurvature, distance, no_constants, only_mu, only_smoothness, picture, random,
    solvers,
};

/// A problem at a θ, with the solution to rounding error.
struct Solved {
    case: String,
    problem: TvDenoising<f64>,
    theta: Vec<f64>,
    exact: Vec<f64>,
}

/// TV problems of one and of two dimensions.
fn tv_problems() -> Vec<Solved> {
    let mut problems = Vec::new();
    for (rows, cols) in [(1, 40), (40, 1), (8, 9)] {
        for norm in [Norm::Anisotropic, Norm::Isotropic] {
            for theta in [vec![-2.0, -2.0], vec![-1.0, -5.0]] {
                let noisy = picture(rows, cols, 0).with_noise(0.1, 3, 0);
                let problem = TvDenoising::new(&noisy, norm).unwrap();
                let newton = AnySolver::NewtonCg(NewtonCg::default());
                let (exact, report) = minimize(&newton, &problem, &theta, 1e-13);
                assert!(report.epsilon.unwrap() < 1e-12, "{report:?}");
                problems.push(Solved {
                    case: format!("{rows}×{cols} {norm:?} {theta:?}"),
                    problem,
                    theta,
                    exact,
                });
            }
        }
    }
    problems
}

#[test]
fn every_solver_reaches_the_accuracy_on_signals_and_images() {
    for Solved {
        case,
        problem,
        theta,
        exact,
    } in tv_problems()
    {
        for solver in solvers() {
            assert_accurate(&solver, &problem, &theta, &exact, 2e-12, &case);
        }
    }
}

#[test]
fn an_accuracy_below_the_rounding_of_f32_stagnates_by_name_and_stays_certified() {
    let noisy = picture(8, 9, 0).with_noise(0.1, 3, 0);
    let (wide, narrow) = (
        TvDenoising::new(&noisy, Norm::Isotropic).unwrap(),
        TvDenoising::new(&noisy.cast::<f32>(), Norm::Isotropic).unwrap(),
    );
    let theta = vec![-2.0, -3.0];
    let newton = AnySolver::NewtonCg(NewtonCg::default());
    let (exact, _) = minimize(&newton, &wide, &theta, 1e-13);
    for solver in solvers() {
        let (x, report) = minimize(&solver, &narrow, &theta, 1e-12);
        assert_eq!(
            report.status,
            SolveStatus::Stagnated,
            "{solver:?}: {report:?}"
        );
        let x: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
        // The data of the two problems differ by their rounding to f32, which 1-strong convexity carries over to x*.
        let data: f64 = noisy
            .pixels()
            .iter()
            .map(|p| (p - f64::from(*p as f32)).powi(2))
            .sum();
        let error = distance(&x, &exact);
        let certified = report.epsilon.unwrap();
        assert!(
            error <= certified + data.sqrt(),
            "{solver:?}: {error:e} {report:?}"
        );
        assert!(certified < 1e-3, "{solver:?}: {report:?}");
    }
}

#[test]
fn solvers_do_without_constants() {
    type Change = fn(Curvature) -> Curvature;
    let changes: [(&str, Change); 3] = [
        ("none", no_constants),
        ("μ", only_mu),
        ("L", only_smoothness),
    ];
    for (name, change) in changes {
        for solver in solvers() {
            for Solved {
                case,
                problem: inner,
                theta,
                exact,
            } in tv_problems()
            {
                let case = format!("{case}, known: {name}");
                let problem = WithCurvature { inner, change };
                assert_without_constants(&solver, &problem, &theta, &exact, &case);
            }
        }
    }
}

#[test]
fn a_solve_that_is_cut_short_is_not_worse_than_its_start() {
    // What is returned is the best point found; the start is one of them.
    for Solved {
        case,
        problem,
        theta,
        exact,
    } in tv_problems()
    {
        for iterations in [1, 2, 3, 5, 8, 13, 21] {
            for solver in limited(iterations) {
                let mut x = exact.clone();
                x.axpy(1e-3, &random(x.len(), 4));
                let before = gradient_norm(&problem, &x, &theta);
                let report =
                    solver.minimize(&problem, &theta, 1e-11, &mut x, &mut Scratch::default());
                assert!(
                    report.gradient_norm <= before,
                    "{case} {solver:?}: ‖∇g‖ from {before:e} to {:e}",
                    report.gradient_norm
                );
            }
        }
    }
}
