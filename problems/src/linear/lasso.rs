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
//! Coordinate descent on working sets with Newton steps on the support, from the last w, until the duality gap G, of all features, proves
//! ‖Ã(w − w*)‖/√n ≤ √(2G) ≤ ε: predictions of training samples within ε, in the root mean square. Bounds of F and ∇F take the validation
//! samples for such as these, and are [estimates](bilevel::Trust::Estimated).
//!
//! A pass costs as much as the columns of the working set have entries. Where features are few against samples (at most 1024, and a column
//! of the samples four times as long as one of the Gram matrix), ÃᵀÃ/n is formed once and samples cost nothing any more.
//!
//! # References
//! R. Tibshirani: Regression shrinkage and selection via the lasso. J. R. Stat. Soc. B 58 (1996),
//! [doi:10.1111/j.2517-6161.1996.tb02080.x](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x).
//! Q. Bertrand, Q. Klopfenstein, M. Massias, M. Blondel, S. Vaiter, A. Gramfort, J. Salmon: Implicit differentiation for fast hyperparameter
//! selection in non-smooth convex learning. J. Mach. Learn. Res. 23 (2022), [arXiv:2105.01637](https://arxiv.org/abs/2105.01637).

mod descent;

use bilevel::{Accuracy, Error, Evaluation, Folds, Hypergradient, Mean, Oracle, Vector};
use serde::{Deserialize, Serialize};

use crate::data::{LabelledData, RegressionData};
pub use crate::linear::sparse::LassoState;
use crate::linear::sparse::{Cross, Samples, Solved, Split, Support};
use crate::support::checks::check_logarithms;
use descent::Descent;

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
    split: Split,
    shrinkage: Shrinkage,
}

impl Lasso {
    /// The penalties of a regression on `train` for the error on `validation`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples that differ in their number of features, and such whose squares overflow.
    pub fn new(
        train: &RegressionData,
        validation: &RegressionData,
        shrinkage: Shrinkage,
    ) -> Result<Self, Error> {
        Ok(Lasso {
            split: Split::of_regressions(train, validation)?,
            shrinkage,
        })
    }

    /// The same for tables of two classes, dense or sparse: −1 is predicted for the first one and 1 for the second.
    ///
    /// # Errors
    /// As [`new`](Lasso::new), and for more classes.
    pub fn of_classes(
        train: &LabelledData<f64>,
        validation: &LabelledData<f64>,
        shrinkage: Shrinkage,
    ) -> Result<Self, Error> {
        Ok(Lasso {
            split: Split::of_classes(train, validation)?,
            shrinkage,
        })
    }

    /// The least λ₁ at which w* = 0, where θ may begin.
    pub fn largest_l1(&self) -> f64 {
        let samples = &self.split.train;
        let residual = samples.residual(&vec![0.0; samples.len()]);
        let slopes = (0..samples.len()).map(|j| residual.correlation(j).abs());
        slopes.fold(0.0, f64::max)
    }

    /// b, of a fit w.
    pub fn intercept(&self, w: &[f64]) -> f64 {
        self.split.intercept(w)
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
        let samples = &self.split.train;
        let mut descent = Descent::new(samples, self.lambda(theta), std::mem::take(w));
        let gap = descent.run(0.5 * epsilon * epsilon, MOST_ROUNDS);
        *w = descent.w;
        Solved::new(samples, gap, epsilon, descent.work)
    }
}

impl Oracle for Lasso {
    type Theta = Vec<f64>;
    type State = LassoState;

    fn start(&self, theta: &Vec<f64>) -> Result<LassoState, Error> {
        self.check_theta(theta)?;
        Ok(LassoState::new(self.split.train.len()))
    }

    fn value(
        &self,
        theta: &Vec<f64>,
        epsilon: f64,
        state: &mut LassoState,
    ) -> Result<Evaluation, Error> {
        self.check(theta, state)?;
        let solved = self.solve(theta, epsilon, &mut state.w);
        Ok(self.split.evaluation(solved, &state.w))
    }

    fn hypergradient(
        &self,
        theta: &Vec<f64>,
        accuracy: Accuracy,
        state: &mut LassoState,
    ) -> Result<Hypergradient<Vec<f64>>, Error> {
        self.check(theta, state)?;
        let solved = self.solve(theta, accuracy.epsilon, &mut state.w);
        let [l1, l2] = self.lambda(theta);
        let places: Vec<usize> = (0..state.w.len()).filter(|&j| state.w[j] != 0.0).collect();
        let on: Vec<f64> = places.iter().map(|&j| state.w[j]).collect();
        let product = |q: &[f64]| -> Vec<f64> {
            let by_l1: f64 = on.iter().zip(q).map(|(w, q)| l1 * w.signum() * q).sum();
            let by_l2: f64 = on.iter().zip(q).map(|(w, q)| l2 * w * q).sum();
            match self.shrinkage {
                Shrinkage::Lasso => vec![by_l1],
                Shrinkage::ElasticNet => vec![by_l1, by_l2],
            }
        };
        let cross = Cross {
            product: &product,
            norm: l1 * (on.len() as f64).sqrt() + l2 * on.norm(),
        };
        let support = on_support(&self.split.train, places, l2);
        let delta = accuracy.delta;
        Ok(self
            .split
            .hypergradient(solved, &support, &cross, delta, state))
    }

    fn check(&self, theta: &Vec<f64>, state: &LassoState) -> Result<(), Error> {
        self.check_theta(theta)?;
        state.check(self.split.train.len())
    }

    fn probe(&self, _theta: &Vec<f64>, state: &LassoState) -> f64 {
        let residual = self.split.validation_residual(&state.w);
        self.split.bounded(&residual, 0.0).value
    }

    fn identity(&self) -> String {
        format!("{:?} of {:08x}", self.shrinkage, self.split.fingerprint)
    }
}

/// The Hessian of a lasso: that of the loss, and λ₂ I.
fn on_support(samples: &Samples, places: Vec<usize>, l2: f64) -> Support<'_> {
    let diagonal = vec![l2; places.len()];
    Support::new(samples, places, diagonal, Vec::new())
}

/// The oracle that learns the penalties for the mean error over folds, each predicted by a regression on the others.
///
/// # Errors
/// As [`Lasso::new`], and for folds of other samples.
pub fn cross_validated_lasso(
    samples: &RegressionData,
    folds: &Folds,
    shrinkage: Shrinkage,
) -> Result<Mean<Lasso>, Error> {
    folds.oracle(|fold| {
        let (train, validation) = samples.split(&fold)?;
        Lasso::new(&train, &validation, shrinkage)
    })
}
