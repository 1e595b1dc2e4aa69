//! x
pub mod error;
pub mod hypergradient;
pub mod linear;
pub mod lower;
pub mod oracle;
pub mod parallel;
#[cfg(feature = "plot")]
pub mod plot;
pub mod problem;
pub mod run;
pub mod simd;
pub mod status;
pub mod upper;
pub mod vector;
pub mod work;

pub use error::{CheckpointError, Error};
pub use hypergradient::{Accuracy, Bounded, Evaluation, Hypergradient, Trust};
pub use oracle::{Implicit, ImplicitState, Oracle, Sum};
pub use problem::check::{CheckReport, Checker, check_lower, check_upper};
pub use problem::{Curvature, Linearization, LowerLevel, UpperCurvature, UpperLevel};
pub use run::{Limits, Report, Run, Trace};
pub use status::{Budget, SolveStatus, Status};
pub use upper::{GradientDescent, Hoag, Iteration, Law, Maid, Solver, Step};
pub use vector::{Element, Vector};
pub use work::Work;
