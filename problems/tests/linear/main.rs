//! Linear models and problems in closed form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/agreement.rs"]
mod agreement;
#[path = "../common/mod.rs"]
mod common;

mod derivatives;
mod digits_golden;
mod group_lasso;
mod lasso;
mod leave_one_out;
mod linear_models;
#[cfg(feature = "linfa")]
mod linfa;
mod local_convexity;
mod ridge;
#[cfg(feature = "linfa")]
mod units;
mod unrolled;
