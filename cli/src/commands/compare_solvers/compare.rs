//! The runs of the solvers on one problem, and what they are measured by.

use crate::registry::solvers::{around, solver};
use crate::runs::{AnySolver, Note, Notes, Settings};
use bilevel::{Accuracy, Element, ImplicitState, Limits, Oracle, Trace, Vector};
use bilevel_problems::imaging::Image;
use std::io::Write;

use super::Options;
use super::table::{OUTPUTS, Outcome, header, write};
use crate::images::{mean_psnr, solutions};
use crate::options::{Failure, prepare};

/// Losses and PSNR are computed from solutions this close to the exact ones, in the root mean square over the pixels.
const LOSS_ACCURACY: f64 = 1e-5;
const PSNR_ACCURACY: f64 = 1e-3;

/// The oracle of any problem whose images are stored as X. Behind `dyn`, the solvers are compiled once for all problems.
pub(super) type Learned<X> = dyn Oracle<Theta = Vec<f64>, State = Vec<ImplicitState<X>>>;

/// Runs the solvers from θ on `training`. `test` denoises the images whose clean ones are `clean`.
pub(super) fn compare<X: Vector, E: Element>(
    options: &Options,
    training: &Learned<X>,
    test: &Learned<Vec<E>>,
    clean: &[Image<f64>],
    theta: &[f64],
) -> Result<(), Failure> {
    let accuracy = Accuracy::new(options.accuracy, options.accuracy)?;
    // All names are read before the first run.
    let start = training.start(&theta.to_vec())?;
    let region = around(theta, options.half_width)?;
    let named = |name: &String| {
        let name = name.trim();
        Ok((name.to_owned(), solver(name, accuracy, &region)?))
    };
    let solvers: Vec<(String, AnySolver<&Learned<X>>)> = options
        .solvers
        .iter()
        .map(named)
        .collect::<Result<_, Failure>>()?;
    prepare(&options.out, &OUTPUTS)?;
    let pixels = start.iter().map(|s| s.x().len()).max().unwrap_or(1);
    let epsilon = LOSS_ACCURACY * (pixels as f64).sqrt();
    let mut outcomes = Vec::new();
    let mut failures = Vec::new();
    let print = |line: &str| {
        // A closed pipe is no reason to fail.
        let _ = writeln!(std::io::stdout(), "{line}");
    };
    print(&header());
    for (name, solver) in &solvers {
        let notes = Notes::default();
        let settings = Settings {
            tolerance: options.tolerance,
            limits: Limits {
                iterations: options.max_iterations,
                work: Some(options.max_work.saturating_mul(start.len() as u64)),
                seconds: options.max_seconds,
                ..Limits::default()
            },
            notes: Some(&notes),
            ..Settings::default()
        };
        match solver.run(&training, theta.to_vec(), &settings) {
            Ok(report) => {
                let rows = spread(&report.trace, options.points);
                let loss =
                    training.value(&report.theta, epsilon, &mut training.start(&report.theta)?)?;
                let outcome = Outcome {
                    psnr: psnr(test, clean, &notes.rows(), &rows)?,
                    name: name.clone(),
                    loss: loss.value.value,
                    report,
                };
                print(&outcome.line());
                outcomes.push(outcome);
            }
            // One that fails says why; the others go on.
            Err(error) => {
                print(&format!("{name:<20} {error}"));
                failures.push((name.clone(), error.to_string()));
            }
        }
    }
    write(&options.out, &outcomes, &failures)
}

/// Rows of a trace, the first and the last among them, that are evenly spread over its work.
fn spread(trace: &Trace, points: usize) -> Vec<usize> {
    let work: Vec<u64> = trace
        .rows()
        .iter()
        .map(|row| row.work.iterations())
        .collect();
    let total = work.last().copied().unwrap_or(0) as f64;
    let mut rows: Vec<usize> = Vec::new();
    for (row, &done) in work.iter().enumerate() {
        let due = total * rows.len() as f64 / points.saturating_sub(1).max(1) as f64;
        if rows.is_empty() || row + 1 == work.len() || done as f64 >= due {
            rows.push(row);
        }
    }
    rows
}

/// The mean PSNR of the test images at the θ of some rows.
fn psnr<E: Element>(
    test: &Learned<Vec<E>>,
    clean: &[Image<f64>],
    notes: &[Note<Vec<f64>>],
    rows: &[usize],
) -> Result<Vec<(usize, f64)>, Failure> {
    let smallest = clean.iter().map(|c| c.pixels().len()).min().unwrap_or(1);
    let epsilon = PSNR_ACCURACY * (smallest as f64).sqrt();
    let mut state = None;
    let at = |&row: &usize| {
        let theta = &notes[row].theta;
        let state = match &mut state {
            Some(state) => state,
            None => state.insert(test.start(theta)?),
        };
        test.value(theta, epsilon, state)?;
        Ok((row, mean_psnr(clean, &solutions(state, clean)?)))
    };
    rows.iter().map(at).collect()
}
