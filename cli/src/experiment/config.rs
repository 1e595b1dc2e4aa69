//! What an experiment file says.

use bilevel::{Error, Limits, Trust};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use super::names::nearest;
use super::solvers::HALF_WIDTH;
use bilevel_problems::imaging::Norm;
use bilevel_problems::linear::lasso::Shrinkage;
use bilevel_problems::linear::penalty::Penalty;

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
    /// What it is called in tables and figures (default: the name of the file).
    #[serde(default)]
    pub name: String,
    /// A run for each: of the random numbers in the data, and of the batches of stochastic methods (default `[0]`).
    #[serde(default = "first_seed")]
    pub seeds: Vec<u64>,
    /// A run converges when ‖z‖ + ω, which bounds ‖∇F‖, is below this (default 1e-3).
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// What is tuned.
    pub problem: Problem,
    /// What tunes it.
    #[serde(default)]
    pub solver: Solver,
    /// What a run may spend (default: 100 iterations; with any other limit, no limit of iterations).
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

/// A problem and its data: the table `[problem.…]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// A random quadratic with a closed form.
    Quadratic(Quadratic),
    /// Total-variation denoising: θ is the log weight and the log smoothing.
    Tv(Tv),
    /// Denoising by a field of experts: filters, weights and smoothings.
    Foe(Foe),
    /// The penalties of a logistic regression.
    LogisticRegression(Logistic),
    /// A weight for every training sample, some of which are labelled wrongly.
    HyperCleaning(Cleaning),
    /// The penalties of a ridge regression, by folds.
    Ridge(Ridge),
    /// The penalties of a lasso or an elastic net, by folds.
    Lasso(Lasso),
}

/// See [`Quadratic`](bilevel_problems::synthetic::quadratic::Quadratic::random).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Quadratic {
    /// Entries of x (default 20).
    pub unknowns: usize,
    /// Entries of θ (default 3).
    pub hyperparameters: usize,
    /// Of the Hessian (default 10).
    pub condition: f64,
    /// How sure the bounds shall be (default certified).
    pub trust: Trust,
}

impl Default for Quadratic {
    fn default() -> Self {
        Quadratic {
            unknowns: 20,
            hyperparameters: 3,
            condition: 10.0,
            trust: Trust::Certified,
        }
    }
}

/// Images and their noise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tv {
    /// Clean images: PNG files, and folders of them (default: the photographs that ship with the crate but for one, by which θ is judged).
    pub images: Vec<PathBuf>,
    /// Images are cropped to squares and scaled to so many pixels a side; 0 leaves them as they are (default 64).
    pub size: usize,
    /// Standard deviation of the noise; white is 1 (default 0.1).
    pub sigma: f64,
    /// Anisotropic (the default) or isotropic.
    pub norm: Norm,
    /// The first θ (default `[-5, -5]`).
    pub theta: [f64; 2],
    /// How sure the bounds shall be (default certified).
    pub trust: Trust,
}

impl Default for Tv {
    fn default() -> Self {
        Tv {
            images: Vec::new(),
            size: 64,
            sigma: 0.1,
            norm: Norm::default(),
            theta: [-5.0, -5.0],
            trust: Trust::Certified,
        }
    }
}

/// Images, their noise, and filters. The first θ is the cosine basis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Foe {
    /// As for [`Tv::images`].
    pub images: Vec<PathBuf>,
    /// As for [`Tv::size`].
    pub size: usize,
    /// As for [`Tv::sigma`].
    pub sigma: f64,
    /// How many filters there are (default 8).
    pub filters: usize,
    /// Their width and height, an odd number (default 5).
    pub filter_size: usize,
    /// How sure the bounds shall be (default estimated).
    pub trust: Trust,
}

impl Default for Foe {
    fn default() -> Self {
        Foe {
            images: Vec::new(),
            size: 64,
            sigma: 0.1,
            filters: 8,
            filter_size: 5,
            trust: Trust::Estimated,
        }
    }
}

/// Samples with labels, and what shares a penalty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Logistic {
    /// Training samples: a file in LIBSVM's format or CSV with the label last, plain or gzip. Without it handwritten digits that ship with
    /// the crate, in an order that the seed decides.
    pub train: Option<PathBuf>,
    /// Validation samples, likewise.
    pub validation: Option<PathBuf>,
    /// Classes, labelled by whole numbers; without it labels are −1 and 1.
    pub classes: Option<usize>,
    /// The label of the first class (default 0).
    pub first_class: i64,
    /// Whether every sample is divided by its length (default no).
    pub unit_rows: bool,
    /// What shares a penalty (default: a feature).
    pub penalty: Penalty,
    /// The first logarithm of every penalty (default −4).
    pub start: f64,
    /// How sure the bounds shall be (default certified).
    pub trust: Trust,
}

impl Default for Logistic {
    fn default() -> Self {
        Logistic {
            train: None,
            validation: None,
            classes: None,
            first_class: 0,
            unit_rows: false,
            penalty: Penalty::PerFeature,
            start: -4.0,
            trust: Trust::Certified,
        }
    }
}

/// Images of classes, a share of which gets wrong labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cleaning {
    /// A folder with MNIST or a data set of its form (default: the images of clothes that ship with the crate).
    pub data: Option<PathBuf>,
    /// Training samples (default 1,000).
    pub train: usize,
    /// Validation samples, whose labels are right (default 500).
    pub validation: usize,
    /// The share of wrong labels (default 0.5).
    pub corruption: f64,
    /// C of the penalty (C/2)‖x‖² (default 0.2).
    pub penalty: f64,
    /// How sure the bounds shall be (default certified).
    pub trust: Trust,
}

impl Default for Cleaning {
    fn default() -> Self {
        Cleaning {
            data: None,
            train: 1000,
            validation: 500,
            corruption: 0.5,
            penalty: 0.2,
            trust: Trust::Certified,
        }
    }
}

/// Samples with numbers, and what shares a penalty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ridge {
    /// CSV with what is to be predicted last.
    pub data: PathBuf,
    /// Whether its first line holds names (default no).
    #[serde(default)]
    pub header: bool,
    /// Folds, in an order that the seed decides (default 5).
    #[serde(default = "folds")]
    pub folds: usize,
    /// `single` or `per_feature` (default: single).
    #[serde(default = "single")]
    pub penalty: Penalty,
    /// The first logarithm of every penalty (default −3).
    #[serde(default = "ridge_start")]
    pub start: f64,
}

/// Samples with numbers, and the penalties.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lasso {
    /// As for [`Ridge::data`].
    pub data: PathBuf,
    /// As for [`Ridge::header`].
    #[serde(default)]
    pub header: bool,
    /// As for [`Ridge::folds`].
    #[serde(default = "folds")]
    pub folds: usize,
    /// `lasso` or `elastic_net` (default: lasso).
    #[serde(default = "lasso")]
    pub shrinkage: Shrinkage,
    /// The first logarithm of every penalty, relative to that from which on all weights are zero (default −3).
    #[serde(default = "ridge_start")]
    pub start: f64,
}

fn folds() -> usize {
    5
}

fn single() -> Penalty {
    Penalty::Single
}

fn lasso() -> Shrinkage {
    Shrinkage::Lasso
}

fn ridge_start() -> f64 {
    -3.0
}

/// A solver by name, and what all solvers are told: the table `[solver]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Solver {
    /// One of [`solvers`](super::solvers), or on samples of [`methods`](super::methods) (default `maid-lbfgs`).
    pub name: String,
    /// First or constant accuracy ε = δ; of stochastic methods that of the evaluation at the end (default 0.1).
    pub accuracy: f64,
    /// Half the width of the box around the first θ, of solvers that search in one (default 3).
    pub half_width: f64,
    /// Samples of a batch of either level, of stochastic methods (default 64).
    pub batch: usize,
    /// Iterations of a stochastic method in one of the trace (default 200).
    pub block: u64,
    /// γ₀ of stochastic methods; estimated by default.
    pub lower_step: Option<f64>,
    /// η₀ of stochastic methods; estimated by default.
    pub upper_step: Option<f64>,
}

impl Default for Solver {
    fn default() -> Self {
        Solver {
            name: "maid-lbfgs".to_owned(),
            accuracy: 0.1,
            half_width: HALF_WIDTH,
            batch: 64,
            block: 200,
            lower_step: None,
            upper_step: None,
        }
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
        for file in experiment.problem.files() {
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

impl Problem {
    /// The files and folders that it names.
    fn files(&mut self) -> Vec<&mut PathBuf> {
        match self {
            Problem::Quadratic(_) => Vec::new(),
            Problem::Tv(Tv { images, .. }) | Problem::Foe(Foe { images, .. }) => {
                images.iter_mut().collect()
            }
            Problem::LogisticRegression(logistic) => {
                let files = [&mut logistic.train, &mut logistic.validation];
                files.into_iter().flatten().collect()
            }
            Problem::HyperCleaning(cleaning) => cleaning.data.iter_mut().collect(),
            Problem::Ridge(Ridge { data, .. }) | Problem::Lasso(Lasso { data, .. }) => vec![data],
        }
    }
}

/// What is wrong, in one line: where, and the nearest of the words that could stand there.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_experiment_comes_back_from_its_file_with_every_default() {
        for text in [
            "[problem.quadratic]",
            "seeds = [3]\n[problem.tv]\nimages = [\"a.png\"]\nnorm = \"isotropic\"\n[limits]\nseconds = 2.5",
            "[problem.foe]\nfilters = 4",
            "[problem.logistic_regression]\npenalty = \"per_class\"\ntrain = \"a\"\nvalidation = \"b\"",
            "[problem.hyper_cleaning]",
            "[problem.ridge]\ndata = \"a.csv\"",
            "[problem.lasso]\ndata = \"a.csv\"\nshrinkage = \"elastic_net\"\n[solver]\nupper_step = 0.5",
        ] {
            let experiment = Experiment::parse(text).unwrap();
            let written = experiment.to_toml().unwrap();
            assert_eq!(
                Experiment::parse(&written).unwrap(),
                experiment,
                "{written}"
            );
        }
    }

    #[test]
    fn mistakes_are_refused_with_their_place_and_the_nearest_name() {
        for (text, words) in [
            ("", &["problem"][..]),
            (
                "[problem.tvv]",
                &["line 1, column 10", "`tvv`", "perhaps `tv`"],
            ),
            (
                "[problem.tv]\nsgima = 1",
                &["line 2, column 1", "`sgima`", "perhaps `sigma`"],
            ),
            (
                "[problem.tv]\n[sovler]",
                &["line 2", "`sovler`", "perhaps `solver`"],
            ),
            (
                "[problem.tv]\n[limits]\niteration = 5",
                &["line 3", "perhaps `iterations`"],
            ),
            (
                "[problem.tv]\nnorm = \"iso\"",
                &["line 2, column 8", "`iso`", "isotropic"],
            ),
            ("[problem.tv]\nsize = -1", &["line 2, column 8"]),
            ("[problem.tv]\nsize = ", &["line 2, column 8"]),
            ("[problem.ridge]", &["data"]),
            ("name = \"a/b\"\n[problem.tv]", &["name", "`a/b`"]),
            ("seeds = []\n[problem.tv]", &["seeds"]),
            ("seeds = [1, 1]\n[problem.tv]", &["seeds", "1 twice"]),
            ("tolerance = nan\n[problem.tv]", &["tolerance"]),
            ("[problem.tv]\n[problem.foe]", &["not understood"]),
        ] {
            let refused = Experiment::parse(text).unwrap_err().to_string();
            assert!(
                words.iter().all(|word| refused.contains(word)),
                "{text:?}: {refused}"
            );
            assert!(!refused.contains('\n'), "{refused}");
        }
    }
}
