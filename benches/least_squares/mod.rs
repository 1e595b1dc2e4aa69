//! Linear least squares on both levels, as the papers on MAID take it:
//!
//! ```text
//! g(x, θ) = ½‖A₂x + A₃θ − b₂‖²,   f(x) = ½‖A₁x − b₁‖²,   Aᵢ ∈ ℝ^{1000×10} uniform in [0, 1]
//! b₁ = A₁x̂₁ + 0.01 y₁,   b₂ = A₂x̂₂ + A₃θ̂ + 0.01 y₂,   hats and y standard normal
//! ```
//!
//! A₂ᵀA₂ has a condition number of about 31 by the mean of its entries; that of F is in the thousands or more. F* is computed by a dense
//! QR solve.

#![allow(clippy::panic)] // a bench that cannot be set up ends with the reason

use bilevel::{Curvature, Error, Linearization, LowerLevel, UpperCurvature, UpperLevel, Vector};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use faer::linalg::solvers::{Solve, SolveLstsq};
use faer::{Col, Mat, Side};
use std::sync::Arc;

const ROWS: usize = 1000;
const N: usize = 10;

pub(crate) struct Data {
    a1: Mat<f64>,
    b1: Col<f64>,
    a2: Mat<f64>,
    a3: Mat<f64>,
    b2: Col<f64>,
    /// A₂ᵀA₂, A₂ᵀA₃, A₂ᵀb₂.
    hessian: Mat<f64>,
    cross: Mat<f64>,
    rhs: Col<f64>,
    mu: f64,
    smoothness: f64,
    cross_norm: f64,
    upper_smoothness: f64,
    pub(crate) start: Vec<f64>,
    pub(crate) optimum: f64,
    pub(crate) condition_of_f: f64,
}

fn column(x: &[f64]) -> Col<f64> {
    Col::from_fn(x.len(), |i| x[i])
}

fn copy(from: &Col<f64>, to: &mut Vec<f64>) {
    to.assign(&mut |i| from[i]);
}

fn spectrum(m: &Mat<f64>) -> Vec<f64> {
    m.self_adjoint_eigenvalues(Side::Lower)
        .unwrap_or_else(|e| panic!("{e:?}"))
}

impl Data {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut uniform = || (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut matrix = || Mat::from_fn(ROWS, N, |_, _| uniform());
        let (a1, a2, a3) = (matrix(), matrix(), matrix());
        // Box and Muller: standard normal numbers.
        let mut normal = |n| {
            Col::from_fn(n, |_| {
                let (u, v) = (1.0 - uniform(), uniform());
                (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
            })
        };
        let noise = faer::Scale(0.01);
        let b1 = &a1 * normal(N) + noise * normal(ROWS);
        let b2 = &a2 * normal(N) + &a3 * normal(N) + noise * normal(ROWS);
        let start = normal(N);
        let hessian = a2.transpose() * &a2;
        let cross = a2.transpose() * &a3;
        let rhs = a2.transpose() * &b2;
        let upper_hessian = a1.transpose() * &a1;
        // x*(θ) = H⁻¹(rhs − Cθ);  F(θ) = ½‖Sθ − t‖² with S = −A₁H⁻¹C and t = b₁ − A₁H⁻¹rhs.
        let solver = hessian.partial_piv_lu();
        let s = -(&a1 * solver.solve(&cross));
        let t = &b1 - &a1 * solver.solve(&rhs);
        let best = s.qr().solve_lstsq(&t);
        let optimum = 0.5 * (&s * best - &t).squared_norm_l2();
        let (of_g, of_f) = (spectrum(&hessian), spectrum(&upper_hessian));
        let of_upper = spectrum(&(s.transpose() * &s));
        Arc::new(Data {
            mu: of_g[0],
            smoothness: of_g[N - 1],
            cross_norm: cross.norm_l2(),
            upper_smoothness: of_f[N - 1],
            condition_of_f: of_upper[N - 1] / of_upper[0],
            start: (0..N).map(|i| start[i]).collect(),
            optimum,
            a1,
            b1,
            a2,
            a3,
            b2,
            hessian,
            cross,
            rhs,
        })
    }

    /// The exact F(θ).
    pub(crate) fn value(&self, theta: &[f64]) -> f64 {
        let rhs = &self.rhs - &self.cross * column(theta);
        let x = self.hessian.partial_piv_lu().solve(rhs);
        0.5 * (&self.a1 * x - &self.b1).squared_norm_l2()
    }

    pub(crate) fn condition_of_g(&self) -> f64 {
        self.smoothness / self.mu
    }
}

#[derive(Clone)]
pub(crate) struct Lower(pub(crate) Arc<Data>);

#[derive(Clone)]
pub(crate) struct Upper(pub(crate) Arc<Data>);

impl LowerLevel for Lower {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        vec![0.0; N]
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        if theta.len() == N {
            Ok(())
        } else {
            Err(Error::invalid("theta", theta.len(), "10 numbers"))
        }
    }

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let d = &self.0;
        0.5 * (&d.a2 * column(x) + &d.a3 * column(theta) - &d.b2).squared_norm_l2()
    }

    fn gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        let d = &self.0;
        let gradient = &d.hessian * column(x) + &d.cross * column(theta) - &d.rhs;
        copy(&gradient, out);
    }

    fn linearize<'a>(
        &'a self,
        _x: &'a Vec<f64>,
        _theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        Products(&self.0)
    }

    fn curvature(&self, _theta: &Vec<f64>) -> Curvature {
        Curvature {
            strong_convexity: Some(self.0.mu),
            smoothness: Some(self.0.smoothness),
            hessian_lipschitz: Some(0.0),
            cross_norm: Some(self.0.cross_norm),
            cross_lipschitz: Some(0.0),
        }
    }

    fn gradient_rounding(&self, x: &Vec<f64>, theta: &Vec<f64>, gradient_norm: f64) -> f64 {
        let d = &self.0;
        let sizes = d.smoothness * x.norm() + d.cross_norm * theta.norm() + d.rhs.norm_l2();
        16.0 * f64::EPSILON * (sizes + gradient_norm)
    }
}

struct Products<'a>(&'a Data);

impl Linearization for Products<'_> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        copy(&(&self.0.hessian * column(v)), out);
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut Vec<f64>) {
        copy(&(self.0.cross.transpose() * column(w)), out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        copy(&(&self.0.cross * column(u)), out);
    }
}

impl UpperLevel for Upper {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, _theta: &Vec<f64>) -> f64 {
        0.5 * (&self.0.a1 * column(x) - &self.0.b1).squared_norm_l2()
    }

    fn gradient_x(&self, x: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        let residual = &self.0.a1 * column(x) - &self.0.b1;
        copy(&(self.0.a1.transpose() * residual), out);
    }

    fn gradient_theta(&self, _x: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.assign(&mut |_| 0.0);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature {
            gradient_x_lipschitz: Some(self.0.upper_smoothness),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }
}
