//! Memory: what is held, and that iterations allocate nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/alone.rs"]
mod alone;

mod stochastic;
mod unrolled;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;
