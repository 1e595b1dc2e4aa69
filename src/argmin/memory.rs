//! The results of evaluations for argmin.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::hypergradient::{BoundedValue, Hypergradient, Trust};
use crate::vector::Vector;
use crate::work::Work;

/// A point with its value, and its hypergradient where it is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) theta: Vec<f64>,
    pub(super) value: BoundedValue,
    pub(super) slope: Option<Slope>,
}

/// The hypergradient as the trace describes it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Slope {
    pub(super) norm: f64,
    pub(super) error_bound: f64,
    pub(super) trust: Trust,
    /// ‖z‖ + ω, or ‖z‖ where no bounds were requested; it is compared with the tolerance.
    pub(super) stationarity: f64,
}

/// The results of all evaluations so far.
pub(super) struct Memory<T, S> {
    /// θ in the storage of the oracle.
    pub(super) theta: T,
    pub(super) oracle: S,
    pub(super) work: Work,
    pub(super) values: u64,
    pub(super) hypergradients: u64,
    pub(super) first: Option<Point>,
    pub(super) last: Option<Point>,
    pub(super) best: Option<Point>,
    /// The gradient at `last`.
    pub(super) gradient: Option<Vec<f64>>,
    /// The last failure.
    pub(super) failure: Option<Error>,
    /// Whether a failure was independent of the trial point.
    pub(super) fatal: bool,
}

/// Whether the error depends on the point, so that another point may succeed.
pub(super) fn is_of_the_point(error: &Error) -> bool {
    matches!(
        error,
        Error::NotFinite { .. } | Error::InvalidArgument { .. }
    )
}

impl<T: Vector, S> Memory<T, S> {
    pub(super) fn new(theta: T, oracle: S) -> Self {
        Memory {
            theta,
            oracle,
            work: Work::default(),
            values: 0,
            hypergradients: 0,
            first: None,
            last: None,
            best: None,
            gradient: None,
            failure: None,
            fatal: false,
        }
    }

    /// Sets θ to argmin's point. Refuses one that is not finite or of another length, and evaluations beyond the limit.
    pub(super) fn set(&mut self, param: &[f64], limit: u64) -> Result<(), Error> {
        if param.len() != self.theta.len() {
            return Err(Error::invalid(
                "theta",
                format!("{} numbers", param.len()),
                format!("{} numbers", self.theta.len()),
            ));
        }
        if let Some(i) = param.iter().position(|v| !v.is_finite()) {
            let expected = "a finite number";
            return Err(Error::invalid(format!("theta[{i}]"), param[i], expected));
        }
        if self.values + self.hypergradients >= limit {
            let expected = format!("at most {limit}");
            return Err(Error::invalid("the number of trials", "larger", expected));
        }
        self.theta.assign(&mut |i| param[i]);
        Ok(())
    }
}

impl Point {
    pub(super) fn new(theta: &[f64], value: BoundedValue, slope: Option<Slope>) -> Self {
        Point {
            theta: theta.to_vec(),
            value,
            slope,
        }
    }

    pub(super) fn parts(&self) -> (Vec<f64>, BoundedValue) {
        (self.theta.clone(), self.value)
    }
}

impl Slope {
    pub(super) fn of<T: Vector>(z: &Hypergradient<T>) -> Self {
        let norm = z.gradient.norm();
        let omega = if z.is_unbounded_by_choice() {
            0.0
        } else {
            z.error_bound
        };
        Slope {
            norm,
            error_bound: z.error_bound,
            trust: z.trust,
            stationarity: norm + omega,
        }
    }
}
