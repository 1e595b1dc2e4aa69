//! The interface to [argmin](https://argmin-rs.org), in both directions.
//!
//! | direction | by | what it gives |
//! |---|---|---|
//! | our oracle for argmin's solvers | [`Objective`] | a `CostFunction` and `Gradient` that keeps warm starts, bounds, and counts of work |
//! | our solvers for argmin's driver | [`Driven`] | an argmin `Solver`: its `Executor`, observers and checkpoints work |
//! | argmin's solvers under our driver | [`Lbfgs`], [`NelderMead`], [`ParticleSwarm`] | our trace, budgets, checkpoints and count of work, for a comparison |
//!
//! argmin stores θ as `Vec<f64>` here, whatever the storage of the oracle's θ; it needs only the `vec` backend of `argmin-math`.
//!
//! # Limitations
//! argmin treats computed values as exact, at one accuracy that you choose; none of its solvers reads a bound, so none notices when the
//! decrease is smaller than the error of order ε.

mod driven;
mod lbfgs;
mod memory;
mod nelder_mead;
mod objective;
mod particle_swarm;
mod stepped;

pub use driven::Driven;
pub use lbfgs::Lbfgs;
pub use nelder_mead::NelderMead;
pub use objective::Objective;
pub use particle_swarm::ParticleSwarm;
