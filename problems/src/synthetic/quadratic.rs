//! A quadratic bilevel problem whose F and ∇F are known in closed form, in any dimension and conditioning.
//!
//! ```text
//! g(x, θ) = ½‖A x − C θ − b‖²,   f(x, θ) = ½‖x − t‖² + (ρ/2)‖θ‖²
//! x*(θ) = A⁻¹(Cθ + b),   ∇F(θ) = CᵀA⁻ᵀ(x* − t) + ρθ
//! ```
//!
//! A = U Σ Vᵀ has prescribed singular values σ₁ ≥ … ≥ σₙ; U and V are Householder reflections, so a product and an
//! exact solve both cost O(n). The Hessian AᵀA has condition number (σ₁/σₙ)²; A and B do not depend on x. It is the ground
//! truth of the tests.

use bilevel::{Curvature, Error, Linearization, LowerLevel, UpperCurvature, UpperLevel, Vector};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use faer::linalg::solvers::Solve;
use rand_distr::{Distribution, StandardNormal};
use std::sync::Arc;

/// The quadratic problem. See the [module](self).
#[derive(Debug, Clone)]
pub struct Quadratic {
    data: Arc<Data>,
}

#[derive(Debug)]
struct Data {
    sigma: Vec<f64>,
    /// Unit vectors of the reflections U = I − 2uuᵀ and V = I − 2vvᵀ.
    u: Vec<f64>,
    v: Vec<f64>,
    /// The columns of C.
    c: Vec<Vec<f64>>,
    b: Vec<f64>,
    target: Vec<f64>,
    ridge: f64,
    name: String,
}

/// x − 2⟨u, x⟩u, in place.
fn reflect(u: &[f64], x: &mut [f64]) {
    let twice: f64 = 2.0 * u.iter().zip(x.iter()).map(|(a, b)| a * b).sum::<f64>();
    for (x, u) in x.iter_mut().zip(u) {
        *x -= twice * u;
    }
}

impl Data {
    /// V f(Σ) Uᵀ x or, transposed, U f(Σ) Vᵀ x.
    fn product(&self, left: &[f64], right: &[f64], f: impl Fn(f64) -> f64, x: &[f64]) -> Vec<f64> {
        let mut y = x.to_vec();
        reflect(right, &mut y);
        for (y, s) in y.iter_mut().zip(&self.sigma) {
            *y *= f(*s);
        }
        reflect(left, &mut y);
        y
    }

    fn a(&self, x: &[f64]) -> Vec<f64> {
        self.product(&self.u, &self.v, |s| s, x)
    }

    fn a_transposed(&self, x: &[f64]) -> Vec<f64> {
        self.product(&self.v, &self.u, |s| s, x)
    }

    fn c(&self, theta: &[f64]) -> Vec<f64> {
        let mut y = vec![0.0; self.sigma.len()];
        for (column, t) in self.c.iter().zip(theta) {
            for (y, c) in y.iter_mut().zip(column) {
                *y += t * c;
            }
        }
        y
    }

    /// A x − C θ − b.
    fn residual(&self, x: &[f64], theta: &[f64]) -> Vec<f64> {
        let mut r = self.a(x);
        let c = self.c(theta);
        for ((r, c), b) in r.iter_mut().zip(&c).zip(&self.b) {
            *r -= c + b;
        }
        r
    }
}

impl Quadratic {
    /// A random problem: `n` unknowns, `p` hyperparameters, the Hessian with condition number `condition` and μ = 1, its
    /// eigenvalues spaced evenly on a logarithmic scale, entries of C, b and t normal with variance 1/n.
    ///
    /// `n` and `p` of 0 count as 1, a condition number below 1 as 1.
    pub fn random(n: usize, p: usize, condition: f64, seed: u64) -> Self {
        let (n, p, condition) = (n.max(1), p.max(1), condition.max(1.0));
        let exponent = |i: usize| {
            if n == 1 {
                0.0
            } else {
                i as f64 / (n - 1) as f64
            }
        };
        let sigma = (0..n).map(|i| condition.powf(0.5 * exponent(i))).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = |len: usize| -> Vec<f64> {
            (0..len)
                .map(|_| {
                    let value: f64 = StandardNormal.sample(&mut rng);
                    value / (n as f64).sqrt()
                })
                .collect()
        };
        let unit = |mut v: Vec<f64>| {
            let norm = v.norm();
            v.scale(1.0 / norm);
            v
        };
        let data = Data {
            sigma,
            u: unit(normal(n)),
            v: unit(normal(n)),
            c: (0..p).map(|_| normal(n)).collect(),
            b: normal(n),
            target: normal(n),
            ridge: 0.1,
            name: format!("quadratic n={n} p={p} condition={condition} seed={seed}"),
        };
        Quadratic {
            data: Arc::new(data),
        }
    }

    /// The lower level g.
    pub fn lower(&self) -> QuadraticLower {
        QuadraticLower(Arc::clone(&self.data))
    }

    /// The upper level f.
    pub fn upper(&self) -> QuadraticUpper {
        QuadraticUpper(Arc::clone(&self.data))
    }

    /// x*(θ).
    pub fn solution(&self, theta: &[f64]) -> Vec<f64> {
        let d = &self.data;
        let mut rhs = d.c(theta);
        rhs.iter_mut().zip(&d.b).for_each(|(r, b)| *r += b);
        d.product(&d.v, &d.u, |s| 1.0 / s, &rhs)
    }

    /// The exact F(θ).
    pub fn value(&self, theta: &Vec<f64>) -> f64 {
        self.upper().value(&self.solution(theta), theta)
    }

    /// The exact ∇F(θ).
    pub fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        let d = &self.data;
        let mut x = self.solution(theta);
        x.iter_mut().zip(&d.target).for_each(|(x, t)| *x -= t);
        let q = d.product(&d.u, &d.v, |s| 1.0 / s, &x);
        let product = |column: &Vec<f64>| column.iter().zip(&q).map(|(a, b)| a * b).sum::<f64>();
        d.c.iter()
            .zip(theta)
            .map(|(column, t)| product(column) + d.ridge * t)
            .collect()
    }

    /// θ* = argmin F, by a dense solve of size p.
    pub fn optimum(&self) -> Vec<f64> {
        let d = &self.data;
        let p = d.c.len();
        // S = A⁻¹C; F(θ) = ½‖Sθ + A⁻¹b − t‖² + (ρ/2)‖θ‖².
        let inverse = |x: &[f64]| d.product(&d.v, &d.u, |s| 1.0 / s, x);
        let s: Vec<Vec<f64>> = d.c.iter().map(|c| inverse(c)).collect();
        let mut offset = inverse(&d.b);
        offset.iter_mut().zip(&d.target).for_each(|(o, t)| *o -= t);
        let gram = faer::Mat::from_fn(p, p, |i, j| {
            s[i].dot(&s[j]) + if i == j { d.ridge } else { 0.0 }
        });
        let rhs = faer::Col::from_fn(p, |i| -s[i].dot(&offset));
        let solution = gram.partial_piv_lu().solve(rhs);
        (0..p).map(|i| solution[i]).collect()
    }
}

/// The lower level of a [`Quadratic`].
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct QuadraticLower(Arc<Data>);

/// The upper level of a [`Quadratic`].
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct QuadraticUpper(Arc<Data>);

impl LowerLevel for QuadraticLower {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.0.sigma.len()]
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        let p = self.0.c.len();
        if theta.len() == p {
            Ok(())
        } else {
            Err(Error::invalid(
                "theta",
                format!("{} numbers", theta.len()),
                format!("{p} numbers"),
            ))
        }
    }

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let r = self.0.residual(x, theta);
        0.5 * r.dot(&r)
    }

    fn gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        let r = self.0.residual(x, theta);
        out.copy_from(&self.0.a_transposed(&r));
    }

    fn linearize<'a>(
        &'a self,
        _x: &'a Vec<f64>,
        _theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        QuadraticLinearization(&self.0)
    }

    fn curvature(&self, _theta: &Vec<f64>) -> Curvature {
        let largest = self.0.sigma.iter().copied().fold(0.0, f64::max);
        let smallest = self.0.sigma.iter().copied().fold(f64::INFINITY, f64::min);
        // ‖B‖ = ‖AᵀC‖ is at most its Frobenius norm.
        let squares: f64 = self
            .0
            .c
            .iter()
            .map(|c| self.0.a_transposed(c).norm().powi(2))
            .sum();
        Curvature {
            strong_convexity: Some(smallest * smallest),
            smoothness: Some(largest * largest),
            hessian_lipschitz: Some(0.0),
            cross_norm: Some(squares.sqrt()),
            cross_lipschitz: Some(0.0),
        }
    }

    /// The residual A x − C θ − b is computed from terms of the sizes ‖Ax‖ and ‖Cθ + b‖, which balance, then multiplied by Aᵀ.
    fn gradient_rounding(&self, x: &Vec<f64>, theta: &Vec<f64>, gradient_norm: f64) -> f64 {
        let largest = self.0.sigma.iter().copied().fold(0.0, f64::max);
        let sizes = largest * x.norm() + self.0.c(theta).norm() + self.0.b.norm();
        16.0 * Vec::<f64>::UNIT_ROUNDOFF * (largest * sizes + gradient_norm)
    }

    fn identity(&self) -> String {
        self.0.name.clone()
    }
}

struct QuadraticLinearization<'a>(&'a Data);

impl Linearization for QuadraticLinearization<'_> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        out.copy_from(&self.0.a_transposed(&self.0.a(v)));
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut Vec<f64>) {
        let aw = self.0.a(w);
        for (out, c) in out.iter_mut().zip(&self.0.c) {
            *out = -c.dot(&aw);
        }
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        out.copy_from(&self.0.a_transposed(&self.0.c(u)));
        out.scale(-1.0);
    }
}

impl UpperLevel for QuadraticUpper {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let distance: f64 = x
            .iter()
            .zip(&self.0.target)
            .map(|(x, t)| (x - t) * (x - t))
            .sum();
        0.5 * distance + 0.5 * self.0.ridge * theta.dot(theta)
    }

    fn gradient_x(&self, x: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.copy_from(x);
        out.axpy(-1.0, &self.0.target);
    }

    fn gradient_theta(&self, _x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.axpby(self.0.ridge, theta, 0.0);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature {
            gradient_x_lipschitz: Some(1.0),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    fn identity(&self) -> String {
        "distance to a target".to_owned()
    }
}
