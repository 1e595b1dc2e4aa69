//! Linear models: regressions and classifiers, their penalties, and data hyper-cleaning.

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
