//! The runs of an experiment, seed after seed.

use bilevel::{CheckReport, Error, Limits, Report, Status};
use serde_json::{Map, Value, json};
use std::io::IsTerminal;
use std::path::Path;

use super::config::Experiment;
use super::folder::{Finished, Folder, Outcome, write};
use super::problem::ProblemInstance;
use super::{figures, html};
use crate::runs::{Clock, Settings};

/// How the runs of an experiment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every seed has ended.
    Complete,
    /// This seed was stopped; [`resume`] continues it.
    Interrupted {
        /// The seed.
        seed: u64,
    },
}

/// Which seeds are run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    All,
    /// Those that were interrupted or not begun.
    Unfinished,
    /// And those that had used up their budget.
    Extended,
}

/// Runs all seeds, and leaves their files, figures and a page in the folder `out`. `say` is told every seed's end in a line.
///
/// # Errors
/// [`Error::InvalidArgument`] for settings outside their ranges and a folder that holds something else; [`Error::Io`]; those of the problem.
/// Results of the seeds that have ended by then are kept, and drawn.
pub fn run(experiment: &Experiment, out: &Path, say: &mut dyn FnMut(&str)) -> Result<End, Error> {
    let folder = Folder::new(out);
    // Made before the folder is: what cannot be run leaves nothing behind.
    let first = prepared(experiment)?;
    folder.begin(experiment)?;
    run_seeds(experiment, &folder, first, Which::All, say)
}

/// Goes on with the runs of a folder: the seeds that were interrupted or not begun and, where there is a new limit, those that had used
/// up theirs.
///
/// # Errors
/// As for [`run`], and for data that are not those of the runs in the folder.
pub fn resume(out: &Path, limits: Option<Limits>, say: &mut dyn FnMut(&str)) -> Result<End, Error> {
    let folder = Folder::new(out);
    let mut experiment = folder.experiment()?;
    let which = match limits {
        Some(_) => Which::Extended,
        None => Which::Unfinished,
    };
    experiment.limits = limits.unwrap_or(experiment.limits);
    let first = prepared(&experiment)?;
    folder.keep(&experiment)?;
    run_seeds(&experiment, &folder, first, which, say)
}

/// The problem of the first seed, where the experiment can be run.
fn prepared(experiment: &Experiment) -> Result<Box<dyn ProblemInstance>, Error> {
    experiment.check()?;
    let problem = experiment
        .problem
        .settings()
        .instance(experiment.seeds[0])?;
    problem.check_solver(&experiment.solver)?;
    Ok(problem)
}

/// Refuses an experiment that cannot be run: its settings, its data, its solver.
///
/// # Errors
/// As for [`run`].
pub fn verify(experiment: &Experiment) -> Result<(), Error> {
    prepared(experiment).map(drop)
}

fn run_seeds(
    experiment: &Experiment,
    folder: &Folder,
    first: Box<dyn ProblemInstance>,
    which: Which,
    say: &mut dyn FnMut(&str),
) -> Result<End, Error> {
    let mut first = Some(first);
    let mut end = Ok(End::Complete);
    for &seed in &experiment.seeds {
        let problem = match first.take() {
            Some(problem) => Ok(problem),
            None => experiment.problem.settings().instance(seed),
        };
        let ended =
            problem.and_then(|problem| run_seed(experiment, folder, &*problem, (seed, which), say));
        match ended {
            Ok(Status::Interrupted) => end = Ok(End::Interrupted { seed }),
            Ok(_) => continue,
            Err(error) => end = Err(error),
        }
        break;
    }
    // What there is is drawn, whatever happened to the rest.
    let drawn = draw(folder);
    let end = end?;
    drawn.map(|()| end)
}

/// The run of one seed; its status.
fn run_seed(
    experiment: &Experiment,
    folder: &Folder,
    problem: &dyn ProblemInstance,
    (seed, which): (u64, Which),
    say: &mut dyn FnMut(&str),
) -> Result<Status, Error> {
    let checkpoint = folder.checkpoint(seed);
    let known = folder.report(seed).filter(|_| which != Which::All);
    let mut earlier = Vec::new();
    if let Some(report) = known {
        let (found, expected) = (report["problem"].as_str(), problem.identity());
        if found != Some(&expected) {
            let argument = format!("{}: the problem of seed {seed}", folder.shown());
            let found = format!("`{}`", found.unwrap_or("unknown"));
            let expected = format!("`{expected}`, as its settings and data make it now");
            return Err(Error::invalid(argument, found, expected));
        }
        let exhausted = report["status"] == "budget_exhausted" && checkpoint.exists();
        let resumed = report["status"] == "interrupted" || (which == Which::Extended && exhausted);
        if !resumed {
            say(&format!(
                "{}, seed {seed}: has ended before",
                experiment.name
            ));
            return Ok(Status::Completed);
        }
        earlier = folder.seconds(seed);
    }
    let clock = Clock::default();
    let settings = Settings {
        tolerance: experiment.tolerance,
        limits: experiment.limits,
        checkpoint: Some(&checkpoint),
        resume: Some(&*checkpoint).filter(|path| which != Which::All && path.exists()),
        // On a terminal a bar moves instead.
        table: !std::io::stdout().is_terminal(),
        clock: Some(&clock),
        ..Settings::default()
    };
    let report = problem.run(&experiment.solver, seed, &settings)?;
    let seconds: Vec<f64> = clock
        .rows()
        .into_iter()
        .map(|(seconds, _)| seconds)
        .collect();
    // The last row of a run that was stopped is made again when it goes on.
    earlier.truncate(report.trace.rows().len().saturating_sub(seconds.len()));
    earlier.extend(seconds);
    let outcome = Outcome {
        seed,
        report: object(&report, problem)?,
        trace: report.trace.clone(),
        seconds: earlier,
    };
    folder.save(&outcome)?;
    say(&line(&experiment.name, &outcome, report.seconds));
    Ok(report.status)
}

/// `report.json`.
fn object(
    report: &Report<Vec<f64>>,
    problem: &dyn ProblemInstance,
) -> Result<Map<String, Value>, Error> {
    let refuse = |e: serde_json::Error| Error::invalid("the report", e, "what JSON can hold");
    let Value::Object(mut object) = serde_json::to_value(report).map_err(refuse)? else {
        return Err(Error::invalid("the report", "no object", "one"));
    };
    // Seconds are the machine's.
    object.remove("seconds");
    object.insert("problem".to_owned(), problem.identity().into());
    object.insert("version".to_owned(), env!("CARGO_PKG_VERSION").into());
    match problem.quality(&report.theta) {
        Ok(quality) => {
            let quality = quality
                .into_iter()
                .map(|(name, v)| (name.to_owned(), v.into()));
            object.insert("quality".to_owned(), Value::Object(quality.collect()));
        }
        // It is no reason to lose the run.
        Err(error) => {
            let warnings = object.entry("warnings").or_insert(json!([]));
            if let Some(warnings) = warnings.as_array_mut() {
                warnings.push(format!("not judged: {error}").into());
            }
        }
    }
    Ok(object)
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
    write(
        &folder.file("versions.json"),
        &format!("{:#}\n", finished.versions()),
    )?;
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
    let names = first
        .quality()
        .into_iter()
        .map(|(name, _)| name.replace(',', ";"));
    let names: Vec<String> = names.collect();
    let columns = COLUMNS.into_iter().chain(names.iter().map(String::as_str));
    let mut csv = format!("seed,{}\n", columns.collect::<Vec<_>>().join(","));
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
    experiment.check()?;
    experiment
        .problem
        .settings()
        .instance(experiment.seeds[0])?
        .check()
}

/// Reads the runs of a folder.
///
/// # Errors
/// [`Error::Io`] and [`Error::InvalidArgument`] for a folder that is none of a run, with the file.
#[doc(hidden)]
pub fn load(out: &Path) -> Result<Finished, Error> {
    Folder::new(out).load()
}
