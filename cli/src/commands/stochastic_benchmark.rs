//! Compares stochastic methods, and solvers that use all samples, on the problems of the published benchmarks.
//!
//! ```text
//! bilevel stochastic-benchmark
//! bilevel stochastic-benchmark --problem hyper-cleaning --solvers soba,saba,bo-rep,maid-lbfgs
//! bilevel stochastic-benchmark --problem ijcnn1 --data libsvm/ --solvers all --seeds 5
//! ```
//!
//! Every run starts from the same θ and goes over the same number of samples. Afterwards F and ∇F are computed exactly at some θ of
//! each run; that takes no part in its time. It prints a table and writes `report.json`, `trace.csv` (every point of every run), `times.csv`
//! (their seconds, which no two runs share) and figures of suboptimality and ‖∇F‖² against oracle calls and epochs (`benchmark.svg`) and
//! against seconds (`seconds.svg`): medians, with the quartiles over the seeds as bands. Bad input ends it with one line on standard
//! error and exit code 2.

mod bench;
mod problems;
mod saved;
mod table;

use crate::options::{Failure, Steps};
use clap::Args;
pub(super) use problems::ProblemName;
use std::path::PathBuf;

/// Compare stochastic methods.
#[derive(Args)]
pub(crate) struct Options {
    /// The problem.
    #[arg(long, value_enum, default_value_t = ProblemName::Quadratic)]
    problem: ProblemName,
    /// Where the data lie: a folder with ijcnn1 and ijcnn1.t, or the four files of MNIST, or the table covtype; plain or .gz.
    #[arg(long, value_name = "FILE_OR_DIR")]
    data: Option<PathBuf>,
    /// The solvers: soba, saba, bo-rep, …, maid-lbfgs, hoag-quadratic, …; all for all stochastic ones; an unknown name prints the list.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "soba,saba,ma-soba,stocbio,bo-rep,maid-lbfgs"
    )]
    solvers: Vec<String>,
    /// Runs of every stochastic method, each with batches of its own.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Samples that a run goes over, in multiples of all samples of both levels. [default: one for every problem]
    #[arg(long, value_name = "E")]
    max_epochs: Option<f64>,
    /// Seconds of a run, at most. A run that ends by it is not reproducible to the byte.
    #[arg(long)]
    max_seconds: Option<f64>,
    /// Samples of a batch of either level. [default: one for every problem]
    #[arg(long)]
    batch: Option<usize>,
    /// Iterations of a method between two looks at θ. [default: one for every problem]
    #[arg(long)]
    block: Option<u64>,
    #[command(flatten)]
    steps: Steps,
    /// First or constant accuracy ε = δ of solvers that use all samples.
    #[arg(long, default_value_t = 0.01)]
    accuracy: f64,
    /// θ of a run at which F and ∇F are computed, at most.
    #[arg(long, default_value_t = 20)]
    points: usize,
    /// The accuracy ε = δ that they are computed to.
    #[arg(long, value_name = "EPSILON", default_value_t = 1e-7)]
    evaluation: f64,
    /// F at the minimiser, where it is known; else it is looked for after the runs, and the least F of all counts.
    #[arg(long, value_name = "F", allow_hyphen_values = true)]
    optimum: Option<f64>,
    /// Iterations of the search for it; 0 draws F itself.
    #[arg(long, value_name = "N", default_value_t = 100)]
    optimum_iterations: u64,
    /// Go on with the runs that the output folder does not hold yet.
    #[arg(long)]
    resume: bool,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/stochastic_benchmark")]
    out: PathBuf,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    problems::solve(options)
}
