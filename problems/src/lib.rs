//! x
mod fingerprint;
pub mod imaging;
pub mod quadratic;
