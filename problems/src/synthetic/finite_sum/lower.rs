//! The lower level of the finite sum.

use bilevel::problem::minibatch::{Batch, MinibatchLower, Products};
use bilevel::{Curvature, Error, Linearization, LowerLevel, Vector};
use std::sync::Arc;

use super::super::dot;
use super::{Data, add};

/// g of [`FiniteSum`](super::FiniteSum).
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct FiniteSumLower {
    pub(super) data: Arc<Data>,
}

impl FiniteSumLower {
    fn s(&self, i: usize) -> &[f64] {
        &self.data.s[i * self.data.n..(i + 1) * self.data.n]
    }

    fn t(&self, i: usize) -> &[f64] {
        &self.data.t[i * self.data.p..(i + 1) * self.data.p]
    }

    fn residual(&self, i: usize, x: &[f64], theta: &[f64]) -> f64 {
        dot(self.s(i), x) - dot(self.t(i), theta) - self.data.b[i]
    }

    fn all(&self) -> Batch<'static> {
        Batch::all(self.data.b.len())
    }
}

impl MinibatchLower for FiniteSumLower {
    fn samples(&self) -> usize {
        self.data.b.len()
    }

    fn batch_gradient(&self, batch: Batch<'_>, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        out.axpby(self.data.mu, x, 0.0);
        let share = 1.0 / batch.len() as f64;
        for i in batch.iter() {
            add(out, share * self.residual(i, x, theta), self.s(i));
        }
    }

    fn batch_gradient_theta(
        &self,
        batch: Batch<'_>,
        x: &Vec<f64>,
        theta: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        out.fill(0.0);
        let share = 1.0 / batch.len() as f64;
        for i in batch.iter() {
            add(out, -share * self.residual(i, x, theta), self.t(i));
        }
    }

    fn batch_hvp(
        &self,
        batch: Batch<'_>,
        _x: &Vec<f64>,
        _theta: &Vec<f64>,
        v: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        out.axpby(self.data.mu, v, 0.0);
        let share = 1.0 / batch.len() as f64;
        for i in batch.iter() {
            add(out, share * dot(self.s(i), v), self.s(i));
        }
    }

    fn batch_cross_vjp(
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
            add(out, -share * dot(self.s(i), v), self.t(i));
        }
    }

    fn batch_all(
        &self,
        batch: Batch<'_>,
        x: &Vec<f64>,
        theta: &Vec<f64>,
        v: &Vec<f64>,
        out: Products<'_, Vec<f64>, Vec<f64>>,
    ) {
        out.gradient.axpby(self.data.mu, x, 0.0);
        out.hvp.axpby(self.data.mu, v, 0.0);
        out.cross.fill(0.0);
        let share = 1.0 / batch.len() as f64;
        for i in batch.iter() {
            let along = share * dot(self.s(i), v);
            add(out.gradient, share * self.residual(i, x, theta), self.s(i));
            add(out.hvp, along, self.s(i));
            add(out.cross, -along, self.t(i));
        }
    }
}

impl LowerLevel for FiniteSumLower {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.data.n]
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        if theta.len() == self.data.p {
            return Ok(());
        }
        Err(Error::invalid(
            "theta",
            format!("{} numbers", theta.len()),
            format!("{} numbers", self.data.p),
        ))
    }

    fn value(&self, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let sum: f64 = self
            .all()
            .iter()
            .map(|i| self.residual(i, x, theta).powi(2))
            .sum();
        0.5 * (sum / self.samples() as f64 + self.data.mu * dot(x, x))
    }

    fn gradient(&self, x: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.batch_gradient(self.all(), x, theta, out);
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<f64>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        At {
            lower: self,
            x,
            theta,
        }
    }

    fn curvature(&self, _theta: &Vec<f64>) -> Curvature {
        let d = &self.data;
        Curvature {
            strong_convexity: Some(1.0 - 1e-9),
            smoothness: Some(d.condition * (1.0 + 1e-9)),
            hessian_lipschitz: Some(0.0),
            cross_norm: Some(d.cross_norm),
            cross_lipschitz: Some(0.0),
        }
    }

    fn identity(&self) -> String {
        self.data.name.clone()
    }
}

struct At<'a> {
    lower: &'a FiniteSumLower,
    x: &'a Vec<f64>,
    theta: &'a Vec<f64>,
}

impl Linearization for At<'_> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        self.lower
            .batch_hvp(self.lower.all(), self.x, self.theta, v, out);
    }

    fn cross_vjp(&self, w: &Vec<f64>, out: &mut Vec<f64>) {
        self.lower
            .batch_cross_vjp(self.lower.all(), self.x, self.theta, w, out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        out.fill(0.0);
        let share = 1.0 / self.lower.samples() as f64;
        for i in self.lower.all().iter() {
            add(out, -share * dot(self.lower.t(i), u), self.lower.s(i));
        }
    }
}
