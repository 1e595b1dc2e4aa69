//! Tunes the penalties of a logistic regression of handwritten digits, one for each pixel, by the loss on validation data.
//!
//! ```text
//! cargo run --release --example logistic_regression
//! ```
//!
//! It prints the report, loss and accuracy on the validation data before and after, and writes the convergence and a picture of the
//! learned penalties (bright: a pixel that counts) into `out/logistic_regression`. The command `bilevel logistic-regression` reads
//! data of yours and knows all solvers.

use bilevel::lower::Lbfgs;
use bilevel::plot::Figure;
use bilevel::{Maid, Oracle, Run};
use bilevel_problems::data::{digits, write_png};
use bilevel_problems::imaging::Image;
use bilevel_problems::linear::logistic::{CrossEntropy, Penalty, logistic_regression};
use std::path::Path;

/// Digits to train on; the others validate.
const TRAIN: usize = 1000;
/// Pixels of the picture for each pixel of a digit.
const SCALE: usize = 16;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = digits()?;
    let (train, validation) = (all.rows(0..TRAIN)?, all.rows(TRAIN..all.samples())?);
    let oracle = logistic_regression(&train, &validation, Penalty::PerFeature)?
        .with_lower_solver(Lbfgs::default());
    let start = vec![-4.0; oracle.lower().theta_len()];
    let mut maid = Maid::lbfgs();
    maid.accuracy.initial.epsilon = 0.01;
    maid.accuracy.initial.delta = 0.01;
    let report = Run::new(&oracle, maid)
        .max_iterations(20)
        .start(start.clone())?;
    println!("{report}\n");

    let judge = CrossEntropy::new(&validation)?;
    for (name, theta) in [("at the start", &start), ("learned", &report.theta)] {
        let mut state = oracle.start(theta)?;
        let loss = oracle.value(theta, 0.01, &mut state)?.value.value;
        let accuracy = 100.0 * judge.accuracy(state.x());
        println!("{name:<13} loss {loss:.4}, accuracy {accuracy:.2} %");
    }

    let out = Path::new("out/logistic_regression");
    std::fs::create_dir_all(out)?;
    Figure::new()
        .run("MAID, L-BFGS", &report.trace)
        .write_svg(out.join("convergence.svg"))?;
    // Low penalties are bright.
    let numbers = || report.theta.iter().copied();
    let (low, high) = (
        numbers().fold(f64::MAX, f64::min),
        numbers().fold(f64::MIN, f64::max),
    );
    let side = train.columns().isqrt();
    let pixel = |k: usize| {
        let (row, column) = (k / (side * SCALE) / SCALE, k % (side * SCALE) / SCALE);
        (high - report.theta[row * side + column]) / (high - low)
    };
    let width = side * SCALE;
    let picture = Image::new(width, width, (0..width * width).map(pixel).collect())?;
    write_png(out.join("penalties.png"), &[vec![picture]])?;
    println!(
        "wrote convergence.svg and penalties.png into {}",
        out.display()
    );
    Ok(())
}
