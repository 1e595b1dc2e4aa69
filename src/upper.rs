//! Upper-level solvers: what moves θ.
//!
//! | solver | accuracy of the inner problems | step | guarantee |
//! |---|---|---|---|
//! | [`Maid`] | adaptive, both ways | backtracking on bounds | every accepted step decreases the exact F |
//! | its variants, [`Maid::lbfgs`] first | adaptive, in proportion to the deficit | the same, with other directions and trial steps | the same for the monotone ones |
//! | [`GradientDescent`] | fixed | backtracking on computed values | none beyond the accuracy |
//! | [`Hoag`] | a summable schedule, fixed in advance | adaptive, from the observed decrease | convergence in the limit |
//! | [`DerivativeFree`] | tied to the step | along coordinates, compared on bounds | every accepted step decreases the exact F |
//! | [`RandomSearch`], [`GridSearch`] | fixed | none: points of a box | none |
//!
//! A backtracking solver combines an accuracy schedule ([`accuracy`](descent::accuracy)), a [`direction`](descent::direction), a trial step
//! with an acceptance test ([`line_search`](descent::line_search)), and a [`constraint`](descent::constraint).
//!
//! A solver sees an [`Oracle`](crate::Oracle), not a problem. [`Solver::step`] is public: call it in a loop of your own, or let
//! [`Run`](crate::Run) add stopping rules, budgets, observers, a trace and checkpoints.
//!
//! # Adding a solver
//! Implement [`Solver`]: `start`, `step`, `accuracy` and `name`. The rest follows from the state, which is a [`SolverState`].

pub mod descent;
pub mod gradient_descent;
pub mod hoag;
pub mod maid;
pub mod searches;
pub(crate) mod solver;

pub use descent::{
    Acceptance, Adaptation, AdaptiveAccuracy, Backtracking, Constraint, Direction, FirstStep,
    ToleranceSchedule, TrialStep, Values,
};
pub use gradient_descent::GradientDescent;
pub use hoag::Hoag;
pub use maid::Maid;
#[cfg(feature = "tpe")]
pub use searches::Tpe;
pub use searches::{DerivativeFree, GridSearch, RandomSearch, SearchBox};
pub use solver::{Iteration, Solver, SolverState, Step};
