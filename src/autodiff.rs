//! Derivatives from a gradient, or from a loss, that is written once.
//!
//! Three rungs lead to a [`LowerLevel`](crate::LowerLevel), and to an [`UpperLevel`](crate::UpperLevel) with their minibatch forms:
//!
//! | rung | written by hand | derived | costs |
//! |---|---|---|---|
//! | (a) the traits themselves | everything | nothing | least |
//! | (b) [`Gradients`] in [`Lower`], [`Upper`] | value, ∇ₓ and ∇θ, over any [`Number`] | A v, Bᵀw and B u, by [`Dual`] numbers, exactly | a product is a gradient in dual numbers |
//! | (c) [`SampleLoss`] in [`Taped`] | the loss of one sample, over any [`Scalar`] | everything, by a [`Tape`] a thread over real or dual numbers | a gradient is a few times a value |
//!
//! Every rung rests on the one before it: [`Taped`] implements [`Gradients`], and [`Lower`] a lower level. A solver does not see which one
//! was taken. Samples of a batch are spread over the threads in a way that does not show in the results.
//!
//! ```
//! use bilevel::autodiff::{Lower, SampleLoss, Scalar, Taped, Upper};
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
//! let oracle = Implicit::new(Lower::<_>::new(Taped::new(train)), Upper::<_>::new(Taped::new(validation)))
//!     .with_trust(Trust::Estimated);
//! let report = Run::new(&oracle, Maid::default()).start(vec![-3.0])?;
//! println!("{report}");
//! # assert_eq!(report.status, bilevel::Status::Converged);
//! # Ok::<(), bilevel::Error>(())
//! ```
//!
//! A gradient that is short beside what it reads, as that of an image, is faster in dual numbers with [values and tangents apart](parts).
//!
//! A loss that is NaN ends the run with an error that names the sample. Derivatives are those of the code that ran: a branch on
//! [`Scalar::value`] is differentiated along the side that was taken.

pub mod dual;
pub mod gradients;
pub mod jet;
pub mod loss;
pub mod number;
pub mod parts;
pub mod rows;
pub mod scalar;
pub mod sheets;
pub mod tape;
pub use dual::Dual;
pub use gradients::{Gradients, Lower, Upper};
pub use jet::Jet;
pub use loss::{SampleLoss, Taped};
pub use number::{Number, Real};
pub use parts::{Part, PartMut, Parts};
pub use rows::Rows;
pub use scalar::Scalar;
pub use sheets::{Sheet, Sheets};
pub use tape::{Mark, Tape, Var};
