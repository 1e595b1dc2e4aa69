//! The trait that a stochastic method implements.

use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;

use super::iterate::Iterate;
use super::levels::Levels;
use super::steps::{StepDefaults, StepSizes};
use crate::error::Error;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// A stochastic method: how θ, x and v move in one iteration.
pub trait Method: Debug + Send + Sync {
    /// What it remembers beside θ, x and v.
    type Memory<T: Vector, X: Vector>: Serialize + DeserializeOwned;

    /// A short name, as in `SOBA`.
    fn name(&self) -> String;

    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether it remembers something of every batch, so that a batch must be the same samples in every epoch.
    fn remembers_batches(&self) -> bool {
        false
    }

    /// The exponents of its theory, and how its first steps compare with 1/L and 1/L_F.
    fn scale(&self) -> StepDefaults;

    /// The same where it depends on the numbers of batches of the lower and of the upper level. Exponents are those of
    /// [`scale`](Method::scale).
    fn scale_on(&self, batches: [usize; 2]) -> StepDefaults {
        let _ = batches;
        self.scale()
    }

    /// The memory at the start. It may move x and v, which start at the problem's start and zero.
    fn start<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        now: StepSizes,
    ) -> Self::Memory<P::Theta, P::X>
    where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>;

    /// Iteration k, with the step sizes of `now`.
    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut Self::Memory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower,
        U: MinibatchUpper<Theta = P::Theta, X = P::X>;
}
