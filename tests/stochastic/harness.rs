//! The harness of the tests of stochastic methods: a finite sum as dense matrices, batch by batch, and methods held against their
//! update boxes.

#![allow(dead_code)] // every test file uses a part of it

use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use bilevel::stochastic::{Method, Sampler, Sampling, StepSize};
use bilevel::{Implicit, LowerLevel, Run, Solver, Status, Stochastic};
use bilevel_problems::synthetic::finite_sum::FiniteSum;

pub(crate) const GAMMA: f64 = 0.05;
pub(crate) const ETA: f64 = 0.02;

/// Both levels of a finite sum as dense matrices: ∇ₓg = Ax + Bθ + a, ∇θg = Bᵀx + Dθ + d, ∇ₓf = Cx + c, ∇θf = ρθ; and the variables.
#[derive(Clone)]
pub(crate) struct Dense {
    pub(crate) a: Vec<Vec<f64>>,
    pub(crate) b: Vec<Vec<f64>>,
    pub(crate) offset: Vec<f64>,
    pub(crate) by_theta: Vec<Vec<f64>>,
    pub(crate) offset_theta: Vec<f64>,
    pub(crate) c: Vec<Vec<f64>>,
    pub(crate) upper_offset: Vec<f64>,
    pub(crate) rho: f64,
    pub(crate) theta: Vec<f64>,
    pub(crate) x: Vec<f64>,
    pub(crate) v: Vec<f64>,
}

pub(crate) fn times(m: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
    m.iter()
        .map(|row| row.iter().zip(v).map(|(m, v)| m * v).sum())
        .collect()
}

pub(crate) fn transposed(m: &[Vec<f64>], v: &[f64]) -> Vec<f64> {
    (0..m[0].len())
        .map(|j| m.iter().zip(v).map(|(row, v)| row[j] * v).sum())
        .collect()
}

pub(crate) fn plus(a: &[f64], scale: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + scale * b).collect()
}

impl Dense {
    pub(crate) fn new(problem: &FiniteSum, theta: &[f64]) -> Self {
        let all = Batch::all(problem.lower().samples());
        Dense::on(problem, theta, [all, all])
    }

    /// The same on batches.
    pub(crate) fn on(problem: &FiniteSum, theta: &[f64], [all, all_upper]: [Batch<'_>; 2]) -> Self {
        let (lower, upper) = (problem.lower(), problem.upper());
        let (n, p) = (lower.start().len(), theta.len());
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
            upper.batch_gradients(
                all_upper,
                &x.to_vec(),
                &theta.to_vec(),
                &mut by_x,
                &mut by_theta,
            );
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
    pub(crate) fn gradient(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        plus(
            &plus(&times(&self.a, x), 1.0, &times(&self.b, theta)),
            1.0,
            &self.offset,
        )
    }

    /// ∇θg.
    pub(crate) fn gradient_theta(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        let by_x = transposed(&self.b, x);
        plus(
            &plus(&by_x, 1.0, &times(&self.by_theta, theta)),
            1.0,
            &self.offset_theta,
        )
    }

    /// ∇ₓf.
    pub(crate) fn upper_gradient(&self, x: &[f64]) -> Vec<f64> {
        plus(&times(&self.c, x), 1.0, &self.upper_offset)
    }

    /// ∇θf.
    pub(crate) fn upper_gradient_theta(&self, theta: &[f64]) -> Vec<f64> {
        theta.iter().map(|t| self.rho * t).collect()
    }

    /// A v.
    pub(crate) fn hvp(&self, v: &[f64]) -> Vec<f64> {
        times(&self.a, v)
    }

    /// Bᵀv.
    pub(crate) fn cross(&self, v: &[f64]) -> Vec<f64> {
        transposed(&self.b, v)
    }

    /// d_x, d_v, d_θ at any point.
    pub(crate) fn directions(&self, x: &[f64], v: &[f64], theta: &[f64]) -> [Vec<f64>; 3] {
        let by_theta: Vec<f64> = theta.iter().map(|t| self.rho * t).collect();
        [
            self.gradient(x, theta),
            plus(&times(&self.a, v), -1.0, &self.upper_gradient(x)),
            plus(&by_theta, -1.0, &transposed(&self.b, v)),
        ]
    }
}

/// The variables of a reference, and the batches in the order in which a solver draws them.
pub(crate) struct Reference {
    pub(crate) theta: Vec<f64>,
    pub(crate) x: Vec<f64>,
    pub(crate) v: Vec<f64>,
    /// All samples.
    pub(crate) all: Dense,
    batches: Vec<Dense>,
    samplers: [Sampler; 2],
}

impl Reference {
    /// Draws ξ.
    pub(crate) fn lower(&mut self) -> Dense {
        self.batches[self.samplers[0].draw()].clone()
    }

    /// Draws ξ'.
    pub(crate) fn upper(&mut self) -> Dense {
        self.batches[self.samplers[1].draw()].clone()
    }

    /// ∇θf.
    pub(crate) fn upper_theta(&self, theta: &[f64]) -> Vec<f64> {
        theta.iter().map(|t| self.all.rho * t).collect()
    }
}

/// Asserts that ten iterations of the method with constant steps γ and η are those of `reference`, which moves the variables once: on
/// batches of all samples, and on two batches, where recursions and memories have something to do. `start` is what the method does first.
pub(crate) fn agrees<M: Method + Clone, S>(
    method: M,
    start: impl Fn(&mut Reference) -> S,
    reference: impl Fn(&mut Reference, &mut S, u64),
) {
    agrees_with([GAMMA, ETA], method, start, reference);
}

/// The same with steps γ and η of one's own.
pub(crate) fn agrees_with<M: Method + Clone, S>(
    [gamma, eta]: [f64; 2],
    method: M,
    start: impl Fn(&mut Reference) -> S,
    reference: impl Fn(&mut Reference, &mut S, u64),
) {
    const SAMPLES: usize = 40;
    let problem = FiniteSum::coupled(6, 4, SAMPLES, 10.0, 1);
    let theta = vec![0.5, -1.0, 0.2, 0.8];
    let oracle = Implicit::new(problem.lower(), problem.upper());
    for count in [1, 2] {
        let size = SAMPLES / count;
        let solver = Stochastic {
            lower_batch: size,
            upper_batch: size,
            lower_step: StepSize::constant(gamma),
            upper_step: StepSize::constant(eta),
            block: 1,
            seed: 5,
            ..Stochastic::new(method.clone())
        };
        let batch = |i| Batch::Range {
            start: i * size,
            end: (i + 1) * size,
        };
        let sampler = |stream| Sampler::new(SAMPLES, size, Sampling::Contiguous, 5, stream);
        let all = Dense::on(&problem, &theta, [Batch::all(SAMPLES); 2]);
        let mut r = Reference {
            theta: theta.clone(),
            x: all.x.clone(),
            v: all.v.clone(),
            all,
            batches: (0..count)
                .map(|i| Dense::on(&problem, &theta, [batch(i); 2]))
                .collect(),
            samplers: [sampler(1), sampler(2)],
        };
        let mut state = solver.start(&oracle, theta.clone()).unwrap();
        let mut memory = start(&mut r);
        for k in 0..10 {
            solver.step(&oracle, &mut state, 0.0).unwrap();
            reference(&mut r, &mut memory, k);
            let at = state.iterate();
            for (name, ours, theirs) in [
                ("theta", &at.theta, &r.theta),
                ("x", &at.x, &r.x),
                ("v", &at.v, &r.v),
            ] {
                for (a, b) in ours.iter().zip(theirs) {
                    assert!(
                        (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
                        "{name} at iteration {k} of {count} batches: {a} and {b}"
                    );
                }
            }
        }
        assert_ne!(r.theta, theta, "something has moved");
    }
}

/// Runs the method with default settings on batches of 8 of 200 samples and asserts that ‖∇F‖² falls to this share of its start.
pub(crate) fn descends<M: Method>(method: M, blocks: u64, share: f64) {
    let problem = FiniteSum::coupled(10, 5, 200, 10.0, 2);
    let theta = vec![3.0; 5];
    let oracle = Implicit::new(problem.lower(), problem.upper());
    let solver = Stochastic {
        lower_batch: 8,
        upper_batch: 8,
        ..Stochastic::new(method)
    };
    let squared = |theta: &[f64]| problem.gradient(theta).iter().map(|g| g * g).sum::<f64>();
    let before = squared(&theta);
    // Zero is where a method without an adjoint goes, since f pulls θ there directly. It must not pass.
    assert!(squared(&[0.0; 5]) >= 2.0 * share * before);
    let report = Run::new(&oracle, solver)
        .max_iterations(blocks)
        .start(theta)
        .unwrap();
    let after = squared(&report.theta);
    println!("{}: {:.1e} of {before:.1e}", report.solver, after / before);
    assert_ne!(report.status, Status::Diverged);
    assert!(
        after <= share * before,
        "{}: {:.1e}",
        report.solver,
        after / before
    );
}
