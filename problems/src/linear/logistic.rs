//! Logistic regression with tuned penalties.
//!
//! ```text
//! g(x, θ) = (1/n) Σᵢ ℓᵢ(x) + ½ Σⱼ e^{θ_γ(j)} xⱼ²,      f(x) = (1/m) Σ ℓ of the validation samples
//!
//! binary        ℓᵢ(x) = log(1 + e^{−yᵢ aᵢᵀx})                     x ∈ ℝᵈ, yᵢ = ±1
//! multinomial   ℓᵢ(x) = log Σₖ e^{(Xᵀaᵢ)ₖ} − (Xᵀaᵢ)_{yᵢ}          x = X ∈ ℝᵈˣᶜ row after row: entry d·c + k is feature d, class k
//! ```
//!
//! The model has no intercept: append a feature that is 1.
//!
//! # Hyperparameters
//! θ holds logarithms of penalties: one for all weights, or one per class, feature or weight ([`Penalty`]); γ(j) is the entry that belongs to
//! weight j. Entries of features that need no penalty go to −∞, those of harmful features to +∞. F is not convex, and flat where e^θ is
//! negligible or dominates: a long step may end where no gradient leads back. Bounds on θ ([`Constraint`](bilevel::upper::Constraint),
//! −14 and 12 say) prevent that.
//!
//! # Curvature
//! With h = ¼ (binary) or ½ (multinomial) the largest eigenvalue of the Hessian of a loss in its scores, and τ = 1/(6√3) or 1/√2 the
//! Lipschitz constant of that Hessian,
//!
//! ```text
//! μ = min e^θ,   L = h‖A‖²/n + max e^θ                            A: the features, row after row
//! L_A = τ‖A‖² max‖aᵢ‖/n,   L_B = max e^θ,   ‖B‖ = max_γ e^{θ_γ} ‖x_γ‖ exactly, with x_γ the weights that share a penalty
//! ‖(A(x+e) − A(x)) q‖ ≤ (‖A‖/n) √Σᵢ min(τ‖aᵢ‖‖e‖, h)² ‖tᵢ‖²,      tᵢ the scores of q
//! ‖(B(x+e) − B(x))ᵀq‖ ≤ ‖e‖ max_γ e^{θ_γ} ‖q_γ‖
//! ```
//!
//! ‖A‖² is bounded by Lanczos iterations with a margin of a ninth, or by the Frobenius norm where that is smaller.
//!
//! With small penalties this μ is useless although g is well conditioned: the data term is strongly convex. In the binary form with at most
//! 256 features, and no more features than samples, the modulus between x̃ and x* is certified from the Hessian as a matrix (proof in
//! `logistic/convexity.rs`), and the Hessian is its own preconditioner: [`NewtonCg`](bilevel::lower::NewtonCg) then takes a few steps for
//! any penalties. Collinear features and features that are always zero leave μ as it is.
//!
//! # Cost
//! A batch of |ξ| samples: 2|ξ|dc multiplications for a gradient, 4 for a Hessian product, 4 for both and the cross product together.
//! The Hessian as a matrix takes ½nd², and is counted as ¼d + 1 products; measured, with 22 features it takes as long as two gradients.
//!
//! # Reference
//! F. Pedregosa: Hyperparameter optimization with approximate gradient. ICML 2016, [arXiv:1602.02355](https://arxiv.org/abs/1602.02355).

mod convexity;
mod hessian;
mod linearization;
mod upper;

pub use crate::linear::penalty::Penalty;
pub use upper::CrossEntropy;

use bilevel::problem::minibatch::{Batch, MinibatchLower, Products};
use bilevel::{Curvature, Error, Implicit, Linearization, LocalConvexity, LowerLevel, Work};

use crate::data::{LabelledData, same_columns};
use crate::linear::linear_model::{Model, Pass, link_functions, regularise};
use crate::linear::penalty::{Groups, extremes, product_terms};
use crate::support::lanes::Lanes;
use linearization::LogisticLinearization;

/// The lower level of logistic regression. See the [module](self).
pub struct LogisticRegression<E> {
    model: Model<E>,
    penalty: Penalty,
    groups: Groups,
}

impl<E: Lanes> LogisticRegression<E> {
    /// The regression of the classes of `train`, binary where there are two.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for features whose squares overflow.
    pub fn new(train: &LabelledData<E>, penalty: Penalty) -> Result<Self, Error> {
        let model = Model::new(train, train.classes() == 2)?;
        Ok(Self::of(model, penalty))
    }

    /// The multinomial form, also where there are two classes.
    ///
    /// # Errors
    /// As [`new`](LogisticRegression::new).
    pub fn multinomial(train: &LabelledData<E>, penalty: Penalty) -> Result<Self, Error> {
        Ok(Self::of(Model::new(train, false)?, penalty))
    }

    fn of(model: Model<E>, penalty: Penalty) -> Self {
        LogisticRegression {
            groups: Groups::new(penalty, model.columns(), model.outputs()),
            model,
            penalty,
        }
    }

    /// The length of θ.
    pub fn theta_len(&self) -> usize {
        self.groups.len()
    }

    /// c.
    #[cfg(feature = "direct")]
    pub(crate) fn outputs(&self) -> usize {
        self.model.outputs()
    }

    #[cfg(feature = "direct")]
    pub(crate) fn penalty(&self) -> Penalty {
        self.penalty
    }

    #[cfg(feature = "direct")]
    pub(crate) fn fingerprint(&self) -> u32 {
        self.model.fingerprint()
    }

    fn all(&self) -> Batch<'static> {
        Batch::all(self.model.samples())
    }

    /// The penalties e^θ of all weights, in an array of [`arrays`](Model::arrays).
    fn weights(&self, theta: &[f64]) -> Vec<E> {
        let mut weights = self.model.arrays.take(self.model.len());
        self.groups.weights(theta, &mut weights);
        weights
    }

    /// out ← the sum of a pass / count + e^θ ∘ x.
    fn finish(&self, pass: Pass<E>, count: usize, theta: &[f64], x: &[E], out: &mut [E]) {
        let weights = self.weights(theta);
        regularise(1.0 / count as f64, pass.sum(0), &weights, x, out);
        self.model.arrays.put(weights);
        self.model.done(pass);
    }

    /// out ← ∇ₓg; returns the sum of the losses where they are asked for.
    fn gradient_pass(
        &self,
        batch: Batch<'_>,
        x: &[E],
        theta: &[f64],
        out: &mut [E],
        losses: bool,
    ) -> f64 {
        let c = self.model.outputs();
        let pass = self.model.pass::<1, 1>(batch, [x], |_, buffers| {
            self.model.activate(buffers, losses);
            link_functions::residual(c, &mut buffers.scores[0], &buffers.labels);
            buffers.numbers.iter().sum()
        });
        let value = pass.value;
        self.finish(pass, batch.len(), theta, x, out);
        value
    }

    /// The smoothness of the mean loss.
    fn data_smoothness(&self) -> f64 {
        let m = &self.model;
        m.loss_smoothness() * m.norm_squared() / m.samples() as f64
    }

    /// The size of the terms of A v.
    fn product_terms(&self, v: &[E], weights: &[E]) -> f64 {
        product_terms(self.data_smoothness(), v, weights)
    }

    /// ½ Σ e^θ x².
    fn penalty_value(&self, x: &[E], theta: &[f64]) -> f64 {
        let mut sums = self.model.numbers.take(theta.len());
        self.groups.inner(x, x, &mut sums);
        let value: f64 = sums.iter().zip(theta).map(|(s, t)| s * t.exp()).sum();
        self.model.numbers.put(sums);
        0.5 * value
    }
}

impl<E: Lanes> MinibatchLower for LogisticRegression<E> {
    fn samples(&self) -> usize {
        self.model.samples()
    }

    fn batch_gradient(&self, batch: Batch<'_>, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.gradient_pass(batch, x, theta, out, false);
    }

    fn batch_gradient_theta(
        &self,
        _batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        out: &mut Vec<f64>,
    ) {
        self.groups.inner(x, x, out);
        self.groups.times_penalty(0.5, theta, out);
    }

    fn batch_hvp(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: &mut Vec<E>,
    ) {
        let c = self.model.outputs();
        let pass = self.model.pass::<2, 1>(batch, [x, v], |_, buffers| {
            self.model.activate(buffers, false);
            let [p, t] = &mut buffers.scores;
            link_functions::curve(c, p, t);
            buffers.scores.swap(0, 1);
            0.0
        });
        self.finish(pass, batch.len(), theta, v, out);
    }

    fn batch_cross_vjp(
        &self,
        _batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: &mut Vec<f64>,
    ) {
        self.groups.inner(x, v, out);
        self.groups.times_penalty(1.0, theta, out);
    }

    fn batch_all(
        &self,
        batch: Batch<'_>,
        x: &Vec<E>,
        theta: &Vec<f64>,
        v: &Vec<E>,
        out: Products<'_, Vec<E>, Vec<f64>>,
    ) {
        let c = self.model.outputs();
        let pass = self.model.pass::<2, 2>(batch, [x, v], |_, buffers| {
            self.model.activate(buffers, false);
            let [p, t] = &mut buffers.scores;
            link_functions::curve(c, p, t);
            link_functions::residual(c, p, &buffers.labels);
            0.0
        });
        let share = 1.0 / batch.len() as f64;
        let weights = self.weights(theta);
        regularise(share, pass.sum(0), &weights, x, out.gradient);
        regularise(share, pass.sum(1), &weights, v, out.hvp);
        self.groups.cross(&weights, x, v, out.cross);
        self.model.arrays.put(weights);
        self.model.done(pass);
    }
}

impl<E: Lanes> LowerLevel for LogisticRegression<E> {
    type Theta = Vec<f64>;
    type X = Vec<E>;

    fn start(&self) -> Vec<E> {
        vec![E::default(); self.model.len()]
    }

    fn check(&self, theta: &Vec<f64>) -> Result<(), Error> {
        self.penalty.check::<E>(&self.groups, theta)
    }

    fn value(&self, x: &Vec<E>, theta: &Vec<f64>) -> f64 {
        let losses = self.model.losses(self.all(), x);
        losses / self.model.samples() as f64 + self.penalty_value(x, theta)
    }

    fn gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) {
        self.gradient_pass(self.all(), x, theta, out, false);
    }

    fn value_and_gradient(&self, x: &Vec<E>, theta: &Vec<f64>, out: &mut Vec<E>) -> f64 {
        let losses = self.gradient_pass(self.all(), x, theta, out, true);
        losses / self.model.samples() as f64 + self.penalty_value(x, theta)
    }

    fn linearize<'a>(
        &'a self,
        x: &'a Vec<E>,
        theta: &'a Vec<f64>,
    ) -> impl Linearization<Theta = Vec<f64>, X = Vec<E>> + 'a {
        LogisticLinearization::new(self, x, theta)
    }

    fn curvature(&self, theta: &Vec<f64>) -> Curvature {
        let [smallest, largest] = extremes(theta);
        let m = &self.model;
        let square = m.norm_squared() / m.samples() as f64;
        // The penalties as they are stored.
        let round = 4.0 * E::UNIT_ROUNDOFF;
        Curvature {
            strong_convexity: Some(smallest * (1.0 - round)),
            smoothness: Some((self.data_smoothness() + largest) * (1.0 + round)),
            hessian_lipschitz: Some(m.loss_third() * square * m.longest()),
            // It grows with x; at one x the linearisation knows it exactly.
            cross_norm: None,
            cross_lipschitz: Some(largest * (1.0 + round)),
        }
    }

    fn local_convexity(
        &self,
        x: &Vec<E>,
        theta: &Vec<f64>,
        work: &mut Work,
    ) -> Option<LocalConvexity> {
        self.convexity(x, theta, work)
    }

    /// Beside what the default counts: residuals of size at most ρ are rounded, and summed over the samples.
    fn gradient_rounding(&self, x: &Vec<E>, theta: &Vec<f64>, gradient_norm: f64) -> f64 {
        let weights = self.weights(theta);
        let terms = self.product_terms(x, &weights);
        self.model.arrays.put(weights);
        let residuals = self.model.largest_residual() * self.model.typical_length();
        8.0 * E::UNIT_ROUNDOFF * (terms + gradient_norm + residuals)
    }

    fn identity(&self) -> String {
        format!(
            "logistic regression of {}, {}",
            self.model.describe(),
            self.penalty.describe()
        )
    }
}

/// The oracle that [`logistic_regression`] returns.
#[doc(hidden)]
pub type LogisticOracle<E> = Implicit<LogisticRegression<E>, CrossEntropy<E>>;

/// The oracle that tunes the penalties of a regression on `train` for the cross-entropy on `validation`. Its solvers can be replaced as
/// those of any [`Implicit`].
///
/// # Errors
/// [`Error::InvalidArgument`] for data whose features or classes differ in number, and features whose squares overflow.
pub fn logistic_regression<E: Lanes>(
    train: &LabelledData<E>,
    validation: &LabelledData<E>,
    penalty: Penalty,
) -> Result<Implicit<LogisticRegression<E>, CrossEntropy<E>>, Error> {
    same_columns(train, validation)?;
    let lower = LogisticRegression::new(train, penalty)?;
    let upper = CrossEntropy::new(validation)?;
    Ok(Implicit::new(lower, upper))
}
