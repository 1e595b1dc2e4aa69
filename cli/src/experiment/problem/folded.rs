//! Regressions by folds, and the random quadratic.

use bilevel::{Error, Folds, Implicit, Oracle, Mean};

use super::{Made, Terms, Whole, derivatives, no_quality, refused};
use bilevel_problems::data::{RegressionData, read_regression};
use crate::experiment::config;
use bilevel_problems::linear::{SparseState, cross_validated_lasso};
use bilevel_problems::synthetic::quadratic::Quadratic;
use bilevel_problems::linear::ridge::cross_validated_ridge;

pub(super) fn quadratic(config: &config::Quadratic, seed: u64) -> Result<Box<dyn Made>, Error> {
    if !config.condition.is_finite() {
        return Err(Error::invalid(
            "condition",
            config.condition,
            "a finite number",
        ));
    }
    let problem = Quadratic::random(
        config.unknowns,
        config.hyperparameters,
        config.condition,
        seed,
    );
    let make = || Implicit::new(problem.lower(), problem.upper());
    let (oracle, checked) = (make().with_trust(config.trust), make());
    let start = vec![0.0; config.hyperparameters.max(1)];
    let theta = start.clone();
    let least = problem.value(&problem.optimum());
    Ok(Box::new(Whole::<Terms> {
        oracle: Box::new(Mean::new(vec![oracle])?),
        start,
        quality: Box::new(move |theta| Ok(vec![("F − F*", problem.value(theta) - least)])),
        derivatives: Some(Box::new(move || {
            derivatives(checked.lower(), checked.upper(), &theta)
        })),
    }))
}

/// The samples, every feature scaled to variance 1, and their folds.
fn samples(
    data: &std::path::Path,
    header: bool,
    folds: usize,
    seed: u64,
) -> Result<(RegressionData, Folds), Error> {
    let samples = read_regression(data, header).map_err(refused)?;
    let samples = samples.standardised(&samples)?;
    let folds = Folds::new(samples.samples(), folds, seed)?;
    Ok((samples, folds))
}

pub(super) fn ridge(config: &config::Ridge, seed: u64) -> Result<Box<dyn Made>, Error> {
    let (samples, folds) = samples(&config.data, config.header, config.folds, seed)?;
    let make = || cross_validated_ridge(&samples, &folds, config.penalty);
    let (oracle, checked) = (make()?, make()?);
    let start = vec![config.start; oracle.terms()[0].lower().theta_len()];
    let theta = start.clone();
    Ok(Box::new(Whole::<Terms> {
        oracle: Box::new(oracle),
        start,
        quality: no_quality(),
        derivatives: Some(Box::new(move || {
            let term = &checked.terms()[0];
            derivatives(term.lower(), term.upper(), &theta)
        })),
    }))
}

pub(super) fn lasso(config: &config::Lasso, seed: u64) -> Result<Box<dyn Made>, Error> {
    let (samples, folds) = samples(&config.data, config.header, config.folds, seed)?;
    let oracle = cross_validated_lasso(&samples, &folds, config.shrinkage)?;
    let judged = cross_validated_lasso(&samples, &folds, config.shrinkage)?;
    let largest = oracle.terms().iter().map(|term| term.largest_l1());
    let start = largest.fold(f64::MIN_POSITIVE, f64::max).ln() + config.start;
    let entries = match config.shrinkage {
        bilevel_problems::linear::lasso::Shrinkage::Lasso => 1,
        bilevel_problems::linear::lasso::Shrinkage::ElasticNet => 2,
    };
    Ok(Box::new(Whole::<Vec<SparseState>> {
        oracle: Box::new(oracle),
        start: vec![start; entries],
        quality: Box::new(move |theta| {
            let mut states = judged.start(theta)?;
            judged.value(theta, 1e-6, &mut states)?;
            let used = |state: &SparseState| state.w().iter().filter(|w| **w != 0.0).count();
            let all: usize = states.iter().map(used).sum();
            Ok(vec![("features in use", all as f64 / states.len() as f64)])
        }),
        derivatives: None,
    }))
}
