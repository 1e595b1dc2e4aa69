//! Solutions of a lower level, and the hypergradient at one.

use bilevel::status::SolveStatus;
use bilevel::{Accuracy, Error, Evaluation, Hypergradient, Trust, Vector, Work};
use serde::{Deserialize, Serialize};

use super::support::MOST_PRODUCTS;
use super::{Samples, Split, Support};

/// The last solution w of a sparse regression and the adjoint there: the warm starts of lasso and group lasso.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[doc(hidden)]
pub struct SparseState {
    pub(crate) w: Vec<f64>,
    pub(crate) adjoint: Vec<f64>,
}

impl SparseState {
    pub(crate) fn new(features: usize) -> Self {
        SparseState {
            w: vec![0.0; features],
            adjoint: vec![0.0; features],
        }
    }

    /// The weights w; those outside the support are zero.
    pub fn w(&self) -> &[f64] {
        &self.w
    }

    /// Refuses a state of another number of features.
    pub(crate) fn check(&self, features: usize) -> Result<(), Error> {
        if self.w.len() == features && self.adjoint.len() == features {
            return Ok(());
        }
        let found = format!("{} features", self.w.len());
        Err(Error::invalid(
            "state",
            found,
            format!("{features} features"),
        ))
    }
}

/// The outcome of a solve of the lower level.
pub(crate) struct Solved {
    /// √(2G).
    epsilon: f64,
    status: SolveStatus,
    work: Work,
}

impl Solved {
    /// The outcome of a solve that ended with this duality gap, where predictions within `epsilon` were asked for.
    pub(crate) fn new(samples: &Samples, gap: f64, epsilon: f64, mut work: Work) -> Self {
        work.lower_solves += 1;
        let attained = (2.0 * gap).sqrt();
        let rounding = (f64::EPSILON * samples.square()).sqrt();
        let status = if attained <= epsilon {
            SolveStatus::Converged
        } else if attained <= 16.0 * rounding {
            SolveStatus::Stagnated
        } else {
            SolveStatus::IterationLimit
        };
        Solved {
            epsilon: attained,
            status,
            work,
        }
    }
}

/// A product with a matrix.
type Product<'a> = dyn Fn(&[f64]) -> Vec<f64> + 'a;

/// The mixed derivative at a solution, B = ∂²g/∂θ∂w on the support.
pub(crate) struct Cross<'a> {
    /// q ↦ B q.
    pub(crate) product: Box<Product<'a>>,
    /// A bound of ‖B‖.
    pub(crate) norm: f64,
}

impl Split {
    pub(crate) fn evaluation(&self, mut solved: Solved, w: &[f64]) -> Evaluation {
        solved.work.upper_values += 1;
        Evaluation {
            value: self.bounded(&self.validation_residual(w), solved.epsilon),
            epsilon: solved.epsilon,
            status: solved.status,
            work: solved.work,
        }
    }

    /// −B q with A q = ∇f on the support, solved to `delta`.
    pub(crate) fn hypergradient(
        &self,
        solved: Solved,
        support: &Support<'_>,
        cross: &Cross<'_>,
        delta: f64,
        state: &mut SparseState,
    ) -> Hypergradient<Vec<f64>> {
        let residual = self.validation_residual(&state.w);
        let value = self.bounded(&residual, solved.epsilon);
        let gradient = self.gradient(&support.places, &residual);
        let mut q: Vec<f64> = support.places.iter().map(|&j| state.adjoint[j]).collect();
        let relative = (delta / gradient.norm().max(f64::MIN_POSITIVE)).clamp(1e-13, 0.1);
        let report = support.solve(&gradient, relative, MOST_PRODUCTS, &mut q);
        let mut work = solved.work;
        work.linear_solves += 1;
        work.hessian_products += report.products;
        work.cross_products += 1;
        work.upper_values += 1;
        work.upper_gradients += 1;
        state.adjoint.fill(0.0);
        for (&j, &q) in support.places.iter().zip(&q) {
            state.adjoint[j] = q;
        }
        let mut z = (cross.product)(&q);
        z.scale(-1.0);
        // ‖B‖/μ times the error of the right-hand side, with the curvature along q for μ; validation samples are taken to be like the
        // training samples.
        let mut image = q.clone();
        support.product(&q, &mut image);
        let mu = image.dot(&q) / q.dot(&q).max(f64::MIN_POSITIVE);
        let wrong = support.spread() * solved.epsilon + report.residual;
        let bound = cross.norm / mu * wrong;
        // With an empty support F is flat, but nothing is known about what lies beyond: that is not a stationary point to be trusted.
        let known = !q.is_empty() && bound.is_finite();
        Hypergradient {
            error_bound: if known { bound } else { f64::INFINITY },
            trust: Trust::Estimated,
            correction: None,
            goal_oriented: value.value,
            value,
            attained: Accuracy {
                epsilon: solved.epsilon,
                delta: report.residual,
            },
            lower_status: solved.status,
            adjoint_status: report.status,
            attempts: Vec::new(),
            gradient: z,
            work,
        }
    }
}
