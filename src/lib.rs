//! Gradient-based bilevel and hyperparameter optimisation: every number carries its error.
//!
//! $$ \min_\theta F(\theta) = f(x^\ast(\theta), \theta) \qquad\text{with}\qquad x^\ast(\theta) = \arg\min_x g(x, \theta) $$
//!
//! θ are hyperparameters: the weight of a regulariser, a penalty for every feature, a weight for every training sample. x is the
//! result that they shape: the denoised image, the fitted model. The inner problem is solved to a finite accuracy, so F and its gradient
//!
//! $$ \nabla F = \nabla_\theta f - B^\top A^{-1} \nabla_x f, \qquad A = \nabla^2_{xx} g, \quad B = \nabla^2_{x\theta} g $$
//!
//! are known to a finite accuracy too. This crate computes a bound of the error, and its monotone solvers accept only steps that decrease
//! the exact F in spite of it.
//!
//! # A first run
//!
//! ```
//! use bilevel::problem::closures::{lower, upper};
//! use bilevel::{Curvature, Implicit, Maid, Run, Trust, UpperCurvature};
//!
//! // x estimates three values from measurements y and their common prior mean θ, which is fitted to reference values z.
//! let (y, z) = ([1.0, 2.0, 4.0], [1.5, 2.5, 3.0]);
//! let half_square = |x: &[f64], at: &dyn Fn(usize) -> f64| (0..3).map(|i| 0.5 * (x[i] - at(i)).powi(2)).sum::<f64>();
//! let g = lower(vec![0.0; 3], 1, |x, t| half_square(x, &|i| y[i]) + half_square(x, &|_| t[0]),
//!               |x, t, out| (0..3).for_each(|i| out[i] = 2.0 * x[i] - y[i] - t[0]))
//!     .products(|_, _, v, out| (0..3).for_each(|i| out[i] = 2.0 * v[i]), // A v
//!               |_, _, w, out| out[0] = -w.iter().sum::<f64>(),         // Bᵀw
//!               |_, _, u, out| out.fill(-u[0]))                         // B u
//!     .with_curvature(|_| Curvature { strong_convexity: Some(2.0), smoothness: Some(2.0), hessian_lipschitz: Some(0.0),
//!                                     cross_norm: Some(1.7321), cross_lipschitz: Some(0.0) });
//! let f = upper(|x| half_square(x, &|i| z[i]), |x, out| (0..3).for_each(|i| out[i] = x[i] - z[i]))
//!     .with_curvature(UpperCurvature { gradient_x_lipschitz: Some(1.0), gradient_theta_lipschitz: Some(0.0), convex: true });
//! let report = Run::new(&Implicit::new(g, f), Maid::default()).start(vec![0.0])?;
//! println!("{report}"); // θ = 7/3, the value and the hypergradient with their certified errors
//! assert_eq!(report.trust, Trust::Certified);
//! # assert_eq!(report.status, bilevel::Status::Converged);
//! # assert!((report.theta[0] - 7.0 / 3.0).abs() <= 1e-2, "{report}");
//! # Ok::<(), bilevel::Error>(())
//! ```
//!
//! With [`autodiff`] you write the loss of one sample instead, and nothing else. For full control, implement [`LowerLevel`] and
//! [`UpperLevel`]. [`check_lower`] and [`check_upper`] find mistakes in the derivatives before the first run.
//!
//! # The map
//!
//! | module | content |
//! |---|---|
//! | [`problem`] | the two levels: [`LowerLevel`], [`UpperLevel`], their constants, [`closures`](problem::closures), minibatches, the derivative checker |
//! | [`autodiff`] | levels from one gradient, or from the loss of one sample |
//! | [`lower`] | argminₓ g to a given, certified accuracy: gradient descent, FISTA, Newton-CG, L-BFGS |
//! | [`linear`] | A q = b by products with A: CG, MINRES, Neumann series; dense and sparse Cholesky; fallbacks |
//! | [`hypergradient`] | ∇F and the bound of its error: by implicit differentiation, or through the steps of a training run |
//! | [`oracle`] | from θ and an accuracy to value and hypergradient: [`Implicit`], [`Unrolled`], [`Mean`] over samples, [`Folds`] for cross-validation |
//! | [`upper`] | methods that move θ: [`Maid`], [`Hoag`], [`GradientDescent`] |
//! | [`upper::descent`] | their parts: directions, line searches, accuracies, constraints |
//! | [`upper::searches`] | searches without gradients: [`DerivativeFree`], [`RandomSearch`], [`GridSearch`], and `Tpe` |
//! | [`stochastic`] | single-loop methods on minibatches: [`Soba`] and its relatives, under the same driver |
//! | [`run`] | the driver: stopping rules, budgets, observers, trace, report, checkpoints |
//! | `plot` | convergence figures (feature `plot`) |
//! | `argmin` | argmin's solvers and its Executor, in both directions (feature `argmin`) |
//! | [`vector`] | [`Vector`]: the operations on θ and x; `Vec<f64>` and `Vec<f32>` have them |
//! | [`status`], [`error`], [`work`], [`parallel`] | how solves and runs end, what is refused, what work was done, on how many threads |
//!
//! # Features
//!
//! | feature | adds | by |
//! |---|---|---|
//! | `rayon` (default) | threads; without it everything runs on one, with the same results, e.g. for WebAssembly | rayon |
//! | `direct` | dense and sparse Cholesky factorisations of A | faer |
//! | `plot` | convergence figures as SVG | plotters |
//! | `png` | the same as PNG, independent of the libraries and fonts of the system | resvg, dejavu |
//! | `progress` | a progress bar for the terminal | indicatif |
//! | `interrupt` | Ctrl-C ends a run cleanly | ctrlc |
//! | `argmin` | argmin's solvers on our oracles, under its driver or ours, and ours under its Executor | argmin |
//! | `tpe` | the tree-structured Parzen estimator, Optuna's baseline, on our oracles | tpe |
//!
//! Only `rayon` is on by default.
//!
//! # What holds everywhere
//!
//! - A bound is [`Trust::Certified`] only if the problem supplies every constant in it; sampled constants make it
//!   [`Trust::Estimated`].
//! - A run that does not converge ends with a [`Status`] and advice, not with an error. An [`Error`] means invalid input, a missing
//!   constant that a certificate needs, a function of yours that returned NaN or an infinity, or a failure of the system.
//! - The same settings and seed give the same bytes in trace and figures, on any number of threads and after any number of
//!   interruptions. Kernels do not depend on the width of the SIMD registers either; the platform's `exp` and `ln` and
//!   the transforms of `bilevel-problems` may.
//! - There is no `unsafe` code. Outside the module `argmin`, the documented interface names no type of another crate; of traits it
//!   names serde's, which checkpoints need of a [`Vector`].

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
#[doc(hidden)]
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

/// The programs of the book and the README, compiled and run as documentation tests.
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

/// The programs of the chapter on argmin.
#[cfg(all(doctest, feature = "argmin"))]
#[doc = include_str!("../docs/src/argmin.md")]
struct ArgminChapter;
