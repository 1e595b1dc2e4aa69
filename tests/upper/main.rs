//! The upper-level solvers on quadratics, whose F and ∇F are known in closed form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/mod.rs"]
mod common;

mod baselines;
mod maid;
mod variants;
