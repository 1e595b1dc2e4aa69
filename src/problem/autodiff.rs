//! Derivatives from a gradient, or from a loss, that is written once.
pub mod dual;
pub mod gradients;
pub mod loss;
pub mod number;
pub mod scalar;
pub mod sheets;
pub mod tape;
pub use dual::Dual;
pub use gradients::{Gradients, Lower, Upper};
pub use loss::{SampleLoss, Taped};
pub use number::{Number, Real};
pub use scalar::Scalar;
pub use sheets::{Sheet, Sheets};
pub use tape::{Mark, Tape, Var};
