//! Searches: solvers that need values of F only.

mod basis;
mod boxes;
pub mod derivative_free;
pub mod grid;
pub mod random;
#[cfg(feature = "tpe")]
pub mod tpe;

pub use boxes::SearchBox;
pub use derivative_free::DerivativeFree;
pub use grid::GridSearch;
pub use random::RandomSearch;
#[cfg(feature = "tpe")]
pub use tpe::Tpe;
