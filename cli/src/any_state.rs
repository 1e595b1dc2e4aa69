//! Oracles behind one type of state: upper-level solvers are compiled once for all problems.

use bilevel::oracle::Scales;
use bilevel::{Accuracy, Error, Evaluation, Hypergradient, Oracle, Work};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned, ser};
use std::any::Any;
use std::borrow::Cow;

/// The state of an oracle of any type.
#[doc(hidden)]
pub struct AnyState(Form);

enum Form {
    /// A state in memory.
    Live(Box<dyn Held>),
    /// The bytes of a state from a checkpoint. Only its oracle knows the type.
    Read(Vec<u8>),
}

/// The state of an oracle, which checkpoints store.
#[doc(hidden)]
pub trait State: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> State for T {}

trait Held: Any + Send + Sync {
    fn copy(&self) -> Box<dyn Held>;
    fn bytes(&self) -> postcard::Result<Vec<u8>>;
}

impl<T: State> Held for T {
    fn copy(&self) -> Box<dyn Held> {
        Box::new(self.clone())
    }

    fn bytes(&self) -> postcard::Result<Vec<u8>> {
        postcard::to_stdvec(self)
    }
}

impl AnyState {
    fn new(state: impl State) -> Self {
        AnyState(Form::Live(Box::new(state)))
    }

    /// The state as one of type `T`.
    fn view<T: State>(&self) -> Result<Cow<'_, T>, Error> {
        match &self.0 {
            Form::Live(held) => {
                let held: &dyn Any = &**held;
                held.downcast_ref().map(Cow::Borrowed).ok_or_else(other)
            }
            Form::Read(bytes) => match postcard::take_from_bytes(bytes) {
                Ok((state, [])) => Ok(Cow::Owned(state)),
                _ => Err(other()),
            },
        }
    }

    fn into_inner<T: State>(self) -> Result<T, Error> {
        match self.0 {
            Form::Live(held) => {
                let held: Box<dyn Any> = held;
                held.downcast().map(|held| *held).map_err(|_| other())
            }
            Form::Read(_) => self.view::<T>().map(Cow::into_owned),
        }
    }

    fn view_mut<T: State>(&mut self) -> Result<&mut T, Error> {
        if let Form::Read(_) = &self.0 {
            let state = self.view::<T>()?.into_owned();
            *self = AnyState::new(state);
        }
        match &mut self.0 {
            Form::Live(held) => {
                let held: &mut dyn Any = &mut **held;
                held.downcast_mut().ok_or_else(other)
            }
            Form::Read(_) => Err(other()),
        }
    }
}

fn other() -> Error {
    Error::invalid(
        "the state of the checkpoint",
        "that of another problem",
        "a state of this one",
    )
}

impl Clone for AnyState {
    fn clone(&self) -> Self {
        AnyState(match &self.0 {
            Form::Live(held) => Form::Live(held.copy()),
            Form::Read(bytes) => Form::Read(bytes.clone()),
        })
    }
}

impl Serialize for AnyState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Form::Live(held) => held
                .bytes()
                .map_err(ser::Error::custom)?
                .serialize(serializer),
            Form::Read(bytes) => bytes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AnyState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(AnyState(Form::Read(Vec::deserialize(deserializer)?)))
    }
}

/// An oracle whose state is an [`AnyState`].
pub(crate) struct Erased<'a, O>(pub &'a O);

impl<O: Oracle<State: State>> Oracle for Erased<'_, O> {
    type Theta = O::Theta;
    type State = AnyState;

    fn start(&self, theta: &O::Theta) -> Result<AnyState, Error> {
        self.0.start(theta).map(AnyState::new)
    }

    fn value(
        &self,
        theta: &O::Theta,
        epsilon: f64,
        state: &mut AnyState,
    ) -> Result<Evaluation, Error> {
        self.0.value(theta, epsilon, state.view_mut()?)
    }

    fn hypergradient(
        &self,
        theta: &O::Theta,
        accuracy: Accuracy,
        state: &mut AnyState,
    ) -> Result<Hypergradient<O::Theta>, Error> {
        self.0.hypergradient(theta, accuracy, state.view_mut()?)
    }

    // A state that cannot be read is refused by `check`, before any of the following.

    fn correction(
        &self,
        theta: &O::Theta,
        state: &AnyState,
        trial: &AnyState,
        work: &mut Work,
    ) -> f64 {
        match (state.view(), trial.view()) {
            (Ok(state), Ok(trial)) => self.0.correction(theta, &state, &trial, work),
            _ => 0.0,
        }
    }

    fn begin_trial(&self, state: &AnyState) -> AnyState {
        state.view().map_or_else(
            |_| state.clone(),
            |state| AnyState::new(self.0.begin_trial(&state)),
        )
    }

    fn reset_trial(&self, state: &AnyState, trial: &mut AnyState) {
        match (state.view(), trial.view_mut()) {
            (Ok(state), Ok(trial)) => self.0.reset_trial(&state, trial),
            _ => *trial = self.begin_trial(state),
        }
    }

    fn end_trial(&self, state: &mut AnyState, trial: AnyState, accepted: bool) {
        if let (Ok(state), Ok(trial)) = (state.view_mut(), trial.into_inner()) {
            self.0.end_trial(state, trial, accepted);
        }
    }

    fn scales(&self, theta: &O::Theta) -> Result<Scales, Error> {
        self.0.scales(theta)
    }

    fn check(&self, theta: &O::Theta, state: &AnyState) -> Result<(), Error> {
        self.0.check(theta, &*state.view()?)
    }

    fn probe(&self, theta: &O::Theta, state: &AnyState) -> f64 {
        state
            .view()
            .map_or(f64::NAN, |state| self.0.probe(theta, &state))
    }

    fn identity(&self) -> String {
        self.0.identity()
    }
}
