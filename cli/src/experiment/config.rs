//! The contents of an experiment file.

use bilevel::{Error, Limits};
use serde::{Deserialize, Serialize};
use std::path::Path;

use super::solver::Solver;
use crate::registry::names::nearest;
use crate::registry::problems::Problem;

/// An experiment: one problem, one solver, some seeds. In a file only `[problem.…]` is needed; all else has a default.
///
/// ```
/// use bilevel_cli::experiment::Experiment;
///
/// let experiment = Experiment::parse(
///     r#"
///     seeds = [0, 1, 2]
///     tolerance = 1e-4
///
///     [problem.quadratic]
///     unknowns = 50
///
///     [solver]
///     name = "maid"
///     "#,
/// )?;
/// assert_eq!(experiment.seeds, [0, 1, 2]);
/// let refused = Experiment::parse("[problem.quadratic]\nunknown = 50").unwrap_err();
/// assert!(refused.to_string().contains("perhaps `unknowns`"));
/// # Ok::<(), bilevel::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Its name in tables and figures (default: the name of the file).
    #[serde(default)]
    pub name: String,
    /// A run for each: of the random numbers in the data, and of the batches of stochastic methods (default `[0]`).
    #[serde(default = "first_seed")]
    pub seeds: Vec<u64>,
    /// A run converges when ‖z‖ + ω, which bounds ‖∇F‖, is below this (default 1e-3).
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// The problem.
    pub problem: Problem,
    /// The solver.
    #[serde(default)]
    pub solver: Solver,
    /// The limits of a run (default: 100 iterations; with any other limit, no limit of iterations).
    #[serde(default = "limits")]
    pub limits: Limits,
}

fn first_seed() -> Vec<u64> {
    vec![0]
}

fn tolerance() -> f64 {
    1e-3
}

fn limits() -> Limits {
    Limits {
        iterations: Some(100),
        ..Limits::default()
    }
}

impl Experiment {
    /// An experiment from TOML.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], which names the line and, of a key or a word that is none, the nearest one that is.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut experiment: Experiment = toml::from_str(text).map_err(|e| refused(text, &e))?;
        if experiment.limits == Limits::default() {
            experiment.limits = limits();
        }
        experiment.check()?;
        Ok(experiment)
    }

    /// An experiment from a file. Files that it names lie in the folder of that file where they are not absolute; without a name it is
    /// called like the file.
    ///
    /// # Errors
    /// [`Error::Io`], and as for [`parse`](Experiment::parse), with the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let text = String::from_utf8(bytes).map_err(|e| {
            let place = format!("byte {}", e.utf8_error().valid_up_to());
            Error::invalid(place, "not UTF-8", "text")
        });
        let parsed = text.and_then(|text| Experiment::parse(&text));
        let mut experiment = parsed.map_err(|e| e.within(&path.display().to_string()))?;
        if experiment.name.is_empty() {
            let stem = path.file_stem().unwrap_or_default();
            experiment.name = stem.to_string_lossy().into_owned();
        }
        experiment
            .check()
            .map_err(|e| e.within(&path.display().to_string()))?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = std::fs::canonicalize(folder).map_err(|e| Error::io(path, e))?;
        for file in experiment.problem.settings_mut().files() {
            *file = folder.join(&*file);
        }
        Ok(experiment)
    }

    /// The experiment as TOML, with every default.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for numbers that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, Error> {
        let refuse =
            |e: toml::ser::Error| Error::invalid("the experiment", e, "what TOML can hold");
        toml::to_string(self).map_err(refuse)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        // The folder of the run is called so, on any system.
        let bad = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
        let name = &self.name;
        if name.contains(bad)
            || name.starts_with('.')
            || name.ends_with(['.', ' '])
            || name.len() > 100
        {
            let found = format!("`{}`", one_line(name, 40));
            let expected =
                "at most 100 bytes without / \\ : * ? \" < > |, and no dot at either end";
            return Err(Error::invalid("name", found, expected));
        }
        if self.seeds.is_empty() {
            return Err(Error::invalid("seeds", "empty", "at least one"));
        }
        let mut sorted = self.seeds.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let found = format!("{} twice", twice[0]);
            return Err(Error::invalid("seeds", found, "every seed once"));
        }
        // TOML has no larger integers, and the file is written again.
        if let Some(seed) = sorted.last().filter(|seed| **seed > i64::MAX as u64) {
            return Err(Error::invalid("seeds", seed, "seeds below 2^63"));
        }
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            let expected = "a finite number of at least 0";
            return Err(Error::invalid("tolerance", self.tolerance, expected));
        }
        Ok(())
    }
}

/// A mistake in one line: its place, and the nearest of the words that could stand there.
fn refused(text: &str, error: &toml::de::Error) -> Error {
    let place = error.span().map_or("the experiment".to_owned(), |span| {
        let before = text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        format!("line {line}, column {column}")
    });
    let message = one_line(error.message(), 300);
    // "unknown field `a`, expected one of `b`, `c`", in these words by serde.
    let parts = message.strip_prefix("unknown ").and_then(|rest| {
        let (head, tail) = rest.rsplit_once("`, expected ")?;
        Some((head.split_once('`')?.1, tail))
    });
    let Some((found, tail)) = parts else {
        return Error::invalid(place, "not understood", message);
    };
    let known: Vec<&str> = tail.split('`').skip(1).step_by(2).collect();
    let found = one_line(found, 40);
    let expected = format!(
        "{}; there are {}",
        nearest(&found, &known),
        known.join(", ")
    );
    Error::invalid(place, format!("`{found}`"), expected)
}

/// The first characters of a text, in one line.
fn one_line(text: &str, most: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let escaped = |c: char| match c.is_control() {
        true => c.escape_default().collect::<String>(),
        false => c.to_string(),
    };
    let mut line: String = words.chars().take(most).map(escaped).collect();
    if words.chars().nth(most).is_some() {
        line.push('…');
    }
    line
}
