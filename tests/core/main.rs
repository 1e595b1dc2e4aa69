//! The two levels and what is computed with them: certificates, the checker, closures, folds, lower solvers, factorisations and
//! differentiation through a run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/mod.rs"]
mod common;

mod bounds;
mod checker;
mod closures;
mod folds;
mod solvers;
mod sparse_direct;
mod unrolled;
