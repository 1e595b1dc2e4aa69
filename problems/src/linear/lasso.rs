//! Lasso and elastic net with tuned penalties: a lower level that is not smooth.
//!
//! ```text
//! g(w, θ) = 1/(2n) Σᵢ (aᵢᵀw + b − yᵢ)² + λ₁‖w‖₁ + ½λ₂‖w‖²,   λ = e^θ,      f(w) = 1/(2m) Σ (aᵀw + b − y)² of the validation samples
//! ```
//!
//! θ = (ln λ₁) for the lasso, (ln λ₁, ln λ₂) for the elastic net. The intercept b has no penalty: samples are centred by the means of
//! the training samples; sparse features stay sparse.
//!
//! # Hypergradient
//! On the support S of w* and as long as no feature is about to enter or leave, w*ₛ is a smooth function of θ, and
//!
//! ```text
//! Aₛₛ q = ∇f(w*)ₛ,   Aₛₛ = ÃₛᵀÃₛ/n + λ₂ I;       ∂F/∂θ₁ = −λ₁⟨sign w*ₛ, q⟩,   ∂F/∂θ₂ = −λ₂⟨w*ₛ, q⟩
//! ```
//!
//! The system has one unknown per feature of the support. Start at a λ₁ below [`Lasso::largest_l1`], where the support is not empty. F itself is
//! continuous, with a kink where the support changes.
//!
//! # Cost and guarantee
//! Coordinate descent on working sets with Newton steps on the support, from the last w, until the duality gap G, of all features, proves
//! ‖Ã(w − w*)‖/√n ≤ √(2G) ≤ ε: predictions of training samples within ε in the root mean square. Bounds of F and ∇F assume the
//! same of the validation samples, and are [estimates](bilevel::Trust::Estimated).
//!
//! A pass costs as much as the columns of the working set have entries. With few features and many samples (at most 1024 features, and
//! columns at least four times as long as those of the Gram matrix) ÃᵀÃ/n is formed once, and a pass no longer depends on the samples.
//!
//! # References
//! R. Tibshirani: Regression shrinkage and selection via the lasso. J. R. Stat. Soc. B 58 (1996),
//! [doi:10.1111/j.2517-6161.1996.tb02080.x](https://doi.org/10.1111/j.2517-6161.1996.tb02080.x).
//! Q. Bertrand, Q. Klopfenstein, M. Massias, M. Blondel, S. Vaiter, A. Gramfort, J. Salmon: Implicit differentiation for fast hyperparameter
//! selection in non-smooth convex learning. J. Mach. Learn. Res. 23 (2022), [arXiv:2105.01637](https://arxiv.org/abs/2105.01637).

mod descent;

use bilevel::{Error, Folds, Mean, Vector};
use serde::{Deserialize, Serialize};

use crate::data::{LabelledData, RegressionData};
use crate::linear::sparse::{
    Cross, Samples, Solved, SparsePenalty, SparseRegression, Split, Support,
};
use crate::support::checks::check_logarithms;
use descent::Descent;

/// The most rounds of a descent.
const MOST_ROUNDS: u64 = 1000;

/// The penalties that θ holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shrinkage {
    /// λ₁ alone.
    Lasso,
    /// λ₁ and λ₂.
    ElasticNet,
}

/// The oracle of a lasso or an elastic net. See the [module](self).
pub type Lasso = SparseRegression<Shrinkage>;

impl Lasso {
    /// Tunes the penalties of a regression on `train` for the error on `validation`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples that differ in their number of features, or whose squares overflow.
    pub fn new(
        train: &RegressionData,
        validation: &RegressionData,
        shrinkage: Shrinkage,
    ) -> Result<Self, Error> {
        Ok(Lasso {
            split: Split::of_regressions(train, validation)?,
            penalty: shrinkage,
        })
    }

    /// The same for samples of two classes, dense or sparse: the target of the first class is −1, that of the second 1.
    ///
    /// # Errors
    /// As [`new`](Lasso::new), and for more than two classes.
    pub fn of_classes(
        train: &LabelledData<f64>,
        validation: &LabelledData<f64>,
        shrinkage: Shrinkage,
    ) -> Result<Self, Error> {
        Ok(Lasso {
            split: Split::of_classes(train, validation)?,
            penalty: shrinkage,
        })
    }

    /// The smallest λ₁ with w* = 0; start θ below its logarithm.
    pub fn largest_l1(&self) -> f64 {
        let samples = &self.split.train;
        let residual = samples.residual(&vec![0.0; samples.len()]);
        let slopes = (0..samples.len()).map(|j| residual.correlation(j).abs());
        slopes.fold(0.0, f64::max)
    }
}

impl Shrinkage {
    fn lambda(self, theta: &[f64]) -> [f64; 2] {
        match self {
            Shrinkage::Lasso => [theta[0].exp(), 0.0],
            Shrinkage::ElasticNet => [theta[0].exp(), theta[1].exp()],
        }
    }
}

impl SparsePenalty for Shrinkage {
    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        let expected = match self {
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

    fn solve(&self, samples: &Samples, theta: &[f64], epsilon: f64, w: &mut Vec<f64>) -> Solved {
        let mut descent = Descent::new(samples, self.lambda(theta), std::mem::take(w));
        let gap = descent.run(0.5 * epsilon * epsilon, MOST_ROUNDS);
        *w = descent.w;
        Solved::new(samples, gap, epsilon, descent.work)
    }

    fn derivatives<'a>(
        &'a self,
        samples: &'a Samples,
        theta: &[f64],
        w: &[f64],
    ) -> (Support<'a>, Cross<'a>) {
        let [l1, l2] = self.lambda(theta);
        let places: Vec<usize> = (0..w.len()).filter(|&j| w[j] != 0.0).collect();
        let on: Vec<f64> = places.iter().map(|&j| w[j]).collect();
        let norm = l1 * (on.len() as f64).sqrt() + l2 * on.norm();
        let product = move |q: &[f64]| -> Vec<f64> {
            let by_l1: f64 = on.iter().zip(q).map(|(w, q)| l1 * w.signum() * q).sum();
            let by_l2: f64 = on.iter().zip(q).map(|(w, q)| l2 * w * q).sum();
            match self {
                Shrinkage::Lasso => vec![by_l1],
                Shrinkage::ElasticNet => vec![by_l1, by_l2],
            }
        };
        let cross = Cross {
            product: Box::new(product),
            norm,
        };
        (on_support(samples, places, l2), cross)
    }

    fn identity(&self, fingerprint: u32) -> String {
        format!("{self:?} of {fingerprint:08x}")
    }
}

/// The Hessian of a lasso on the support: that of the loss, plus λ₂ I.
fn on_support(samples: &Samples, places: Vec<usize>, l2: f64) -> Support<'_> {
    let diagonal = vec![l2; places.len()];
    Support::new(samples, places, diagonal, Vec::new())
}

/// The oracle that tunes the penalties for the mean error over folds, each predicted by a regression on the others.
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
