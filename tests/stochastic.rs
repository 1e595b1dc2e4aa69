//! Stochastic methods: each against its update box in plain dense algebra, its descent on batches with default settings, and runs that
//! are reproducible, resumable, and named when they diverge.

#![allow(clippy::unwrap_used)] // in the helpers of tests, as in tests

use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use bilevel::stochastic::{Method, StepSize};
use bilevel::{Implicit, LowerLevel, Run, Soba, Solver, Status, Stochastic};
use bilevel_problems::finite_sum::FiniteSum;

const GAMMA: f64 = 0.05;
const ETA: f64 = 0.02;

/// Both levels of a finite sum as dense matrices: ∇ₓg = Ax + Bθ + a, ∇θg = Bᵀx + Dθ + d, ∇ₓf = Cx + c, ∇θf = ρθ; and the variables.
struct Dense {
    a: Vec<Vec<f64>>,
    b: Vec<Vec<f64>>,
    offset: Vec<f64>,
    by_theta: Vec<Vec<f64>>,
    offset_theta: Vec<f64>,
    c: Vec<Vec<f64>>,
    upper_offset: Vec<f64>,
    rho: f64,
    theta: Vec<f64>,
    x: Vec<f64>,
    v: Vec<f64>,
}

fn times(m: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
    m.iter()
        .map(|row| row.iter().zip(v).map(|(m, v)| m * v).sum())
        .collect()
}

fn transposed(m: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
    (0..m[0].len())
        .map(|j| m.iter().zip(v).map(|(row, v)| row[j] * v).sum())
        .collect()
}

fn plus(a: &[f64], scale: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + scale * b).collect()
}

impl Dense {
    fn new(problem: &FiniteSum, theta: &[f64]) -> Self {
        let (lower, upper) = (problem.lower(), problem.upper());
        let (n, p) = (lower.start().len(), theta.len());
        let all = Batch::all(lower.samples());
        let gradient = |x: &[f64], theta: &[f64]| {
            let mut out = vec![0.0; n];
            lower.batch_gradient(all, &x.to_vec(), &theta.to_vec(), &mut out);
            out
        };
        let gradient_theta = |x: &[f64], theta: &[f64]| {
            let mut out = vec![0.0; p];
            lower.batch_gradient_theta(all, &x.to_vec(), &theta.to_vec(), &mut out);
            out
        };
        let upper_gradients = |x: &[f64], theta: &[f64]| {
            let (mut by_x, mut by_theta) = (vec![0.0; n], vec![0.0; p]);
            upper.batch_gradients(all, &x.to_vec(), &theta.to_vec(), &mut by_x, &mut by_theta);
            (by_x, by_theta)
        };
        let unit = |len: usize, k: usize| (0..len).map(|i| f64::from(i == k)).collect::<Vec<_>>();
        let (x0, theta0) = (vec![0.0; n], vec![0.0; p]);
        let offset = gradient(&x0, &theta0);
        let offset_theta = gradient_theta(&x0, &theta0);
        let upper_offset = upper_gradients(&x0, &theta0).0;
        // Row i of the matrix whose k-th column is `column(k)`.
        let rows = |columns: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            (0..columns[0].len())
                .map(|i| columns.iter().map(|c| c[i]).collect())
                .collect()
        };
        Dense {
            a: rows(
                (0..n)
                    .map(|k| plus(&gradient(&unit(n, k), &theta0), -1.0, &offset))
                    .collect(),
            ),
            b: rows(
                (0..p)
                    .map(|k| plus(&gradient(&x0, &unit(p, k)), -1.0, &offset))
                    .collect(),
            ),
            by_theta: rows(
                (0..p)
                    .map(|k| plus(&gradient_theta(&x0, &unit(p, k)), -1.0, &offset_theta))
                    .collect(),
            ),
            c: rows(
                (0..n)
                    .map(|k| {
                        plus(
                            &upper_gradients(&unit(n, k), &theta0).0,
                            -1.0,
                            &upper_offset,
                        )
                    })
                    .collect(),
            ),
            rho: upper_gradients(&x0, &unit(p, 0)).1[0],
            offset,
            offset_theta,
            upper_offset,
            theta: theta.to_vec(),
            x: x0.clone(),
            v: x0,
        }
    }

    /// ∇ₓg.
    fn gradient(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        plus(
            &plus(&times(&self.a, x), 1.0, &times(&self.b, theta)),
            1.0,
            &self.offset,
        )
    }

    /// ∇θg.
    #[allow(dead_code)] // for methods without second derivatives
    fn gradient_theta(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        let by_x = transposed(&self.b, x);
        plus(
            &plus(&by_x, 1.0, &times(&self.by_theta, theta)),
            1.0,
            &self.offset_theta,
        )
    }

    /// ∇ₓf.
    fn upper_gradient(&self, x: &[f64]) -> Vec<f64> {
        plus(&times(&self.c, x), 1.0, &self.upper_offset)
    }

    /// d_x, d_v, d_θ at any point.
    fn directions(&self, x: &[f64], v: &[f64], theta: &[f64]) -> [Vec<f64>; 3] {
        let by_theta: Vec<f64> = theta.iter().map(|t| self.rho * t).collect();
        [
            self.gradient(x, theta),
            plus(&times(&self.a, v), -1.0, &self.upper_gradient(x)),
            plus(&by_theta, -1.0, &transposed(&self.b, v)),
        ]
    }
}

fn problem() -> (FiniteSum, Vec<f64>) {
    (
        FiniteSum::random(6, 4, 40, 10.0, 1),
        vec![0.5, -1.0, 0.2, 0.8],
    )
}

/// Asserts that ten iterations of the method on batches of all samples, with constant steps γ and η, are those of `reference`, which
/// moves the dense variables once.
fn agrees<M: Method>(method: M, mut reference: impl FnMut(&mut Dense, u64)) {
    let (problem, theta) = problem();
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: 40,
        upper_batch: 40,
        lower_step: StepSize::constant(GAMMA),
        upper_step: StepSize::constant(ETA),
        block: 1,
        ..Stochastic::new(method)
    };
    let mut dense = Dense::new(&problem, &theta);
    let mut state = solver.start(&oracle, theta.clone()).unwrap();
    for k in 0..10 {
        solver.step(&oracle, &mut state, 0.0).unwrap();
        reference(&mut dense, k);
        let at = state.iterate();
        for (name, ours, theirs) in [
            ("theta", &at.theta, &dense.theta),
            ("x", &at.x, &dense.x),
            ("v", &at.v, &dense.v),
        ] {
            for (a, b) in ours.iter().zip(theirs) {
                assert!(
                    (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
                    "{name} at iteration {k}: {a} and {b}"
                );
            }
        }
    }
    assert_ne!(dense.theta, theta, "something has moved");
}

#[test]
fn soba_is_its_update_box() {
    agrees(Soba::default(), |s, _| {
        let [x, v, theta] = s.directions(&s.x, &s.v, &s.theta);
        s.x = plus(&s.x, -GAMMA, &x);
        s.v = plus(&s.v, -GAMMA, &v);
        s.theta = plus(&s.theta, -ETA, &theta);
    });
}

/// Runs the method with default settings on batches of 8 of 200 samples and asserts that ‖∇F‖² falls to a thousandth.
fn descends<M: Method>(method: M, blocks: u64) {
    let problem = FiniteSum::random(10, 5, 200, 10.0, 2);
    let theta = vec![3.0; 5];
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: 8,
        upper_batch: 8,
        ..Stochastic::new(method)
    };
    let squared = |theta: &[f64]| problem.gradient(theta).iter().map(|g| g * g).sum::<f64>();
    let before = squared(&theta);
    let report = Run::new(&oracle, solver)
        .max_iterations(blocks)
        .start(theta)
        .unwrap();
    let after = squared(&report.theta);
    println!("{}: {:.1e} of {before:.1e}", report.solver, after / before);
    assert_ne!(report.status, Status::Diverged);
    assert!(
        after <= 1e-3 * before,
        "{}: {:.1e}",
        report.solver,
        after / before
    );
}

#[test]
fn soba_descends_with_default_settings() {
    descends(Soba::default(), 20);
}
