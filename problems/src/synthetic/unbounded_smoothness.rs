//! A finite sum whose upper level grows exponentially: its smoothness grows with its gradient, without bound.
//!
//! ```text
//! gᵢ(x, θ) = ½ Σₖ hᵢₖ (xₖ − θₖ − bᵢₖ)²,       fⱼ(x, θ) = cosh(uⱼᵀx − cⱼ) + (ρ/2)‖θ‖²
//! A = diag(h̄),   B = −A,   x*(θ) = θ + s,   sₖ = Σᵢ hᵢₖbᵢₖ / Σᵢ hᵢₖ,    ∇F(θ) = ∇ₓf(x*(θ)) + ρθ
//! ```
//!
//! The second derivative of cosh is cosh, about the size of its gradient: ‖∇²F‖ ≤ L₀ + L₁‖∇F‖ holds, and no Lipschitz constant of ∇F
//! does. A step size that suits the minimiser makes a gradient method overflow from a start where ∇F is large, and one that is safe there is
//! far too small near the minimiser. The weights hᵢₖ lie between 1 and the condition number; minibatches of A and B are noisy, while x*, F
//! and ∇F have closed forms.

use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use bilevel::{Curvature, Error, Linearization, LowerLevel, UpperCurvature, UpperLevel, Vector};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use std::sync::Arc;

use super::dot;

/// The two levels. See the [module](self).
#[derive(Debug, Clone)]
pub struct UnboundedSmoothness {
    data: Arc<Data>,
}

#[derive(Debug)]
struct Data {
    /// h, b and u, row after row, and c.
    h: Vec<f64>,
    b: Vec<f64>,
    u: Vec<f64>,
    c: Vec<f64>,
    /// The mean of h, and s.
    mean: Vec<f64>,
    shift: Vec<f64>,
    /// The length of x and of θ.
    n: usize,
    rho: f64,
    name: String,
}

impl UnboundedSmoothness {
    /// A random problem with x, θ ∈ ℝⁿ, `samples` samples of each level, and weights from 1 to `condition`. Values below 1 count as 1.
    pub fn random(n: usize, samples: usize, condition: f64, seed: u64) -> Self {
        let (n, samples, condition) = (n.max(1), samples.max(1), condition.max(1.0));
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut normal = |len: usize, scale: f64| -> Vec<f64> {
            (0..len)
                .map(|_| {
                    let z: f64 = StandardNormal.sample(&mut rng);
                    scale * z
                })
                .collect()
        };
        let b = normal(samples * n, 0.5);
        let u = normal(samples * n, 1.0 / (n as f64).sqrt());
        let c = normal(samples, 0.5);
        let h: Vec<f64> = (0..samples * n)
            .map(|_| {
                let share: f64 = StandardUniform.sample(&mut rng);
                condition.powf(share)
            })
            .collect();
        let column = |f: &dyn Fn(usize) -> f64, k: usize| -> f64 {
            (0..samples).map(|i| f(i * n + k)).sum::<f64>() / samples as f64
        };
        let mean: Vec<f64> = (0..n).map(|k| column(&|at| h[at], k)).collect();
        let shift = (0..n)
            .map(|k| column(&|at| h[at] * b[at], k) / mean[k])
            .collect();
        UnboundedSmoothness {
            data: Arc::new(Data {
                mean,
                shift,
                h,
                b,
                u,
                c,
                n,
                rho: 0.1,
                name: format!("UnboundedSmoothness({n}, {samples}, {condition}, {seed})"),
            }),
        }
    }

    /// The lower level g, with minibatches.
    pub fn lower(&self) -> UnboundedSmoothnessLower {
        UnboundedSmoothnessLower {
            data: Arc::clone(&self.data),
        }
    }

    /// The upper level f, with minibatches.
    pub fn upper(&self) -> UnboundedSmoothnessUpper {
        UnboundedSmoothnessUpper {
            data: Arc::clone(&self.data),
        }
    }

    /// x*(θ).
    pub fn solution(&self, theta: &[f64]) -> Vec<f64> {
        theta
            .iter()
            .zip(&self.data.shift)
            .map(|(t, s)| t + s)
            .collect()
    }

    /// F(θ).
    pub fn value(&self, theta: &[f64]) -> f64 {
        self.upper().value(&self.solution(theta), &theta.to_vec())
    }

    /// ∇F(θ).
    pub fn gradient(&self, theta: &[f64]) -> Vec<f64> {
        let theta = theta.to_vec();
        let mut by_x = theta.clone();
        self.upper()
            .gradient_x(&self.solution(&theta), &theta, &mut by_x);
        by_x.axpy(self.data.rho, &theta);
        by_x
    }
}

/// g of [`UnboundedSmoothness`].
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct UnboundedSmoothnessLower {
    data: Arc<Data>,
}

impl UnboundedSmoothnessLower {
    /// The rows of h and b of sample i.
    fn row(&self, i: usize) -> impl Iterator<Item = (&f64, &f64)> {
        let at = i * self.data.n..(i + 1) * self.data.n;
        self.data.h[at.clone()].iter().zip(&self.data.b[at])
    }

    fn all(&self) -> Batch<'static> {
        Batch::all(self.data.c.len())
    }
}

impl MinibatchLower for UnboundedSmoothnessLower {
    fn samples(&self) -> usize {
        self.data.c.len()
    }

    fn batch_gradient(&self, batch: Batch<'_>, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.fill(0.0);
        let share = 1.0 / batch.len() as f64;
        for i in batch.iter() {
            for ((o, (h, b)), (x, t)) in out.iter_mut().zip(self.row(i)).zip(x.iter().zip(theta)) {
                *o += share * h * (x - t - b);
            }
        }
    }

    fn batch_gradient_theta(
        &self,
        batch: Batch<'_>,
        x: &Vec<f64>,
        theta: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        self.batch_gradient(batch, x, theta, out);
        out.scale(-1.0);
    }

    fn batch_hvp(
        &self,
        batch: Batch<'_>,
        _x: &Vec<f64>,
        _theta: &Vec<f64>,
        v: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        out.fill(0.0);
        let share = 1.0 / batch.len() as f64;
        for i in batch.iter() {
            for ((o, (h, _)), v) in out.iter_mut().zip(self.row(i)).zip(v) {
                *o += share * h * v;
            }
        }
    }

    fn batch_cross_vjp(
        &self,
        batch: Batch<'_>,
        x: &Vec<f64>,
        theta: &Vec<f64>,
        v: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        self.batch_hvp(batch, x, theta, v, out);
        out.scale(-1.0);
    }
}

impl LowerLevel for UnboundedSmoothnessLower {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.data.n]
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        if theta.len() == self.data.n {
            return Ok(());
        }
        Err(Error::invalid(
            "theta",
            format!("{} numbers", theta.len()),
            format!("{} numbers", self.data.n),
        ))
    }

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let sum: f64 = self
            .all()
            .iter()
            .map(|i| {
                self.row(i)
                    .zip(x.iter().zip(theta))
                    .map(|((h, b), (x, t))| h * (x - t - b).powi(2))
                    .sum::<f64>()
            })
            .sum();
        0.5 * sum / self.samples() as f64
    }

    fn gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.batch_gradient(self.all(), x, theta, out);
    }

    fn linearize<'a>(
        &'a self,
        _x: &'a Vec<f64>,
        _theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        Diagonal(&self.data.mean)
    }

    fn curvature(&self, _theta: &Vec<f64>) -> Curvature {
        let mean = self.data.mean.iter().copied();
        let largest = mean.clone().fold(0.0, f64::max);
        Curvature {
            strong_convexity: Some(mean.fold(f64::INFINITY, f64::min) * (1.0 - 1e-12)),
            smoothness: Some(largest * (1.0 + 1e-12)),
            hessian_lipschitz: Some(0.0),
            cross_norm: Some(largest * (1.0 + 1e-12)),
            cross_lipschitz: Some(0.0),
        }
    }

    fn identity(&self) -> String {
        self.data.name.clone()
    }
}

/// A = diag(h̄) = −B.
struct Diagonal<'a>(&'a [f64]);

impl Diagonal<'_> {
    fn times(&self, sign: f64, v: &[f64], out: &mut [f64]) {
        for ((o, h), v) in out.iter_mut().zip(self.0).zip(v) {
            *o = sign * h * v;
        }
    }
}

impl Linearization for Diagonal<'_> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        self.times(1.0, v, out);
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut Vec<f64>) {
        self.times(-1.0, w, out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        self.times(-1.0, u, out);
    }
}

/// f of [`UnboundedSmoothness`].
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct UnboundedSmoothnessUpper {
    data: Arc<Data>,
}

impl UnboundedSmoothnessUpper {
    fn u(&self, j: usize) -> &[f64] {
        &self.data.u[j * self.data.n..(j + 1) * self.data.n]
    }

    fn all(&self) -> Batch<'static> {
        Batch::all(self.data.c.len())
    }
}

impl MinibatchUpper for UnboundedSmoothnessUpper {
    fn samples(&self) -> usize {
        self.data.c.len()
    }

    fn batch_value(&self, batch: Batch<'_>, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let sum: f64 = batch
            .iter()
            .map(|j| (dot(self.u(j), x) - self.data.c[j]).cosh())
            .sum();
        sum / batch.len() as f64 + 0.5 * self.data.rho * dot(theta, theta)
    }

    fn batch_gradients(
        &self,
        batch: Batch<'_>,
        x: &Vec<f64>,
        theta: &Vec<f64>,
        by_x: &mut Vec<f64>,
        by_theta: &mut Vec<f64>,
    ) {
        by_x.fill(0.0);
        by_theta.axpby(self.data.rho, theta, 0.0);
        let share = 1.0 / batch.len() as f64;
        for j in batch.iter() {
            let slope = share * (dot(self.u(j), x) - self.data.c[j]).sinh();
            for (o, u) in by_x.iter_mut().zip(self.u(j)) {
                *o += slope * u;
            }
        }
    }
}

impl UpperLevel for UnboundedSmoothnessUpper {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        self.batch_value(self.all(), x, theta)
    }

    fn gradient_x(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        let mut by_theta = theta.clone();
        self.batch_gradients(self.all(), x, theta, out, &mut by_theta);
    }

    fn gradient_theta(&self, _x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.axpby(self.data.rho, theta, 0.0);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature {
            // No constant holds for all x, by design.
            gradient_x_lipschitz: None,
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    fn identity(&self) -> String {
        self.data.name.clone()
    }
}
