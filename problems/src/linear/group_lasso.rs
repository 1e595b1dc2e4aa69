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
//! With S the features of the active groups, those with x*_g ≠ 0, and u_g = x*_g/‖x*_g‖, as long as no group is about to enter or leave,
//!
//! ```text
//! A q = ∇f(x*)ₛ,   A = ÃₛᵀÃₛ/n + diag_g λ_g (I − u_g u_gᵀ)/‖x*_g‖;       ∂F/∂θ_g = −λ_g⟨u_g, q_g⟩
//! ```
//!
//! the sum of these for one θ, and 0 of a group that is not active. F is continuous and has a kink where a group enters or leaves; begin
//! below [`GroupLasso::largest_penalty`], where a group is active.
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

use bilevel::{Accuracy, Error, Evaluation, Folds, Hypergradient, Mean, Oracle, Vector};
use serde::{Deserialize, Serialize};

use crate::data::{LabelledData, RegressionData};
use crate::linear::lasso::LassoState;
use crate::linear::sparse::{Cross, Solved, Split};
use crate::support::checks::check_logarithms;
use descent::Descent;
pub use partition::Partition;
use penalties::Penalties;

/// Rounds of a descent, at most.
const MOST_ROUNDS: u64 = 1000;

/// Which groups share a penalty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupPenalty {
    /// θ holds one logarithm, for all.
    Single,
    /// θ holds one for each, in their order.
    PerGroup,
}

/// The oracle of a group lasso. See the [module](self).
pub struct GroupLasso {
    split: Split,
    penalties: Penalties,
    penalty: GroupPenalty,
}

impl GroupLasso {
    /// The penalties of a regression on `train` for the error on `validation`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for samples that differ in their number of features, groups of another number, and samples whose squares
    /// overflow.
    pub fn new(
        train: &RegressionData,
        validation: &RegressionData,
        groups: &Partition,
        penalty: GroupPenalty,
    ) -> Result<Self, Error> {
        Self::of(Split::of_regressions(train, validation)?, groups, penalty)
    }

    /// The same for tables of two classes, dense or sparse: −1 is predicted for the first one and 1 for the second.
    ///
    /// # Errors
    /// As [`new`](GroupLasso::new), and for more classes.
    pub fn of_classes(
        train: &LabelledData<f64>,
        validation: &LabelledData<f64>,
        groups: &Partition,
        penalty: GroupPenalty,
    ) -> Result<Self, Error> {
        Self::of(Split::of_classes(train, validation)?, groups, penalty)
    }

    fn of(split: Split, groups: &Partition, penalty: GroupPenalty) -> Result<Self, Error> {
        let features = split.train.len();
        if groups.features() != features {
            let found = format!("{} features", groups.features());
            let expected = format!("{features}, as in the samples");
            return Err(Error::invalid("groups", found, expected));
        }
        Ok(GroupLasso {
            penalties: Penalties::new(&split.train, groups.clone()),
            split,
            penalty,
        })
    }

    /// The least e^θ, one for all groups, at which x* = 0.
    pub fn largest_penalty(&self) -> f64 {
        let samples = &self.split.train;
        let residual = samples.residual(&vec![0.0; samples.len()]);
        let groups = &self.penalties.partition;
        let of_group = |g| {
            let members = groups.members(g);
            let squares = members.iter().map(|&j| residual.correlation(j).powi(2));
            (squares.sum::<f64>() / members.len() as f64).sqrt()
        };
        (0..groups.groups()).map(of_group).fold(0.0, f64::max)
    }

    /// b, of a fit x.
    pub fn intercept(&self, x: &[f64]) -> f64 {
        self.split.intercept(x)
    }

    /// λ_g of every group.
    fn lambda(&self, theta: &[f64]) -> Vec<f64> {
        let groups = &self.penalties.partition;
        let of_group = |g: usize| {
            let theta = match self.penalty {
                GroupPenalty::Single => theta[0],
                GroupPenalty::PerGroup => theta[g],
            };
            theta.exp() * (groups.members(g).len() as f64).sqrt()
        };
        (0..groups.groups()).map(of_group).collect()
    }

    fn check_theta(&self, theta: &[f64]) -> Result<(), Error> {
        let (expected, what) = match self.penalty {
            GroupPenalty::Single => (1, "the logarithm of one penalty"),
            GroupPenalty::PerGroup => {
                let groups = self.penalties.partition.groups();
                (groups, "the logarithm of a penalty for each group")
            }
        };
        if theta.len() != expected {
            let found = format!("{} numbers", theta.len());
            return Err(Error::invalid(
                "theta",
                found,
                format!("{expected}, {what}"),
            ));
        }
        check_logarithms::<f64>(theta)
    }

    fn solve(&self, lambda: &[f64], epsilon: f64, x: &mut Vec<f64>) -> Solved {
        let samples = &self.split.train;
        let mut descent = Descent::new(samples, &self.penalties, lambda, std::mem::take(x));
        let gap = descent.run(0.5 * epsilon * epsilon, MOST_ROUNDS);
        *x = descent.x;
        Solved::new(samples, gap, epsilon, descent.work)
    }
}

impl Oracle for GroupLasso {
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
        let solved = self.solve(&self.lambda(theta), epsilon, &mut state.w);
        Ok(self.split.evaluation(solved, &state.w))
    }

    fn hypergradient(
        &self,
        theta: &Vec<f64>,
        accuracy: Accuracy,
        state: &mut LassoState,
    ) -> Result<Hypergradient<Vec<f64>>, Error> {
        self.check(theta, state)?;
        let lambda = self.lambda(theta);
        let solved = self.solve(&lambda, accuracy.epsilon, &mut state.w);
        let penalties = &self.penalties;
        let active = penalties.active(0..lambda.len(), &state.w);
        let support = penalties.support(&self.split.train, &lambda, &active, &state.w);
        let x: Vec<f64> = support.places.iter().map(|&j| state.w[j]).collect();
        let product = |q: &[f64]| {
            let mut out = vec![0.0; theta.len()];
            let mut at = 0;
            for &g in &active {
                let end = at + penalties.partition.members(g).len();
                let (x, q) = (x[at..end].to_vec(), q[at..end].to_vec());
                let along = lambda[g] * x.dot(&q) / x.norm();
                match self.penalty {
                    GroupPenalty::Single => out[0] += along,
                    GroupPenalty::PerGroup => out[g] = along,
                }
                at = end;
            }
            out
        };
        let weights: Vec<f64> = active.iter().map(|&g| lambda[g]).collect();
        let cross = Cross {
            product: &product,
            norm: match self.penalty {
                GroupPenalty::Single => weights.norm(),
                GroupPenalty::PerGroup => weights.iter().copied().fold(0.0, f64::max),
            },
        };
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
        let groups = self.penalties.partition.fingerprint();
        let samples = self.split.fingerprint;
        format!(
            "group lasso, {:?}, of {samples:08x} in {groups:08x}",
            self.penalty
        )
    }
}

/// The oracle that learns the penalties for the mean error over folds, each predicted by a regression on the others.
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
