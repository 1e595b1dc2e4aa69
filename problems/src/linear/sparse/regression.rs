//! A regression with a sparse solution as an oracle: everything that does not depend on the penalty.

use bilevel::{Accuracy, Error, Evaluation, Hypergradient, Oracle};

use super::{Cross, Samples, Solved, SparseState, Split, Support};

/// The penalty of a sparse regression, and the descent that it allows.
pub(crate) trait SparsePenalty: Send + Sync {
    /// Refuses a θ of another length, and logarithms out of range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &[f64]) -> Result<(), Error>;
    /// Improves `w` until predictions of the training samples are within `epsilon`.
    fn solve(&self, samples: &Samples, theta: &[f64], epsilon: f64, w: &mut Vec<f64>) -> Solved;
    /// The Hessian on the support of `w`, and the mixed derivative there.
    fn derivatives<'a>(
        &'a self,
        samples: &'a Samples,
        theta: &[f64],
        w: &[f64],
    ) -> (Support<'a>, Cross<'a>);
    /// Identifies the regression on samples with this fingerprint.
    fn identity(&self, fingerprint: u32) -> String;
}

/// The oracle of a regression whose penalty P makes its solution sparse: [`Lasso`](crate::linear::Lasso) or `GroupLasso`.
pub struct SparseRegression<P> {
    pub(crate) split: Split,
    pub(crate) penalty: P,
}

impl<P> SparseRegression<P> {
    /// The intercept b of a fit w.
    pub fn intercept(&self, w: &[f64]) -> f64 {
        self.split.intercept(w)
    }
}

impl<P: SparsePenalty> Oracle for SparseRegression<P> {
    type Theta = Vec<f64>;
    type State = SparseState;

    fn start(&self, theta: &Vec<f64>) -> Result<SparseState, Error> {
        self.penalty.check(theta)?;
        Ok(SparseState::new(self.split.train.len()))
    }

    fn value(
        &self,
        theta: &Vec<f64>,
        epsilon: f64,
        state: &mut SparseState,
    ) -> Result<Evaluation, Error> {
        self.check(theta, state)?;
        let samples = &self.split.train;
        let solved = self.penalty.solve(samples, theta, epsilon, &mut state.w);
        Ok(self.split.evaluation(solved, &state.w))
    }

    fn hypergradient(
        &self,
        theta: &Vec<f64>,
        accuracy: Accuracy,
        state: &mut SparseState,
    ) -> Result<Hypergradient<Vec<f64>>, Error> {
        self.check(theta, state)?;
        let Accuracy { epsilon, delta } = accuracy;
        let samples = &self.split.train;
        let solved = self.penalty.solve(samples, theta, epsilon, &mut state.w);
        let (support, cross) = self.penalty.derivatives(samples, theta, &state.w);
        Ok(self
            .split
            .hypergradient(solved, &support, &cross, delta, state))
    }

    fn check(&self, theta: &Vec<f64>, state: &SparseState) -> Result<(), Error> {
        self.penalty.check(theta)?;
        state.check(self.split.train.len())
    }

    fn probe(&self, _theta: &Vec<f64>, state: &SparseState) -> f64 {
        let residual = self.split.validation_residual(&state.w);
        self.split.bounded(&residual, 0.0).value
    }

    fn identity(&self) -> String {
        self.penalty.identity(self.split.fingerprint)
    }
}
