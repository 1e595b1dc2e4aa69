//! The random quadratic.

use bilevel::{Error, Implicit, Mean, Trust};
use serde::{Deserialize, Serialize};

use super::{ProblemInstance, ProblemSettings, Terms, Whole, derivatives};
use bilevel_problems::synthetic::quadratic::Quadratic as RandomQuadratic;

/// See [`Quadratic`](bilevel_problems::synthetic::quadratic::Quadratic::random).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[doc(hidden)]
pub struct Quadratic {
    /// Entries of x (default 20).
    pub unknowns: usize,
    /// Entries of θ (default 3).
    pub hyperparameters: usize,
    /// Of the Hessian (default 10).
    pub condition: f64,
    /// How sure the bounds shall be (default certified).
    pub trust: Trust,
}

impl Default for Quadratic {
    fn default() -> Self {
        Quadratic {
            unknowns: 20,
            hyperparameters: 3,
            condition: 10.0,
            trust: Trust::Certified,
        }
    }
}

impl ProblemSettings for Quadratic {
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error> {
        if !self.condition.is_finite() {
            return Err(Error::invalid(
                "condition",
                self.condition,
                "a finite number",
            ));
        }
        let problem =
            RandomQuadratic::random(self.unknowns, self.hyperparameters, self.condition, seed);
        let make = || Implicit::new(problem.lower(), problem.upper());
        let (oracle, checked) = (make().with_trust(self.trust), make());
        let start = vec![0.0; self.hyperparameters.max(1)];
        let theta = start.clone();
        let least = problem.value(&problem.optimum());
        Ok(Box::new(Whole::<Terms> {
            oracle: Box::new(Mean::new(vec![oracle])?),
            start,
            quality: Box::new(move |theta| Ok(vec![("F − F*", problem.value(theta) - least)])),
            derivatives: Some(Box::new(move || {
                derivatives(checked.lower(), checked.upper(), &theta)
            })),
        }))
    }
}
