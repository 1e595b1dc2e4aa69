//! Every shipped problem by the other two rungs: from gradients over [`Number`](bilevel::autodiff::Number), by hand, and from a
//! loss over [`Scalar`](bilevel::autodiff::Scalar). Values, gradients and products agree at random points.

#![allow(clippy::unwrap_used, clippy::expect_used)] // in the helpers of tests, as in tests

#[path = "common/agreement.rs"]
mod agreement;
mod common;

mod rungs {
    #[path = "../../benches/levels/tv.rs"]
    mod banded;
    mod deblurring;
    mod foe;
    mod imaging;
    mod least_squares;
    mod linear_models;
    mod mistakes;
    mod ridge;
    mod spectrum;
    mod sure;
    mod tikhonov;
    mod tv;
    mod unbounded_smoothness;
}
