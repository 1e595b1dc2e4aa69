//! Finds wrong labels of texts with a recurrent model, by stochastic bilevel methods: BO-REP and its peers.
//!
//! ```text
//! cargo run --release --example text_cleaning
//! cargo run --release --example text_cleaning -- --noise 0.3 --solvers bo-rep,soba,ma-soba --seeds 5
//! cargo run --release --example text_cleaning -- --data text_sst/ --hidden 32 --calls 4000
//! ```
//!
//! The lower level trains a gated recurrent unit on texts, each with a weight σ(θᵢ); the upper level judges it on texts whose labels are
//! right. The data are the first names that ship with the crate, of women and of men, or a folder with `stsa.binary.train`, `dev` and
//! `test`, sentences with their sentiment. A share of the training labels is replaced by wrong ones. It prints a table of the solvers and
//! writes `report.json`, `trace.csv` (losses of every run against oracle calls), `times.csv` (their seconds, which no two runs share),
//! `cleaning.svg` and `seconds.svg` (training and test loss, medians with quartiles over the seeds) and `suspects.csv` (training texts of the
//! first run, the most suspect first). Bad input ends it with one line on standard error and exit code 2.

mod common;

use bilevel::plot::{Chart, Graph};
use bilevel::stochastic::{
    AccBo, Amigo, BoRep, MaSoba, Method, Saba, Slip, Soba, StepSize, StocBio, Stochastic, Ttsa,
};
use bilevel::{Solver, Status, Step};
use bilevel_problems::data::{
    Labels, Noise, Samples, Texts, first_names, read_sentences, vocabulary,
};
use bilevel_problems::hyper_cleaning::{ModelCleaning, judge, model_cleaning};
use bilevel_problems::models::Recurrent;
use clap::Parser;
use common::images_of_classes::plain_or_gz;
use common::quartiles::Quartiles;
use common::{Failure, prepare};
use indicatif::ProgressBar;
use std::fmt::Write as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

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
#[derive(Parser)]
#[command(name = "text_cleaning")]
struct Options {
    /// A folder with `stsa.binary.train`, `stsa.binary.dev` and `stsa.binary.test`, plain or `.gz`: lines of a label, 0 or 1, and words.
    /// Without it the first names that ship.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The share of the training labels that is replaced by wrong ones.
    #[arg(long, default_value_t = 0.3, allow_hyphen_values = true)]
    noise: f64,
    /// The solvers: bo-rep, soba, ma-soba, stocbio, ttsa, amigo, saba, slip, accbo.
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
    #[arg(long, default_value_t = 0.5)]
    lower_step: f64,
    /// η₀, the first step of θ; one for all solvers, or one for each. Normalised methods move θ by this length.
    #[arg(long, value_delimiter = ',', default_value = "100")]
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
    /// Threads; all cores by default. The results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/text_cleaning")]
    out: PathBuf,
}

fn main() -> ExitCode {
    common::main("text_cleaning", |options: &Options| options.threads, clean)
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

/// What a look at a run saw.
#[derive(Clone, Copy)]
struct Look {
    calls: u64,
    seconds: f64,
    /// The mean loss on training texts with their labels as they should be, and on test texts; the share of test texts that are right.
    training: f64,
    test: f64,
    accuracy: f64,
}

struct Run {
    solver: String,
    seed: u64,
    looks: Vec<Look>,
    /// Whether it left the finite numbers.
    diverged: bool,
    /// F₁ of the wrong labels, taken for those of a weight below one half.
    f1: f64,
    theta: Vec<f64>,
}

type Oracle = ModelCleaning<Recurrent, Texts, f32>;

fn f1(theta: &[f64], data: &Data) -> f64 {
    let wrong = |i: usize| data.train.labels()[i] != data.clean.labels()[i];
    let flagged = |i: &usize| theta[*i] < 0.0;
    let all = (0..theta.len()).filter(|&i| wrong(i)).count() as f64;
    let named = (0..theta.len()).filter(flagged).count() as f64;
    let caught = (0..theta.len())
        .filter(flagged)
        .filter(|&i| wrong(i))
        .count() as f64;
    if all + named == 0.0 {
        // Nothing is wrong, and nothing was said to be.
        return 1.0;
    }
    2.0 * caught / (all + named)
}

/// Runs a method until its calls are used up, with looks at the losses that take no part in its time.
fn run<M: Method + Default>(
    options: &Options,
    model: &Recurrent,
    oracle: &Oracle,
    data: &Data,
    upper_step: f64,
    seed: u64,
) -> Result<Run, Failure> {
    let step = |first: f64| StepSize {
        first: Some(first),
        ..StepSize::default()
    };
    let stochastic = Stochastic {
        lower_batch: options.batch,
        upper_batch: options.batch,
        block: 1,
        seed,
        lower_step: step(options.lower_step),
        upper_step: step(upper_step),
        ..Stochastic::new(M::default())
    };
    let theta = vec![0.0; data.train.len()];
    let mut clock = Instant::now();
    let mut state = Solver::<Oracle>::start(&stochastic, oracle, theta)?;
    let (mut calls, mut seconds) = (0, clock.elapsed().as_secs_f64());
    let mut looks = Vec::new();
    let mut diverged = false;
    loop {
        let x = &state.iterate().x;
        let [training, _] = judge(model, &data.clean, x);
        let [test, accuracy] = judge(model, &data.test, x);
        looks.push(Look {
            calls,
            seconds,
            training,
            test,
            accuracy,
        });
        let due = u128::from(options.calls) * looks.len() as u128 / u128::from(options.looks);
        let due = due.min(u128::from(options.calls)) as u64;
        let late = options.max_seconds.is_some_and(|most| seconds >= most);
        if diverged || calls >= options.calls || late {
            break;
        }
        clock = Instant::now();
        while calls < due && !diverged {
            match stochastic.step(oracle, &mut state, 0.0)? {
                Step::Moved(row) => calls += row.work.calls(),
                Step::Ended(status, row, _) => {
                    calls += row.work.calls();
                    diverged = status == Status::Diverged;
                }
            }
        }
        seconds += clock.elapsed().as_secs_f64();
    }
    let theta = state.iterate().theta.clone();
    Ok(Run {
        solver: stochastic.method.name(),
        seed,
        looks,
        diverged,
        f1: f1(&theta, data),
        theta,
    })
}

type AnyRun = fn(&Options, &Recurrent, &Oracle, &Data, f64, u64) -> Result<Run, Failure>;

fn solver(name: &str) -> Result<AnyRun, Failure> {
    const KNOWN: [(&str, AnyRun); 9] = [
        ("bo-rep", run::<BoRep>),
        ("soba", run::<Soba>),
        ("ma-soba", run::<MaSoba>),
        ("stocbio", run::<StocBio>),
        ("ttsa", run::<Ttsa>),
        ("amigo", run::<Amigo>),
        ("saba", run::<Saba>),
        ("slip", run::<Slip>),
        ("accbo", run::<AccBo>),
    ];
    let found = KNOWN.into_iter().find(|(known, _)| *known == name);
    found.map(|(_, run)| run).ok_or_else(|| {
        let names = KNOWN.map(|(name, _)| name).join(", ");
        format!("no solver is called `{name}`; there are {names}").into()
    })
}

fn clean(options: &Options) -> Result<(), Failure> {
    let solvers: Vec<AnyRun> = options
        .solvers
        .iter()
        .map(|s| solver(s))
        .collect::<Result<_, _>>()?;
    let steps = match options.upper_step[..] {
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
    let seeds = common::seeds(options.seed, options.seeds)?;
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
        for (run, &step) in solvers.iter().zip(&steps) {
            runs.push(run(options, &model, &oracle, &data, step, seed)?);
            bar.inc(1);
            write_tables(options, &runs)?;
        }
        first.get_or_insert(data);
    }
    bar.finish_and_clear();
    figures(options, &runs)?;
    if let (Some(data), Some(run)) = (first, runs.first()) {
        suspects(options, &data, &run.theta)?;
    }
    summary(options, &runs)
}

fn write_tables(options: &Options, runs: &[Run]) -> Result<(), Failure> {
    let mut trace = String::from("solver,seed,calls,training_loss,test_loss,test_accuracy\n");
    let mut times = String::from("solver,seed,calls,seconds\n");
    for run in runs {
        for l in &run.looks {
            let head = format!("{},{},{}", run.solver, run.seed, l.calls);
            let _ = writeln!(
                trace,
                "{head},{:?},{:?},{:?}",
                l.training, l.test, l.accuracy
            );
            let _ = writeln!(times, "{head},{:.3}", l.seconds);
        }
    }
    std::fs::write(options.out.join("trace.csv"), trace)?;
    Ok(std::fs::write(options.out.join("times.csv"), times)?)
}

/// The runs of every solver, in the order of the options.
fn by_solver(runs: &[Run]) -> Vec<(&str, Vec<&Run>)> {
    let mut groups: Vec<(&str, Vec<&Run>)> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|(name, _)| *name == run.solver) {
            Some((_, group)) => group.push(run),
            None => groups.push((&run.solver, vec![run])),
        }
    }
    groups
}

/// A line for the medians of `y` over the medians of `x`, look by look, and a band for the quartiles where there are several runs.
fn draw(graph: Graph, runs: &[Run], x: fn(&Look) -> f64, y: fn(&Look) -> f64) -> Graph {
    by_solver(runs)
        .into_iter()
        .fold(graph, |graph, (name, group)| {
            // A run that diverged has fewer looks.
            let looks = group.iter().map(|run| run.looks.len()).max().unwrap_or(0);
            let (mut line, mut band) = (Vec::new(), Vec::new());
            for k in 0..looks {
                let all = || group.iter().filter_map(|run| run.looks.get(k));
                let x = Quartiles::of(all().map(x).collect()).median();
                let Quartiles([low, middle, high]) = Quartiles::of(all().map(y).collect());
                line.push((x, middle));
                band.push((x, low, high));
            }
            let graph = graph.line(name, line);
            if group.len() > 1 {
                graph.band(name, &band)
            } else {
                graph
            }
        })
}

fn figures(options: &Options, runs: &[Run]) -> Result<(), Failure> {
    for (file, unit, x) in [
        (
            "cleaning.svg",
            "oracle calls",
            (|l| l.calls as f64) as fn(&Look) -> f64,
        ),
        ("seconds.svg", "seconds", |l| l.seconds),
    ] {
        let graph = |caption| Graph::new(caption, unit, "cross-entropy");
        Chart::new()
            .title(format!(
                "{:.0} % of the training labels wrong",
                100.0 * options.noise
            ))
            .graph(draw(graph("Training, right labels"), runs, x, |l| {
                l.training
            }))
            .graph(draw(graph("Test"), runs, x, |l| l.test))
            .write_svg(options.out.join(file))?;
    }
    Ok(())
}

fn suspects(options: &Options, data: &Data, theta: &[f64]) -> Result<(), Failure> {
    let between = if options.data.is_some() { " " } else { "" };
    let mut order: Vec<usize> = (0..theta.len()).collect();
    order.sort_by(|&a, &b| theta[a].total_cmp(&theta[b]));
    let mut csv = String::from("text,label,weight,wrong\n");
    for i in order {
        let weight = 1.0 / (1.0 + (-theta[i]).exp());
        let label = data.train.labels()[i];
        let wrong = label != data.clean.labels()[i];
        let text = data.train.text(i, between).replace('"', "\"\"");
        let _ = writeln!(csv, "\"{text}\",{label},{weight:?},{wrong}");
    }
    Ok(std::fs::write(options.out.join("suspects.csv"), csv)?)
}

fn summary(options: &Options, runs: &[Run]) -> Result<(), Failure> {
    let mut text = format!(
        "{:.0} % of the training labels wrong; medians of {} run(s)\n\n\
         solver     training loss   test loss   least test loss   test accuracy %   F1 of wrong labels   calls   seconds   diverged\n",
        100.0 * options.noise,
        options.seeds
    );
    let mut json = serde_json::Map::new();
    for (name, group) in by_solver(runs) {
        let median =
            |f: &dyn Fn(&Run) -> f64| Quartiles::of(group.iter().map(|r| f(r)).collect()).median();
        let last = |f: fn(&Look) -> f64| median(&|run| run.looks.last().map_or(f64::NAN, f));
        let least = |run: &Run| run.looks.iter().fold(f64::INFINITY, |m, l| m.min(l.test));
        let numbers = [
            ("training_loss", last(|l| l.training)),
            ("test_loss", last(|l| l.test)),
            ("least_test_loss", median(&least)),
            ("test_accuracy", last(|l| l.accuracy)),
            ("f1", median(&|run| run.f1)),
            ("calls", last(|l| l.calls as f64)),
            ("seconds", last(|l| l.seconds)),
        ];
        let diverged = group.iter().filter(|run| run.diverged).count();
        let [training, test, least, accuracy, f1, calls, seconds] = numbers.map(|(_, v)| v);
        let _ = writeln!(
            text,
            "{name:<10} {training:>13.4} {test:>11.4} {least:>17.4} {:>17.2} {f1:>20.3} {calls:>7} {seconds:>9.1} {diverged:>10}",
            100.0 * accuracy
        );
        let mut entry: serde_json::Map<String, serde_json::Value> = numbers
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).into()))
            .collect();
        entry.insert("diverged".to_owned(), diverged.into());
        json.insert(name.to_owned(), entry.into());
    }
    let json = serde_json::Value::Object(json);
    std::fs::write(options.out.join("report.json"), format!("{json:#}\n"))?;
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(
        std::io::stdout(),
        "{text}\nwrote {} into {}",
        OUTPUTS.join(", "),
        options.out.display()
    );
    Ok(())
}
