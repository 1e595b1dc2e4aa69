//! The penalties of a logistic regression.

use bilevel::lower::Lbfgs;
use bilevel::{Error, Oracle, Trust};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{JUDGED_AT, ProblemInstance, ProblemSettings, Sampled, derivatives, refused};
use bilevel_problems::data::{
    CsvFormat, Features, LabelledData, Labels, digits, read_csv, read_libsvm,
};
use bilevel_problems::linear::logistic::Penalty;
use bilevel_problems::linear::logistic::{CrossEntropy, logistic_regression};

/// Digits to train on; the others validate.
const DIGITS: usize = 1000;
/// Sparse tables with no more columns than this are stored as dense ones, which is faster.
const NARROW: usize = 256;
/// Samples with labels, and what shares a penalty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[doc(hidden)]
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
    /// The weights that share a penalty (default: those of a feature).
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

fn read(
    path: &Path,
    columns: Option<usize>,
    config: &Logistic,
) -> Result<LabelledData<f64>, Error> {
    let labels = match config.classes {
        Some(count) => Labels::From {
            first: config.first_class,
            count,
        },
        None => Labels::Signs,
    };
    let name = path.to_string_lossy();
    let table = match name.ends_with(".csv") || name.ends_with(".csv.gz") {
        true => read_csv(path, CsvFormat::new(labels)),
        false => read_libsvm(path, columns, labels),
    };
    let table = table.map_err(refused)?;
    let table = match config.unit_rows {
        true => table.unit_rows(),
        false => table,
    };
    Ok(match table.features() {
        Features::Sparse(_) if table.columns() <= NARROW => table.to_dense(),
        _ => table,
    })
}

fn tables(config: &Logistic, seed: u64) -> Result<(LabelledData<f64>, LabelledData<f64>), Error> {
    match (&config.train, &config.validation) {
        (Some(train), Some(validation)) => {
            let train = read(train, None, config)?;
            let validation = read(validation, Some(train.columns()), config)?;
            Ok((train, validation))
        }
        (None, None) => {
            let all = digits().map_err(refused)?.shuffled(seed);
            Ok((all.rows(0..DIGITS)?, all.rows(DIGITS..all.samples())?))
        }
        (train, _) => {
            let missing = if train.is_some() {
                "validation"
            } else {
                "train"
            };
            let found = format!("without `{missing}`");
            let expected = "both files, or none for the digits that ship";
            Err(Error::invalid(
                "problem.logistic_regression",
                found,
                expected,
            ))
        }
    }
}

impl ProblemSettings for Logistic {
    fn instance(&self, seed: u64) -> Result<Box<dyn ProblemInstance>, Error> {
        let (train, validation) = tables(self, seed)?;
        let make = |trust| -> Result<_, Error> {
            Ok(logistic_regression(&train, &validation, self.penalty)?
                .with_lower_solver(Lbfgs::default())
                .with_trust(trust))
        };
        let oracle = make(self.trust)?;
        let start = vec![self.start; oracle.lower().theta_len()];
        let theta = start.clone();
        let judge = CrossEntropy::new(&validation)?;
        let judged = Arc::new(make(Trust::Unknown)?);
        let checked = Arc::clone(&judged);
        Ok(Box::new(Sampled {
            oracle: Box::new(oracle),
            derivatives: Box::new(move || derivatives(checked.lower(), checked.upper(), &theta)),
            start,
            quality: Box::new(move |theta| {
                let mut state = judged.start(theta)?;
                judged.value(theta, JUDGED_AT, &mut state)?;
                Ok(vec![("validation accuracy", judge.accuracy(state.x()))])
            }),
        }))
    }

    fn files(&mut self) -> Vec<&mut PathBuf> {
        let files = [&mut self.train, &mut self.validation];
        files.into_iter().flatten().collect()
    }
}
