//! The problems of experiments by name.

use serde::{Deserialize, Serialize};

use super::{Entry, entry};
use crate::experiment::problem::ProblemSettings;
use crate::experiment::problem::foe::Foe;
use crate::experiment::problem::hyper_cleaning::Cleaning;
use crate::experiment::problem::lasso::Lasso;
use crate::experiment::problem::logistic_regression::Logistic;
use crate::experiment::problem::quadratic::Quadratic;
use crate::experiment::problem::ridge::Ridge;
use crate::experiment::problem::tv::Tv;

/// Makes the enumeration of all problems, its dispatch and the list of its names from one line for each problem. (The enumeration
/// keeps serde's messages, which name line, column and the known words.)
macro_rules! register {
    ($($variant:ident($settings:ty): $name:literal, $about:literal;)*) => {
        /// A problem and its data: the table `[problem.…]`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum Problem {
            $(#[doc = concat!("`", $name, "`: ", $about, ".")] #[serde(rename = $name)] $variant($settings),)*
        }

        impl Problem {
            pub(crate) fn settings(&self) -> &dyn ProblemSettings {
                match self {
                    $(Problem::$variant(settings) => settings,)*
                }
            }

            pub(crate) fn settings_mut(&mut self) -> &mut dyn ProblemSettings {
                match self {
                    $(Problem::$variant(settings) => settings,)*
                }
            }
        }

        /// The names and descriptions of the register, in its order.
        pub const PROBLEMS: &[Entry<()>] = &[$(entry($name, $about, ())),*];
    };
}

// The register of problems. A new problem is one line here.
register! {
    Quadratic(Quadratic): "quadratic", "a random quadratic with a closed form";
    Tv(Tv): "tv", "denoising by total variation: its log weight and log smoothing";
    Foe(Foe): "foe", "denoising by a field of experts: its filters, weights and smoothings";
    LogisticRegression(Logistic): "logistic_regression", "the penalties of a logistic regression";
    HyperCleaning(Cleaning): "hyper_cleaning", "a weight for every training sample, some of which are labelled wrongly";
    Ridge(Ridge): "ridge", "the penalties of a ridge regression, by folds";
    Lasso(Lasso): "lasso", "the penalties of a lasso or an elastic net, by folds";
}
