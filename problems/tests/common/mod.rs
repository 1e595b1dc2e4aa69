//! Shared by the tests of the problems: what those of `bilevel` share, a picture, and where data are.

#![allow(dead_code)] // every test program uses a part of it
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests

mod files;
#[path = "../../../tests/common/mod.rs"]
mod shared;

use bilevel_problems::data::Image;
pub(crate) use files::*;
pub(crate) use shared::*;

/// A clean picture: a ramp, a disc and a bar.
pub(crate) fn picture(rows: usize, cols: usize, variant: u64) -> Image<f64> {
    let shift = 0.1 * variant as f64;
    let pixels = (0..rows * cols)
        .map(|at| {
            let u = (at / cols) as f64 / rows as f64;
            let v = (at % cols) as f64 / cols as f64;
            let disc = (u - 0.4 - shift).hypot(v - 0.5) < 0.3;
            let bar = (v - 0.8 + shift).abs() < 0.1;
            0.2 * u + 0.1 * v + 0.4 * f64::from(u8::from(disc)) + 0.3 * f64::from(u8::from(bar))
        })
        .collect();
    Image::new(rows, cols, pixels).expect("as many pixels as the shape says")
}
