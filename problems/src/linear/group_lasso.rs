//! Group lasso with tuned penalties: features enter and leave the model in groups.
//!
//! ```text
//! g(x, θ) = 1/(2n) ‖y − A x − b‖² + Σ_g λ_g ‖x_g‖,   λ_g = e^θ_g √|g|,      f(x) = 1/(2m) ‖y − A x − b‖² of the validation samples
//! ```
//!
//! with one θ for all groups or one for each; the groups are disjoint and hold all features. ‖·‖ is the Euclidean norm: groups of one
//! feature make the [lasso](crate::linear::lasso). The intercept b has no penalty.
//!
//! # Hypergradient
//! With S the features of the active groups, those with x*_g ≠ 0, and u_g = x*_g/‖x*_g‖, and no group about to enter or leave,
//!
//! ```text
//! A q = ∇f(x*)ₛ,   A = ÃₛᵀÃₛ/n + diag_g λ_g (I − u_g u_gᵀ)/‖x*_g‖;       ∂F/∂θ_g = −λ_g⟨u_g, q_g⟩
//! ```
//!
//! or the sum of these where all groups share one θ; an inactive group has the derivative 0. F is continuous, with a kink where a group enters or
//! leaves. Start below [`GroupLasso::largest_penalty`], where a group is active.
//!
//! # Cost and guarantee
//! Proximal block coordinate descent with Newton steps, from the last x, until the duality gap G proves predictions of training samples to
//! be within ε in the root mean square: √(2G) ≤ ε. Bounds of F and ∇F are [estimates](bilevel::Trust::Estimated), as those of the lasso.
//!
//! # References
//! M. Yuan, Y. Lin: Model selection and estimation in regression with grouped variables. J. R. Stat. Soc. B 68 (2006),
//! [doi:10.1111/j.1467-9868.2005.00532.x](https://doi.org/10.1111/j.1467-9868.2005.00532.x).
//! S. Vaiter, C. Deledalle, G. Peyré, J. Fadili, C. Dossal: The degrees of freedom of the group lasso. 2012,
//! [arXiv:1205.1481](https://arxiv.org/abs/1205.1481).

mod descent;
mod partition;
mod penalties;

use bilevel::{Error, Folds, Mean, Vector};
use serde::{Deserialize, Serialize};

use crate::data::{LabelledData, RegressionData};
use crate::linear::sparse::{
    Cross, Samples, Solved, SparsePenalty, SparseRegression, Split, Support,
};
use crate::support::checks::check_logarithms;
use descent::Descent;
pub use partition::Partition;
use penalties::Penalties;

/// The most rounds of a descent.
const MOST_ROUNDS: u64 = 1000;

/// Which groups share a penalty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupPenalty {
    /// θ holds one logarithm for all groups.
    Single,
    /// θ holds one logarithm per group, in their order.
    PerGroup,
}

/// The oracle of a group lasso. See the [module](self).
pub type GroupLasso = SparseRegression<GroupShrinkage>;

/// The groups of a group lasso and the meaning of θ.
#[doc(hidden)]
pub struct GroupShrinkage {
    groups: Penalties,
    sharing: GroupPenalty,
}

impl GroupLasso {
    /// Tunes the penalties of a regression on `train` for the error on `validation`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples that differ in their number of features, groups of another number of features, and samples
    /// whose squares overflow.
    pub fn new(
        train: &RegressionData,
        validation: &RegressionData,
        groups: &Partition,
        penalty: GroupPenalty,
    ) -> Result<Self, Error> {
        Self::of(Split::of_regressions(train, validation)?, groups, penalty)
    }

    /// The same for samples of two classes, dense or sparse: the target of the first class is −1, that of the second 1.
    ///
    /// # Errors
    /// As [`new`](GroupLasso::new), and for more than two classes.
    pub fn of_classes(
        train: &LabelledData<f64>,
        validation: &LabelledData<f64>,
        groups: &Partition,
        penalty: GroupPenalty,
    ) -> Result<Self, Error> {
        Self::of(Split::of_classes(train, validation)?, groups, penalty)
    }

    fn of(split: Split, groups: &Partition, sharing: GroupPenalty) -> Result<Self, Error> {
        let features = split.train.len();
        if groups.features() != features {
            let found = format!("{} features", groups.features());
            let expected = format!("{features}, as in the samples");
            return Err(Error::invalid("groups", found, expected));
        }
        let groups = Penalties::new(&split.train, groups.clone());
        Ok(GroupLasso {
            penalty: GroupShrinkage { groups, sharing },
            split,
        })
    }

    /// The smallest e^θ, one for all groups, with x* = 0.
    pub fn largest_penalty(&self) -> f64 {
        let samples = &self.split.train;
        let residual = samples.residual(&vec![0.0; samples.len()]);
        let groups = &self.penalty.groups.partition;
        let of_group = |g| {
            let members = groups.members(g);
            let squares = members.iter().map(|&j| residual.correlation(j).powi(2));
            (squares.sum::<f64>() / members.len() as f64).sqrt()
        };
        (0..groups.groups()).map(of_group).fold(0.0, f64::max)
    }
}

impl GroupShrinkage {
    /// λ_g of every group.
    fn lambda(&self, theta: &[f64]) -> Vec<f64> {
        let groups = &self.groups.partition;
        let of_group = |g: usize| {
            let theta = match self.sharing {
                GroupPenalty::Single => theta[0],
                GroupPenalty::PerGroup => theta[g],
            };
            theta.exp() * (groups.members(g).len() as f64).sqrt()
        };
        (0..groups.groups()).map(of_group).collect()
    }
}

impl SparsePenalty for GroupShrinkage {
    fn check(&self, theta: &[f64]) -> Result<(), Error> {
        let (expected, meaning) = match self.sharing {
            GroupPenalty::Single => (1, "the logarithm of one penalty"),
            GroupPenalty::PerGroup => {
                let groups = self.groups.partition.groups();
                (groups, "the logarithm of a penalty for each group")
            }
        };
        if theta.len() != expected {
            let found = format!("{} numbers", theta.len());
            let expected = format!("{expected}, {meaning}");
            return Err(Error::invalid("theta", found, expected));
        }
        check_logarithms::<f64>(theta)
    }

    fn solve(&self, samples: &Samples, theta: &[f64], epsilon: f64, x: &mut Vec<f64>) -> Solved {
        let lambda = self.lambda(theta);
        let mut descent = Descent::new(samples, &self.groups, &lambda, std::mem::take(x));
        let gap = descent.run(0.5 * epsilon * epsilon, MOST_ROUNDS);
        *x = descent.x;
        Solved::new(samples, gap, epsilon, descent.work)
    }

    fn derivatives<'a>(
        &'a self,
        samples: &'a Samples,
        theta: &[f64],
        x: &[f64],
    ) -> (Support<'a>, Cross<'a>) {
        let lambda = self.lambda(theta);
        let entries = theta.len();
        let active = self.groups.active(0..lambda.len(), x);
        let support = self.groups.support(samples, &lambda, &active, x);
        let on: Vec<f64> = support.places.iter().map(|&j| x[j]).collect();
        let weights: Vec<f64> = active.iter().map(|&g| lambda[g]).collect();
        let norm = match self.sharing {
            GroupPenalty::Single => weights.norm(),
            GroupPenalty::PerGroup => weights.iter().copied().fold(0.0, f64::max),
        };
        let product = move |q: &[f64]| {
            let mut out = vec![0.0; entries];
            let mut at = 0;
            for &g in &active {
                let end = at + self.groups.partition.members(g).len();
                let (x, q) = (on[at..end].to_vec(), q[at..end].to_vec());
                let along = lambda[g] * x.dot(&q) / x.norm();
                match self.sharing {
                    GroupPenalty::Single => out[0] += along,
                    GroupPenalty::PerGroup => out[g] = along,
                }
                at = end;
            }
            out
        };
        let cross = Cross {
            product: Box::new(product),
            norm,
        };
        (support, cross)
    }

    fn identity(&self, fingerprint: u32) -> String {
        let groups = self.groups.partition.fingerprint();
        format!(
            "group lasso, {:?}, of {fingerprint:08x} in {groups:08x}",
            self.sharing
        )
    }
}

/// The oracle that tunes the penalties for the mean error over folds, each predicted by a regression on the others.
///
/// # Errors
/// As [`GroupLasso::new`], and for folds of other samples.
pub fn cross_validated_group_lasso(
    samples: &RegressionData,
    folds: &Folds,
    groups: &Partition,
    penalty: GroupPenalty,
) -> Result<Mean<GroupLasso>, Error> {
    folds.oracle(|fold| {
        let (train, validation) = samples.split(&fold)?;
        GroupLasso::new(&train, &validation, groups, penalty)
    })
}
