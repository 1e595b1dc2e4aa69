//! Gradient-based bilevel and hyperparameter optimisation: every number carries its error.
//!
//! $$ \min_\theta F(\theta) = f(x^\ast(\theta), \theta) \qquad\text{with}\qquad x^\ast(\theta) = \arg\min_x g(x, \theta) $$
//!
//! θ are hyperparameters: the weight of a regulariser, a penalty for every feature, a weight for every training sample. x is
//! what they shape: the denoised image, the fitted model. The inner problem is solved to a finite accuracy, so F and its gradient
//!
//! $$ \nabla F = \nabla_\theta f - B^\top A^{-1} \nabla_x f, \qquad A = \nabla^2_{xx} g, \quad B = \nabla^2_{x\theta} g $$
//!
//! are known to a finite accuracy too. This crate computes how large the error is, and its solvers take no step that the error
//! does not allow.
//!
//! # A first run
//!
//! ```
//! use bilevel::{Implicit, Maid, Run, Status};
//! use bilevel_problems::synthetic::quadratic::Quadratic;
//!
//! let problem = Quadratic::random(50, 4, 100.0, 0); // 50 unknowns, 4 hyperparameters, condition number 100
//! let oracle = Implicit::new(problem.lower(), problem.upper());
//! let report = Run::new(&oracle, Maid::default()).tolerance(1e-3).start(vec![0.0; 4])?;
//! println!("{report}");
//! assert_eq!(report.status, Status::Converged);
//!
//! // The exact hypergradient is known here: it lies within the certified bound.
//! let exact = problem.gradient(&report.theta);
//! let error: f64 = report.hypergradient.iter().zip(&exact).map(|(a, b)| (a - b).powi(2)).sum();
//! assert!(error.sqrt() <= report.error_bound);
//! # Ok::<(), bilevel::Error>(())
//! ```
//!
//! For a problem of your own, implement [`LowerLevel`] and [`UpperLevel`] and let [`check_lower`] and [`check_upper`] look for
//! mistakes in the derivatives before the first run.
//!
//! # The map
//!
//! | module | what it holds |
//! |---|---|
//! | [`vector`] | [`Vector`]: the few operations that θ and x need; `Vec<f64>` and `Vec<f32>` have them |
//! | [`linear`] | A q = b with A as a product only: CG, MINRES, Neumann series, dense and sparse Cholesky, and the chain of them |
//! | [`problem`] | [`LowerLevel`], [`UpperLevel`], their constants, the derivative checker, and [`autodiff`](problem::autodiff): gradients or losses that are written once |
//! | [`lower`] | argminₓ g to a given accuracy, certified: gradient descent, FISTA, Newton-CG, L-BFGS |
//! | [`hypergradient`] | ∇F by implicit differentiation, and the bound of its error; or through the steps of a training run |
//! | [`oracle`] | θ and an accuracy in, value and hypergradient out: [`Implicit`], [`Mean`] over samples in parallel, and [`Unrolled`] |
//! | [`upper`] | what moves θ: [`Maid`], [`Hoag`], [`GradientDescent`]; without gradients [`DerivativeFree`], [`RandomSearch`], [`GridSearch`] |
//! | [`stochastic`] | methods on minibatches, single-loop: [`Soba`] and its peers, under the same driver |
//! | [`folds`] | hold-out and cross-validation of any problem |
//! | [`run`] | the driver: stopping rules, budgets, observers, trace, report, checkpoints |
//! | `plot` | convergence figures (feature `plot`) |
//! | `argmin` | argmin's solvers and its Executor, in both directions (feature `argmin`) |
//! | `tpe` | the tree-structured Parzen estimator (feature `tpe`) |
//! | [`status`], [`error`], [`work`], [`parallel`], [`simd`] | how things end, what is refused, what was done, and on which threads and registers |
//!
//! # Features
//!
//! | feature | adds | by |
//! |---|---|---|
//! | `rayon` (default) | threads; without it everything runs on one, with the same results: for WebAssembly, say | rayon |
//! | `plot` | convergence figures as SVG | plotters |
//! | `png` | the same as PNG, without a library or a font of the system | resvg, dejavu |
//! | `progress` | a progress bar for the terminal | indicatif |
//! | `interrupt` | Ctrl-C ends a run cleanly | ctrlc |
//! | `argmin` | argmin's solvers on our oracles, under its driver or ours, and ours under its Executor | argmin |
//! | `tpe` | the tree-structured Parzen estimator, Optuna's baseline, on our oracles | tpe |
//!
//! `rayon` alone is on by default. Features add and never change what is there.
//!
//! # What holds everywhere
//!
//! - A bound is [`Trust::Certified`] only when every constant in it was supplied by the problem; sampled ones make it
//!   [`Trust::Estimated`].
//! - Not to converge is a [`Status`] with advice, not an error. An [`Error`] is invalid input, or a function of yours that
//!   returned something that is not finite.
//! - The same settings and seed give the same bytes in trace and figures, on any number of threads and after any number of
//!   interruptions. Kernels do not depend on the width of the SIMD registers either; the platform's `exp` and `ln` and
//!   the transforms of `bilevel-problems` may.

#[cfg(feature = "argmin")]
pub mod argmin;
pub mod autodiff;
mod crc32;
pub mod error;
pub mod hypergradient;
pub mod linear;
pub mod lower;
pub mod oracle;
pub mod parallel;
#[cfg(feature = "plot")]
pub mod plot;
pub mod problem;
mod random;
pub mod run;
pub mod simd;
pub mod status;
pub mod stochastic;
pub mod upper;
pub mod vector;
pub mod work;

pub use error::{CheckpointError, Error};
pub use hypergradient::unrolled::check_dynamics;
pub use hypergradient::unrolled::{Dynamics, Mode};
pub use hypergradient::{Accuracy, BoundedValue, ErrorEstimator, Evaluation, Hypergradient, Trust};
pub use oracle::{Fold, Folds, Implicit, ImplicitState, Mean, Oracle, Unrolled, check_oracle};
pub use problem::check::{CheckReport, Checker, check_lower, check_upper};
pub use problem::{
    Curvature, Linearization, LocalConvexity, LowerLevel, UpperCurvature, UpperLevel,
};
pub use run::{Limits, Report, Run, Trace};
pub use status::{Budget, SolveStatus, Status};
pub use stochastic::{MinibatchOracle, Soba, Stochastic};
#[cfg(feature = "tpe")]
pub use upper::Tpe;
pub use upper::{
    DerivativeFree, GradientDescent, GridSearch, Hoag, Iteration, Maid, RandomSearch, SearchBox,
    Solver, Step, ToleranceSchedule,
};
pub use vector::{Element, Vector};
pub use work::Work;

/// The programs of the book and of the README, compiled and run with the other examples of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../docs/src/autodiff.md")]
#[doc = include_str!("../docs/src/choosing.md")]
#[doc = include_str!("../docs/src/from-betty.md")]
#[doc = include_str!("../docs/src/from-hypertorch.md")]
#[doc = include_str!("../docs/src/from-jaxopt.md")]
#[doc = include_str!("../docs/src/from-scikit-learn.md")]
#[doc = include_str!("../docs/src/getting-started.md")]
#[doc = include_str!("../docs/src/hypergradients.md")]
#[doc = include_str!("../docs/src/inverse_problems.md")]
#[doc = include_str!("../docs/src/lower-solvers.md")]
#[doc = include_str!("../docs/src/pipeline.md")]
#[doc = include_str!("../docs/src/running.md")]
#[doc = include_str!("../docs/src/sparse.md")]
#[doc = include_str!("../docs/src/stochastic.md")]
#[doc = include_str!("../docs/src/stochastic-methods.md")]
struct Book;

/// The programs of the chapter on argmin, likewise.
#[cfg(all(doctest, feature = "argmin"))]
#[doc = include_str!("../docs/src/argmin.md")]
struct ArgminChapter;
