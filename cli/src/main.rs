//! Runs experiments from files. See [`bilevel_cli::experiment`].

use bilevel::{Error, Limits, parallel};
use bilevel_cli::experiment::{End, Experiment, check, compare, resume, run, same_runs, verify};
use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bilevel and hyperparameter optimisation by gradient: experiments from files.
#[derive(Parser)]
#[command(name = "bilevel", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
    /// Threads; all cores by default. The results do not depend on it.
    #[arg(long, global = true)]
    threads: Option<usize>,
}

/// Bytes of the names of compared experiments in the name of their folder, at most.
const LONGEST_NAME: usize = 120;

#[derive(Subcommand)]
enum Command {
    /// Run an experiment: results go into a folder.
    Run {
        /// The experiment, in TOML.
        experiment: PathBuf,
        /// The folder. [default: runs/NAME]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Go on with a run that was stopped, or give one that has ended a new limit.
    Resume {
        /// The folder of the run.
        folder: PathBuf,
        /// Iterations, at most, in place of all limits of the experiment.
        #[arg(long)]
        iterations: Option<u64>,
    },
    /// Run experiments that have not been run, and compare all of them.
    Compare {
        /// The experiments, in TOML.
        #[arg(required = true, num_args = 2..)]
        experiments: Vec<PathBuf>,
        /// The folder of the comparison. [default: runs/NAME-and-NAME…]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Draw the runs in some folders, beside each other.
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

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        // A mistake gets one line like every other one; help and version are printed as they are.
        Err(error)
            if error.use_stderr()
                && error.kind()
                    != clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
        {
            let text = error.to_string();
            let reason = text.split("Usage:").next().unwrap_or_default();
            let reason = reason
                .split("For more information")
                .next()
                .unwrap_or_default();
            let words: Vec<&str> = reason
                .trim_start_matches("error:")
                .split_whitespace()
                .collect();
            return fail(&format!("{}; try --help", words.join(" ")));
        }
        Err(error) => error.exit(),
    };
    let all = || {
        std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(1024)
    };
    let threads = options.threads.unwrap_or_else(all);
    match parallel::with_threads(threads, || work(&options.command)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => fail(&error),
        Err(error) => fail(&error),
    }
}

fn fail(error: &impl Display) -> ExitCode {
    eprintln!("bilevel: {error}");
    ExitCode::from(2)
}

fn say(line: &str) {
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Where the run of an experiment goes.
fn place(experiment: &Experiment) -> PathBuf {
    Path::new("runs").join(&experiment.name)
}

/// What is to be done after a run.
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

fn work(command: &Command) -> Result<ExitCode, Error> {
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
