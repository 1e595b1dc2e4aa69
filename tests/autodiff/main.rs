//! Dual numbers and the tape against closed forms, finite differences and num-dual.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod failures;
mod formulas;
mod functions;
mod hyper_dual;
mod rows;
mod slices;
mod threads;
