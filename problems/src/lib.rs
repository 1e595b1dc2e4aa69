//! Evaluation problems for [`bilevel`] and their data.
//!
//! | module | problem | θ |
//! |---|---|---|
//! | [`logistic`](mod@linear::logistic) | logistic regression, binary and multinomial, dense and sparse, f64 or f32 | log penalties: one, or one a class, a feature, a weight |
//! | [`hyper_cleaning`](mod@linear::hyper_cleaning) | data hyper-cleaning: a weight for every training sample, some of which are labelled wrongly; linear, or any model | one a sample |
//! | [`lasso`](mod@linear::lasso) | lasso and elastic net, dense and sparse: not smooth | log penalties: one or two |
//! | [`group_lasso`](mod@linear::group_lasso) | lasso of groups of features, dense and sparse: not smooth | log penalties: one, or one a group |
//! | [`ridge`](mod@linear::ridge) | ridge regression with an intercept | log penalties: one, or one a feature |
//! | [`leave_one_out`](mod@linear::leave_one_out) | leave-one-out of ridge and logistic regression by a single fit | theirs |
//! | [`training`](mod@networks::training) | the training of a classifier with [`regularizers`](mod@networks::regularizers), differentiated through its steps | strengths: one to a few |
//! | [`finite_sum`](mod@synthetic::finite_sum) | a quadratic that is a finite sum, with closed forms: the ground truth of stochastic methods | any number |
//! | [`quadratic`](mod@synthetic::quadratic) | a quadratic whose F and ∇F are known in closed form: the ground truth of the tests | any number |
//! | [`unbounded_smoothness`](mod@synthetic::unbounded_smoothness) | a finite sum whose smoothness grows with its gradient, with closed forms | any number |
//! | [`imaging::tv`] | total-variation denoising of images and signals, f64 or f32 | log weight (one, one a pixel, or one a patch), log smoothing |
//! | [`imaging::foe`] | fields of experts: denoising by learned filters, convex or weakly convex | filters, weights and smoothings, thousands |
//! | [`imaging::tikhonov`] | denoising with squared differences: linear, with the solution in closed form | three log weights |
//! | [`imaging::deblurring`] | any of the denoising problems behind a blur | those of the denoising problem |
//! | [`mod@imaging::sure`] | any of the denoising problems without clean images | likewise |
//! | [`sure`] | any problem that predicts noisy data, without clean ones | that of the problem |
//!
//! | feature | adds | by |
//! |---|---|---|
//! | `rayon` (default) | threads, those of `bilevel` | rayon |
//! | `experiment` | the module `experiment` and the program `bilevel`: experiments from TOML files, solvers by name | clap, toml, strsim |
//! | `linfa` | the module `linfa`: estimators that follow linfa's conventions and tune their own penalties | linfa, ndarray |
//!
//! [`models`](mod@networks::models) are classifiers whose scores are written once over any scalar. [`data`] reads and writes PNG and npy files, reads tables of samples
//! (IDX, LIBSVM, CSV) and texts, makes labels wrong, and holds the photographs, tables and names that ship with the crate.
//!
//! ```
//! use bilevel::{Maid, Run, Trust};
//! use bilevel_problems::data::{photograph, resized};
//! use bilevel_problems::imaging::{Norm, Weights, tv_denoising};
//!
//! let clean = resized(&photograph("camera")?, 32)?;
//! let noisy = clean.with_noise(0.1, 0, 0);
//! let oracle = tv_denoising(&[clean], &[noisy], Norm::Isotropic, Weights::Global, Trust::Certified)?;
//! let report = Run::new(&oracle, Maid::default()).max_iterations(10).start(vec![-5.0, -5.0])?;
//! println!("{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod data;
#[cfg(feature = "imaging")]
pub mod imaging;
pub mod linear;
#[cfg(feature = "linfa")]
pub mod linfa;
pub mod networks;
mod support;
pub mod sure;
pub mod synthetic;

pub use support::lanes::Lanes;
