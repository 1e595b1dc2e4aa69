//! Every shipped problem with linear models or in closed form by the other two ways: from gradients over [`Number`](bilevel::autodiff::Number), by hand, and from a
//! loss over [`Scalar`](bilevel::autodiff::Scalar). Values, gradients and products agree at random points.

mod least_squares;
mod linear_models;
mod mistakes;
mod ridge;
mod unbounded_smoothness;
