//! Linear models: regressions and classifiers with tuned penalties, and data hyper-cleaning.
//!
//! | oracle of | lower level | built by |
//! |---|---|---|
//! | ridge regression | [`Ridge`] | [`ridge`](fn@ridge), [`cross_validated_ridge`], [`leave_one_out_ridge`] (feature `direct`) |
//! | lasso, elastic net | [`Lasso`] | [`Lasso::new`], [`cross_validated_lasso`] |
//! | group lasso | [`GroupLasso`] | [`GroupLasso::new`], [`cross_validated_group_lasso`] (feature `direct`) |
//! | logistic regression | [`LogisticRegression`] | [`logistic_regression`], [`leave_one_out_logistic`] (feature `direct`) |
//! | data hyper-cleaning | [`HyperCleaning`] | [`hyper_cleaning`](fn@hyper_cleaning), [`model_cleaning`] for other models |
//!
//! Each module states its formulas, guarantees and references.

#[cfg(feature = "direct")]
pub mod group_lasso;
pub mod hyper_cleaning;
pub mod lasso;
#[cfg(feature = "direct")]
pub mod leave_one_out;
pub(crate) mod linear_model;
pub mod logistic;
pub(crate) mod penalty;
#[cfg(feature = "direct")]
pub mod ridge;
pub(crate) mod sparse;

#[cfg(feature = "direct")]
pub use group_lasso::{GroupLasso, GroupPenalty, Partition, cross_validated_group_lasso};
pub use hyper_cleaning::{HyperCleaning, corrupt_labels, hyper_cleaning, model_cleaning};
pub use lasso::{Lasso, Shrinkage, cross_validated_lasso};
#[cfg(feature = "direct")]
pub use leave_one_out::{LeaveOneOut, leave_one_out_logistic, leave_one_out_ridge};
pub use logistic::{CrossEntropy, LogisticRegression, logistic_regression};
pub use penalty::Penalty;
#[cfg(feature = "direct")]
pub use ridge::{Ridge, cross_validated_ridge, ridge};
pub use sparse::SparseState;
