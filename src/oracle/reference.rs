//! A reference to an oracle is an oracle, also behind `dyn`.

use super::{Oracle, Scales};
use crate::error::Error;
use crate::hypergradient::{Accuracy, Evaluation, Hypergradient};
use crate::work::Work;

impl<O: Oracle + ?Sized> Oracle for &O {
    type Theta = O::Theta;
    type State = O::State;

    fn start(&self, theta: &O::Theta) -> Result<O::State, Error> {
        (**self).start(theta)
    }

    fn value(
        &self,
        theta: &O::Theta,
        epsilon: f64,
        state: &mut O::State,
    ) -> Result<Evaluation, Error> {
        (**self).value(theta, epsilon, state)
    }

    fn hypergradient(
        &self,
        theta: &O::Theta,
        accuracy: Accuracy,
        state: &mut O::State,
    ) -> Result<Hypergradient<O::Theta>, Error> {
        (**self).hypergradient(theta, accuracy, state)
    }

    fn correction(
        &self,
        theta: &O::Theta,
        state: &O::State,
        trial: &O::State,
        work: &mut Work,
    ) -> f64 {
        (**self).correction(theta, state, trial, work)
    }

    fn begin_trial(&self, state: &O::State) -> O::State {
        (**self).begin_trial(state)
    }

    fn reset_trial(&self, state: &O::State, trial: &mut O::State) {
        (**self).reset_trial(state, trial);
    }

    fn end_trial(&self, state: &mut O::State, trial: O::State, accepted: bool) {
        (**self).end_trial(state, trial, accepted);
    }

    fn scales(&self, theta: &O::Theta) -> Result<Scales, Error> {
        (**self).scales(theta)
    }

    fn check(&self, theta: &O::Theta, state: &O::State) -> Result<(), Error> {
        (**self).check(theta, state)
    }

    fn probe(&self, theta: &O::Theta, state: &O::State) -> f64 {
        (**self).probe(theta, state)
    }

    fn identity(&self) -> String {
        (**self).identity()
    }
}
