//! Denoising and deblurring of images, by every solver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/agreement.rs"]
mod agreement;
#[path = "../common/mod.rs"]
mod common;

mod argmin;
mod baselines;
mod checker;
mod derivatives;
mod foe_golden;
mod foe_inverse;
mod inverse_problems;
mod maid;
mod run;
mod solvers;
mod sparse_direct;
mod sure;
mod tv_golden;
mod tv_kodak96;
