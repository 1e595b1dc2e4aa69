//! A quadratic finite sum with closed forms and a prescribed spectrum.
//!
//! ```text
//! gᵢ(x, θ) = ½(sᵢᵀx − tᵢᵀθ − bᵢ)² + (μ/2)‖x‖²,    fⱼ(x, θ) = ½(uⱼᵀx − cⱼ)² + (ρ/2)‖θ‖²
//! A = SᵀS/n + μI,   B = −SᵀT/n,   x*(θ) = A⁻¹Sᵀ(Tθ + b)/n
//! ```
//!
//! The columns of S are orthogonal, so the eigenvalues of A are exactly the prescribed ones: from 1 to the condition number,
//! evenly spaced on a logarithmic scale, with μ half of the smallest. A, B and the Hessian of f do not depend on x, F is quadratic, and F,
//! ∇F and the minimiser come from dense factorisations. It is the ground truth of the tests of stochastic methods, similar to the
//! simulated quadratics of published benchmarks.

mod lower;
mod upper;

pub use lower::FiniteSumLower;
pub use upper::FiniteSumUpper;

use bilevel::{Linearization, LowerLevel, UpperLevel, Vector};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

use super::dot;

/// The two levels. See the [module](self).
#[derive(Debug, Clone)]
pub struct FiniteSum {
    data: Arc<Data>,
}

#[derive(Debug)]
struct Data {
    /// S, T and U, row after row.
    s: Vec<f64>,
    t: Vec<f64>,
    u: Vec<f64>,
    b: Vec<f64>,
    c: Vec<f64>,
    /// The lengths of x and θ.
    n: usize,
    p: usize,
    mu: f64,
    rho: f64,
    condition: f64,
    /// Bounds of ‖UᵀU/m‖ and ‖SᵀT/n‖.
    upper_smoothness: f64,
    cross_norm: f64,
    name: String,
}

fn add(out: &mut [f64], scale: f64, row: &[f64]) {
    out.iter_mut().zip(row).for_each(|(o, r)| *o += scale * r);
}

/// A bound of the largest singular value of MᵀN/rows: its Frobenius norm.
fn product_norm(m: &[f64], n: &[f64], rows: usize) -> f64 {
    let (a, b) = (m.len() / rows, n.len() / rows);
    let mut sum = vec![0.0; a * b];
    for i in 0..rows {
        for k in 0..a {
            add(
                &mut sum[k * b..(k + 1) * b],
                m[i * a + k],
                &n[i * b..(i + 1) * b],
            );
        }
    }
    dot(&sum, &sum).sqrt() / rows as f64
}

impl FiniteSum {
    /// A random problem with x ∈ ℝⁿ, θ ∈ ℝᵖ, `samples` samples of each level (at least n), and the condition number of A. Values below 1
    /// count as 1.
    ///
    /// The mixed derivative is small, since S and T are independent: (ρ/2)‖θ‖² is most of F.
    pub fn random(n: usize, p: usize, samples: usize, condition: f64, seed: u64) -> Self {
        FiniteSum::build(n, p, samples, condition, seed, 0.0)
    }

    /// The same with T = SK plus noise, for a random K, with longer uⱼ, and with cⱼ = uⱼᵀKθ† plus noise for a random θ†. The mixed derivative
    /// is then as large as A, x*(θ) ≈ Kθ, and the minimiser is near θ†, away from the minimiser 0 of (ρ/2)‖θ‖²: a method with a wrong adjoint
    /// does not find it.
    pub fn coupled(n: usize, p: usize, samples: usize, condition: f64, seed: u64) -> Self {
        FiniteSum::build(n, p, samples, condition, seed, 1.0)
    }

    fn build(n: usize, p: usize, samples: usize, condition: f64, seed: u64, coupling: f64) -> Self {
        let (n, p, condition) = (n.max(1), p.max(1), condition.max(1.0));
        let samples = samples.max(n);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = |len: usize, scale: f64| -> Vec<f64> {
            (0..len)
                .map(|_| {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    scale * z
                })
                .collect()
        };
        let mu = 0.5;
        let mut columns: Vec<Vec<f64>> = Vec::with_capacity(n);
        for k in 0..n {
            let mut column = normal(samples, 1.0);
            // Twice is enough.
            for _ in 0..2 {
                for other in &columns {
                    let along = dot(other, &column) / dot(other, other);
                    add(&mut column, -along, other);
                }
            }
            let share = if n == 1 {
                0.0
            } else {
                k as f64 / (n - 1) as f64
            };
            let eigenvalue = condition.powf(share) - mu;
            let length = dot(&column, &column).sqrt();
            column.scale((eigenvalue * samples as f64).sqrt() / length);
            columns.push(column);
        }
        let mut s = vec![0.0; samples * n];
        for (k, column) in columns.iter().enumerate() {
            for (i, value) in column.iter().enumerate() {
                s[i * n + k] = *value;
            }
        }
        let mut t = normal(samples * p, 1.0 / (p as f64).sqrt());
        let mut u = normal(samples * n, 1.0 / (n as f64).sqrt());
        let (b, mut c) = (normal(samples, 1.0), normal(samples, 1.0));
        if coupling > 0.0 {
            let k = normal(n * p, coupling / (p as f64).sqrt());
            for (t, s) in t.chunks_exact_mut(p).zip(s.chunks_exact(n)) {
                for (s, k) in s.iter().zip(k.chunks_exact(p)) {
                    add(t, *s, k);
                }
            }
            u.scale((n as f64).sqrt());
            let far = normal(p, 2.0);
            let x: Vec<f64> = k.chunks_exact(p).map(|k| dot(k, &far)).collect();
            for (c, u) in c.iter_mut().zip(u.chunks_exact(n)) {
                *c += dot(u, &x);
            }
        }
        FiniteSum {
            data: Arc::new(Data {
                upper_smoothness: product_norm(&u, &u, samples),
                cross_norm: product_norm(&s, &t, samples),
                s,
                t,
                u,
                b,
                c,
                n,
                p,
                mu,
                rho: 0.1,
                condition,
                name: format!("FiniteSum({n}, {p}, {samples}, {condition}, {seed}, {coupling})"),
            }),
        }
    }

    /// The lower level g, with minibatches.
    pub fn lower(&self) -> FiniteSumLower {
        FiniteSumLower {
            data: Arc::clone(&self.data),
        }
    }

    /// The upper level f, with minibatches.
    pub fn upper(&self) -> FiniteSumUpper {
        FiniteSumUpper {
            data: Arc::clone(&self.data),
        }
    }

    fn solve(&self, rhs: &[f64]) -> Vec<f64> {
        let d = &self.data;
        let n = d.n;
        let rows = d.b.len() as f64;
        let mut a = Mat::<f64>::from_fn(n, n, |i, j| if i == j { d.mu } else { 0.0 });
        for row in d.s.chunks_exact(n) {
            for (i, &left) in row.iter().enumerate() {
                for (j, &right) in row.iter().enumerate() {
                    a[(i, j)] += left * right / rows;
                }
            }
        }
        let rhs = Mat::from_fn(n, 1, |i, _| rhs[i]);
        match a.llt(Side::Lower) {
            Ok(factor) => {
                let x = factor.solve(&rhs);
                (0..n).map(|i| x[(i, 0)]).collect()
            }
            // Positive definite by construction; a NaN in the data shows in the result.
            Err(_) => vec![f64::NAN; n],
        }
    }

    /// x*(θ).
    pub fn solution(&self, theta: &[f64]) -> Vec<f64> {
        let d = &self.data;
        let mut rhs = vec![0.0; d.n];
        for (i, row) in d.s.chunks_exact(d.n).enumerate() {
            let target = dot(&d.t[i * d.p..(i + 1) * d.p], theta) + d.b[i];
            add(&mut rhs, target / d.b.len() as f64, row);
        }
        self.solve(&rhs)
    }

    /// F(θ).
    pub fn value(&self, theta: &[f64]) -> f64 {
        self.upper().value(&self.solution(theta), &theta.to_vec())
    }

    /// ∇F(θ).
    pub fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        let theta = theta.to_vec();
        let x = self.solution(&theta);
        let mut by_x = x.clone();
        self.upper().gradient_x(&x, &theta, &mut by_x);
        let q = self.solve(&by_x);
        let mut cross = theta.clone();
        let lower = self.lower();
        lower.linearize(&x, &theta).cross_vjp(&q, &mut cross);
        theta
            .iter()
            .zip(&cross)
            .map(|(t, c)| self.data.rho * t - c)
            .collect()
    }

    /// The minimiser of F: one Newton step, since F is quadratic.
    pub fn minimiser(&self) -> Vec<f64> {
        let p = self.data.p;
        let origin = self.gradient(&vec![0.0; p]);
        let columns: Vec<Vec<f64>> = (0..p)
            .map(|k| {
                let mut unit = vec![0.0; p];
                unit[k] = 1.0;
                let there = self.gradient(&unit);
                there.iter().zip(&origin).map(|(a, b)| a - b).collect()
            })
            .collect();
        let hessian = Mat::<f64>::from_fn(p, p, |i, j| 0.5 * (columns[j][i] + columns[i][j]));
        let rhs = Mat::from_fn(p, 1, |i, _| -origin[i]);
        match hessian.llt(Side::Lower) {
            Ok(factor) => {
                let x = factor.solve(&rhs);
                (0..p).map(|i| x[(i, 0)]).collect()
            }
            Err(_) => vec![f64::NAN; p],
        }
    }
}
