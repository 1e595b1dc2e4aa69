//! Finds wrong labels of texts with a recurrent model, by stochastic bilevel methods: BO-REP and its peers.
//!
//! ```text
//! bilevel text-cleaning
//! bilevel text-cleaning --noise 0.3 --solvers bo-rep,soba,ma-soba --seeds 5
//! bilevel text-cleaning --data text_sst/ --hidden 32 --calls 4000
//! ```
//!
//! The lower level trains a gated recurrent unit on texts, each with a weight σ(θᵢ); the upper level judges it on texts whose labels are
//! right. The data are the first names that ship with the crate, of women and of men, or a folder with `stsa.binary.train`, `dev` and
//! `test`, sentences with their sentiment. A share of the training labels is replaced by wrong ones. It prints a table of the solvers and
//! writes `report.json`, `trace.csv` (losses of every run against oracle calls), `times.csv` (their seconds, which no two runs share),
//! `cleaning.svg` and `seconds.svg` (training and test loss, medians with quartiles over the seeds) and `suspects.csv` (training texts of the
//! first run, the most suspect first). Bad input ends it with one line on standard error and exit code 2.

mod report;
mod runs;

use crate::options::{Failure, prepare};
use bilevel_problems::data::{
    Labels, Noise, Samples, Texts, first_names, plain_or_gz, read_sentences, vocabulary,
};
use bilevel_problems::linear::hyper_cleaning::model_cleaning;
use bilevel_problems::networks::models::Recurrent;
use clap::Args;
use indicatif::ProgressBar;
use runs::{Known, Oracle, Run};
use std::path::PathBuf;

const OUTPUTS: [&str; 6] = [
    "report.json",
    "trace.csv",
    "times.csv",
    "cleaning.svg",
    "seconds.svg",
    "suspects.csv",
];
/// Words that occur less often than this are taken for one word.
const LEAST_WORDS: usize = 3;
/// The first words of a sentence count, at most so many.
const LONGEST: usize = 40;
/// The length of an embedding.
const EMBEDDING: usize = 16;
const CLASSES: usize = 2;

/// Find wrong labels of texts.
#[derive(Args)]
pub(crate) struct Options {
    /// A folder with `stsa.binary.train`, `stsa.binary.dev` and `stsa.binary.test`, plain or `.gz`: lines of a label, 0 or 1, and words.
    /// Without it the first names that ship.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The share of the training labels that is replaced by wrong ones.
    #[arg(long, default_value_t = 0.3, allow_hyphen_values = true)]
    noise: f64,
    /// The solvers: stochastic methods; an unknown name prints the list.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "bo-rep,soba,ma-soba,stocbio,ttsa,amigo"
    )]
    solvers: Vec<String>,
    /// Length of the state of the recurrent unit.
    #[arg(long, default_value_t = 24)]
    hidden: usize,
    /// C of the penalty (C/2)‖x‖².
    #[arg(long, default_value_t = 1e-3)]
    penalty: f64,
    /// Samples of a batch of either level.
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// γ₀ of all solvers, the first step of x and v.
    #[arg(long, default_value_t = 1.0)]
    lower_step: f64,
    /// η₀, the first step of θ; one for all solvers, or one for each. Normalised methods move θ by this length. Without it 30 for these, 3000 for
    /// TTSA and 300 for the others.
    #[arg(long, value_delimiter = ',')]
    upper_step: Vec<f64>,
    /// Oracle calls of a run, at most: gradients and products of batches of both levels.
    #[arg(long, default_value_t = 12_000)]
    calls: u64,
    /// Seconds of a run, at most. A run that ends by it is not reproducible to the byte.
    #[arg(long)]
    max_seconds: Option<f64>,
    /// Looks at the losses in a run.
    #[arg(long, default_value_t = 30)]
    looks: u64,
    /// Runs of every solver, each with labels, batches and first weights of its own.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Seed of the first run.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/text_cleaning")]
    out: PathBuf,
}

/// Training texts with right labels and with wrong ones, and those that judge.
struct Data {
    clean: Texts,
    train: Texts,
    validation: Texts,
    test: Texts,
}

/// The texts of a seed: training, validation and test.
fn texts(options: &Options, seed: u64) -> Result<Data, Failure> {
    let (clean, validation, test) = match &options.data {
        None => {
            let names = first_names()?.shuffled(seed);
            let (n, tenth) = (names.len(), names.len() / 10);
            (
                names.rows(0..n - 2 * tenth)?,
                names.rows(n - 2 * tenth..n - tenth)?,
                names.rows(n - tenth..n)?,
            )
        }
        Some(folder) => {
            let labels = Labels::From {
                first: 0,
                count: CLASSES,
            };
            let read = |part: &str| {
                let name = format!("stsa.binary.{part}");
                read_sentences(plain_or_gz(folder, &name), labels)
            };
            let train = read("train")?;
            let words = vocabulary(&train, LEAST_WORDS);
            let encode =
                |sentences: &[_]| Texts::encode(sentences, words.clone(), CLASSES, LONGEST);
            let (dev, test) = (read("dev")?, read("test")?);
            (
                encode(&train)?.shuffled(seed),
                encode(&dev)?,
                encode(&test)?,
            )
        }
    };
    Ok(Data {
        train: Noise::Symmetric.apply(&clean, options.noise, seed)?,
        clean,
        validation,
        test,
    })
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let solvers: Vec<Known> = options
        .solvers
        .iter()
        .map(|s| runs::solver(s))
        .collect::<Result<_, _>>()?;
    let steps: Vec<f64> = match options.upper_step[..] {
        [] => solvers.iter().map(|solver| solver.upper_step).collect(),
        [one] => vec![one; solvers.len()],
        _ if options.upper_step.len() == solvers.len() => options.upper_step.clone(),
        _ => {
            return Err(format!(
                "--upper-step has {} numbers; expected one, or one for each of the {} solvers",
                options.upper_step.len(),
                solvers.len()
            )
            .into());
        }
    };
    let seeds = crate::options::seeds(options.seed, options.seeds)?;
    if options.looks == 0 || options.looks > options.calls {
        return Err(format!(
            "--looks {}: expected at least 1, and no more than there are --calls",
            options.looks
        )
        .into());
    }
    prepare(&options.out, &OUTPUTS)?;
    let bar = ProgressBar::new(options.seeds.saturating_mul(solvers.len() as u64));
    let mut runs: Vec<Run> = Vec::new();
    let mut first = None;
    for seed in seeds {
        let data = texts(options, seed)?;
        let model = Recurrent::new(
            data.train.vocabulary().len(),
            EMBEDDING,
            options.hidden,
            CLASSES,
        )?;
        let oracle: Oracle = model_cleaning(
            &model,
            data.train.clone(),
            data.validation.clone(),
            options.penalty,
            seed,
        )?;
        for (solver, &step) in solvers.iter().zip(&steps) {
            runs.push((solver.run)(options, &model, &oracle, &data, step, seed)?);
            bar.inc(1);
            report::write_tables(options, &runs)?;
        }
        first.get_or_insert(data);
    }
    bar.finish_and_clear();
    report::figures(options, &runs)?;
    if let (Some(data), Some(run)) = (first, runs.first()) {
        report::suspects(options, &data, &run.theta)?;
    }
    report::summary(options, &runs)
}
