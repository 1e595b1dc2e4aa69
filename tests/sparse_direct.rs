//! The sparse direct solver: against conjugate gradients and the dense factorisation, what it keeps, and what it names.

#![allow(clippy::unwrap_used)]

mod common;

use bilevel::linear::{
    Cg, Cholesky, LinearReport, LinearSolver, Minres, Pattern, SparseCholesky, SparseMatrix, System,
};
use bilevel::vector::Scratch;
use bilevel::{Accuracy, Element, Implicit, LowerLevel, Oracle, SolveStatus, Vector};
use bilevel::{Linearization, Trust};
use bilevel_problems::imaging::{Image, Norm, SquaredError, Tikhonov, TvDenoising, Weights};
use common::{distance, picture, random, uniform};
use std::sync::Arc;

/// The entries on and below the diagonal.
struct Matrix {
    pattern: Arc<Pattern>,
    places: Vec<(usize, usize)>,
    values: Vec<f64>,
}

impl Matrix {
    fn new(
        size: usize,
        neighbours: impl Fn(usize) -> Vec<usize>,
        value: impl Fn(usize, usize) -> f64,
    ) -> Self {
        let pattern = Pattern::of_neighbours(size, |j, out| out.extend(neighbours(j)));
        let mut places = Vec::new();
        for j in 0..size {
            let mut below = neighbours(j);
            below.push(j);
            below.sort_unstable();
            below.dedup();
            let below = below.into_iter().filter(|i| (j..size).contains(i));
            places.extend(below.map(|i| (i, j)));
        }
        assert_eq!(places.len(), pattern.entries());
        Matrix {
            values: places.iter().map(|&(i, j)| value(i, j)).collect(),
            pattern: Arc::new(pattern),
            places,
        }
    }

    fn product(&self, v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (&(i, j), a) in self.places.iter().zip(&self.values) {
            out[i] += a * v[j];
            if i != j {
                out[j] += a * v[i];
            }
        }
    }

    fn solve(
        &self,
        solver: &impl LinearSolver,
        b: &Vec<f64>,
        tolerance: f64,
    ) -> (Vec<f64>, LinearReport) {
        let product = |v: &Vec<f64>, out: &mut Vec<f64>| self.product(v, out);
        let system = System {
            product: &product,
            preconditioner: None,
            sparse: Some(self),
            rhs: b,
            tolerance,
        };
        let mut q = vec![0.0; b.len()];
        let report = solver.solve(&system, &mut q, &mut Scratch::default());
        let mut r = q.clone();
        let residual = system.residual(&q, &mut r);
        assert!(residual == report.residual || residual.is_nan());
        (q, report)
    }
}

impl SparseMatrix for Matrix {
    fn pattern(&self) -> Arc<Pattern> {
        self.pattern.clone()
    }

    fn values(&self, out: &mut [f64]) {
        out.copy_from_slice(&self.values);
    }
}

/// A positive definite matrix with random places and entries, dominated by its diagonal.
fn positive(size: usize, seed: u64) -> Matrix {
    let mut next = uniform(seed);
    let mut some = || (next().abs() * 1e6) as usize % size;
    let rows: Vec<Vec<usize>> = (0..size)
        .map(|_| (0..3).map(|_| some()).collect())
        .collect();
    let noise = random(size * size, seed);
    let mut matrix = Matrix::new(size, |j| rows[j].clone(), |i, j| noise[i * size + j]);
    let mut sums = vec![0.1; size];
    for (&(i, j), a) in matrix.places.iter().zip(&matrix.values) {
        if i != j {
            sums[i] += a.abs();
            sums[j] += a.abs();
        }
    }
    for (&(i, j), a) in matrix.places.iter().zip(&mut matrix.values) {
        if i == j {
            *a = sums[i];
        }
    }
    matrix
}

#[test]
fn the_solution_is_that_of_iterations_and_of_the_dense_factor() {
    for (size, seed) in [(1, 1), (2, 2), (30, 3), (300, 4), (300, 5)] {
        let matrix = positive(size, seed);
        let b = random(size, 7);
        let (q, report) = matrix.solve(&SparseCholesky::default(), &b, 1e-11);
        assert_eq!(report.status, SolveStatus::Converged, "{report:?}");
        assert_eq!(report.method, "sparse Cholesky");
        let (by_cg, _) = matrix.solve(&Cg::default(), &b, 1e-13);
        let (by_direct, _) = matrix.solve(&Cholesky::default(), &b, 1e-13);
        for other in [by_cg, by_direct] {
            let off = distance(&q, &other) / q.norm();
            assert!(off < 1e-10, "{size}: {off:e}");
        }
    }
}

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
fn a_matrix_that_is_not_positive_definite_is_named() {
    let b = random(40, 1);
    let mut indefinite = positive(40, 3);
    let last = indefinite
        .places
        .iter()
        .position(|p| *p == (20, 20))
        .unwrap();
    indefinite.values[last] = -1.0;
    let (_, report) = indefinite.solve(&SparseCholesky::default(), &b, 1e-9);
    assert_eq!(report.status, SolveStatus::NegativeCurvature);
    assert!(report.residual.is_finite());
    let (_, by_minres) = indefinite.solve(&Minres::default(), &b, 1e-9);
    assert_eq!(by_minres.status, SolveStatus::Converged);
    // The Laplacian of a path: what it maps constants to is zero, and b has a mean.
    let ends = |i: usize| if i == 0 || i == 39 { 1.0 } else { 2.0 };
    let singular = Matrix::new(
        40,
        |j| vec![j + 1],
        |i, j| if i == j { ends(i) } else { -1.0 },
    );
    let (_, report) = singular.solve(&SparseCholesky::default(), &b, 1e-9);
    assert!(
        matches!(
            report.status,
            SolveStatus::NegativeCurvature | SolveStatus::Stagnated
        ),
        "{report:?}"
    );
    let mut broken = positive(40, 3);
    broken.values[0] = f64::NAN;
    let (_, report) = broken.solve(&SparseCholesky::default(), &b, 1e-9);
    assert_eq!(report.status, SolveStatus::NotFinite);
    let zero = Matrix::new(40, |_| vec![], |_, _| 0.0);
    let (_, report) = zero.solve(&SparseCholesky::default(), &b, 1e-9);
    assert_eq!(report.status, SolveStatus::NegativeCurvature);
}

#[test]
fn what_is_too_large_or_no_matrix_is_named() {
    let matrix = positive(40, 3);
    let b = random(40, 1);
    let (_, report) = matrix.solve(&SparseCholesky::new(39), &b, 1e-9);
    assert_eq!(report.status, SolveStatus::IterationLimit);
    let system = System {
        product: &|v: &Vec<f64>, out: &mut Vec<f64>| matrix.product(v, out),
        preconditioner: None,
        sparse: None,
        rhs: &b,
        tolerance: 1e-9,
    };
    let mut q = b.clone();
    let report = SparseCholesky::default().solve(&system, &mut q, &mut Scratch::default());
    assert_eq!((report.status, &q), (SolveStatus::NoMatrix, &b));
    // A lower level without one is refused at the first hypergradient.
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

#[test]
fn patterns_that_make_no_sense_are_refused() {
    assert!(Pattern::new(vec![0, 2, 3], vec![0, 1, 1]).is_ok());
    for (starts, rows) in [
        (vec![], vec![]),
        (vec![0], vec![]),
        (vec![0, 1, 3], vec![0, 1]),
        (vec![0, 2, 1], vec![0]),
        (vec![1, 2], vec![0, 0]),
        (vec![0, 1, 1], vec![0]),
        (vec![0, 2, 3], vec![1, 0, 1]),
        (vec![0, 2, 3], vec![0, 2, 1]),
        (vec![0, 2, 3], vec![0, 0, 1]),
        (vec![0, 2, 3], vec![0, 1, 0]),
    ] {
        assert!(Pattern::new(starts.clone(), rows).is_err(), "{starts:?}");
    }
}

#[test]
fn the_settings_are_read_back() {
    let solver = SparseCholesky::new(7);
    let text = serde_json::to_string(&solver).unwrap();
    assert_eq!(text, r#"{"max_entries":7}"#);
    let again: SparseCholesky = serde_json::from_str(&text).unwrap();
    assert_eq!(again.identity(), solver.identity());
}
