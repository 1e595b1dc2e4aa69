//! The folder of a run: what is in it, and how it is read again.
//!
//! ```text
//! experiment.toml       the experiment, with every default
//! versions.json         of the crates, and the identity of the problem of each seed, data included
//! summary.csv           a line for each seed
//! seed-0/report.json    where the run of a seed ended, and why
//! seed-0/trace.csv      its iterations
//! *.svg, report.html    figures, and all in one page
//! machine/              seconds and checkpoints: all that depends on the machine
//! ```

use bilevel::{Error, Trace};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::config::Experiment;

/// The folder of a run.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

/// The run of one seed, as its files tell it.
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// `report.json`.
    pub report: Map<String, Value>,
    /// `trace.csv`.
    pub trace: Trace,
    /// The seconds of every row of the trace that this machine made; fewer than rows where the run was resumed.
    pub seconds: Vec<f64>,
}

impl Outcome {
    /// A number of the report; NaN for one that is not known.
    pub fn number(&self, key: &str) -> f64 {
        let number = self.report.get(key).and_then(Value::as_f64);
        number.unwrap_or(f64::NAN)
    }

    /// A text of the report.
    pub fn text(&self, key: &str) -> &str {
        self.report.get(key).and_then(Value::as_str).unwrap_or("")
    }

    /// θ at the end.
    pub fn theta(&self) -> Vec<f64> {
        let theta = self.report.get("theta").and_then(Value::as_array);
        let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
        theta.map_or(Vec::new(), |theta| theta.iter().map(number).collect())
    }

    /// Names and numbers that the problem judges θ by.
    pub fn quality(&self) -> Vec<(&str, f64)> {
        let quality = self.report.get("quality").and_then(Value::as_object);
        let number =
            |(name, v): (_, &Value)| (String::as_str(name), v.as_f64().unwrap_or(f64::NAN));
        quality.map_or(Vec::new(), |all| all.iter().map(number).collect())
    }
}

/// An experiment with the runs of its seeds.
#[derive(Debug, Clone)]
#[doc(hidden)]
pub struct Finished {
    /// The experiment.
    pub experiment: Experiment,
    /// The seeds that have ended, in the order of the experiment: one or more.
    pub outcomes: Vec<Outcome>,
}

impl Finished {
    /// For each seed the version of the crate and the identity of its problem, data included.
    pub fn versions(&self) -> Value {
        let of_seed = |o: &Outcome| {
            let entry =
                json!({ "problem": o.text("problem"), "bilevel-problems": o.text("version") });
            (o.seed.to_string(), entry)
        };
        Value::Object(self.outcomes.iter().map(of_seed).collect())
    }
}

/// The name of the experiment in a folder.
const EXPERIMENT: &str = "experiment.toml";
/// The last file of a seed.
const REPORT: &str = "report.json";

pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    }
    // Beside, and renamed: a reader finds the old file or the new one.
    let mut beside = path.as_os_str().to_owned();
    beside.push(".partial");
    std::fs::write(&beside, text).map_err(|e| Error::io(path, e))?;
    std::fs::rename(&beside, path).map_err(|e| Error::io(path, e))
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|e| Error::io(path, e))
}

fn parsed(path: &Path) -> Result<Value, Error> {
    let refuse = |e: serde_json::Error| Error::invalid(path.display().to_string(), e, "JSON");
    serde_json::from_str(&read(path)?).map_err(refuse)
}

/// Whether a folder holds runs of this experiment, with whatever limits.
///
/// # Errors
/// [`Error::InvalidArgument`] for runs of another one, which names the first setting that differs.
#[doc(hidden)]
pub fn same_runs(experiment: &Experiment, folder: &Path) -> Result<bool, Error> {
    let folder = Folder::new(folder);
    if !folder.has_runs() {
        return Ok(false);
    }
    let there = Experiment {
        limits: experiment.limits,
        ..folder.experiment()?
    };
    if there == *experiment {
        return Ok(true);
    }
    let found = format!(
        "the folder of another experiment: {}",
        difference(&there, experiment)?
    );
    let expected = "that of this one, or none: delete it, or give the experiment another name";
    Err(Error::invalid(folder.shown(), found, expected))
}

/// The first line in which two experiments differ.
fn difference(a: &Experiment, b: &Experiment) -> Result<String, Error> {
    let (a, b) = (a.to_toml()?, b.to_toml()?);
    let mut pairs = a.lines().zip(b.lines());
    let differs = pairs.find(|(a, b)| a != b);
    Ok(differs.map_or("it has other keys".to_owned(), |(a, b)| {
        format!("`{a}` there, `{b}` here")
    }))
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Folder(path.to_owned())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn of_seed(&self, seed: u64, name: &str) -> PathBuf {
        self.0.join(format!("seed-{seed}")).join(name)
    }

    pub(super) fn checkpoint(&self, seed: u64) -> PathBuf {
        self.0
            .join("machine")
            .join(format!("seed-{seed}.checkpoint"))
    }

    fn timing(&self) -> PathBuf {
        self.0.join("machine").join("seconds.json")
    }

    /// Takes an experiment in.
    ///
    /// Refuses a folder of another experiment, and one with a run to be resumed, so that nothing in them is lost.
    pub(super) fn begin(&self, experiment: &Experiment) -> Result<(), Error> {
        let (path, text) = (self.file(EXPERIMENT), experiment.to_toml()?);
        let shown = self.shown();
        if self.has_runs() && path.exists() && read(&path)? != text {
            let there = self.experiment()?;
            let found = format!(
                "the folder of another experiment: {}",
                difference(&there, experiment)?
            );
            let expected =
                "a folder of its own for every experiment: give another one, or delete this one";
            return Err(Error::invalid(shown, found, expected));
        }
        for &seed in &experiment.seeds {
            let ended = self
                .report(seed)
                .is_some_and(|report| report["status"] != "interrupted");
            if self.checkpoint(seed).exists() && !ended {
                let found = format!("the folder of a run that was interrupted at seed {seed}");
                let expected = format!("`bilevel resume {shown}`, or another folder");
                return Err(Error::invalid(shown, found, expected));
            }
        }
        write(&path, &text)?;
        std::fs::create_dir_all(self.0.join("machine")).map_err(|e| Error::io(&self.0, e))
    }

    /// Whether a run was begun in it.
    pub(super) fn has_runs(&self) -> bool {
        let holds = |folder: &Path, what: &dyn Fn(&str) -> bool| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.file_name())
                .any(|name| what(&name.to_string_lossy()))
        };
        holds(&self.0, &|name| name.starts_with("seed-"))
            || holds(&self.0.join("machine"), &|name| {
                name.ends_with(".checkpoint")
            })
    }

    /// Keeps an experiment whose limits are new.
    pub(super) fn keep(&self, experiment: &Experiment) -> Result<(), Error> {
        let (path, text) = (self.file(EXPERIMENT), experiment.to_toml()?);
        if read(&path)? == text {
            Ok(())
        } else {
            write(&path, &text)
        }
    }

    pub(super) fn shown(&self) -> String {
        self.0.display().to_string()
    }

    /// Where and why the run of a seed ended, if it has.
    pub(super) fn report(&self, seed: u64) -> Option<Value> {
        parsed(&self.of_seed(seed, REPORT)).ok()
    }

    pub(super) fn save(&self, outcome: &Outcome) -> Result<(), Error> {
        let seed = outcome.seed;
        write(&self.of_seed(seed, "trace.csv"), &outcome.trace.to_csv())?;
        let mut all = self.all_seconds();
        all.insert(seed.to_string(), outcome.seconds.clone());
        write(&self.timing(), &format!("{:#}\n", json!(all)))?;
        // Last: a seed that has its report has all.
        let report = Value::Object(outcome.report.clone());
        write(&self.of_seed(seed, REPORT), &format!("{report:#}\n"))
    }

    fn all_seconds(&self) -> BTreeMap<String, Vec<f64>> {
        let text = read(&self.timing()).unwrap_or_default();
        // Of another machine, or damaged: seconds are not worth an error.
        serde_json::from_str(&text).unwrap_or_default()
    }

    /// The seconds of every row of the trace of a seed.
    pub(super) fn seconds(&self, seed: u64) -> Vec<f64> {
        self.all_seconds()
            .remove(&seed.to_string())
            .unwrap_or_default()
    }

    /// Its experiment.
    pub(super) fn experiment(&self) -> Result<Experiment, Error> {
        Experiment::read(self.file(EXPERIMENT))
    }

    /// Reads its contents.
    pub(super) fn load(&self) -> Result<Finished, Error> {
        let experiment = self.experiment()?;
        let seconds = self.all_seconds();
        let mut outcomes = Vec::new();
        for &seed in &experiment.seeds {
            let path = self.of_seed(seed, REPORT);
            if !path.exists() {
                continue;
            }
            let Value::Object(report) = parsed(&path)? else {
                let argument = path.display().to_string();
                return Err(Error::invalid(argument, "no object", "the report of a run"));
            };
            outcomes.push(Outcome {
                seed,
                report,
                trace: Trace::read_csv(self.of_seed(seed, "trace.csv"))?,
                seconds: seconds.get(&seed.to_string()).cloned().unwrap_or_default(),
            });
        }
        if outcomes.is_empty() {
            let expected = "the runs of one seed or more: `bilevel run` makes them";
            return Err(Error::invalid(
                self.0.display().to_string(),
                "without runs",
                expected,
            ));
        }
        Ok(Finished {
            experiment,
            outcomes,
        })
    }
}
