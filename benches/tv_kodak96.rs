//! Learning total variation on twelve photographs: what each solver takes from θ = (−5, −5) to F ≤ 1.001 F*.
//!
//! ```text
//! BILEVEL_DATA=… cargo bench -p bilevel-benches --bench tv_kodak96 [-- --figure FILE.svg | --margins]
//! ```
//!
//! The data (`tv_kodak96/{clean,noisy}.npy` and `optimum.json`) are not part of the project; without `BILEVEL_DATA` the bench
//! says so and ends. A θ counts as having reached the target by its F computed anew to ε = 1e-7, not by what the solver believed;
//! work and time are those at the moment the solver arrived there. An evaluation is a hypergradient or a trial; points counts the distinct
//! θ at which the lower level was solved. `benches/peers/tv_bfgs.py` does the same in another library.

#![allow(clippy::panic)] // a bench that cannot be set up ends with the reason

use bilevel::plot::{Axis, Figure, Panel};
use bilevel::run::Observer;
use bilevel::{
    GradientDescent, Hoag, Iteration, Maid, Oracle, Run, Solver, ToleranceSchedule, Trace, Trust,
    parallel,
};
use bilevel_problems::data::read_npy;
use bilevel_problems::imaging::{Image, Norm, TvOracle, Weights, tv_denoising};
use std::cell::RefCell;
use std::path::PathBuf;

const START: [f64; 2] = [-5.0, -5.0];
/// Times are medians over this many runs.
const REPETITIONS: usize = 5;

/// Notes when each iteration ended.
struct Clock<'a>(&'a RefCell<Vec<f64>>);

impl Observer for Clock<'_> {
    fn iteration(&mut self, _row: &Iteration, seconds: f64) -> std::io::Result<()> {
        self.0.borrow_mut().push(seconds);
        Ok(())
    }
}

fn run<S: Solver<TvOracle<f64>>>(
    oracle: &TvOracle<f64>,
    solver: S,
    iterations: u64,
) -> (Trace, Vec<f64>) {
    let times = RefCell::new(Vec::new());
    let report = Run::new(oracle, solver)
        .tolerance(0.0)
        .max_iterations(iterations)
        .observe(Clock(&times))
        .start(START.to_vec())
        .unwrap_or_else(|e| panic!("{e}"));
    (report.trace, times.into_inner())
}

/// Prints a row of the table; returns the trace.
fn row<S: Solver<TvOracle<f64>> + Clone>(
    name: &str,
    trust: Trust,
    images: &(Vec<Image<f64>>, Vec<Image<f64>>),
    optimum: f64,
    solver: S,
    iterations: u64,
) -> Trace {
    let oracle = |trust| {
        tv_denoising(
            &images.0,
            &images.1,
            Norm::Anisotropic,
            Weights::Global,
            trust,
        )
        .unwrap_or_else(|e| panic!("{e}"))
    };
    let exact = oracle(Trust::Certified);
    let oracle = oracle(trust);
    let (trace, _) = run(&oracle, solver.clone(), iterations);
    let mut best = f64::INFINITY;
    let mut found = None;
    let mut state = None;
    for (k, row) in trace.rows().iter().enumerate() {
        let theta = &row.theta;
        let state =
            state.get_or_insert_with(|| exact.start(theta).unwrap_or_else(|e| panic!("{e}")));
        let value = exact
            .value(theta, 1e-7, state)
            .map_or(f64::INFINITY, |v| v.value.value);
        best = best.min(value);
        if value <= 1.001 * optimum {
            found = Some(k);
            break;
        }
    }
    let samples = images.0.len() as f64;
    match found {
        Some(k) if k > 0 => {
            let mut seconds: Vec<f64> = (0..REPETITIONS)
                .map(|_| run(&oracle, solver.clone(), k as u64).1[k - 1])
                .collect();
            seconds.sort_by(f64::total_cmp);
            let row = &trace.rows()[k - 1];
            let evaluations: u64 = trace.rows()[..k]
                .iter()
                .map(|r| r.hypergradients + r.trials)
                .sum();
            // Goal-oriented values are never certified, whatever the oracle is.
            let trust = trace.rows()[0].trust;
            let trials: u64 = trace.rows()[..k].iter().map(|r| r.trials).sum();
            let points = if trials == 0 { evaluations } else { 1 + trials };
            println!(
                "| {name} | {trust} | {k} | {evaluations} | {points} | {:.0} | {:.0} | {:.3} | {:.3} … {:.3} |",
                row.work.lower_gradients as f64 / samples,
                row.work.hessian_products as f64 / samples,
                seconds[REPETITIONS / 2],
                seconds[0],
                seconds[REPETITIONS - 1],
            );
        }
        _ => println!(
            "| {name} | {trust} | not in {iterations} iterations: {:.2} % above F* | | | | | | |",
            100.0 * (best / optimum - 1.0)
        ),
    }
    trace
}

fn main() {
    let Some(data) = std::env::var_os("BILEVEL_DATA").map(PathBuf::from) else {
        println!("skipped: BILEVEL_DATA is not set");
        return;
    };
    let folder = data.join("tv_kodak96");
    let read = |name| read_npy(folder.join(name)).unwrap_or_else(|e| panic!("{e}"));
    let images = (read("clean.npy"), read("noisy.npy"));
    let text =
        std::fs::read_to_string(folder.join("optimum.json")).unwrap_or_else(|e| panic!("{e}"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
    let optimum = json["F_star"].as_f64().unwrap_or(f64::NAN);
    println!(
        "{} threads; work for each image; seconds: median, fastest … slowest of {REPETITIONS}\n",
        parallel::width()
    );
    println!(
        "| solver | trust | iterations | evaluations | points | lower gradients | Hessian products | seconds | range |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    if std::env::args().any(|a| a == "--margins") {
        for margin in [1e-4, 0.1, 0.3, 0.5, 0.8] {
            for decrease in [1e-4, 0.1, 0.5] {
                let mut solver = Maid {
                    margin,
                    ..Maid::default()
                };
                solver.line_search.decrease = decrease;
                let name = format!("MAID, η = {margin}, λ = {decrease}");
                row(&name, Trust::Certified, &images, optimum, solver, 40);
            }
        }
        return;
    }
    let mut traces = Vec::new();
    for trust in [Trust::Certified, Trust::Estimated] {
        for accuracy in [1e1, 1e0, 1e-1, 1e-3] {
            let name = format!("MAID, ε₀ = {accuracy:e}");
            let trace = row(
                &name,
                trust,
                &images,
                optimum,
                Maid::with_accuracy(accuracy),
                40,
            );
            if trust == Trust::Certified && accuracy == 1e-1 {
                traces.push((name, trace));
            }
        }
    }
    for maid in [
        Maid::lbfgs(),
        Maid::goal_oriented(),
        Maid::barzilai_borwein(),
        Maid::non_monotone(),
        Maid::diagonal(),
    ] {
        let name = Solver::<TvOracle<f64>>::name(&maid);
        let trace = row(&name, Trust::Certified, &images, optimum, maid, 40);
        traces.push((name, trace));
    }
    for accuracy in [1e-1, 1e-3, 1e-5] {
        let name = format!("fixed ε = {accuracy:e}");
        let solver = GradientDescent::with_accuracy(accuracy);
        let trace = row(&name, Trust::Unknown, &images, optimum, solver, 100);
        traces.push((name, trace));
    }
    for law in [
        ToleranceSchedule::Exponential,
        ToleranceSchedule::Quadratic,
        ToleranceSchedule::Cubic,
    ] {
        let name = format!("HOAG {}", format!("{law:?}").to_lowercase());
        let trace = row(&name, Trust::Unknown, &images, optimum, Hoag::new(law), 100);
        traces.push((name, trace));
    }
    let mut arguments = std::env::args().skip_while(|a| a != "--figure").skip(1);
    if let Some(path) = arguments.next() {
        let mut figure = Figure::new()
            .axis(Axis::Work)
            .log_x()
            .optimum(optimum)
            .panels([
                Panel::Value,
                Panel::Hypergradient,
                Panel::Accuracy,
                Panel::Step,
            ]);
        for (name, trace) in &traces {
            figure = figure.run(name.as_str(), trace);
        }
        figure.write_svg(&path).unwrap_or_else(|e| panic!("{e}"));
    }
}
