//! The program `bilevel`: experiments from files, and learned denoising, cleaning and regularisation from the command line.
//!
//! ```text
//! bilevel run experiment.toml       an experiment from a file, all seeds
//! bilevel list                      solvers, methods and problems by name
//! bilevel hyper-cleaning --help     a command of its own for each of the larger applications
//! ```
//!
//! | module | contents |
//! |---|---|
//! | [`experiment`] | experiments in TOML, their runs, figures and pages |
//!
//! The interface of the program is its command line. What is hidden here serves its commands and the benchmarks, and may change.

mod any_state;
mod commands;
pub mod experiment;
#[doc(hidden)]
pub mod finite_sum;
mod images;
mod images_of_classes;
mod options;
#[doc(hidden)]
pub mod registry;
#[doc(hidden)]
pub mod runs;
mod watch;

pub use commands::main;
