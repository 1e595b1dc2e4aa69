//! Problems on samples with labels.

use bilevel::lower::Lbfgs;
use bilevel::{Error, Implicit, Oracle, Trust};
use std::path::Path;

use super::{Made, Sampled, refused};
use bilevel_problems::data::{
    CsvFormat, Features, Labels, LabelledData, digits, fashion_mnist, read_csv, read_idx_folder,
    read_libsvm,
};
use crate::experiment::config;
use bilevel_problems::linear::hyper_cleaning::{HyperCleaning, corrupt_labels, hyper_cleaning};
use bilevel_problems::linear::logistic::{CrossEntropy, logistic_regression};

/// Digits to train on; the others validate.
const DIGITS: usize = 1000;
/// Sparse tables with no more columns than this are stored as dense ones, which is faster.
const NARROW: usize = 256;
/// Models are judged at lower-level solutions of this accuracy.
const QUALITY_ACCURACY: f64 = 1e-2;

fn read(
    path: &Path,
    columns: Option<usize>,
    config: &config::Logistic,
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

fn tables(config: &config::Logistic, seed: u64) -> Result<(LabelledData<f64>, LabelledData<f64>), Error> {
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

pub(super) fn logistic(config: &config::Logistic, seed: u64) -> Result<Box<dyn Made>, Error> {
    let (train, validation) = tables(config, seed)?;
    let make = |trust| -> Result<_, Error> {
        Ok(logistic_regression(&train, &validation, config.penalty)?
            .with_lower_solver(Lbfgs::default())
            .with_trust(trust))
    };
    let oracle = make(config.trust)?;
    let start = vec![config.start; oracle.lower().theta_len()];
    let (judged, judge) = (make(Trust::Unknown)?, CrossEntropy::new(&validation)?);
    Ok(Box::new(Sampled {
        oracle,
        start,
        quality: Box::new(move |theta| {
            let mut state = judged.start(theta)?;
            judged.value(theta, QUALITY_ACCURACY, &mut state)?;
            Ok(vec![("validation accuracy", judge.accuracy(state.x()))])
        }),
    }))
}

pub(super) fn cleaning(config: &config::Cleaning, seed: u64) -> Result<Box<dyn Made>, Error> {
    let read = config
        .data
        .as_ref()
        .map_or_else(fashion_mnist, read_idx_folder);
    let (all, test) = read.map_err(refused)?;
    let (train, validation) = (config.train, config.validation);
    if train == 0 || validation == 0 || train.saturating_add(validation) > all.samples() {
        let found = format!("{train} and {validation} samples");
        let expected = format!(
            "at least one each, and together no more than {}",
            all.samples()
        );
        return Err(Error::invalid("train and validation", found, expected));
    }
    let all = all.shuffled(seed);
    let pixels = all.rows(0..train)?;
    let clean = pixels.standardised(&pixels)?;
    let train = corrupt_labels(&clean, config.corruption, seed)?;
    let validation = all.rows(config.train..config.train + validation)?;
    let validation = validation.standardised(&pixels)?;
    let oracle = hyper_cleaning(&train, &validation, config.penalty)?
        .with_lower_solver(Lbfgs::default())
        .with_trust(config.trust);
    let judge = CrossEntropy::new(&test.standardised(&pixels)?)?;
    let judged = Implicit::new(
        HyperCleaning::new(&train, config.penalty)?,
        CrossEntropy::new(&validation)?,
    )
    .with_lower_solver(Lbfgs::default())
    .with_trust(Trust::Unknown);
    let pairs = train.labels().iter().zip(clean.labels());
    let wrong: Vec<bool> = pairs.map(|(a, b)| a != b).collect();
    Ok(Box::new(Sampled {
        oracle,
        start: vec![0.0; wrong.len()],
        quality: Box::new(move |theta| {
            let mut state = judged.start(theta)?;
            judged.value(theta, QUALITY_ACCURACY, &mut state)?;
            Ok(vec![
                ("test accuracy", judge.accuracy(state.x())),
                ("F1 of the wrong labels", f1(theta, &wrong)),
            ])
        }),
    }))
}

/// How well the samples of a weight below one half are the wrong ones: the harmonic mean of precision and recall.
fn f1(theta: &[f64], wrong: &[bool]) -> f64 {
    let count = |of: &dyn Fn(bool, bool) -> bool| {
        let pairs = theta.iter().zip(wrong);
        pairs.filter(|(t, w)| of(**t < 0.0, **w)).count() as f64
    };
    let (caught, found) = (count(&|f, w| f && w), count(&|f, _| f));
    let all = count(&|_, w| w);
    match found + all {
        0.0 => 1.0,
        sum => 2.0 * caught / sum,
    }
}
