//! Lasso and elastic net with tuned penalties: a lower level that is not smooth.
//!
//! ```text
//! g(w, θ) = 1/(2n) Σᵢ (aᵢᵀw + b − yᵢ)² + λ₁‖w‖₁ + ½λ₂‖w‖²,   λ = e^θ,      f(w) = 1/(2m) Σ (aᵀw + b − y)² of the validation samples
//! ```
//!
//! θ = (ln λ₁) for the lasso, (ln λ₁, ln λ₂) for the elastic net. The intercept b has no penalty: means of the training samples are taken
//! off, of a sparse matrix in thought only.
//!
//! # Hypergradient
//! On the support S of w* and as long as no feature is about to enter or leave, w*ₛ is a smooth function of θ, and
//!
//! ```text
//! Aₛₛ q = ∇f(w*)ₛ,   Aₛₛ = ÃₛᵀÃₛ/n + λ₂ I;       ∂F/∂θ₁ = −λ₁⟨sign w*ₛ, q⟩,   ∂F/∂θ₂ = −λ₂⟨w*ₛ, q⟩
//! ```
//!
//! The system has as many unknowns as the model has features; begin at a λ₁ below [`Lasso::largest_l1`], where it has some. F itself is continuous, and has a kink where the support changes.
//!
//! # Cost and guarantee
//! Coordinate descent with Newton steps on the support, from the last w, until the duality gap G proves ‖Ã(w − w*)‖/√n ≤ √(2G) ≤ ε: predictions of training
//! samples within ε, in the root mean square. Bounds of F and ∇F take the validation samples for such as these, and are
//! [estimates](bilevel::Trust::Estimated).
//!
//! # References
//! R. Tibshirani: Regression shrinkage and selection via the lasso. J. R. Stat. Soc. B 58 (1996),
//! [doi:10.1111/j.2517-6161.1996.tb02080.x](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x).
//! Q. Bertrand, Q. Klopfenstein, M. Massias, M. Blondel, S. Vaiter, A. Gramfort, J. Salmon: Implicit differentiation for fast hyperparameter
//! selection in non-smooth convex learning. J. Mach. Learn. Res. 23 (2022), [arXiv:2105.01637](https://arxiv.org/abs/2105.01637).

mod columns;
mod descent;
mod support;

use bilevel::status::SolveStatus;
use bilevel::{
    Accuracy, Bounded, Error, Evaluation, Folds, Hypergradient, Oracle, Sum, Trust, Vector, Work,
};
use serde::{Deserialize, Serialize};

use crate::data::{Regression, Table};
use crate::imaging::check_logarithms;
use columns::{Columns, Residual};
use descent::Descent;
use support::Support;

/// Rounds of a descent, at most.
const MOST_ROUNDS: u64 = 1000;

/// The penalties that θ holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shrinkage {
    /// λ₁; there is no λ₂.
    Lasso,
    /// λ₁ and λ₂.
    ElasticNet,
}

/// The oracle of a lasso or an elastic net. See the [module](self).
pub struct Lasso {
    train: Columns,
    targets: Vec<f64>,
    target_mean: f64,
    validation: Columns,
    validation_targets: Vec<f64>,
    shrinkage: Shrinkage,
    fingerprint: u32,
}

/// The last w, and the adjoint at it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LassoState {
    w: Vec<f64>,
    adjoint: Vec<f64>,
}

impl LassoState {
    /// w: zero, but on the support.
    pub fn w(&self) -> &[f64] {
        &self.w
    }
}

/// A solution of the lower level.
struct Solved {
    /// √(2G).
    epsilon: f64,
    status: SolveStatus,
    work: Work,
}

impl Lasso {
    /// The penalties of a regression on `train` for the error on `validation`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples that differ in their number of features, and such whose squares overflow.
    pub fn new(
        train: &Regression,
        validation: &Regression,
        shrinkage: Shrinkage,
    ) -> Result<Self, Error> {
        let part = |samples: &Regression| {
            Ok::<_, Error>((Columns::of_regression(samples)?, samples.targets().to_vec()))
        };
        Self::of(part(train)?, part(validation)?, shrinkage)
    }

    /// The same for tables of two classes, dense or sparse: −1 is predicted for the first one and 1 for the second.
    ///
    /// # Errors
    /// As [`new`](Lasso::new), and for more classes.
    pub fn of_classes(
        train: &Table<f64>,
        validation: &Table<f64>,
        shrinkage: Shrinkage,
    ) -> Result<Self, Error> {
        if train.classes() != 2 {
            return Err(Error::invalid("classes", train.classes(), "two"));
        }
        let part = |samples: &Table<f64>| {
            let labels = samples.labels().iter();
            let targets = labels.map(|&l| if l == 1 { 1.0 } else { -1.0 }).collect();
            Ok::<_, Error>((Columns::of_table(samples)?, targets))
        };
        Self::of(part(train)?, part(validation)?, shrinkage)
    }

    fn of(
        (train, targets): (Columns, Vec<f64>),
        (validation, validation_targets): (Columns, Vec<f64>),
        shrinkage: Shrinkage,
    ) -> Result<Self, Error> {
        if train.len() != validation.len() {
            let expected = format!("{}, as in the training samples", train.len());
            return Err(Error::invalid("features", validation.len(), expected));
        }
        let target_mean = targets.iter().sum::<f64>() / targets.len() as f64;
        let sums = [&targets[..], &validation_targets, train.means()].concat();
        Ok(Lasso {
            fingerprint: crate::fingerprint::fingerprint(&sums),
            targets: targets.iter().map(|y| y - target_mean).collect(),
            validation_targets: validation_targets.iter().map(|y| y - target_mean).collect(),
            target_mean,
            train,
            validation,
            shrinkage,
        })
    }

    /// The least λ₁ at which w* = 0, where θ may begin.
    pub fn largest_l1(&self) -> f64 {
        let residual = Residual {
            raw: self.targets.clone(),
            offset: 0.0,
        };
        let slopes = (0..self.train.len()).map(|j| residual.correlation(&self.train, j).abs());
        slopes.fold(0.0, f64::max)
    }

    /// b, of a fit w.
    pub fn intercept(&self, w: &[f64]) -> f64 {
        let along: f64 = self.train.means().iter().zip(w).map(|(m, w)| m * w).sum();
        self.target_mean - along
    }

    fn lambda(&self, theta: &[f64]) -> [f64; 2] {
        match self.shrinkage {
            Shrinkage::Lasso => [theta[0].exp(), 0.0],
            Shrinkage::ElasticNet => [theta[0].exp(), theta[1].exp()],
        }
    }

    fn check_theta(&self, theta: &[f64]) -> Result<(), Error> {
        let expected = match self.shrinkage {
            Shrinkage::Lasso => 1,
            Shrinkage::ElasticNet => 2,
        };
        if theta.len() != expected {
            let found = format!("{} numbers", theta.len());
            let expected = format!("{expected}: logarithms of penalties");
            return Err(Error::invalid("theta", found, expected));
        }
        check_logarithms::<f64>(theta)
    }

    fn solve(&self, theta: &[f64], epsilon: f64, w: &mut Vec<f64>) -> Solved {
        let start = std::mem::take(w);
        let mut descent = Descent::new(&self.train, &self.targets, self.lambda(theta), start);
        let gap = descent.run(0.5 * epsilon * epsilon, MOST_ROUNDS);
        let attained = (2.0 * gap).sqrt();
        let rounding = (f64::EPSILON * self.targets.norm().powi(2)).sqrt();
        let status = if attained <= epsilon {
            SolveStatus::Converged
        } else if attained <= 16.0 * rounding {
            SolveStatus::Stagnated
        } else {
            SolveStatus::IterationLimit
        };
        let mut work = descent.work;
        work.lower_solves += 1;
        *w = descent.w;
        Solved {
            epsilon: attained,
            status,
            work,
        }
    }

    /// The residual of the validation samples, ỹ − Ãw with the means of the training samples.
    fn validation_residual(&self, w: &[f64]) -> Vec<f64> {
        let mut r = self.validation_targets.clone();
        let mut mean = 0.0;
        for (j, &w) in w.iter().enumerate().filter(|(_, w)| **w != 0.0) {
            self.validation.add(j, -w, &mut r);
            mean += w * self.train.means()[j];
        }
        r.iter_mut().for_each(|r| *r += mean);
        r
    }

    /// f, with what an error of ε in predictions may do to it.
    fn bounded(&self, residual: &[f64], epsilon: f64) -> Bounded {
        let value = 0.5 * residual.to_vec().norm().powi(2) / residual.len() as f64;
        let error = (2.0 * value).sqrt() * epsilon + 0.5 * epsilon * epsilon;
        Bounded {
            value,
            lower: value - error,
            upper: value + error,
            trust: Trust::Estimated,
        }
    }
}

impl Oracle for Lasso {
    type Theta = Vec<f64>;
    type State = LassoState;

    fn start(&self, theta: &Vec<f64>) -> Result<LassoState, Error> {
        self.check_theta(theta)?;
        Ok(LassoState {
            w: vec![0.0; self.train.len()],
            adjoint: vec![0.0; self.train.len()],
        })
    }

    fn value(
        &self,
        theta: &Vec<f64>,
        epsilon: f64,
        state: &mut LassoState,
    ) -> Result<Evaluation, Error> {
        self.check(theta, state)?;
        let mut solved = self.solve(theta, epsilon, &mut state.w);
        solved.work.upper_values += 1;
        Ok(Evaluation {
            value: self.bounded(&self.validation_residual(&state.w), solved.epsilon),
            epsilon: solved.epsilon,
            status: solved.status,
            work: solved.work,
        })
    }

    fn hypergradient(
        &self,
        theta: &Vec<f64>,
        accuracy: Accuracy,
        state: &mut LassoState,
    ) -> Result<Hypergradient<Vec<f64>>, Error> {
        self.check(theta, state)?;
        let solved = self.solve(theta, accuracy.epsilon, &mut state.w);
        let mut work = solved.work;
        let [l1, l2] = self.lambda(theta);
        let residual = self.validation_residual(&state.w);
        let value = self.bounded(&residual, solved.epsilon);
        let places: Vec<usize> = (0..state.w.len()).filter(|&j| state.w[j] != 0.0).collect();
        let m = residual.len() as f64;
        let sum: f64 = residual.iter().sum();
        let gradient: Vec<f64> = places
            .iter()
            .map(|&j| (sum * self.train.means()[j] - self.validation.dot(j, &residual)) / m)
            .collect();
        let support = Support::new(&self.train, places, l2);
        let mut q: Vec<f64> = support.places.iter().map(|&j| state.adjoint[j]).collect();
        let norm = gradient.norm();
        let relative = (accuracy.delta / norm.max(f64::MIN_POSITIVE)).clamp(1e-13, 0.1);
        let report = support.solve(&gradient, relative, &mut q);
        work.linear_solves += 1;
        work.hessian_products += report.products;
        work.cross_products += 1;
        work.upper_values += 1;
        work.upper_gradients += 1;
        state.adjoint.fill(0.0);
        let (mut by_l1, mut by_l2) = (0.0, 0.0);
        for (&j, &q) in support.places.iter().zip(&q) {
            state.adjoint[j] = q;
            by_l1 -= l1 * state.w[j].signum() * q;
            by_l2 -= l2 * state.w[j] * q;
        }
        let z = match self.shrinkage {
            Shrinkage::Lasso => vec![by_l1],
            Shrinkage::ElasticNet => vec![by_l1, by_l2],
        };
        // ‖B‖/μ times what is wrong in the right-hand side, with the curvature along q for μ, and predictions of either kind of sample alike.
        let mut image = q.clone();
        support.product(&q, &mut image);
        let mu = image.dot(&q) / q.dot(&q).max(f64::MIN_POSITIVE);
        let largest = support.places.iter().map(|&j| self.train.variances()[j]);
        let spread = largest.sum::<f64>().sqrt();
        let cross = l1 * (q.len() as f64).sqrt() + l2 * state.w.norm();
        let wrong = spread * solved.epsilon + report.residual;
        let bound = cross / mu * wrong;
        // Where no feature is in the model F is flat, and nothing tells what lies beyond: that is no stationary point to be trusted.
        let known = !q.is_empty() && bound.is_finite();
        Ok(Hypergradient {
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
        })
    }

    fn check(&self, theta: &Vec<f64>, state: &LassoState) -> Result<(), Error> {
        self.check_theta(theta)?;
        if state.w.len() == self.train.len() && state.adjoint.len() == self.train.len() {
            return Ok(());
        }
        let found = format!("{} features", state.w.len());
        let expected = format!("{} features", self.train.len());
        Err(Error::invalid("state", found, expected))
    }

    fn probe(&self, _theta: &Vec<f64>, state: &LassoState) -> f64 {
        self.bounded(&self.validation_residual(&state.w), 0.0).value
    }

    fn identity(&self) -> String {
        format!("{:?} of {:08x}", self.shrinkage, self.fingerprint)
    }
}

/// The oracle that learns the penalties for the mean error over folds, each predicted by a regression on the others.
///
/// # Errors
/// As [`Lasso::new`], and for folds of other samples.
pub fn cross_validated_lasso(
    samples: &Regression,
    folds: &Folds,
    shrinkage: Shrinkage,
) -> Result<Sum<Lasso>, Error> {
    folds.oracle(|fold| {
        let (train, validation) = samples.split(&fold)?;
        Lasso::new(&train, &validation, shrinkage)
    })
}
