//! Compares upper-level solvers on an imaging problem: the same start, the same data, the same budget.
//!
//! ```text
//! bilevel compare-solvers
//! bilevel compare-solvers --problem foe --solvers maid,hoag-quadratic,fixed-1e-2 --max-work 5000
//! bilevel compare-solvers --problem deblur-tv --solvers maid,random,grid,tpe,argmin-swarm
//! ```
//!
//! It prints a table, one line per solver, and writes it as `compare.csv` and `compare.json`, beside a figure of the upper value and of
//! the mean PSNR of images that were not trained on against the work, whole and near the end, `compare.svg`. Losses at the end and PSNR are computed to the
//! same accuracy for all solvers, and that work is not counted. A solver that fails has its reason in the table. Bad input ends it
//! with one line on standard error and exit code 2.

mod compare;
mod problems;
mod table;

use crate::options::{Failure, Precision, TrustName, number};
use crate::registry::solvers::HALF_WIDTH;
use clap::Args;
pub(super) use problems::ProblemName;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// Compare upper-level solvers on an imaging problem.
#[derive(Args)]
pub(crate) struct Options {
    /// Solvers, each with an accuracy behind it if you like; an unknown name prints the list.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "maid,maid-lbfgs,hoag-quadratic,fixed-1e-1,fixed-1e-3"
    )]
    solvers: Vec<String>,
    /// The imaging problem.
    #[arg(long, value_enum, default_value_t = ProblemName::Tv)]
    problem: ProblemName,
    /// Clean images to train on: a PNG file, or a folder of them; may be repeated. Without it the photographs that ship with the
    /// crate but for one.
    #[arg(long, value_name = "FILE_OR_DIR")]
    train: Vec<PathBuf>,
    /// Clean images whose PSNR is shown. Without it the photograph that is left.
    #[arg(long, value_name = "FILE_OR_DIR")]
    test: Vec<PathBuf>,
    /// Crop all images to a square and scale it to N×N pixels; 0 leaves them as they are.
    #[arg(long, value_name = "N", default_value_t = 64)]
    size: usize,
    /// Train on N random patches of the training images in place of the images.
    #[arg(long, value_name = "N")]
    patches: Option<usize>,
    /// Width and height of a patch.
    #[arg(long, value_name = "P", default_value_t = 58)]
    patch_size: usize,
    /// Width and height of the squares that share a weight of tv-patches.
    #[arg(long, value_name = "P", default_value = "16")]
    weight_patch: NonZeroUsize,
    /// Filters of a field of experts.
    #[arg(long, value_name = "K", default_value_t = 8)]
    filters: usize,
    /// Width and height of a filter: an odd number.
    #[arg(long, value_name = "S", default_value_t = 7)]
    filter_size: usize,
    /// Standard deviation in pixels of the Gaussian that deblurring undoes.
    #[arg(long, value_name = "PIXELS", default_value_t = 1.5)]
    blur: f64,
    /// γ of deblurring, which keeps it strongly convex where the blur leaves nothing.
    #[arg(
        long,
        value_name = "γ",
        default_value_t = 1e-3,
        allow_hyphen_values = true
    )]
    ridge: f64,
    /// Standard deviation of the noise that is added to clean images; white is 1. [default: 0.1, after a blur 0.01]
    #[arg(long)]
    sigma: Option<f64>,
    /// Seed of patches and noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First θ, as many numbers as the problem has. [default: one for every problem; fields of experts start from the cosine basis]
    #[arg(
        long,
        value_delimiter = ',',
        value_parser = number,
        allow_hyphen_values = true
    )]
    theta: Option<Vec<f64>>,
    /// Half of the width of the box around the first θ that random, grid, tpe and argmin-swarm search.
    #[arg(long, value_name = "W", default_value_t = HALF_WIDTH, allow_hyphen_values = true)]
    half_width: f64,
    /// Error bounds from constants that hold for certain, from samples, or none. [default: certified for total variation and Tikhonov
    /// denoising, estimated for the others]
    #[arg(long, value_enum)]
    trust: Option<TrustName>,
    /// Storage of the images.
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    precision: Precision,
    /// First or constant accuracy ε = δ of solvers that are named without one.
    #[arg(long, default_value_t = 0.1)]
    accuracy: f64,
    /// Lower gradients and Hessian products of each solver, for each image, at most.
    #[arg(long, default_value_t = 3000)]
    max_work: u64,
    /// Iterations of each solver, at most.
    #[arg(long)]
    max_iterations: Option<u64>,
    /// Seconds of each solver, at most. A run that ends by it is not reproducible to the byte.
    #[arg(long)]
    max_seconds: Option<f64>,
    /// A solver stops when ‖z‖ + ω, which bounds ‖∇F‖, is below this.
    #[arg(long, default_value_t = 0.0)]
    tolerance: f64,
    /// Values of θ for each solver at which PSNR is computed, at most.
    #[arg(long, default_value_t = 25)]
    points: usize,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/compare_solvers")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    match options.precision {
        Precision::F64 => problems::solve::<f64>(options),
        Precision::F32 => problems::solve::<f32>(options),
    }
}
