//! The upper level of the finite sum.

use bilevel::problem::minibatch::{Batch, MinibatchUpper};
use bilevel::{UpperCurvature, UpperLevel, Vector};
use std::sync::Arc;

use super::super::dot;
use super::{Data, add};

/// f of [`FiniteSum`](super::FiniteSum).
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct FiniteSumUpper {
    pub(super) data: Arc<Data>,
}

impl FiniteSumUpper {
    fn u(&self, j: usize) -> &[f64] {
        &self.data.u[j * self.data.n..(j + 1) * self.data.n]
    }

    fn all(&self) -> Batch<'static> {
        Batch::all(self.data.c.len())
    }
}

impl MinibatchUpper for FiniteSumUpper {
    fn samples(&self) -> usize {
        self.data.c.len()
    }

    fn batch_value(&self, batch: Batch<'_>, x: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let sum: f64 = batch
            .iter()
            .map(|j| (dot(self.u(j), x) - self.data.c[j]).powi(2))
            .sum();
        0.5 * (sum / batch.len() as f64 + self.data.rho * dot(theta, theta))
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
            let residual = dot(self.u(j), x) - self.data.c[j];
            add(by_x, share * residual, self.u(j));
        }
    }
}

impl UpperLevel for FiniteSumUpper {
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
            gradient_x_lipschitz: Some(self.data.upper_smoothness),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    fn identity(&self) -> String {
        self.data.name.clone()
    }
}
