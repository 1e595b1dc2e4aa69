//! The registers of the program: upper-level solvers, stochastic methods and problems of experiment files, each listed once.
//!
//! An entry is a name, one line of description and whatever is made of it. The help texts, the refusals of unknown names, `bilevel list`
//! and the comparisons read these lists:
//!
//! ```
//! use bilevel::{Accuracy, Implicit};
//! use bilevel_cli::registry::solvers::{around, solver};
//! use bilevel_cli::runs::Settings;
//! use bilevel_problems::synthetic::quadratic::Quadratic;
//!
//! let problem = Quadratic::random(20, 3, 10.0, 0);
//! let oracle = Implicit::new(problem.lower(), problem.upper());
//! let theta = vec![0.0; 3];
//! let search_box = around(&theta, 3.0)?;
//! let hoag = solver("hoag-quadratic", Accuracy::new(0.1, 0.1)?, &search_box)?;
//! let settings = Settings { tolerance: 1e-3, ..Settings::default() };
//! assert!(hoag.run(&oracle, theta, &settings)?.error_bound < 1e-3);
//! # Ok::<(), bilevel::Error>(())
//! ```

pub mod methods;
pub mod names;
pub mod problems;
pub mod solvers;

/// A line of a register.
#[derive(Debug, Clone, Copy)]
pub struct Entry<T> {
    /// The name on the command line and in experiment files.
    pub name: &'static str,
    /// One line of description.
    pub about: &'static str,
    /// The thing itself, or its constructor.
    pub value: T,
}

/// A line of a register.
const fn entry<T>(name: &'static str, about: &'static str, value: T) -> Entry<T> {
    Entry { name, about, value }
}
