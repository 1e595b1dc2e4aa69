//! Linear models: regressions and classifiers with tuned penalties, and data hyper-cleaning.
//!
//! | problem | lower level | oracle |
//! |---|---|---|
//! | ridge regression (feature `direct`) | `Ridge` | `ridge`, `cross_validated_ridge`, `leave_one_out_ridge` |
//! | lasso, elastic net | [`lasso`] | [`Lasso`], [`cross_validated_lasso`] |
//! | group lasso (feature `direct`) | `group_lasso` | `GroupLasso`, `cross_validated_group_lasso` |
//! | logistic regression | [`LogisticRegression`] | [`logistic_regression`]; `leave_one_out_logistic` (feature `direct`) |
//! | data hyper-cleaning | [`HyperCleaning`] | [`hyper_cleaning`](fn@hyper_cleaning); [`model_cleaning`] for other models |
//!
//! Each module states its formulas, its guarantees and its references.

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
pub use sparse::{SparseRegression, SparseState};
