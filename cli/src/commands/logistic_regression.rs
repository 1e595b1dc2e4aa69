//! Tunes the penalties of a logistic regression: one, or one a class, a feature or a weight, by the loss on validation data.
//!
//! ```text
//! bilevel logistic-regression
//! bilevel logistic-regression --penalty per-weight --solver hoag-quadratic
//! bilevel logistic-regression --train ijcnn1.gz --validation ijcnn1.t.gz --solver saba
//! ```
//!
//! The data are handwritten digits that ship with the crate, or two files in LIBSVM's format or, where their names say so, CSV; plain or gzip.
//! It prints a table of the iterations, a summary, and the loss and accuracy on the validation data, and writes `report.json`,
//! `trace.csv`, `convergence.svg`, `seconds.svg` (the loss against time) and `penalties.svg` (the learned logarithms) into the output
//! folder. Bad input ends it with one line on standard error and exit code 2.

use crate::finite_sum::DynSum;
use crate::options::{Checkpoints, Failure, Steps, TrustName, prepare};
use crate::registry::methods::{Batches, batch_solver};
use crate::registry::solvers::around;
use crate::runs::{Clock, Settings};
use bilevel::lower::{Lbfgs, NewtonCg};
use bilevel::plot::{Chart, Figure, Graph};
use bilevel::{Accuracy, Limits, Report};
use bilevel_problems::data::{
    CsvFormat, Features, LabelledData, Labels, digits, read_csv, read_libsvm,
};
use bilevel_problems::linear::logistic::{CrossEntropy, Penalty, logistic_regression};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

const OUTPUTS: [&str; 5] = [
    "report.json",
    "trace.csv",
    "convergence.svg",
    "seconds.svg",
    "penalties.svg",
];
/// Digits to train on; the others validate.
const TRAIN: usize = 1000;
/// Sparse tables with no more columns than this are stored as dense ones, which is faster; and so large a Hessian is formed.
const NARROW: usize = 256;

/// Tune the penalties of a logistic regression by hypergradient.
#[derive(Args)]
pub(crate) struct Options {
    /// Training samples in LIBSVM's format, or CSV with the label last. Without it the digits that ship with the crate.
    #[arg(long, value_name = "FILE", requires = "validation")]
    train: Option<PathBuf>,
    /// Validation samples.
    #[arg(long, value_name = "FILE", requires = "train")]
    validation: Option<PathBuf>,
    /// Classes, labelled by whole numbers; without it labels are −1 and 1.
    #[arg(long, value_name = "C", requires = "train")]
    classes: Option<usize>,
    /// The label of the first class.
    #[arg(long, value_name = "LABEL", default_value_t = 0, requires = "classes")]
    first_class: i64,
    /// Divide every sample by its length, as counts of words ask for.
    #[arg(long, requires = "train")]
    unit_rows: bool,
    /// The weights that share a penalty.
    #[arg(long, value_enum, default_value_t = PenaltyName::PerFeature)]
    penalty: PenaltyName,
    /// The first logarithm of every penalty.
    #[arg(long, default_value_t = -4.0, allow_hyphen_values = true)]
    start: f64,
    /// The solver: maid-lbfgs, hoag-quadratic, …, or soba, saba, bo-rep, …; an unknown name prints the list.
    #[arg(long, default_value = "maid-lbfgs")]
    solver: String,
    /// Samples of a batch of either level, for stochastic methods.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Iterations of a stochastic method in one of the table.
    #[arg(long, default_value_t = 1000)]
    block: u64,
    #[command(flatten)]
    steps: Steps,
    /// First or constant accuracy ε = δ; of stochastic methods that of the evaluation at the end.
    #[arg(long, default_value_t = 0.01)]
    accuracy: f64,
    /// Half the width of the box around the start of solvers that search in one.
    #[arg(long, default_value_t = 3.0)]
    half_width: f64,
    /// Error bounds from constants that hold for certain, from samples, or none.
    #[arg(long, value_enum, default_value_t = TrustName::Certified)]
    trust: TrustName,
    /// Iterations (of a stochastic method: blocks), at most.
    #[arg(long, default_value_t = 50)]
    max_iterations: u64,
    /// Seconds, at most. A run that ends by it is not reproducible to the byte.
    #[arg(long)]
    max_seconds: Option<f64>,
    /// Stop when ‖z‖ + ω, which bounds ‖∇F‖, is below this.
    #[arg(long, default_value_t = 1e-3)]
    tolerance: f64,
    /// Seed of the batches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    checkpoints: Checkpoints,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/logistic_regression")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum PenaltyName {
    Single,
    PerClass,
    PerFeature,
    PerWeight,
}

/// A table from a file, of `columns` features where these are known.
fn read(
    path: &Path,
    columns: Option<usize>,
    options: &Options,
) -> Result<LabelledData<f64>, Failure> {
    let labels = match options.classes {
        Some(count) => Labels::From {
            first: options.first_class,
            count,
        },
        None => Labels::Signs,
    };
    let name = path.to_string_lossy();
    let table = if name.ends_with(".csv") || name.ends_with(".csv.gz") {
        read_csv(path, CsvFormat::new(labels))?
    } else {
        read_libsvm(path, columns, labels)?
    };
    let table = if options.unit_rows {
        table.unit_rows()
    } else {
        table
    };
    Ok(match table.features() {
        Features::Sparse(_) if table.columns() <= NARROW => table.to_dense(),
        _ => table,
    })
}

/// Training and validation samples.
fn data(options: &Options) -> Result<(LabelledData<f64>, LabelledData<f64>), Failure> {
    let (Some(train), Some(validation)) = (&options.train, &options.validation) else {
        let all = digits()?;
        return Ok((all.rows(0..TRAIN)?, all.rows(TRAIN..all.samples())?));
    };
    let train = read(train, None, options)?;
    let validation = read(validation, Some(train.columns()), options)?;
    Ok((train, validation))
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let (train, validation) = data(options)?;
    let penalty = match options.penalty {
        PenaltyName::Single => Penalty::Single,
        PenaltyName::PerClass => Penalty::PerClass,
        PenaltyName::PerFeature => Penalty::PerFeature,
        PenaltyName::PerWeight => Penalty::PerWeight,
    };
    let oracle =
        logistic_regression(&train, &validation, penalty)?.with_trust(options.trust.into());
    let start = vec![options.start; oracle.lower().theta_len()];
    // Where A is small enough to be formed, it preconditions Newton's method.
    if train.classes() == 2 && train.columns() <= NARROW {
        learn(
            options,
            &oracle.with_lower_solver(NewtonCg::default()),
            start,
            &validation,
        )
    } else {
        learn(
            options,
            &oracle.with_lower_solver(Lbfgs::default()),
            start,
            &validation,
        )
    }
}

fn learn(
    options: &Options,
    oracle: &DynSum<'_, f64>,
    start: Vec<f64>,
    validation: &LabelledData<f64>,
) -> Result<(), Failure> {
    let accuracy = Accuracy::new(options.accuracy, options.accuracy)?;
    let region = around(&start, options.half_width)?;
    let batches = Batches {
        size: options.batch,
        block: options.block,
        seed: options.seed,
        lower_step: options.steps.lower_step,
        upper_step: options.steps.upper_step,
    };
    let solver = batch_solver(&options.solver, batches, accuracy, &region)?;
    prepare(&options.out, &OUTPUTS)?;
    let limits = Limits {
        iterations: Some(options.max_iterations),
        seconds: options.max_seconds,
        ..Limits::default()
    };
    let clock = Clock::default();
    let settings = Settings {
        clock: Some(&clock),
        ..options.checkpoints.settings(options.tolerance, limits)
    };
    let report = solver.run(&oracle, start.clone(), &settings)?;
    // The loss and the accuracy on the validation samples before and after.
    let mut quality = Vec::new();
    let judge = CrossEntropy::new(validation)?;
    for theta in [&start, &report.theta] {
        let mut state = oracle.start(theta)?;
        let loss = oracle
            .value(theta, options.accuracy, &mut state)?
            .value
            .value;
        quality.push((loss, judge.accuracy(state.x())));
    }
    write(options, &report, &quality, clock.rows())
}

fn write(
    options: &Options,
    report: &Report<Vec<f64>>,
    quality: &[(f64, f64)],
    clock: Vec<(f64, f64)>,
) -> Result<(), Failure> {
    let out = &options.out;
    let [(first_loss, first), (loss, accuracy)] = [quality[0], quality[1]];
    let extra = [
        ("validation_loss_at_start", first_loss),
        ("validation_accuracy_at_start", first),
        ("validation_loss", loss),
        ("validation_accuracy", accuracy),
    ];
    report.write_json(out.join("report.json"), &extra)?;
    report.trace.write_csv(out.join("trace.csv"))?;
    Figure::new()
        .run(report.solver.clone(), &report.trace)
        .write_svg(out.join("convergence.svg"))?;
    Chart::new()
        .graph(Graph::new("Validation loss", "seconds", "F").line(report.solver.clone(), clock))
        .write_svg(out.join("seconds.svg"))?;
    let mut sorted = report.theta.clone();
    sorted.sort_by(f64::total_cmp);
    let numbered = |theta: &[f64]| {
        let numbers = theta.iter().enumerate();
        numbers.map(|(i, t)| (i as f64, *t)).collect::<Vec<_>>()
    };
    Chart::new()
        .graph(
            Graph::new("Learned penalties", "entry of θ", "log penalty")
                .line("in order", numbered(&report.theta)),
        )
        .graph(
            Graph::new("The same, sorted", "rank", "log penalty").line("sorted", numbered(&sorted)),
        )
        .write_svg(out.join("penalties.svg"))?;
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(
        std::io::stdout(),
        "\n{report}\n\n\
         validation       loss {first_loss:.4}, accuracy {:.2} % at the start\n\
         \x20                loss {loss:.4}, accuracy {:.2} % with the learned penalties\n\
         wrote {} into {}",
        100.0 * first,
        100.0 * accuracy,
        OUTPUTS.join(", "),
        out.display()
    );
    Ok(())
}
