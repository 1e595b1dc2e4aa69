//! The commands of the program, one module for each.

mod compare_solvers;
mod experiments;
mod foe_denoise;
mod hyper_cleaning;
mod list;
mod logistic_regression;
mod stochastic_benchmark;
mod text_cleaning;
mod tune_regularizer;

use bilevel::parallel;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use crate::options::Failure;

/// Bilevel and hyperparameter optimisation by gradient: experiments from files, and learned denoising, cleaning and regularisation.
#[derive(Parser)]
#[command(name = "bilevel", version)]
struct Options {
    #[command(subcommand)]
    command: Command,
    /// Threads; all cores by default. The results do not depend on it.
    #[arg(long, global = true)]
    threads: Option<usize>,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Experiments(experiments::Command),
    /// List the solvers, methods and problems by name.
    List,
    /// Compare upper-level solvers on an imaging problem.
    #[command(alias = "compare_solvers")]
    CompareSolvers(compare_solvers::Options),
    /// Learn a field of experts that denoises, or denoise with one.
    #[command(alias = "foe_denoise")]
    FoeDenoise(foe_denoise::Options),
    /// Find wrong labels by hypergradient.
    #[command(alias = "hyper_cleaning")]
    HyperCleaning(hyper_cleaning::Options),
    /// Tune the penalties of a logistic regression by hypergradient.
    #[command(alias = "logistic_regression")]
    LogisticRegression(logistic_regression::Options),
    /// Compare stochastic methods.
    #[command(alias = "stochastic_benchmark")]
    StochasticBenchmark(stochastic_benchmark::Options),
    /// Find wrong labels of texts.
    #[command(alias = "text_cleaning")]
    TextCleaning(text_cleaning::Options),
    /// Tune a regulariser by gradient through the training run.
    #[command(alias = "tune_regularizer")]
    TuneRegularizer(tune_regularizer::Options),
}

impl Command {
    fn run(&self) -> Result<ExitCode, Failure> {
        match self {
            Command::Experiments(command) => return Ok(experiments::run_command(command)?),
            Command::List => say(list::text().trim_end()),
            Command::CompareSolvers(options) => compare_solvers::run(options)?,
            Command::FoeDenoise(options) => foe_denoise::run(options)?,
            Command::HyperCleaning(options) => hyper_cleaning::run(options)?,
            Command::LogisticRegression(options) => logistic_regression::run(options)?,
            Command::StochasticBenchmark(options) => stochastic_benchmark::run(options)?,
            Command::TextCleaning(options) => text_cleaning::run(options)?,
            Command::TuneRegularizer(options) => tune_regularizer::run(options)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The program: reads the command line, runs the command, and ends a mistake with one line on standard error and exit code 2.
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        // A mistake gets one line; help and version are printed as they are.
        Err(error)
            if error.use_stderr()
                && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand =>
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
    match parallel::with_threads(threads, || options.command.run()) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => fail(&error),
        Err(error) => fail(&error),
    }
}

fn fail(error: &impl Display) -> ExitCode {
    eprintln!("bilevel: {error}");
    ExitCode::from(2)
}

/// Prints a line. A closed pipe is no reason to fail: the files are written.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
