//! The oracle that an upper-level solver sees: θ and an accuracy in, value and hypergradient out, each with its error.
//!
//! [`Implicit`] is the oracle of one problem, [`Mean`] the mean of many, [`Unrolled`] that of a training run. An oracle is immutable and shared between
//! threads; what it remembers, the warm starts, is in its state, so that a checkpoint is (θ, solver state, oracle state).

mod check;
pub mod folds;
mod implicit;
mod mean;
mod reference;
mod unrolled;

pub use check::check_oracle;
pub use folds::{Fold, Folds};
pub use implicit::{Implicit, ImplicitState};
pub use mean::Mean;
pub use unrolled::{Unrolled, UnrolledState};

use serde::{Serialize, de::DeserializeOwned};

use crate::error::Error;
use crate::hypergradient::{Accuracy, Evaluation, Hypergradient};
use crate::vector::Vector;
use crate::work::Work;

/// Values and hypergradients of F, to an accuracy that is asked for.
pub trait Oracle: Send + Sync {
    /// Where θ lives.
    type Theta: Vector;
    /// What is remembered from one call to the next.
    type State: Clone + Send + Sync + Serialize + DeserializeOwned;

    /// A state that remembers nothing yet. Refuses a θ outside the domain.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn start(&self, theta: &Self::Theta) -> Result<Self::State, Error>;

    /// F(θ), from a lower-level solution within `epsilon` of the exact one (of each sample, for a sum).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], [`Error::NotFinite`], [`Error::MissingConstant`].
    fn value(
        &self,
        theta: &Self::Theta,
        epsilon: f64,
        state: &mut Self::State,
    ) -> Result<Evaluation, Error>;

    /// ∇F(θ) and F(θ), from inner solutions of the given accuracy (of each sample, for a sum).
    ///
    /// # Errors
    /// As for [`value`](Oracle::value).
    fn hypergradient(
        &self,
        theta: &Self::Theta,
        accuracy: Accuracy,
        state: &mut Self::State,
    ) -> Result<Hypergradient<Self::Theta>, Error>;

    /// ⟨q, ∇ₓg(x̃, θ)⟩, with x̃ from the `trial` that [`value`](Oracle::value) has just left at θ, and q the adjoint in `state`: what a
    /// goal-oriented estimate of F(θ) takes off the computed value. The default is 0, which leaves that value as it is.
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

    /// A state that [`value`](Oracle::value) can be called with as it could be with `state`, which may be that of a trial itself. What only
    /// hypergradients need may be left out.
    fn begin_trial(&self, state: &Self::State) -> Self::State {
        state.clone()
    }

    /// Makes `trial` what [`begin_trial`](Oracle::begin_trial) would give, after it was used.
    fn reset_trial(&self, state: &Self::State, trial: &mut Self::State) {
        trial.clone_from(state);
    }

    /// Ends a trial: what it learned becomes part of `state` when it is `accepted`, and is forgotten when not.
    fn end_trial(&self, state: &mut Self::State, trial: Self::State, accepted: bool) {
        if accepted {
            *state = trial;
        }
    }

    /// Refuses a θ outside the domain, or a state that is of a problem of another size.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, theta: &Self::Theta, state: &Self::State) -> Result<(), Error>;

    /// A number that the data of the problem decide, at θ and a state: g + f there. A checkpoint stores it, and another problem of the
    /// same type is told by it. The default tells nothing.
    fn probe(&self, theta: &Self::Theta, state: &Self::State) -> f64 {
        let _ = (theta, state);
        0.0
    }

    /// What tells this oracle, data and settings included, from another one when a checkpoint is resumed.
    fn identity(&self) -> String;
}
