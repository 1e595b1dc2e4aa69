//! The sparse direct solver on total variation: against conjugate gradients and the dense factorisation, and what it keeps.

use bilevel::linear::{Cg, Cholesky, LinearSolver, SparseCholesky, System};
use bilevel::vector::Scratch;
use bilevel::{
    Accuracy, Element, Implicit, Linearization, LowerLevel, Oracle, SolveStatus, Trust, Vector,
};
use bilevel_problems::imaging::{Image, Norm, SquaredError, Tikhonov, TvDenoising, Weights};

use crate::common::{distance, picture, random};

fn tv<E: Element>(rows: usize, cols: usize, norm: Norm) -> TvDenoising<E> {
    let noisy: Image<E> = picture(rows, cols, 0).with_noise(0.1, 0, 0).cast();
    TvDenoising::new(&noisy, norm).unwrap()
}

/// Every entry, those that are zero included, against products with unit images.
#[test]
fn the_matrix_of_total_variation_is_that_of_its_products() {
    for (rows, cols) in [(1, 2), (1, 9), (9, 1), (2, 2), (5, 2), (2, 5), (6, 7)] {
        for norm in [Norm::Isotropic, Norm::Anisotropic] {
            let lower = tv::<f64>(rows, cols, norm).with_weights(Weights::PerPixel);
            let n = rows * cols;
            let theta = random(n + 1, 3);
            let x = random(n, 5);
            let at = lower.linearize(&x, &theta);
            let matrix = at.sparse().unwrap();
            let pattern = matrix.pattern();
            let mut values = vec![f64::NAN; pattern.entries()];
            matrix.values(&mut values);
            // Solving shows the entries: faer's view of them must be that of the products.
            let mut column = vec![0.0; n];
            let mut unit = vec![0.0; n];
            let mut entries = 0;
            let mut values = values.into_iter();
            for j in 0..n {
                unit.fill(0.0);
                unit[j] = 1.0;
                at.hvp(&unit, &mut column);
                for (i, a) in column.iter().enumerate().skip(j) {
                    let (di, dj) = (i / cols - j / cols, (i % cols).abs_diff(j % cols));
                    let is_left = i % cols < j % cols;
                    let beside =
                        di + dj <= 1 || (norm == Norm::Isotropic && (di, dj) == (1, 1) && is_left);
                    if beside {
                        let value = values.next().unwrap();
                        assert!(
                            (value - a).abs() < 1e-12 * (1.0 + a.abs()),
                            "{rows}×{cols} ({i}, {j})"
                        );
                        entries += 1;
                    } else {
                        assert_eq!(*a, 0.0, "{rows}×{cols} ({i}, {j})");
                    }
                }
            }
            assert_eq!(entries, pattern.entries());
        }
    }
}

/// Hypergradient and adjoint of total variation.
fn adjoint(norm: Norm, theta: &Vec<f64>, solver: impl LinearSolver) -> [Vec<f64>; 2] {
    let upper = SquaredError::new(&picture(32, 32, 0));
    let oracle = Implicit::new(tv(32, 32, norm), upper).with_linear_solver(solver);
    let mut state = oracle.start(theta).unwrap();
    let accuracy = Accuracy::new(1e-7, 1e-12).unwrap();
    let z = oracle.hypergradient(theta, accuracy, &mut state).unwrap();
    assert_eq!(z.trust, Trust::Certified);
    assert!(z.attained.delta < 1e-10, "{:?}", z.attained);
    [z.gradient, state.adjoint().unwrap().clone()]
}

#[test]
fn the_adjoint_of_total_variation_is_that_of_iterations_and_of_the_dense_factor() {
    for norm in [Norm::Isotropic, Norm::Anisotropic] {
        for theta in [vec![-3.0, -4.0], vec![0.0, -3.0]] {
            let by_sparse = adjoint(norm, &theta, SparseCholesky::default());
            let by_cg = adjoint(norm, &theta, Cg::default());
            let by_dense = adjoint(norm, &theta, Cholesky::default());
            for other in [by_cg, by_dense] {
                for (a, b) in by_sparse.iter().zip(&other) {
                    let off = distance(a, b) / b.norm();
                    assert!(off < 1e-10, "{norm:?} {theta:?}: {off:e}");
                }
            }
        }
    }
}

#[test]
fn of_images_in_f32_the_residual_is_at_their_rounding() {
    let lower = tv::<f32>(20, 30, Norm::Isotropic);
    let clean: Image<f32> = picture(20, 30, 0).cast();
    let oracle = Implicit::new(lower, SquaredError::new(&clean))
        .with_linear_solver(SparseCholesky::default());
    let theta = vec![-3.0, -4.0];
    let mut state = oracle.start(&theta).unwrap();
    let accuracy = Accuracy::new(1e-3, 1e-3).unwrap();
    let z = oracle.hypergradient(&theta, accuracy, &mut state).unwrap();
    assert_eq!(z.adjoint_status, SolveStatus::Converged);
}

#[test]
fn a_pattern_is_analysed_once_whatever_theta_is() {
    let lower = tv::<f64>(48, 40, Norm::Isotropic);
    let solver = SparseCholesky::default();
    let solve = |lower: &TvDenoising<f64>, theta: &Vec<f64>| {
        let x = lower.start();
        let at = lower.linearize(&x, theta);
        let b = random(x.len(), 2);
        let system = System {
            product: &|v: &Vec<f64>, out: &mut Vec<f64>| at.hvp(v, out),
            preconditioner: None,
            sparse: at.sparse(),
            rhs: &b,
            tolerance: 1e-10,
        };
        let mut q = b.clone();
        solver
            .solve(&system, &mut q, &mut Scratch::default())
            .status
    };
    assert_eq!(solver.analyses(), 0);
    for theta in [[-3.0, -4.0], [-1.0, -2.0], [2.0, -5.0]] {
        assert_eq!(solve(&lower, &theta.to_vec()), SolveStatus::Converged);
        assert_eq!(solver.analyses(), 1);
    }
    // Another image of the same shape has the same pattern.
    let theta = vec![-2.0, -2.0];
    assert_eq!(
        solve(&tv(48, 40, Norm::Isotropic), &theta),
        SolveStatus::Converged
    );
    assert_eq!(solver.analyses(), 1);
    // Another norm, and another shape of as many pixels, have not.
    assert_eq!(
        solve(&tv(48, 40, Norm::Anisotropic), &theta),
        SolveStatus::Converged
    );
    assert_eq!(solver.analyses(), 2);
    assert_eq!(
        solve(&tv(40, 48, Norm::Anisotropic), &theta),
        SolveStatus::Converged
    );
    assert_eq!(solver.analyses(), 3);
    assert_eq!(solver.clone().analyses(), 0);
}

#[test]
fn a_lower_level_without_a_matrix_is_refused_at_the_first_hypergradient() {
    let clean = picture(6, 5, 0);
    let lower = Tikhonov::new(&clean.with_noise(0.1, 0, 0)).unwrap();
    let oracle = Implicit::new(lower, SquaredError::new(&clean))
        .with_linear_solver(SparseCholesky::default());
    let theta = vec![-1.0, 0.0, 0.0];
    let mut state = oracle.start(&theta).unwrap();
    let accuracy = Accuracy::new(1e-6, 1e-6).unwrap();
    let error = oracle
        .hypergradient(&theta, accuracy, &mut state)
        .err()
        .unwrap();
    assert!(error.to_string().contains("no sparse matrix"), "{error}");
}
