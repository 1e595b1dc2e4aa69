//! The parts of descent methods: accuracy schedules, directions, line searches, constraints.
//!
//! An upper-level solver that moves along hypergradients combines one of each; [`Maid`](crate::Maid) and
//! [`GradientDescent`](crate::GradientDescent) do.

pub mod accuracy;
pub mod constraint;
pub mod direction;
pub(super) mod iterate;
pub mod line_search;

pub use accuracy::{Adaptation, AdaptiveAccuracy, ToleranceSchedule};
pub use constraint::Constraint;
pub use direction::Direction;
pub use iterate::Iterate;
pub use line_search::{Acceptance, Backtracking, FirstStep, TrialStep, Values};
