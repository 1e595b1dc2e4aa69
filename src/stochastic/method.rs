//! The trait that a stochastic method implements.

use std::fmt::Debug;

use super::iterate::{Iterate, MethodMemory};
use super::levels::Levels;
use super::steps::{StepDefaults, StepSizes};
use crate::error::Error;
use crate::problem::minibatch::{MinibatchLower, MinibatchUpper};
use crate::vector::Vector;

/// A stochastic method: how θ, x and v move in one iteration.
#[doc(hidden)]
pub trait Method: Debug + Send + Sync {
    /// The memory of the method beside θ, x and v.
    type Memory<T: Vector, X: Vector>: MethodMemory<T, X>;

    /// A short name, as in `SOBA`.
    fn name(&self) -> String;

    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Whether the memory has values for every batch, so that a batch must consist of the same samples in every epoch.
    fn remembers_batches(&self) -> bool {
        false
    }

    /// The exponents of the step sizes, and the first steps in units of 1/L and 1/L_F.
    fn scale(&self) -> StepDefaults;

    /// [`scale`](Method::scale) where the first steps depend on the numbers of batches of the lower and the upper level. The exponents must
    /// not.
    fn scale_on(&self, batches: [usize; 2]) -> StepDefaults {
        let _ = batches;
        self.scale()
    }

    /// The memory at the start. A method may move x and v here, which are the start of the problem and zero.
    fn start<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        now: StepSizes,
    ) -> Self::Memory<P::Theta, P::X>
    where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized,
    {
        let _ = (levels, now);
        MethodMemory::new(at)
    }

    /// Iteration k, with the step sizes of `now`.
    fn iterate<P, U>(
        &self,
        levels: Levels<'_, P, U>,
        at: &mut Iterate<P::Theta, P::X>,
        memory: &mut Self::Memory<P::Theta, P::X>,
        now: StepSizes,
    ) where
        P: MinibatchLower + ?Sized,
        U: MinibatchUpper<Theta = P::Theta, X = P::X> + ?Sized;
}
