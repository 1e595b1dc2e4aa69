//! A plain training run with early stopping.

use bilevel::autodiff::Real;
use bilevel::{Dynamics, Error};

use super::{Criterion, Judged, Training};
use crate::data::Samples;
use crate::networks::models::Classifier;

/// The result of a training run with early stopping.
#[derive(Debug, Clone, PartialEq)]
#[doc(hidden)]
pub struct Trained<E> {
    /// The state after the best epoch.
    pub state: Vec<E>,
    /// The best epoch, from 1; 0 if no epoch improved on the initial weights.
    pub best: usize,
    /// The criterion at the initial weights and after every epoch.
    pub epochs: Vec<Judged>,
}

impl<M: Classifier, D: Samples, E: Real> Training<M, D, E> {
    /// Trains with θ until `patience` epochs in a row did not lower the loss of `criterion`, or all epochs are over, and returns the best
    /// state.
    ///
    /// Hypergradients are those of the full run and ignore early stopping: use this for the final training with the θ that was found. The
    /// schedule is that of all epochs.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ outside the domain and no patience, [`Error::NotFinite`] for weights that leave the finite numbers.
    pub fn train<V: Samples>(
        &self,
        theta: &Vec<f64>,
        criterion: &Criterion<M, V>,
        patience: usize,
    ) -> Result<Trained<E>, Error> {
        self.check(theta)?;
        if patience == 0 {
            return Err(Error::invalid("patience", 0, "at least 1"));
        }
        let mut state = self.start();
        let mut trained = Trained {
            epochs: vec![criterion.judge(&state, theta)],
            state: state.clone(),
            best: 0,
        };
        let mut least = trained.epochs[0].loss;
        for epoch in 1..=self.settings.epochs {
            let steps = self.steps_of_epoch();
            for t in (epoch - 1) * steps..epoch * steps {
                self.step(t, &mut state, theta);
            }
            let judged = criterion.judge(&state, theta);
            if !judged.loss.is_finite() {
                return Err(Error::NotFinite {
                    function: "the loss of the training run on validation data",
                    cause: Some(format!("it is not after epoch {epoch}")),
                });
            }
            if judged.loss < least {
                least = judged.loss;
                trained.best = epoch;
                trained.state.copy_from_slice(&state);
            }
            trained.epochs.push(judged);
            if epoch - trained.best >= patience {
                break;
            }
        }
        Ok(trained)
    }
}
