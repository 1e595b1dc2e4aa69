//! Ridge regression with tuned penalties.
//!
//! ```text
//! g(w, θ) = 1/(2n) Σᵢ (aᵢᵀw + b − yᵢ)² + ½ Σⱼ e^{θ_γ(j)} wⱼ²,      f(w) = 1/(2m) Σ (aᵀw + b − y)² of the validation samples
//! ```
//!
//! θ holds logarithms of penalties, one for all features or one per feature ([`Penalty`]). The intercept b has no penalty: it is ȳ − āᵀw with
//! the means of the training samples, and both levels see samples centred by these means. With the Gram matrix G = ÃᵀÃ/n of such samples
//!
//! ```text
//! g(w, θ) = ½ wᵀGw − cᵀw + s + ½ Σ e^θ w²,   c = Ãᵀỹ/n,  s = ‖ỹ‖²/(2n)           and f likewise
//! ```
//!
//! so that a product costs d² multiplications for any n; the matrix G + diag(e^θ) is factored once per θ and solves both linear systems.
//!
//! # Guarantee
//! μ = λ_min(G) + min e^θ and L = λ_max(G) + max e^θ, with the eigenvalues of G bounded against their rounding errors: values and
//! hypergradients are certified. The rounding errors of forming G, about n roundings of its entries, count as a change of the data.
//!
//! # Reference
//! A. Hoerl, R. Kennard: Ridge regression: biased estimation for nonorthogonal problems. Technometrics 12 (1970),
//! [doi:10.1080/00401706.1970.10488634](https://doi.org/10.1080/00401706.1970.10488634).

mod gram;

pub use crate::linear::penalty::Penalty;

use bilevel::linear::Fallback;
use bilevel::lower::NewtonCg;
use bilevel::oracle::folds::Folds;
use bilevel::{
    Curvature, Error, Implicit, Linearization, LowerLevel, Mean, UpperCurvature, UpperLevel, Vector,
};
use faer::linalg::solvers::{Llt, Solve};
use faer::{Mat, MatMut, Side};
use std::sync::OnceLock;

use crate::data::RegressionData;
use crate::linear::penalty::{Groups, extremes, product_terms};
use gram::Gram;

/// The lower level: ridge regression on training samples. See the [module](self).
pub struct Ridge {
    gram: Gram,
    groups: Groups,
    penalty: Penalty,
    /// ā and ȳ.
    means: Means,
    fingerprint: u32,
}

/// The means of features and targets.
#[derive(Debug, Clone, PartialEq)]
struct Means {
    features: Vec<f64>,
    target: f64,
}

/// The upper level: half the mean squared error on validation samples. See the [module](self).
pub struct MeanSquaredError {
    gram: Gram,
    fingerprint: u32,
}

impl Ridge {
    /// The regression of the targets of `train`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples whose squares overflow.
    pub fn new(train: &RegressionData, penalty: Penalty) -> Result<Self, Error> {
        let n = train.samples() as f64;
        let mut features = vec![0.0; train.columns()];
        for row in train.features().chunks_exact(train.columns()) {
            features.iter_mut().zip(row).for_each(|(m, a)| *m += a / n);
        }
        let means = Means {
            features,
            target: train.targets().iter().map(|y| y / n).sum(),
        };
        Ok(Ridge {
            gram: Gram::new(train, &means.features, means.target)?,
            groups: Groups::new(penalty, train.columns(), 1),
            penalty,
            means,
            fingerprint: train.fingerprint(),
        })
    }

    /// The upper level of this regression: its error on other samples.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples of another number of features, or whose squares overflow.
    pub fn error_on(&self, validation: &RegressionData) -> Result<MeanSquaredError, Error> {
        let d = self.gram.columns();
        if validation.columns() != d {
            let expected = format!("{d}, as in the training samples");
            return Err(Error::invalid("features", validation.columns(), expected));
        }
        let Means { features, target } = &self.means;
        Ok(MeanSquaredError {
            gram: Gram::new(validation, features, *target)?,
            fingerprint: validation.fingerprint(),
        })
    }

    /// The length of θ.
    pub fn theta_len(&self) -> usize {
        self.groups.len()
    }

    /// The solution w = x*(θ), by one factorisation.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ of another length, and one at which the system is singular to rounding.
    pub fn fit(&self, theta: &[f64]) -> Result<Vec<f64>, Error> {
        let theta = theta.to_vec();
        LowerLevel::check(self, &theta)?;
        let start = self.start();
        let mut w = start.clone();
        let at = AtPoint {
            problem: self,
            w: &start,
            weights: self.weights(&theta),
            theta: &theta,
            factor: OnceLock::new(),
        };
        if at.factor().is_none() {
            let expected = "penalties with which no combination of features is free";
            return Err(Error::invalid("theta", "a singular system", expected));
        }
        at.precondition(&self.gram.linear(), &mut w);
        Ok(w)
    }

    /// The intercept b of a fit w.
    pub fn intercept(&self, w: &[f64]) -> f64 {
        let along: f64 = self.means.features.iter().zip(w).map(|(a, w)| a * w).sum();
        self.means.target - along
    }

    /// ā and ȳ.
    pub(crate) fn means(&self) -> (&[f64], f64) {
        (&self.means.features, self.means.target)
    }

    pub(crate) fn penalty(&self) -> Penalty {
        self.penalty
    }

    pub(crate) fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    /// The size of the terms of A v.
    fn product_terms(&self, v: &[f64], weights: &[f64]) -> f64 {
        product_terms(self.gram.eigenvalues()[1], v, weights)
    }

    fn weights(&self, theta: &[f64]) -> Vec<f64> {
        let mut weights = vec![0.0; self.gram.columns()];
        self.groups.weights(theta, &mut weights);
        weights
    }
}

impl LowerLevel for Ridge {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn start(&self) -> Vec<f64> {
        vec![0.0; self.gram.columns()]
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        self.penalty.check::<f64>(&self.groups, theta)
    }

    fn value(&self, w: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        let mut product = w.clone();
        self.value_and_gradient(w, theta, &mut product)
    }

    fn gradient(&self, w: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.value_and_gradient(w, theta, out);
    }

    fn value_and_gradient(&self, w: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) -> f64 {
        let mut value = self.gram.value_and_gradient(w, out);
        for ((out, &w), &penalty) in out.iter_mut().zip(w).zip(&self.weights(theta)) {
            *out += penalty * w;
            value += 0.5 * penalty * w * w;
        }
        value
    }

    fn linearize<'a>(
        &'a self,
        w: &'a Vec<f64>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<f64>> + 'a {
        AtPoint {
            problem: self,
            w,
            weights: self.weights(theta),
            theta,
            factor: OnceLock::new(),
        }
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let [smallest, largest] = extremes(theta);
        let round = 4.0 * f64::EPSILON;
        let [low, high] = self.gram.eigenvalues();
        Curvature {
            strong_convexity: Some((low + smallest) * (1.0 - round)),
            smoothness: Some((high + largest) * (1.0 + round)),
            hessian_lipschitz: Some(0.0),
            // It grows with w; at one w the linearisation knows it exactly.
            cross_norm: None,
            cross_lipschitz: Some(largest * (1.0 + round)),
        }
    }

    fn gradient_rounding(&self, w: &Vec<f64>, theta: &Vec<f64>, gradient_norm: f64) -> f64 {
        let terms = self.product_terms(w, &self.weights(theta));
        let roundings = 8.0 + self.gram.columns() as f64;
        roundings * f64::EPSILON * (terms + self.gram.linear_norm() + gradient_norm)
    }

    fn identity(&self) -> String {
        let penalty = self.penalty.describe();
        format!("ridge regression of {:08x}, {penalty}", self.fingerprint)
    }
}

/// A = G + diag(e^θ) with its factor, computed on demand; the factor is `None` where A is not positive definite to rounding.
struct AtPoint<'a> {
    problem: &'a Ridge,
    w: &'a Vec<f64>,
    theta: &'a Vec<f64>,
    weights: Vec<f64>,
    factor: OnceLock<Option<Llt<f64>>>,
}

impl AtPoint<'_> {
    fn factor(&self) -> Option<&Llt<f64>> {
        let factored = || {
            let mut matrix: Mat<f64> = self.problem.gram.matrix().to_owned();
            for (j, weight) in self.weights.iter().enumerate() {
                matrix[(j, j)] += weight;
            }
            Llt::new(matrix.as_ref(), Side::Lower).ok()
        };
        self.factor.get_or_init(factored).as_ref()
    }

    /// max over the groups of e^θ ‖·‖.
    fn largest_group(&self, of: &[f64]) -> f64 {
        let mut sums = vec![0.0; self.theta.len()];
        self.problem.groups.largest(of, self.theta, &mut sums)
    }
}

impl Linearization for AtPoint<'_> {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn hvp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        self.problem.gram.product(v, out);
        for ((out, &v), &weight) in out.iter_mut().zip(v).zip(&self.weights) {
            *out += weight * v;
        }
    }

    fn cross_vjp(&self, v: &Vec<f64>, out: &mut Vec<f64>) {
        self.problem.groups.cross(&self.weights, self.w, v, out);
    }

    fn cross_jvp(&self, u: &Vec<f64>, out: &mut Vec<f64>) {
        self.problem.groups.expand_by(u, &self.weights, out);
        out.iter_mut().zip(self.w).for_each(|(out, &w)| *out *= w);
    }

    fn has_preconditioner(&self) -> bool {
        true
    }

    fn precondition(&self, r: &Vec<f64>, out: &mut Vec<f64>) {
        out.copy_from(r);
        if let Some(factor) = self.factor() {
            let rows = out.len();
            factor.solve_in_place(MatMut::from_column_major_slice_mut(out, rows, 1));
        }
    }

    /// d³/3 multiplications.
    fn preparation(&self) -> u64 {
        let paid = self.factor.get().is_some();
        u64::from(paid) * (self.w.len() as u64).div_ceil(3)
    }

    fn cross_change(&self, q: &Vec<f64>, radius: f64) -> Option<f64> {
        Some(radius * self.largest_group(q))
    }

    fn hvp_terms(&self, v: &Vec<f64>) -> Option<f64> {
        Some(self.problem.product_terms(v, &self.weights))
    }

    /// The columns of B belong to groups of weights, and are orthogonal.
    fn cross_norm(&self, _buffer: &mut Vec<f64>) -> Option<f64> {
        Some(self.largest_group(self.w))
    }
}

impl UpperLevel for MeanSquaredError {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, w: &Vec<f64>, _theta: &Vec<f64>) -> f64 {
        let mut product = w.clone();
        self.gram.value_and_gradient(w, &mut product)
    }

    fn gradient_x(&self, w: &Vec<f64>, _theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.gram.value_and_gradient(w, out);
    }

    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature {
            gradient_x_lipschitz: Some(self.gram.eigenvalues()[1]),
            gradient_theta_lipschitz: Some(0.0),
            convex: true,
        }
    }

    /// The terms cancel: they are those of ½ wᵀGw, cᵀw and s.
    fn value_rounding(&self, w: &Vec<f64>, _theta: &Vec<f64>, _value: f64) -> f64 {
        self.gram.value_rounding(w)
    }

    fn identity(&self) -> String {
        format!("squared error on {:08x}", self.fingerprint)
    }
}

/// The oracle that tunes the penalties of a regression on `train` for the error on `validation`. One factorisation solves both of its
/// systems.
///
/// # Errors
/// [`Error::InvalidArgument`] for samples that differ in their number of features, or whose squares overflow.
pub fn ridge(
    train: &RegressionData,
    validation: &RegressionData,
    penalty: Penalty,
) -> Result<Implicit<Ridge, MeanSquaredError, NewtonCg, Fallback>, Error> {
    let lower = Ridge::new(train, penalty)?;
    let upper = lower.error_on(validation)?;
    Ok(Implicit::new(lower, upper)
        .with_lower_solver(NewtonCg::default())
        .with_linear_solver(Fallback::default()))
}

/// The oracle that tunes the penalties for the mean error over folds, each predicted by a regression on the others.
///
/// # Errors
/// As [`ridge`], and for folds of other samples.
pub fn cross_validated_ridge(
    samples: &RegressionData,
    folds: &Folds,
    penalty: Penalty,
) -> Result<Mean<Implicit<Ridge, MeanSquaredError, NewtonCg, Fallback>>, Error> {
    folds.oracle(|fold| {
        let (train, validation) = samples.split(&fold)?;
        ridge(&train, &validation, penalty)
    })
}
