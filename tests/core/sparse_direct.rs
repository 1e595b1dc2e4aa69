//! The sparse direct solver: against conjugate gradients and the dense factorisation, what it keeps, and what it names.

use crate::common::{distance, random, uniform};
use bilevel::linear::{
    Cg, Cholesky, LinearReport, LinearSolver, Minres, Pattern, SparseCholesky, SparseMatrix, System,
};
use bilevel::vector::Scratch;
use bilevel::{SolveStatus, Vector};
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
