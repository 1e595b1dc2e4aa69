//! Problems with closed forms: the ground truth of tests and benchmarks.

#[cfg(feature = "direct")]
pub mod finite_sum;
#[cfg(feature = "direct")]
pub mod quadratic;
pub mod unbounded_smoothness;

/// ⟨a, b⟩, from the first term to the last.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
