//! The runs of an experiment, seed after seed.

use bilevel::{CheckReport, Error, Limits, Report, Status};
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use std::path::Path;

use super::config::Experiment;
use super::folder::{Finished, Folder, Outcome, write};
use super::problem::{Made, make};
use super::runs::{Clock, Settings};
use super::{figures, html};

/// How the runs of an experiment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every seed has ended.
    Complete,
    /// Somebody stopped this seed; [`resume`] goes on.
    Interrupted {
        /// The seed.
        seed: u64,
    },
}

/// Runs all seeds, and leaves their files, figures and a page in the folder `out`. `say` is told every seed's end in a line.
///
/// # Errors
/// [`Error::InvalidArgument`] for settings outside their ranges and a folder that holds something else; [`Error::Io`]; those of the problem.
pub fn run(experiment: &Experiment, out: &Path, say: &mut dyn FnMut(&str)) -> Result<End, Error> {
    let folder = Folder::new(out);
    // Made before the folder is: what cannot be run leaves nothing behind.
    let first = make(&experiment.problem, experiment.seeds[0])?;
    folder.begin(experiment)?;
    go(experiment, &folder, first, false, say)
}

/// Goes on with the runs of a folder: the seeds that were interrupted or not begun and, where there is a new limit, those that had used
/// up theirs.
///
/// # Errors
/// As for [`run`].
pub fn resume(out: &Path, limits: Option<Limits>, say: &mut dyn FnMut(&str)) -> Result<End, Error> {
    let folder = Folder::new(out);
    let mut experiment = folder.experiment()?;
    if let Some(limits) = limits {
        experiment.limits = limits;
        write(&folder.file("experiment.toml"), &experiment.to_toml()?)?;
    }
    let first = make(&experiment.problem, experiment.seeds[0])?;
    go(&experiment, &folder, first, true, say)
}

fn go(
    experiment: &Experiment,
    folder: &Folder,
    first: Box<dyn Made>,
    resumed: bool,
    say: &mut dyn FnMut(&str),
) -> Result<End, Error> {
    let mut first = Some(first);
    let mut identities = Map::new();
    let mut end = End::Complete;
    for &seed in &experiment.seeds {
        let problem = match first.take() {
            Some(problem) => problem,
            None => make(&experiment.problem, seed)?,
        };
        identities.insert(seed.to_string(), problem.identity().into());
        let checkpoint = folder.checkpoint(seed);
        let over = folder.is_over(seed) && !(checkpoint.exists() && folder.is_exhausted(seed));
        if resumed && over {
            say(&format!(
                "{}, seed {seed}: has ended before",
                experiment.name
            ));
            continue;
        }
        let clock = Clock::default();
        let settings = Settings {
            tolerance: experiment.tolerance,
            limits: experiment.limits,
            checkpoint: Some(&checkpoint),
            resume: Some(&*checkpoint).filter(|path| resumed && path.exists()),
            // On a terminal a bar moves instead.
            table: !std::io::stdout().is_terminal(),
            clock: Some(&clock),
            ..Settings::default()
        };
        let report = problem.run(&experiment.solver, seed, &settings)?;
        let outcome = outcome(seed, &report, &*problem, &clock)?;
        folder.save(&outcome)?;
        say(&line(&experiment.name, &outcome, report.seconds));
        if report.status == Status::Interrupted {
            end = End::Interrupted { seed };
            break;
        }
    }
    let versions = json!({
        "bilevel-problems": env!("CARGO_PKG_VERSION"),
        "problems": identities,
    });
    write(&folder.file("versions.json"), &format!("{versions:#}\n"))?;
    draw(folder)?;
    Ok(end)
}

fn outcome(
    seed: u64,
    report: &Report<Vec<f64>>,
    problem: &dyn Made,
    clock: &Clock,
) -> Result<Outcome, Error> {
    let mut object = match serde_json::to_value(report) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    // Seconds are the machine's.
    object.remove("seconds");
    let quality = problem.quality(&report.theta)?;
    let quality = quality
        .into_iter()
        .map(|(name, v)| (name.to_owned(), v.into()));
    object.insert("quality".to_owned(), Value::Object(quality.collect()));
    Ok(Outcome {
        seed,
        report: object,
        trace: report.trace.clone(),
        seconds: clock
            .rows()
            .into_iter()
            .map(|(seconds, _)| seconds)
            .collect(),
    })
}

fn line(name: &str, outcome: &Outcome, seconds: f64) -> String {
    let quality: Vec<String> = outcome
        .quality()
        .iter()
        .map(|(name, v)| format!(", {name} {v:.4}"))
        .collect();
    format!(
        "{name}, seed {}: {} after {} iterations, {seconds:.2} s: F = {:.6}{}",
        outcome.seed,
        outcome.text("status"),
        outcome.number("iterations"),
        outcome.number("value"),
        quality.concat()
    )
}

/// Writes the summary, the figures and the page of a folder.
fn draw(folder: &Folder) -> Result<(), Error> {
    let finished = folder.load()?;
    write(&folder.file("summary.csv"), &summary(&finished))?;
    let all = figures::of_run(&finished)?;
    for figure in &all {
        write(&folder.file(figure.file), &figure.svg)?;
    }
    let page = html::run_page(&finished, &all)?;
    write(&folder.file("report.html"), &page)
}

/// The columns that every problem has.
const COLUMNS: [&str; 8] = [
    "status",
    "iterations",
    "value",
    "value_lower",
    "value_upper",
    "hypergradient_norm",
    "error_bound",
    "trust",
];

fn summary(finished: &Finished) -> String {
    let first = &finished.outcomes[0];
    let names: Vec<String> = first
        .quality()
        .iter()
        .map(|(name, _)| name.replace(',', ";"))
        .collect();
    let columns: Vec<&str> = COLUMNS
        .into_iter()
        .chain(names.iter().map(String::as_str))
        .collect();
    let mut csv = format!("seed,{}\n", columns.join(","));
    for outcome in &finished.outcomes {
        let cell = |key: &str| match outcome.report.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            // What is not known is infinite.
            _ => String::new(),
        };
        let mut cells: Vec<String> = COLUMNS.iter().map(|key| cell(key)).collect();
        cells.extend(outcome.quality().iter().map(|(_, v)| format!("{v:?}")));
        csv.push_str(&format!("{},{}\n", outcome.seed, cells.join(",")));
    }
    csv
}

/// Tests the derivatives of the problem of an experiment, at its first seed and its first θ.
///
/// # Errors
/// Those of the problem.
pub fn check(experiment: &Experiment) -> Result<CheckReport, Error> {
    make(&experiment.problem, experiment.seeds[0])?.check()
}

/// Reads the runs of a folder.
///
/// # Errors
/// [`Error::Io`] and [`Error::InvalidArgument`] for a folder that is none of a run, with the file.
pub fn load(out: &Path) -> Result<Finished, Error> {
    Folder::new(out).load()
}
