//! Leave-one-out without refitting: every sample is predicted by the model without it, approximated by one Newton step.
//!
//! ```text
//! g(w, θ) = (1/n) Σᵢ ℓᵢ(aᵢᵀw) + ½ wᵀDw          the lower level, D = diag(e^θ)
//! f(w, θ) = (1/n) Σᵢ ℓᵢ(uᵢ)                      uᵢ: the score of sample i by the fit w₋ᵢ to the n − 1 others
//!
//! uᵢ = ηᵢ + (sᵢ + ℓ'ᵢ hᵢ)/(1 − ℓ''ᵢ hᵢ),         ηᵢ = aᵢᵀw,  hᵢ = aᵢᵀK⁻¹aᵢ,  sᵢ = aᵢᵀK⁻¹Dw,  K = Σⱼ ℓ''ⱼ aⱼaⱼᵀ + (n − 1) D
//! ```
//!
//! w₋ᵢ minimises the mean loss of n − 1 samples and ½ wᵀDw. At w = x*(θ) the gradient of that is −(Dw + ℓ'ᵢaᵢ)/(n − 1) and its Hessian
//! (K − ℓ''ᵢ aᵢaᵢᵀ)/(n − 1); the step of Newton's method and the formula of Sherman and Morrison give uᵢ. The term sᵢ appears because a
//! mean over n − 1 samples has a little less penalty for each of them than a mean over n: with it f is the criterion that
//! [`Folds::leave_one_out`](bilevel::Folds::leave_one_out) computes for the same problem, at the price of one fit instead of n.
//!
//! # Requirements on the problem
//! A model that is linear in its weights, with one score per sample, and few enough features for K as a matrix:
//! [`Ridge`] and the binary form of [`LogisticRegression`]. The intercept of [`Ridge`] is refitted as well: its
//! samples are centred, and hᵢ gains 1/n.
//!
//! # Guarantee
//! For [`Ridge`] F is leave-one-out exactly: a quadratic takes one step. For logistic regression uᵢ is off by O(1/n²), the square of the step.
//! The derivatives are the exact ones of f as written above, K included. Its constants are not known, so bounds are
//! [estimated](Trust::Estimated).
//!
//! # Cost
//! nd² multiplications for K, nd² for all hᵢ and d³/3 for the factor, which value and gradients share; 2nd² for the gradients.
//!
//! # References
//! K. R. Rad, A. Maleki: A scalable estimate of the out-of-sample prediction error via approximate leave-one-out cross-validation. J. R.
//! Stat. Soc. B 82 (2020), [doi:10.1111/rssb.12374](https://doi.org/10.1111/rssb.12374). The exact form for least squares: D. Allen: The
//! relationship between variable selection and data augmentation and a method for prediction. Technometrics 16 (1974),
//! [doi:10.1080/00401706.1974.10489157](https://doi.org/10.1080/00401706.1974.10489157). As a function of hyperparameters: A. Beirami,
//! M. Razaviyayn, S. Shahrampour, V. Tarokh: On optimal generalization in parametric learning. NeurIPS 2017,
//! [arXiv:1711.05323](https://arxiv.org/abs/1711.05323).

mod at_point;
mod loss;

use bilevel::linear::Fallback;
use bilevel::lower::NewtonCg;
use bilevel::{Error, Implicit, Trust, UpperCurvature, UpperLevel};
use faer::Mat;

use crate::data::{Features, LabelledData, RegressionData};
use crate::linear::logistic::LogisticRegression;
use crate::linear::penalty::{Groups, Penalty};
use crate::linear::ridge::Ridge;
use crate::support::pool::Pool;
use at_point::AtPoint;
use loss::Loss;

/// The most features: beyond, the factor of K takes too much memory and time.
const MOST_FEATURES: usize = 4096;

/// The upper level f: leave-one-out by influence. See the [module](self).
#[doc(hidden)]
pub struct LeaveOneOut {
    /// aᵢ, one a column.
    samples: Mat<f64>,
    targets: Vec<f64>,
    loss: Loss,
    /// The share of the intercept in hᵢ.
    intercept: f64,
    groups: Groups,
    /// Evaluations at the points of the last calls, one per thread that was inside a call.
    points: Pool<AtPoint>,
    identity: String,
}

impl LeaveOneOut {
    fn new(
        samples: Mat<f64>,
        targets: Vec<f64>,
        loss: Loss,
        intercept: f64,
        penalty: Penalty,
        fingerprint: u32,
    ) -> Result<Self, Error> {
        let (features, count) = (samples.nrows(), samples.ncols());
        if count < 2 {
            let expected = "at least 2, one to leave out and one to fit to";
            return Err(Error::invalid("samples", count, expected));
        }
        Ok(LeaveOneOut {
            groups: Groups::new(penalty, features, 1),
            identity: format!("leave-one-out by influence of {fingerprint:08x}, {loss:?} loss"),
            samples,
            targets,
            loss,
            intercept,
            points: Pool::default(),
        })
    }

    /// Calls `f` with the evaluation at a point, reusing the last one where it is of the same point.
    fn with_point<R>(&self, w: &[f64], theta: &[f64], f: impl FnOnce(&mut AtPoint) -> R) -> R {
        let kept = self.points.take_or(AtPoint::default);
        let mut point = if kept.is_at(w, theta) {
            kept
        } else {
            AtPoint::new(self, w, theta)
        };
        let result = f(&mut point);
        self.points.put(point);
        result
    }
}

/// Refuses too many features for a Hessian, before anything of that size is allocated.
fn few(features: usize) -> Result<(), Error> {
    if features <= MOST_FEATURES {
        return Ok(());
    }
    let expected = format!("at most {MOST_FEATURES}, whose Hessian is a matrix");
    Err(Error::invalid("features", features, expected))
}

impl Ridge {
    /// Leave-one-out on the samples of this regression, as its upper level: exact, the intercept included.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for other samples than those of the regression, fewer than two of them, and more than 4,096 features.
    pub fn leave_one_out(&self, train: &RegressionData) -> Result<LeaveOneOut, Error> {
        same(self.fingerprint(), train.fingerprint())?;
        few(train.columns())?;
        let (features, target) = self.means();
        let d = train.columns();
        let samples = Mat::from_fn(d, train.samples(), |j, i| {
            train.features()[i * d + j] - features[j]
        });
        LeaveOneOut::new(
            samples,
            train.targets().iter().map(|y| y - target).collect(),
            Loss::Squared,
            1.0 / train.samples() as f64,
            self.penalty(),
            train.fingerprint(),
        )
    }
}

impl LogisticRegression<f64> {
    /// Leave-one-out on the samples of this regression, as its upper level: each left out by one step of Newton's method.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for other samples than those of the regression, fewer than two of them, the multinomial form, and more than
    /// 4,096 features.
    pub fn leave_one_out(&self, train: &LabelledData<f64>) -> Result<LeaveOneOut, Error> {
        same(self.fingerprint(), train.fingerprint())?;
        few(train.columns())?;
        if self.outputs() > 1 {
            let expected = "1, the binary form of two classes";
            return Err(Error::invalid("scores a sample", self.outputs(), expected));
        }
        let d = train.columns();
        let dense = train.to_dense();
        let samples = match dense.features() {
            Features::Dense(values) => Mat::from_fn(d, train.samples(), |j, i| values[i * d + j]),
            // `to_dense` does not return this.
            Features::Sparse(_) => Mat::zeros(d, train.samples()),
        };
        LeaveOneOut::new(
            samples,
            (train.labels().iter())
                .map(|&label| if label == 1 { 1.0 } else { -1.0 })
                .collect(),
            Loss::Logistic,
            0.0,
            self.penalty(),
            train.fingerprint(),
        )
    }
}

fn same(expected: u32, found: u32) -> Result<(), Error> {
    if expected == found {
        return Ok(());
    }
    let found = format!("samples with the checksum {found:08x}");
    let expected = format!("those of the regression, {expected:08x}");
    Err(Error::invalid("train", found, expected))
}

impl UpperLevel for LeaveOneOut {
    type Theta = Vec<f64>;
    type X = Vec<f64>;

    fn value(&self, w: &Vec<f64>, theta: &Vec<f64>) -> f64 {
        self.with_point(w, theta, |point| point.value()[0])
    }

    fn gradient_x(&self, w: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.with_point(w, theta, |point| {
            out.copy_from_slice(&point.gradients(self).by_x)
        });
    }

    fn gradient_theta(&self, w: &Vec<f64>, theta: &Vec<f64>, out: &mut Vec<f64>) {
        self.with_point(w, theta, |point| {
            out.copy_from_slice(&point.gradients(self).by_theta)
        });
    }

    /// None: they would have to hold for all w.
    fn curvature(&self, _theta: &Vec<f64>) -> UpperCurvature {
        UpperCurvature::default()
    }

    fn value_rounding(&self, w: &Vec<f64>, theta: &Vec<f64>, _value: f64) -> f64 {
        self.with_point(w, theta, |point| point.value()[1])
    }

    fn explain(&self, w: &Vec<f64>, theta: &Vec<f64>) -> Option<String> {
        self.with_point(w, theta, |point| point.explain())
    }

    fn identity(&self) -> String {
        self.identity.clone()
    }
}

/// The oracle that tunes the penalties of a ridge regression for the error of leave-one-out, by a single fit.
///
/// # Errors
/// As [`Ridge::new`] and [`Ridge::leave_one_out`].
pub fn leave_one_out_ridge(
    samples: &RegressionData,
    penalty: Penalty,
) -> Result<Implicit<Ridge, LeaveOneOut, NewtonCg, Fallback>, Error> {
    let lower = Ridge::new(samples, penalty)?;
    let upper = lower.leave_one_out(samples)?;
    Ok(Implicit::new(lower, upper)
        .with_lower_solver(NewtonCg::default())
        .with_linear_solver(Fallback::default())
        .with_trust(Trust::Estimated))
}

/// The oracle that tunes the penalties of a logistic regression of two classes for the cross-entropy of leave-one-out, by a single fit.
///
/// # Errors
/// As [`LogisticRegression::new`] and [`LogisticRegression::leave_one_out`].
pub fn leave_one_out_logistic(
    samples: &LabelledData<f64>,
    penalty: Penalty,
) -> Result<Implicit<LogisticRegression<f64>, LeaveOneOut, NewtonCg, Fallback>, Error> {
    let lower = LogisticRegression::new(samples, penalty)?;
    let upper = lower.leave_one_out(samples)?;
    Ok(Implicit::new(lower, upper)
        .with_lower_solver(NewtonCg::default())
        .with_linear_solver(Fallback::default())
        .with_trust(Trust::Estimated))
}
