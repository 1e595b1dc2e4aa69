//! Problems with closed forms: the ground truth of tests and benchmarks.

#[cfg(feature = "direct")]
pub mod finite_sum;
#[cfg(feature = "direct")]
pub mod quadratic;
pub mod unbounded_smoothness;
