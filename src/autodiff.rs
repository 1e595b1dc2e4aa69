//! Automatic differentiation: levels from one gradient, or from the loss of one sample.
//!
//! There are three ways to write a [`LowerLevel`](crate::LowerLevel) or an [`UpperLevel`](crate::UpperLevel), minibatch forms included:
//!
//! | interface | written by hand | derived | cost |
//! |---|---|---|---|
//! | the traits themselves | everything | nothing | lowest |
//! | [`Gradients`] in [`Lower`], [`Upper`] | value, ∇ₓ and ∇θ, over any [`Number`] | A v, Bᵀw and B u, exactly, by [`Dual`] numbers | a product is a gradient in dual numbers |
//! | [`SampleLoss`] in [`lower`], [`upper`] | the loss of one sample, over any [`Scalar`] | everything, by reverse mode over real or dual numbers, one tape per thread | a gradient costs a few values |
//!
//! Each builds on the one before it: [`Taped`] turns a loss into [`Gradients`], and [`Lower`] those into a lower level. Solvers see no
//! difference. The samples of a batch run in parallel, and the results do not depend on the number of threads.
//!
//! ```
//! use bilevel::autodiff::{SampleLoss, Scalar, lower, upper};
//! use bilevel::{Implicit, Maid, Run, Trust};
//!
//! /// A line through points, with a penalty on the slope.
//! struct Line {
//!     points: Vec<(f64, f64)>,
//!     penalised: bool,
//! }
//!
//! impl SampleLoss for Line {
//!     fn parameters(&self) -> usize { 2 }
//!     fn hyperparameters(&self) -> usize { 1 }
//!     fn samples(&self) -> usize { self.points.len() }
//!     fn loss<S: Scalar>(&self, x: &[S], _theta: &[S], sample: usize) -> S {
//!         let (t, y) = self.points[sample];
//!         (x[0].times(t) + x[1]).plus(-y).squared()
//!     }
//!     fn penalty<S: Scalar>(&self, x: &[S], theta: &[S]) -> S {
//!         if self.penalised { theta[0].exp() * (x[0].squared() + x[1].squared().times(1e-3)) } else { S::constant(0.0) }
//!     }
//! }
//!
//! let train = Line { points: vec![(0.0, 0.2), (1.0, 1.4), (2.0, 1.9), (3.0, 3.6)], penalised: true };
//! let validation = Line { points: vec![(0.5, 0.6), (1.5, 1.4), (4.0, 3.9)], penalised: false };
//! let oracle = Implicit::new(lower(train), upper(validation)).with_trust(Trust::Estimated);
//! let report = Run::new(&oracle, Maid::default()).start(vec![-3.0])?;
//! println!("{report}");
//! # assert_eq!(report.status, bilevel::Status::Converged);
//! # Ok::<(), bilevel::Error>(())
//! ```
//!
//! A gradient that does little arithmetic per entry, such as that of an image, is faster in dual numbers with values and tangents in separate
//! arrays: [`Gradients::gradient_apart`].
//!
//! A loss that is NaN ends the run with an error that names the sample. Derivatives are those of the code that ran: of a branch on
//! [`Scalar::value`], the side taken is differentiated.

mod buffers;
mod dual;
mod gradients;
mod jet;
mod levels;
mod loss;
mod number;
mod parts;
mod rows;
#[doc(hidden)]
pub mod scalar;
mod tape;
// For the networks of bilevel-problems, which record steps of their own.
#[doc(hidden)]
pub mod workspaces;

pub use dual::Dual;
pub use gradients::Gradients;
pub(crate) use gradients::check_entries;
pub use jet::Jet;
pub use levels::{Lower, Upper, lower, upper};
pub use loss::{SampleLoss, Taped};
pub use number::{Number, Real};
pub use parts::{Part, PartMut, Parts, apart};
pub use rows::Rows;
pub use scalar::Scalar;
pub use tape::{Mark, Tape, Var};
#[doc(hidden)]
pub use workspaces::{Workspace, Workspaces};
