//! Readers: of damaged files, and of data sets of real size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

#[path = "../../../tests/common/alone.rs"]
mod alone;
#[path = "../common/files.rs"]
mod files;

mod data_sets;
mod mutations;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;
