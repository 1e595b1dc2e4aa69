//! The stochastic methods.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod harness;
mod momentum;
mod run;
mod updates;
