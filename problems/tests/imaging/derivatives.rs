//! Every shipped problem of imaging by the other two ways: from gradients over [`Number`](bilevel::autodiff::Number), by hand, and from a
//! loss over [`Scalar`](bilevel::autodiff::Scalar). Values, gradients and products agree at random points.

#[path = "../../../benches/levels/tv.rs"]
mod banded;
mod deblurring;
mod foe;
mod imaging;
mod spectrum;
mod sure;
mod tikhonov;
mod tv;
