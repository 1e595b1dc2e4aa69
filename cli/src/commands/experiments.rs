//! The commands on experiment files: `run`, `resume`, `compare`, `plot`, `check`.

use bilevel::{Error, Limits};
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::say;
use crate::experiment::{End, Experiment, check, compare, resume, run, same_runs, verify};

/// Bytes of the names of compared experiments in the name of their folder, at most.
const LONGEST_NAME: usize = 120;

/// The commands on experiment files.
#[derive(Subcommand)]
pub(super) enum Command {
    /// Run an experiment: results go into a folder.
    Run {
        /// The experiment, in TOML.
        experiment: PathBuf,
        /// The folder. [default: runs/NAME]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Resume a run that was stopped, or give one that has ended a new limit.
    Resume {
        /// The folder of the run.
        folder: PathBuf,
        /// At most this many iterations, in place of all limits of the experiment.
        #[arg(long)]
        iterations: Option<u64>,
    },
    /// Compare experiments; those without results are run first.
    Compare {
        /// The experiments, in TOML.
        #[arg(required = true, num_args = 2..)]
        experiments: Vec<PathBuf>,
        /// The folder of the comparison. [default: runs/NAME-and-NAME…]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Draw the runs in several folders beside each other.
    Plot {
        /// Folders of runs.
        #[arg(required = true)]
        folders: Vec<PathBuf>,
        /// The folder of the figures.
        #[arg(long, value_name = "DIR", default_value = "runs/plot")]
        out: PathBuf,
    },
    /// Test the derivatives of the problem of an experiment. Ends with exit code 1 where one is wrong.
    Check {
        /// The experiment, or a file with its problem alone.
        experiment: PathBuf,
    },
}

/// Where the run of an experiment goes.
fn place(experiment: &Experiment) -> PathBuf {
    Path::new("runs").join(&experiment.name)
}

/// Prints how a run ended, and gives the exit code.
fn ended(end: End, out: &Path) -> ExitCode {
    match end {
        End::Complete => {
            say(&format!("wrote {}", out.join("report.html").display()));
            ExitCode::SUCCESS
        }
        End::Interrupted { seed } => {
            say(&format!(
                "interrupted at seed {seed}; go on with: bilevel resume \"{}\"",
                out.display()
            ));
            ExitCode::from(130)
        }
    }
}

/// Runs one of these commands.
pub(super) fn run_command(command: &Command) -> Result<ExitCode, Error> {
    match command {
        Command::Run { experiment, out } => {
            let experiment = Experiment::read(experiment)?;
            let out = out.clone().unwrap_or_else(|| place(&experiment));
            Ok(ended(run(&experiment, &out, &mut say)?, &out))
        }
        Command::Resume { folder, iterations } => {
            let limits = iterations.map(|iterations| Limits {
                iterations: Some(iterations),
                ..Limits::default()
            });
            Ok(ended(resume(folder, limits, &mut say)?, folder))
        }
        Command::Compare { experiments, out } => {
            // All files are read before the first run.
            let experiments: Vec<Experiment> = experiments
                .iter()
                .map(Experiment::read)
                .collect::<Result<_, _>>()?;
            let folders: Vec<PathBuf> = experiments.iter().map(place).collect();
            let names: Vec<&str> = experiments.iter().map(|e| e.name.as_str()).collect();
            if let Some(twice) = names
                .iter()
                .enumerate()
                .find(|(k, name)| names[..*k].contains(name))
            {
                let found = format!("`{}` twice", twice.1);
                return Err(Error::invalid("the experiments", found, "different names"));
            }
            // What is wrong with the last one is told before the first one is run.
            experiments.iter().try_for_each(verify)?;
            let mut joined = names.join("-and-");
            if joined.len() > LONGEST_NAME {
                joined = format!("{}-and-{}-others", names[0], names.len() - 1);
            }
            let out = out
                .clone()
                .unwrap_or_else(|| Path::new("runs").join(joined));
            for (experiment, folder) in experiments.iter().zip(&folders) {
                let end = match same_runs(experiment, folder)? {
                    true => resume(folder, None, &mut say)?,
                    false => run(experiment, folder, &mut say)?,
                };
                if end != End::Complete {
                    return Ok(ended(end, folder));
                }
            }
            compare(&folders, &out)?;
            Ok(ended(End::Complete, &out))
        }
        Command::Plot { folders, out } => {
            compare(folders, out)?;
            Ok(ended(End::Complete, out))
        }
        Command::Check { experiment } => {
            let report = check(&Experiment::read(experiment)?)?;
            say(report.to_string().trim_end());
            let code = u8::from(!report.passed());
            Ok(ExitCode::from(code))
        }
    }
}
