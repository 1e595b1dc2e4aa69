//! Compares upper-level solvers on an imaging problem: the same start, the same data, the same budget.
//!
//! ```text
//! cargo run --release --example compare_solvers
//! cargo run --release --example compare_solvers -- --problem foe --solvers maid,hoag-quadratic,fixed-1e-2 --max-work 5000
//! ```
//!
//! It prints a table, a solver a line, and writes it as `compare.csv` and `compare.json`, beside a figure of the upper value and of
//! the mean PSNR of images that were not trained on against the work, `compare.svg`. Losses at the end and PSNR are computed to the
//! same accuracy for all solvers, and that work is not counted. A solver that fails has its reason in the table. Bad input ends it
//! with one line on standard error and exit code 2.

mod common;

use bilevel::plot::{Axis, Figure, Panel};
use bilevel::{Accuracy, Element, ImplicitState, Limits, Oracle, Report, Trace, Trust};
use bilevel_problems::data::{patches, photograph};
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::imaging::{
    Experts, Image, Norm, Potential, Weights, foe_denoising, tv_denoising,
};
use clap::{Parser, ValueEnum};
use common::images::{
    HELD_OUT, check_sigma, mean_psnr, read_all, scaled, shipped, solutions, stored, with_noise,
};
use common::solvers::{AnySolver, HALF_WIDTH, Settings, around, solver};
use common::{Failure, Precision, TrustName, number, prepare};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

const OUTPUTS: [&str; 3] = ["compare.csv", "compare.json", "compare.svg"];
/// The noise of test images comes from streams that no training image has.
const TEST_STREAM: u64 = 1 << 32;
/// Losses and PSNR are computed from solutions this close to the exact ones, in the root mean square over the pixels.
const ACCURACY: f64 = 1e-3;

/// Compare upper-level solvers on an imaging problem.
#[derive(Parser)]
#[command(name = "compare_solvers")]
struct Options {
    /// Solvers, each with an accuracy behind it if you like; a name that is none lists them all.
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
    /// Filters of a field of experts.
    #[arg(long, value_name = "K", default_value_t = 8)]
    filters: usize,
    /// Width and height of a filter: an odd number.
    #[arg(long, value_name = "S", default_value_t = 7)]
    filter_size: usize,
    /// Standard deviation of the noise that is added to clean images; white is 1.
    #[arg(long, default_value_t = 0.1)]
    sigma: f64,
    /// Seed of patches and noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First θ of total variation: log weight, log smoothing. (Fields of experts start from the cosine basis.)
    #[arg(
        long,
        default_value = "-5,-5",
        value_delimiter = ',',
        value_parser = number,
        allow_hyphen_values = true
    )]
    theta: Vec<f64>,
    /// Error bounds from constants that hold for certain, from samples, or none. [default: certified for tv, estimated for foe]
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
    /// Threads; all cores by default. The results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/compare_solvers")]
    out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ProblemName {
    Tv,
    TvIsotropic,
    Foe,
    FoeWeaklyConvex,
}

fn main() -> ExitCode {
    common::main(
        "compare_solvers",
        |options: &Options| options.threads,
        |options| match options.precision {
            Precision::F64 => problem::<f64>(options),
            Precision::F32 => problem::<f32>(options),
        },
    )
}

/// Clean and noisy images.
struct Pairs<E> {
    clean: Vec<Image<E>>,
    noisy: Vec<Image<E>>,
}

impl<E: Element> Pairs<E> {
    fn new(clean: &[Image<f64>], options: &Options, stream: u64) -> Self {
        let noisy = with_noise(clean, options.sigma, options.seed, stream);
        Pairs {
            clean: stored(clean),
            noisy: stored(&noisy),
        }
    }
}

/// Makes the problem that the options ask for, once to train on and once for the test.
fn problem<E: Lanes>(options: &Options) -> Result<(), Failure> {
    check_sigma(options.sigma)?;
    let size = Some(options.size).filter(|size| *size > 0);
    let images = |paths: &[PathBuf], other: &dyn Fn() -> Result<Vec<Image<f64>>, Failure>| {
        let images = read_all(paths)?;
        scaled(if images.is_empty() { other()? } else { images }, size)
    };
    let mut clean = images(&options.train, &shipped)?;
    if let Some(count) = options.patches {
        clean = patches(&clean, count, options.patch_size, options.seed)?;
    }
    let test = images(&options.test, &|| Ok(vec![photograph(HELD_OUT)?]))?;
    let (train, held_out) = (
        Pairs::<E>::new(&clean, options, 0),
        Pairs::new(&test, options, TEST_STREAM),
    );
    let trust = |default: Trust| options.trust.map_or(default, Trust::from);
    let tv = |norm: Norm| {
        let oracle =
            |p: &Pairs<E>, trust| tv_denoising(&p.clean, &p.noisy, norm, Weights::Global, trust);
        let training = oracle(&train, trust(Trust::Certified))?;
        let test_oracle = oracle(&held_out, Trust::Unknown)?;
        compare(options, &training, &test_oracle, &test, &options.theta)
    };
    let foe = |experts: Experts| {
        let oracle = |p: &Pairs<E>, trust| foe_denoising(&p.clean, &p.noisy, &experts, trust);
        let training = oracle(&train, trust(Trust::Estimated))?;
        let test_oracle = oracle(&held_out, Trust::Unknown)?;
        compare(options, &training, &test_oracle, &test, &experts.dct())
    };
    let experts =
        || Ok::<_, Failure>(Experts::new(options.filters, options.filter_size)?.zero_mean());
    match options.problem {
        ProblemName::Tv => tv(Norm::Anisotropic),
        ProblemName::TvIsotropic => tv(Norm::Isotropic),
        ProblemName::Foe => foe(experts()?),
        ProblemName::FoeWeaklyConvex => foe(experts()?.with_potential(Potential::weakly_convex())?),
    }
}

/// A solver's run, and what came of it.
struct Outcome {
    name: String,
    report: Report<Vec<f64>>,
    /// F at the end, to the common accuracy.
    loss: f64,
    /// Rows of the trace with the mean PSNR at their θ.
    psnr: Vec<(usize, f64)>,
}

fn compare<E, O>(
    options: &Options,
    training: &O,
    test: &O,
    clean: &[Image<f64>],
    theta: &[f64],
) -> Result<(), Failure>
where
    E: Element,
    O: Oracle<Theta = Vec<f64>, State = Vec<ImplicitState<Vec<E>>>> + 'static,
{
    let accuracy = Accuracy::new(options.accuracy, options.accuracy)?;
    // All names are read before the first run.
    let region = around(theta, HALF_WIDTH)?;
    let solvers: Vec<(String, AnySolver<O>)> = options
        .solvers
        .iter()
        .map(|name| Ok((name.trim().to_owned(), solver(name.trim(), accuracy, &region)?)))
        .collect::<Result<_, Failure>>()?;
    let start = training.start(&theta.to_vec())?;
    prepare(&options.out, &OUTPUTS)?;
    let pixels = start.iter().map(|s| s.x().len()).max().unwrap_or(1);
    let epsilon = ACCURACY * (pixels as f64).sqrt();
    let mut outcomes = Vec::new();
    let mut failures = Vec::new();
    let print = |line: &str| {
        // A closed pipe is no reason to fail.
        let _ = writeln!(std::io::stdout(), "{line}");
    };
    print(&header());
    for (name, solver) in &solvers {
        let thetas = Mutex::new(Vec::new());
        let settings = Settings {
            tolerance: options.tolerance,
            limits: Limits {
                iterations: options.max_iterations,
                work: Some(options.max_work.saturating_mul(start.len() as u64)),
                seconds: options.max_seconds,
                ..Limits::default()
            },
            thetas: Some(&thetas),
            ..Settings::default()
        };
        match solver.run(training, theta.to_vec(), &settings) {
            Ok(report) => {
                let thetas = thetas.into_inner().unwrap_or_default();
                let rows = spread(&report.trace, options.points);
                let loss =
                    training.value(&report.theta, epsilon, &mut training.start(&report.theta)?)?;
                let outcome = Outcome {
                    psnr: psnr(test, clean, &thetas, &rows)?,
                    name: name.clone(),
                    loss: loss.value.value,
                    report,
                };
                print(&outcome.line());
                outcomes.push(outcome);
            }
            // One that fails says why; the others go on.
            Err(error) => {
                print(&format!("{name:<20} {error}"));
                failures.push((name.clone(), error.to_string()));
            }
        }
    }
    write(options, &outcomes, &failures)
}

/// Rows of a trace, the first and the last among them, that are evenly spread over its work.
fn spread(trace: &Trace, points: usize) -> Vec<usize> {
    let work: Vec<u64> = trace
        .rows()
        .iter()
        .map(|row| row.work.iterations())
        .collect();
    let total = work.last().copied().unwrap_or(0) as f64;
    let mut rows: Vec<usize> = Vec::new();
    for (row, &done) in work.iter().enumerate() {
        let due = total * rows.len() as f64 / points.saturating_sub(1).max(1) as f64;
        if rows.is_empty() || row + 1 == work.len() || done as f64 >= due {
            rows.push(row);
        }
    }
    rows
}

/// The mean PSNR of the test images at the θ of some rows.
fn psnr<E, O>(
    test: &O,
    clean: &[Image<f64>],
    thetas: &[Vec<f64>],
    rows: &[usize],
) -> Result<Vec<(usize, f64)>, Failure>
where
    E: Element,
    O: Oracle<Theta = Vec<f64>, State = Vec<ImplicitState<Vec<E>>>>,
{
    let smallest = clean.iter().map(|c| c.pixels().len()).min().unwrap_or(1);
    let epsilon = ACCURACY * (smallest as f64).sqrt();
    let mut state = None;
    let at = |&row: &usize| {
        let theta = &thetas[row];
        let state = match &mut state {
            Some(state) => state,
            None => state.insert(test.start(theta)?),
        };
        test.value(theta, epsilon, state)?;
        Ok((row, mean_psnr(clean, &solutions(state, clean)?)))
    };
    rows.iter().map(at).collect()
}

fn header() -> String {
    format!(
        "{:<20} {:>6} {:>6} {:>10} {:>10} {:>10} {:>8} {:>12} {:>7}  {:<10} status",
        "solver",
        "iter",
        "evals",
        "gradients",
        "products",
        "sum",
        "seconds",
        "loss",
        "PSNR",
        "trust"
    )
}

impl Outcome {
    /// Hypergradients and trial values.
    fn evaluations(&self) -> u64 {
        let rows = self.report.trace.rows().iter();
        rows.map(|row| row.hypergradients + row.trials).sum()
    }

    fn last_psnr(&self) -> f64 {
        self.psnr.last().map_or(f64::NAN, |(_, psnr)| *psnr)
    }

    fn line(&self) -> String {
        let Report {
            iterations,
            work,
            seconds,
            trust,
            status,
            ..
        } = &self.report;
        format!(
            "{:<20} {:>6} {:>6} {:>10} {:>10} {:>10} {:>8.2} {:>12.6} {:>7.2}  {:<10} {}",
            self.name,
            iterations,
            self.evaluations(),
            work.lower_gradients,
            work.hessian_products,
            work.iterations(),
            seconds,
            self.loss,
            self.last_psnr(),
            trust,
            status,
        )
    }

    fn json(&self) -> serde_json::Value {
        let report = &self.report;
        serde_json::json!({
            "solver": self.name,
            "iterations": report.iterations,
            "evaluations": self.evaluations(),
            "lower_gradients": report.work.lower_gradients,
            "hessian_products": report.work.hessian_products,
            "sum": report.work.iterations(),
            "seconds": report.seconds,
            "loss": self.loss,
            "psnr": self.last_psnr(),
            "trust": report.trust,
            "status": report.status.name(),
        })
    }
}

fn write(
    options: &Options,
    outcomes: &[Outcome],
    failures: &[(String, String)],
) -> Result<(), Failure> {
    let io = |name: &str, text: String| {
        let path = options.out.join(name);
        std::fs::write(&path, text).map_err(|e| bilevel::Error::io(path, e))
    };
    let mut rows: Vec<serde_json::Value> = outcomes.iter().map(Outcome::json).collect();
    const COLUMNS: [&str; 11] = [
        "solver",
        "iterations",
        "evaluations",
        "lower_gradients",
        "hessian_products",
        "sum",
        "seconds",
        "loss",
        "psnr",
        "trust",
        "status",
    ];
    let mut csv = COLUMNS.join(",") + "\n";
    for row in &rows {
        let cells = COLUMNS.map(|column| match &row[column] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        csv += &(cells.join(",") + "\n");
    }
    for (name, error) in failures {
        rows.push(serde_json::json!({ "solver": name, "error": error }));
    }
    io("compare.csv", csv)?;
    io(
        "compare.json",
        format!("{:#}\n", serde_json::Value::from(rows)),
    )?;
    if outcomes.is_empty() {
        return Err("no solver ended with a result; the table says why".into());
    }
    let mut figure = Figure::new()
        .axis(Axis::Work)
        .panels([Panel::Value, Panel::Series(0)]);
    for outcome in outcomes {
        figure = figure.run(outcome.name.clone(), &outcome.report.trace);
    }
    let psnr = outcomes.iter().map(|outcome| outcome.psnr.clone());
    figure
        .series("Mean PSNR of the test images (dB)", psnr.collect())
        .write_svg(options.out.join("compare.svg"))?;
    let _ = writeln!(
        std::io::stdout(),
        "wrote {} into {}",
        OUTPUTS.join(", "),
        options.out.display()
    );
    Ok(())
}
