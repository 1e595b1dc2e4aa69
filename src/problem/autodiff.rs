//! Derivatives from a gradient, or from a loss, that is written once.
pub mod dual;
pub mod gradients;
pub mod jet;
pub mod loss;
pub mod number;
mod registers;
pub mod rows;
pub mod scalar;
pub mod tape;
pub use dual::Dual;
pub use gradients::{Gradients, Lower, Upper};
pub use jet::Jet;
pub use loss::{SampleLoss, Taped};
pub use number::{Number, Real};
pub use rows::Rows;
pub use scalar::Scalar;
pub use tape::{Mark, Tape, Var};
