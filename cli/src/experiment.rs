//! Experiments from files: a problem, its data, a solver, seeds and budgets in TOML; each run leaves its results in a folder.
//!
//! ```text
//! bilevel run experiment.toml        runs all seeds; results in runs/experiment/
//! bilevel resume runs/experiment     resumes where it was stopped
//! bilevel compare a.toml b.toml      runs what has not been run, and compares
//! bilevel plot runs/a runs/b         draws what has been run
//! bilevel check problem.toml         tests the derivatives
//! ```
//!
//! The program is a thin shell around [`run`], [`resume`], [`compare`] and [`check`]. A file needs one table, `[problem.…]`; see
//! [`Experiment`] for all keys. The folder of a run:
//!
//! ```text
//! experiment.toml       the experiment, with every default
//! versions.json         of the crate, and what tells the problem of each seed from others, data included
//! summary.csv           a line for each seed
//! seed-0/report.json    where the run of a seed ended, and why
//! seed-0/trace.csv      its iterations
//! *.svg, report.html    figures, and all in one page
//! machine/              seconds and checkpoints
//! ```
//!
//! The same file gives the same bytes in every file, on any number of threads and after any number of interruptions, but for what is in
//! `machine/` and in the last section of the page, which shows its seconds. A run with a budget of seconds is the exception.
//!
//! The solvers and problems by name stand in the [registers](crate::registry).

mod compare;
mod config;
mod figures;
mod folder;
#[doc(hidden)]
pub mod html;
pub(crate) mod problem;
mod run;
mod solver;

pub use crate::registry::problems::Problem;
pub use compare::compare;
pub use config::Experiment;
pub use folder::same_runs;
pub use folder::{Finished, Outcome};
pub use run::{End, check, load, resume, run, verify};
pub use solver::Solver;
