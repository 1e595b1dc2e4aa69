//! Searches: solvers that compute values of F alone.

mod basis;
pub mod derivative_free;
pub mod grid;
pub mod random;
pub mod search;
#[cfg(feature = "tpe")]
pub mod tpe;

pub use derivative_free::DerivativeFree;
pub use grid::GridSearch;
pub use random::RandomSearch;
pub use search::SearchBox;
#[cfg(feature = "tpe")]
pub use tpe::Tpe;
