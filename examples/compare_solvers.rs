//! Compares upper-level solvers on total-variation denoising: the same start, the same images, the same work.
//!
//! ```text
//! cargo run --release --example compare_solvers
//! ```
//!
//! It prints a table and draws value, hypergradient and accuracies against the work into `out/compare_solvers/compare.svg`. The
//! command `bilevel compare-solvers` compares all solvers on ten problems.

use bilevel::plot::{Axis, Figure};
use bilevel::upper::ToleranceSchedule;
use bilevel::{Error, GradientDescent, Hoag, Limits, Maid, Report, Run, Solver, Trust};
use bilevel_problems::data::{PHOTOGRAPHS, photograph, resized};
use bilevel_problems::imaging::{Norm, TvOracle, Weights, tv_denoising};

type Learned = Result<(&'static str, Report<Vec<f64>>), Error>;

/// Runs one solver from θ = (log weight, log smoothing) = (−5, −5) until its work is used up, and prints its line.
fn learn(
    name: &'static str,
    oracle: &TvOracle<f64>,
    solver: impl Solver<TvOracle<f64>>,
) -> Learned {
    let limits = Limits {
        work: Some(10_000),
        ..Limits::default()
    };
    let report = Run::new(oracle, solver)
        .tolerance(0.0)
        .limits(limits)
        .start(vec![-5.0, -5.0])?;
    println!(
        "{name:<12} {:>10} {:>14.6} {:>8.1e} {:>10.1e} {:>10}",
        report.iterations,
        report.value.value,
        report.value.error(),
        report.error_bound,
        report.work.iterations()
    );
    Ok((name, report))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut clean = Vec::new();
    for (name, _) in PHOTOGRAPHS.iter().take(3) {
        clean.push(resized(&photograph(name)?, 48)?);
    }
    let streams = clean.iter().zip(0..);
    let noisy: Vec<_> = streams.map(|(c, k)| c.with_noise(0.1, 0, k)).collect();
    let (norm, weights) = (Norm::Anisotropic, Weights::Global);
    let oracle = tv_denoising(&clean, &noisy, norm, weights, Trust::Certified)?;

    println!("solver       iterations              F        ±          ω       work");
    let runs = [
        learn("MAID", &oracle, Maid::default())?,
        learn("MAID, L-BFGS", &oracle, Maid::lbfgs())?,
        learn("HOAG", &oracle, Hoag::new(ToleranceSchedule::Quadratic))?,
        learn("fixed 1e-1", &oracle, GradientDescent::with_accuracy(1e-1))?,
        learn("fixed 1e-3", &oracle, GradientDescent::with_accuracy(1e-3))?,
    ];

    std::fs::create_dir_all("out/compare_solvers")?;
    let mut figure = Figure::new().axis(Axis::Work);
    for (name, report) in &runs {
        figure = figure.run(*name, &report.trace);
    }
    figure.write_svg("out/compare_solvers/compare.svg")?;
    println!("wrote out/compare_solvers/compare.svg");
    Ok(())
}
