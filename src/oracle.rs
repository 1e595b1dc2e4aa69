//! The oracle of an upper-level solver: θ and an accuracy in, value and hypergradient out, each with its error.
//!
//! [`Implicit`] is the oracle of one problem, [`Mean`] the mean of several oracles, and [`Unrolled`] the oracle of a training run. An oracle is
//! immutable and shared between threads; its warm starts are in a separate state, so that a checkpoint is (θ, solver state, oracle state).

mod check;
pub mod folds;
mod implicit;
mod mean;
mod reference;
mod relative;
mod unrolled;

pub use check::check_oracle;
pub use folds::{Fold, Folds};
pub use implicit::{Implicit, ImplicitState};
pub use mean::Mean;
#[doc(hidden)]
pub use relative::{Relative, Scales};
pub use unrolled::{Unrolled, UnrolledState};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;
use crate::hypergradient::{Accuracy, Evaluation, Hypergradient};
use crate::vector::Vector;
use crate::work::Work;

/// Values and hypergradients of F, to a requested accuracy.
pub trait Oracle: Send + Sync {
    /// The type of θ.
    type Theta: Vector;
    /// The memory from one call to the next, such as warm starts.
    type State: Clone + Send + Sync + Serialize + DeserializeOwned;

    /// The state before the first call. Refuses a θ outside the domain.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn start(&self, theta: &Self::Theta) -> Result<Self::State, Error>;

    /// F(θ), from a lower-level solution within `epsilon` of the exact one (of each sample, for a mean).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::NotFinite`], [`Error::MissingConstant`].
    fn value(
        &self,
        theta: &Self::Theta,
        epsilon: f64,
        state: &mut Self::State,
    ) -> Result<Evaluation, Error>;

    /// ∇F(θ) and F(θ), from inner solutions of the given accuracy (of each sample, for a mean).
    ///
    /// # Errors
    /// As for [`value`](Oracle::value).
    fn hypergradient(
        &self,
        theta: &Self::Theta,
        accuracy: Accuracy,
        state: &mut Self::State,
    ) -> Result<Hypergradient<Self::Theta>, Error>;

    /// ⟨q, ∇ₓg(x̃, θ)⟩, which a goal-oriented estimate of F(θ) subtracts from the computed value: x̃ is that of `trial` after
    /// [`value`](Oracle::value) at θ, and q is the adjoint in `state`. The default is 0, no correction.
    fn correction(
        &self,
        theta: &Self::Theta,
        state: &Self::State,
        trial: &Self::State,
        work: &mut Work,
    ) -> f64 {
        let _ = (theta, state, trial, work);
        0.0
    }

    /// A copy of `state` for trial points; `state` may itself be that of a trial. The copy may omit what only hypergradients need.
    fn begin_trial(&self, state: &Self::State) -> Self::State {
        state.clone()
    }

    /// Resets a used `trial` to a copy of `state`, as [`begin_trial`](Oracle::begin_trial) makes it.
    fn reset_trial(&self, state: &Self::State, trial: &mut Self::State) {
        trial.clone_from(state);
    }

    /// Ends a trial: its warm starts replace those of `state` when it is `accepted`, and are discarded otherwise.
    fn end_trial(&self, state: &mut Self::State, trial: Self::State, accepted: bool) {
        if accepted {
            *state = trial;
        }
    }

    /// The sizes of x*(θ), ∇ₓf and F(θ), from an x within about 1e-4 of x* relative to it, in which a run can measure its accuracies. The
    /// default is 1 for each.
    ///
    /// # Errors
    /// As for [`value`](Oracle::value).
    #[doc(hidden)]
    fn scales(&self, theta: &Self::Theta) -> Result<Scales, Error> {
        let _ = theta;
        Ok(Scales::default())
    }

    /// Refuses a θ outside the domain, or the state of a problem of another size.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &Self::Theta, state: &Self::State) -> Result<(), Error>;

    /// A fingerprint of the data: g + f at θ and the state. Checkpoints store it and refuse other data. The default is 0, no fingerprint.
    fn probe(&self, theta: &Self::Theta, state: &Self::State) -> f64 {
        let _ = (theta, state);
        0.0
    }

    /// Identifies this oracle, data and settings included; resuming a checkpoint of another one is refused.
    fn identity(&self) -> String;
}
