//! Finds wrong labels: learns a weight for every training sample from a small clean validation set.
//!
//! ```text
//! bilevel hyper-cleaning
//! bilevel hyper-cleaning --corruption 0.3 --solver maid-lbfgs
//! bilevel hyper-cleaning --data mnist/ --train 20000 --validation 5000 --solver saba
//! ```
//!
//! A share of the training labels is replaced by wrong ones; the data are the images of clothes that ship with the crate, or four IDX
//! files in a folder. It prints a table of the iterations, a summary, test accuracies, and how well the wrong labels were found, and
//! writes `report.json`, `trace.csv`, `convergence.svg`, `weights.svg` (the weights of right and wrong samples, precision against recall),
//! `suspects.png` (the images most surely wrongly labelled) and `suspects.csv` (all training samples, the most suspect first). Bad
//! input ends it with one line on standard error and exit code 2.

use crate::finite_sum::DynSum;
use crate::images_of_classes::{all_samples, split};
use crate::options::{Checkpoints, Failure, Steps, TrustName, prepare};
use crate::registry::methods::{Batches, batch_solver};
use crate::registry::solvers::{HALF_WIDTH, around};
use bilevel::lower::Lbfgs;
use bilevel::plot::{Chart, Figure, Graph};
use bilevel::{Accuracy, Implicit, Limits, Oracle, Report, Trust};
use bilevel_problems::data::{Features, LabelledData, write_png};
use bilevel_problems::imaging::Image;
use bilevel_problems::linear::hyper_cleaning::{HyperCleaning, corrupt_labels, hyper_cleaning};
use bilevel_problems::linear::logistic::CrossEntropy;
use clap::Args;
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

const OUTPUTS: [&str; 6] = [
    "report.json",
    "trace.csv",
    "convergence.svg",
    "weights.svg",
    "suspects.png",
    "suspects.csv",
];
/// Images on the sheet of suspects: rows and columns.
const SHEET: (usize, usize) = (4, 10);
/// Bars of the histogram of weights.
const BARS: usize = 25;
/// θ at which a sample has its full weight, to working precision.
const CERTAIN: f64 = 40.0;

/// Find wrong labels by hypergradient.
#[derive(Args)]
pub(crate) struct Options {
    /// A folder with MNIST or a data set of its form: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same of `t10k`, plain
    /// or `.gz`. Without it 5,000 images of clothes that ship with the crate.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Training samples. [default: 4000, with --data 20000]
    #[arg(long, value_name = "N")]
    train: Option<usize>,
    /// Validation samples, whose labels are right. [default: 1000, with --data 5000]
    #[arg(long, value_name = "M")]
    validation: Option<usize>,
    /// The share of the training labels that is replaced by wrong ones.
    #[arg(long, default_value_t = 0.5)]
    corruption: f64,
    /// C of the penalty (C/2)‖x‖².
    #[arg(long, default_value_t = 0.2)]
    penalty: f64,
    /// The solver: soba, saba, bo-rep, …, or maid-lbfgs, hoag-quadratic, …; an unknown name prints the list.
    #[arg(long, default_value = "saba")]
    solver: String,
    /// Samples of a batch of either level.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Iterations of a stochastic method in one of the table.
    #[arg(long, default_value_t = 200)]
    block: u64,
    #[command(flatten)]
    steps: Steps,
    /// First or constant accuracy ε = δ of solvers that are not stochastic; and that of the evaluation at the end.
    #[arg(long, default_value_t = 0.01)]
    accuracy: f64,
    /// Error bounds from constants that hold for certain, from samples, or none.
    #[arg(long, value_enum, default_value_t = TrustName::Certified)]
    trust: TrustName,
    /// Iterations (of a stochastic method: blocks), at most.
    #[arg(long, default_value_t = 50)]
    max_iterations: u64,
    /// Seconds, at most. A run that ends by it is not reproducible to the byte.
    #[arg(long)]
    max_seconds: Option<f64>,
    /// Solvers that are not stochastic stop when ‖z‖ + ω, which bounds ‖∇F‖, is below this.
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
    /// Seed of the order of the samples, the wrong labels and the batches.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    checkpoints: Checkpoints,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/hyper_cleaning")]
    out: PathBuf,
}

/// The samples of a run: the pixels and right labels of the training samples, and standardised tables.
struct Samples {
    pixels: LabelledData<f64>,
    train: LabelledData<f64>,
    validation: LabelledData<f64>,
    test: LabelledData<f64>,
}

impl Samples {
    fn new(options: &Options) -> Result<Self, Failure> {
        let (all, test) = all_samples(options.data.as_deref())?;
        let (train, validation) = split(options.data.is_some());
        let train = options.train.unwrap_or(train);
        let validation = options.validation.unwrap_or(validation);
        if train == 0 || validation == 0 || train.saturating_add(validation) > all.samples() {
            return Err(format!(
                "--train {train} and --validation {validation} do not divide {} samples: at least one each, and together no more",
                all.samples()
            )
            .into());
        }
        let all = all.shuffled(options.seed);
        let pixels = all.rows(0..train)?;
        let rest = all.rows(train..train + validation)?;
        let clean = pixels.standardised(&pixels)?;
        Ok(Samples {
            train: corrupt_labels(&clean, options.corruption, options.seed)?,
            validation: rest.standardised(&pixels)?,
            test: test.standardised(&pixels)?,
            pixels,
        })
    }

    /// Whether each training label is wrong.
    fn wrong(&self) -> Vec<bool> {
        let pairs = self.train.labels().iter().zip(self.pixels.labels());
        pairs.map(|(a, b)| a != b).collect()
    }

    /// The training samples whose labels are right.
    fn right(&self) -> Result<LabelledData<f64>, Failure> {
        let Features::Dense(values) = self.train.features() else {
            return Err("the samples are not dense".into());
        };
        let columns = self.train.columns();
        let (mut kept, mut labels) = (Vec::new(), Vec::new());
        for (i, wrong) in self.wrong().into_iter().enumerate() {
            if !wrong {
                kept.extend_from_slice(&values[i * columns..(i + 1) * columns]);
                labels.push(self.train.labels()[i]);
            }
        }
        Ok(LabelledData::dense(
            columns,
            kept,
            labels,
            self.train.classes(),
        )?)
    }

    /// The accuracy on the test samples of a model trained on `train` with weights σ(θ).
    fn accuracy(
        &self,
        train: &LabelledData<f64>,
        theta: &Vec<f64>,
        options: &Options,
    ) -> Result<f64, Failure> {
        let lower = HyperCleaning::new(train, options.penalty)?;
        let oracle = Implicit::new(lower, CrossEntropy::new(&self.validation)?)
            .with_lower_solver(Lbfgs::default())
            .with_trust(Trust::Unknown);
        let mut state = oracle.start(theta)?;
        oracle.value(theta, options.accuracy, &mut state)?;
        Ok(CrossEntropy::new(&self.test)?.accuracy(state.x()))
    }
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let samples = Samples::new(options)?;
    let accuracy = Accuracy::new(options.accuracy, options.accuracy)?;
    prepare(&options.out, &OUTPUTS)?;
    let oracle = hyper_cleaning(&samples.train, &samples.validation, options.penalty)?
        .with_lower_solver(Lbfgs::default())
        .with_trust(options.trust.into());
    let limits = Limits {
        iterations: Some(options.max_iterations),
        seconds: options.max_seconds,
        ..Limits::default()
    };
    let settings = options.checkpoints.settings(options.tolerance, limits);
    let batches = Batches {
        size: options.batch,
        block: options.block,
        seed: options.seed,
        lower_step: options.steps.lower_step,
        upper_step: options.steps.upper_step,
    };
    let n = samples.train.samples();
    let start = vec![0.0; n];
    let region = around(&start, HALF_WIDTH)?;
    let oracle: &DynSum<'_, f64> = &oracle;
    let report = batch_solver(&options.solver, batches, accuracy, &region)?
        .run(&oracle, start, &settings)?;
    let found = Found::new(&report.theta, &samples.wrong());
    let theta = |value: f64, n: usize| vec![value; n];
    let right = samples.right()?;
    let ideal = |wrong: &bool| if *wrong { -CERTAIN } else { CERTAIN };
    let ideal: Vec<f64> = samples.wrong().iter().map(ideal).collect();
    let accuracies = [
        samples.accuracy(&samples.train, &theta(CERTAIN, n), options)?,
        samples.accuracy(&samples.train, &report.theta, options)?,
        samples.accuracy(&samples.train, &ideal, options)?,
        samples.accuracy(&right, &theta(CERTAIN, right.samples()), options)?,
    ];
    write(options, &samples, &report, &found, accuracies)
}

/// How well the wrong labels were found.
struct Found {
    /// σ(θᵢ).
    weights: Vec<f64>,
    wrong: Vec<bool>,
    /// The samples by growing weight.
    order: Vec<usize>,
    /// Precision, recall and F₁ of the samples of a weight below one half.
    precision: f64,
    recall: f64,
    f1: f64,
    /// (recall, precision) for growing thresholds.
    curve: Vec<(f64, f64)>,
}

impl Found {
    fn new(theta: &[f64], wrong: &[bool]) -> Self {
        let weights: Vec<f64> = theta.iter().map(|t| 1.0 / (1.0 + (-t).exp())).collect();
        let mut order: Vec<usize> = (0..theta.len()).collect();
        order.sort_by(|&a, &b| theta[a].total_cmp(&theta[b]));
        let all = wrong.iter().filter(|w| **w).count() as f64;
        let mut caught = 0.0;
        let mut curve = Vec::with_capacity(order.len());
        for (k, &i) in order.iter().enumerate() {
            caught += f64::from(u8::from(wrong[i]));
            curve.push((caught / all, caught / (k + 1) as f64));
        }
        let flagged = theta.iter().filter(|t| **t < 0.0).count();
        let (recall, precision) = match flagged {
            0 => (0.0, f64::NAN),
            k => curve[k - 1],
        };
        Found {
            f1: 2.0 * precision * recall / (precision + recall),
            weights,
            wrong: wrong.to_vec(),
            order,
            precision,
            recall,
            curve,
        }
    }

    /// The samples with right, or with wrong labels, by their weights.
    fn histogram(&self, wrong: bool) -> [Vec<f64>; 2] {
        let edges: Vec<f64> = (0..=BARS).map(|i| i as f64 / BARS as f64).collect();
        let mut counts = vec![0.0; BARS];
        for (weight, _) in self
            .weights
            .iter()
            .zip(&self.wrong)
            .filter(|(_, w)| **w == wrong)
        {
            counts[((weight * BARS as f64) as usize).min(BARS - 1)] += 1.0;
        }
        [edges, counts]
    }

    fn chart(&self) -> Chart {
        let mut weights = Graph::new("Weights of the training samples", "weight σ(θᵢ)", "samples");
        for (name, wrong) in [("right label", false), ("wrong label", true)] {
            let [edges, counts] = self.histogram(wrong);
            weights = weights.histogram(name, &edges, &counts);
        }
        let curve = Graph::new("Wrong labels found", "recall", "precision")
            .line("growing threshold", self.curve.clone());
        Chart::new().graph(weights).graph(curve)
    }
}

fn write(
    options: &Options,
    samples: &Samples,
    report: &Report<Vec<f64>>,
    found: &Found,
    [corrupted, cleaned, ideal, right]: [f64; 4],
) -> Result<(), Failure> {
    let out = &options.out;
    let extra = [
        ("test_accuracy", cleaned),
        ("test_accuracy_all_labels", corrupted),
        ("test_accuracy_ideal_weights", ideal),
        ("test_accuracy_right_labels", right),
        ("precision", found.precision),
        ("recall", found.recall),
        ("f1", found.f1),
    ];
    report.write_json(out.join("report.json"), &extra)?;
    report.trace.write_csv(out.join("trace.csv"))?;
    Figure::new()
        .run(report.solver.clone(), &report.trace)
        .write_svg(out.join("convergence.svg"))?;
    found.chart().write_svg(out.join("weights.svg"))?;
    suspects(&out.join("suspects.png"), samples, found)?;
    let mut csv = String::from("sample,label,weight,wrong\n");
    for &i in &found.order {
        let label = samples.train.labels()[i];
        let _ = writeln!(csv, "{i},{label},{:?},{}", found.weights[i], found.wrong[i]);
    }
    std::fs::write(out.join("suspects.csv"), csv)?;
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(
        std::io::stdout(),
        "\n{report}\n\n\
         test accuracy    {:.2} % with all labels, {:.2} % cleaned; {:.2} % with weight 1 for right and 0 for wrong labels,\n\
         \x20                {:.2} % with the right labels alone, whose mean loss weighs twice as much against the penalty\n\
         wrong labels     precision {:.3}, recall {:.3}, F1 {:.3} at weight 1/2\n\
         wrote {} into {}",
        100.0 * corrupted,
        100.0 * cleaned,
        100.0 * ideal,
        100.0 * right,
        found.precision,
        found.recall,
        found.f1,
        OUTPUTS.join(", "),
        out.display()
    );
    Ok(())
}

/// The images of the least weights, where images are square.
fn suspects(path: &Path, samples: &Samples, found: &Found) -> Result<(), Failure> {
    let Features::Dense(values) = samples.pixels.features() else {
        return Err("the images are not dense".into());
    };
    let columns = samples.pixels.columns();
    let side = columns.isqrt();
    if side * side != columns {
        return Err(format!("images of {columns} pixels are not square").into());
    }
    let image =
        |&i: &usize| Image::new(side, side, values[i * columns..(i + 1) * columns].to_vec());
    let first = &found.order[..found.order.len().min(SHEET.0 * SHEET.1)];
    let sheet = first
        .chunks(SHEET.1)
        .map(|row| row.iter().map(image).collect::<Result<Vec<_>, _>>())
        .collect::<Result<Vec<_>, _>>()?;
    Ok(write_png(path, &sheet)?)
}
