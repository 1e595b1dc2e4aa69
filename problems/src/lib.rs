//! x
pub mod data;
mod fingerprint;
pub mod imaging;
pub mod quadratic;
