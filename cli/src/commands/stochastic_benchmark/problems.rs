//! The problems by name. A new one is a name with its description, and an arm of [`solve`].

use bilevel::lower::{Lbfgs, LowerSolver, NewtonCg};
use bilevel::{Implicit, Trust};
use bilevel_problems::data::{CsvFormat, Labels, digits, plain_or_gz, read_csv, read_libsvm};
use bilevel_problems::linear::hyper_cleaning::{corrupt_labels, hyper_cleaning};
use bilevel_problems::linear::logistic::{
    CrossEntropy, LogisticRegression, Penalty, logistic_regression,
};
use bilevel_problems::synthetic::finite_sum::FiniteSum;
use bilevel_problems::synthetic::unbounded_smoothness::UnboundedSmoothness;
use clap::ValueEnum;
use std::path::PathBuf;

use super::Options;
use super::bench::{Defaults, Problem, Quality, bench};
use crate::images_of_classes::{all_samples, scaled, split};
use crate::options::Failure;

/// Training samples of the digits; the others validate.
const DIGITS: usize = 1000;
/// The share of wrong labels, and C, of hyper-cleaning.
const CORRUPTION: f64 = 0.5;
const CLEANING_PENALTY: f64 = 0.2;
/// Training samples of covtype among 20,000, and its classes, numbered from 1.
const COVTYPE: usize = 10_000;
const COVTYPE_CLASSES: usize = 7;
/// Width and height of the smaller images of MNIST.
const SIDE: usize = 12;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(in crate::commands) enum ProblemName {
    /// A finite sum of quadratics with a closed form.
    Quadratic,
    /// A finite sum whose smoothness grows with its gradient.
    Unbounded,
    /// Multinomial logistic regression of the digits that ship with the crate, a penalty per class.
    Digits,
    /// A weight for every training sample, half of whose labels are wrong; Fashion-MNIST, or with --data MNIST.
    HyperCleaning,
    /// Binary logistic regression, a penalty per feature; takes --data.
    Ijcnn1,
    /// Multinomial logistic regression, a penalty per class; takes --data.
    Covtype,
    /// Multinomial logistic regression of MNIST at 12×12 pixels, a penalty per weight: 1,440 of them; takes --data.
    Mnist12,
}

/// The file called `name` of a folder, plain or with `.gz`, or the file that was named itself.
fn file(options: &Options, name: &str) -> Result<PathBuf, Failure> {
    let Some(data) = &options.data else {
        return Err(format!("this problem takes --data, the folder where {name} lies").into());
    };
    Ok(if data.is_dir() {
        plain_or_gz(data, name)
    } else {
        data.clone()
    })
}

/// Makes the problem that the options ask for, and compares the solvers on it.
pub(super) fn solve(options: &Options) -> Result<(), Failure> {
    match options.problem {
        ProblemName::Quadratic => {
            let sum = FiniteSum::coupled(20, 10, 1000, 10.0, 0);
            bench(
                options,
                &Problem {
                    oracle: Box::new(
                        Implicit::new(sum.lower(), sum.upper()).with_lower_solver(Lbfgs::default()),
                    ),
                    start: vec![3.0; 10],
                    optimum: Some(sum.value(&sum.minimiser())),
                    quality: None,
                    defaults: Defaults {
                        batch: 16,
                        block: 100,
                        epochs: 1000.0,
                    },
                },
            )
        }
        ProblemName::Unbounded => {
            let sum = UnboundedSmoothness::random(5, 200, 4.0, 0);
            bench(
                options,
                &Problem {
                    oracle: Box::new(
                        Implicit::new(sum.lower(), sum.upper())
                            .with_lower_solver(Lbfgs::default())
                            // No constant bounds the change of ∇ₓf: that is what the problem is for.
                            .with_trust(Trust::Estimated),
                    ),
                    start: vec![8.0; 5],
                    optimum: None,
                    quality: None,
                    defaults: Defaults {
                        batch: 16,
                        block: 100,
                        epochs: 1000.0,
                    },
                },
            )
        }
        ProblemName::Digits => {
            let all = digits()?;
            let (train, rest) = (all.rows(0..DIGITS)?, all.rows(DIGITS..all.samples())?);
            let oracle = logistic_regression(&train, &rest, Penalty::PerClass)?;
            logistic(
                options,
                oracle.with_lower_solver(Lbfgs::default()),
                0.0,
                300.0,
            )
        }
        ProblemName::Covtype => {
            let labels = Labels::From {
                first: 1,
                count: COVTYPE_CLASSES,
            };
            let path = file(options, "covtype.csv")?;
            let all = read_csv(path, CsvFormat::new(labels))?.shuffled(0);
            let train = all.rows(0..COVTYPE.min(all.samples()))?;
            let rest = all.rows(train.samples()..all.samples())?;
            let (rest, train) = (rest.standardised(&train)?, train.standardised(&train)?);
            let oracle = logistic_regression(&train, &rest, Penalty::PerClass)?;
            logistic(
                options,
                oracle.with_lower_solver(Lbfgs::default()),
                0.0,
                100.0,
            )
        }
        ProblemName::Ijcnn1 => {
            let train = read_libsvm(file(options, "ijcnn1")?, None, Labels::Signs)?;
            let columns = Some(train.columns());
            let rest = read_libsvm(file(options, "ijcnn1.t")?, columns, Labels::Signs)?;
            let (train, rest) = (train.to_dense(), rest.to_dense());
            let oracle = logistic_regression(&train, &rest, Penalty::PerFeature)?;
            logistic(
                options,
                oracle.with_lower_solver(NewtonCg::default()),
                0.0,
                1000.0,
            )
        }
        ProblemName::Mnist12 => {
            let Some(folder) = &options.data else {
                return Err("this problem takes --data, the folder of MNIST".into());
            };
            let (train, rest) = all_samples(Some(folder))?;
            let (train, rest) = (scaled(&train, SIDE)?, scaled(&rest, SIDE)?);
            let oracle = logistic_regression(&train, &rest, Penalty::PerWeight)?;
            logistic(
                options,
                oracle.with_lower_solver(Lbfgs::default()),
                -4.0,
                100.0,
            )
        }
        ProblemName::HyperCleaning => {
            let (all, test) = all_samples(options.data.as_deref())?;
            let (train, rest) = split(options.data.is_some());
            let all = all.shuffled(0);
            let (train, rest) = (all.rows(0..train)?, all.rows(train..train + rest)?);
            let (rest, test) = (rest.standardised(&train)?, test.standardised(&train)?);
            let train = corrupt_labels(&train.standardised(&train)?, CORRUPTION, 0)?;
            let judge = CrossEntropy::new(&test)?;
            bench(
                options,
                &Problem {
                    oracle: Box::new(
                        hyper_cleaning(&train, &rest, CLEANING_PENALTY)?
                            .with_lower_solver(Lbfgs::default()),
                    ),
                    start: vec![0.0; train.samples()],
                    optimum: None,
                    quality: Some(Quality {
                        name: "test error",
                        of: Box::new(move |x| 1.0 - judge.accuracy(x)),
                    }),
                    defaults: Defaults {
                        batch: 64,
                        block: 50,
                        epochs: 100.0,
                    },
                },
            )
        }
    }
}

/// Logistic regression from these logarithms of penalties.
fn logistic<S: LowerSolver + 'static>(
    options: &Options,
    oracle: Implicit<LogisticRegression<f64>, CrossEntropy<f64>, S>,
    start: f64,
    epochs: f64,
) -> Result<(), Failure> {
    let start = vec![start; oracle.lower().theta_len()];
    bench(
        options,
        &Problem {
            oracle: Box::new(oracle),
            start,
            optimum: None,
            quality: None,
            defaults: Defaults {
                batch: 64,
                block: 100,
                epochs,
            },
        },
    )
}
