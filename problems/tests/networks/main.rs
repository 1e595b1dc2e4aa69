//! The training of classifiers and their regularizers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod regularizers;
mod training;
