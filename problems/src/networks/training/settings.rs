//! Settings of a training run.

use bilevel::Error;
use serde::{Deserialize, Serialize};

use super::{Optimizer, Schedule};

/// Settings of a training run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Passes over the data (default 10).
    pub epochs: usize,
    /// Samples per batch; the last batch of an epoch may have fewer (default 64).
    pub batch: usize,
    /// α, the first step (default 0.05).
    pub step: f64,
    /// The schedule of the step (default: it falls to 0 along a cosine).
    pub schedule: Schedule,
    /// The optimiser (default: gradient descent with momentum 0.9).
    pub optimizer: Optimizer,
    /// C of the penalty (C/2)‖w‖² on all trained parameters (default 0).
    pub decay: f64,
    /// Seed of the initial weights, the order of the samples and mixup (default 0).
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            epochs: 10,
            batch: 64,
            step: 0.05,
            schedule: Schedule::default(),
            optimizer: Optimizer::default(),
            decay: 0.0,
            seed: 0,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Error> {
        for (name, value) in [("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::invalid(name, 0, "at least 1"));
            }
        }
        if !(self.step > 0.0 && self.step.is_finite()) {
            return Err(Error::invalid(
                "step",
                self.step,
                "a positive, finite number",
            ));
        }
        if !(self.decay >= 0.0 && self.decay.is_finite()) {
            return Err(Error::invalid(
                "decay",
                self.decay,
                "a finite number from 0 on",
            ));
        }
        if let Schedule::Steps { every, factor } = self.schedule
            && !(every > 0 && factor > 0.0 && factor.is_finite())
        {
            let found = format!("{factor} every {every} epochs");
            let expected = "a positive, finite factor every epoch or more";
            return Err(Error::invalid("schedule", found, expected));
        }
        self.optimizer.check()
    }
}
