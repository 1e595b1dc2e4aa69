//! Problems for [`bilevel`]: regressions and classifiers, networks, imaging, closed forms, and their data.
//!
//! | wing | problem | θ |
//! |---|---|---|
//! | [`linear`] | logistic regression, binary and multinomial, dense and sparse, f64 or f32 | log penalties: one, or one per class, feature or weight |
//! | | data hyper-cleaning: a weight for every training sample, some of which are labelled wrongly; linear, or any model | one per sample |
//! | | lasso and elastic net, dense and sparse: not smooth | log penalties: one or two |
//! | | group lasso, dense and sparse: not smooth (`direct`) | log penalties: one, or one per group |
//! | | ridge regression with an intercept (`direct`) | log penalties: one, or one per feature |
//! | | leave-one-out of ridge and logistic regression by a single fit (`direct`) | those of the regression |
//! | [`networks`] | the training of a classifier with [`regularizers`](mod@networks::regularizers), differentiated through its steps | strengths: one to a few |
//! | [`synthetic`] | a quadratic with F and ∇F in closed form; a finite sum with closed forms (both `direct`); a finite sum with unbounded smoothness | any number |
//! | `imaging` | total-variation denoising of images and signals, f64 or f32 | log weight (one, or one per pixel or patch), log smoothing |
//! | | fields of experts: denoising by learned filters, convex or weakly convex | filters, weights and smoothings: thousands |
//! | | denoising with squared differences: linear, with a closed form (`direct`) | three log weights |
//! | | deblurring with any of the denoising problems | those of the denoising problem |
//! | [`sure`] | any problem that predicts noisy data, without clean data; `imaging::sure` for images | those of the problem |
//!
//! [`data`] holds samples, texts and images, reads files, makes labels wrong, and brings photographs and data sets.
//! [`models`](mod@networks::models) are classifiers whose scores are written once over any scalar type.
//!
//! | feature | adds | depends on |
//! |---|---|---|
//! | `data` (default) | readers of PNG, npy, CSV, IDX, LIBSVM and text files, and the data that come with the crate | csv, flate2, png |
//! | `imaging` (default) | the wing `imaging` | realfft, rustdct |
//! | `direct` (default) | the problems marked so: they factor matrices | faer |
//! | `rayon` (default) | threads, those of `bilevel` | rayon |
//! | `linfa` | the module `linfa`: estimators that follow linfa's conventions and tune their own penalties | linfa, ndarray; `direct` |
//!
#![cfg_attr(all(feature = "data", feature = "imaging"), doc = "```")]
#![cfg_attr(not(all(feature = "data", feature = "imaging")), doc = "```ignore")]
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

#[doc(hidden)]
pub use support::lanes::Lanes;
