//! `unbounded_smoothness`, whose data are found from products and gradients at special points.

use bilevel::autodiff::{Gradients, Number, SampleLoss, Scalar};
use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper};
use bilevel_problems::synthetic::unbounded_smoothness::UnboundedSmoothness;

use crate::agreement::{Points, mean, sizes};

const N: usize = 4;
const SAMPLES: usize = 12;

/// ½ Σₖ hᵢₖ (xₖ − θₖ − bᵢₖ)².
#[derive(Clone)]
struct Weighted {
    h: Vec<Vec<f64>>,
    b: Vec<Vec<f64>>,
}

impl Weighted {
    /// out ← the mean of share · hᵢ ∘ (x − θ − bᵢ).
    fn slope<S: Number>(&self, share: f64, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        out.fill(S::default());
        for i in batch.iter() {
            for k in 0..N {
                let r = (x[k] - theta[k]).plus(-self.b[i][k]);
                out[k] += r.times(share / batch.len() as f64 * self.h[i][k]);
            }
        }
    }
}

impl SampleLoss for Weighted {
    sizes!(self: N, N, SAMPLES);

    fn loss<S: Scalar>(&self, x: &[S], theta: &[S], i: usize) -> S {
        let terms: Vec<S> = (0..N)
            .map(|k| {
                let r = (x[k] - theta[k]).plus(-self.b[i][k]);
                r.squared().times(0.5 * self.h[i][k])
            })
            .collect();
        S::sum(&terms)
    }
}

impl Gradients for Weighted {
    sizes!(self: N, N, SAMPLES);

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        self.slope(1.0, batch, x, theta, out);
    }

    fn gradient_theta<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S], out: &mut [S]) {
        self.slope(-1.0, batch, x, theta, out);
    }
}

/// cosh(uⱼᵀx − cⱼ) + (ρ/2)‖θ‖².
#[derive(Clone)]
struct Cosh {
    u: Vec<Vec<f64>>,
    c: Vec<f64>,
    rho: f64,
}

impl SampleLoss for Cosh {
    sizes!(self: N, N, SAMPLES);

    fn loss<S: Scalar>(&self, x: &[S], _theta: &[S], j: usize) -> S {
        let z = S::dot_data(x, &self.u[j]).plus(-self.c[j]);
        (z.exp() + (-z).exp()).times(0.5)
    }

    fn penalty<S: Scalar>(&self, _x: &[S], theta: &[S]) -> S {
        S::dot(theta, theta).times(0.5 * self.rho)
    }
}

impl Gradients for Cosh {
    sizes!(self: N, N, SAMPLES);

    fn value<S: Number>(&self, batch: Batch<'_>, x: &[S], theta: &[S]) -> S {
        mean(self, batch, x, theta)
    }

    fn gradient<S: Number>(&self, batch: Batch<'_>, x: &[S], _theta: &[S], out: &mut [S]) {
        out.fill(S::default());
        for j in batch.iter() {
            let z = S::dot_data(x, &self.u[j]).plus(-self.c[j]);
            let slope = (z.exp() - (-z).exp()).times(0.5 / batch.len() as f64);
            for (out, &u) in out.iter_mut().zip(&self.u[j]) {
                *out += slope.times(u);
            }
        }
    }

    fn gradient_theta<S: Number>(&self, _batch: Batch<'_>, _x: &[S], theta: &[S], out: &mut [S]) {
        let all = out.iter_mut().zip(theta);
        all.for_each(|(o, t)| *o = t.times(self.rho));
    }
}

#[test]
fn unbounded_smoothness_lower_agrees() {
    let lower = UnboundedSmoothness::random(N, SAMPLES, 20.0, 2).lower();
    let zero = vec![0.0; N];
    let (mut h, mut b) = (Vec::new(), Vec::new());
    for i in 0..SAMPLES {
        let (mut product, mut gradient) = (vec![0.0; N], vec![0.0; N]);
        lower.batch_hvp(Batch::List(&[i]), &zero, &zero, &vec![1.0; N], &mut product);
        lower.batch_gradient(Batch::List(&[i]), &zero, &zero, &mut gradient);
        b.push(gradient.iter().zip(&product).map(|(g, h)| -g / h).collect());
        h.push(product);
    }
    Points::around(&zero).batch_lower("unbounded smoothness", &lower, &Weighted { h, b });
}

/// cosh z and sinh z at x = 0 and at unit vectors give cⱼ and uⱼ, up to the sign of both together.
#[test]
fn unbounded_smoothness_upper_agrees() {
    let upper = UnboundedSmoothness::random(N, SAMPLES, 20.0, 2).upper();
    let zero = vec![0.0; N];
    let mut by_theta = vec![0.0; N];
    let (mut u, mut c) = (Vec::new(), Vec::new());
    for j in 0..SAMPLES {
        let one = Batch::List(&[j]);
        let mut gradient = vec![0.0; N];
        upper.batch_gradients(one, &zero, &vec![1.0; N], &mut gradient, &mut by_theta);
        // f = cosh c and ∇f = −sinh(c) u.
        c.push(upper.batch_value(one, &zero, &zero).acosh());
        u.push(gradient.iter().map(|g| -g / c[j].sinh()).collect());
    }
    let rho = by_theta[0];
    // The square root in acosh doubles the digits that are lost near 1, where c is small.
    assert!(c.iter().all(|&c| c > 1e-2));
    let points = Points::around(&[0.5; N]);
    points.batch_upper("unbounded smoothness", &upper, &Cosh { u, c, rho });
}
