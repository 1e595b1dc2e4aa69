//! The parts of descent methods: accuracy schedules, directions, line searches, constraints.
//!
//! A solver that moves along hypergradients combines one of each, as [`Maid`](crate::Maid) and
//! [`GradientDescent`](crate::GradientDescent) do.

pub mod accuracy;
pub mod constraint;
pub mod direction;
pub(super) mod iterate;
pub mod line_search;

pub use accuracy::{Adaptation, AdaptiveAccuracy, ToleranceSchedule};
pub use constraint::Constraint;
pub use direction::Direction;
pub use line_search::{Acceptance, Backtracking, FirstStep, TrialStep, Values};
