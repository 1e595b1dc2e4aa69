//! The driver, and the edge to argmin.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/mod.rs"]
mod common;

#[cfg(all(feature = "argmin", feature = "tpe"))]
mod argmin;
mod run;
