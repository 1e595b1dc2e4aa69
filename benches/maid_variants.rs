//! MAID, its baselines and its variants on two quadratic problems whose F* is known: work from a random start to F − F* ≤ 5e-3.
//!
//! ```text
//! cargo bench -p bilevel-benches --bench maid_variants [-- --figure FILE.svg]
//! ```
//!
//! (a) `Quadratic::random(1000, 10, 30, 1)`: a lower Hessian of condition number 30, an upper one of condition number below 10; θ₀ uniform
//! in (−100, 100). (b) the least squares of the papers on MAID, see `least_squares`: the lower Hessian has a condition number of 36, F
//! one of 3·10⁵. The exact F(θ_k) decides when the gap is reached, not what the solver believed. An evaluation is a hypergradient
//! or a trial; points counts the distinct θ at which the lower level was solved, where the hypergradient at an accepted trial
//! point goes on from its solution. The figure shows (b), for some of the solvers.

#![allow(clippy::panic)] // a bench that cannot be set up ends with the reason

mod least_squares;

use bilevel::plot::{Axis, Figure, Panel};
use bilevel::{
    GradientDescent, Hoag, Implicit, Limits, Maid, Oracle, Run, Solver, ToleranceSchedule, Trace,
    Trust,
};
use bilevel_problems::synthetic::quadratic::Quadratic;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use least_squares::{Data, Lower, Upper};

const GAP: f64 = 5e-3;
/// A run that has computed this many lower gradients is ended.
const BUDGET: u64 = 400_000;

/// A problem with its exact F, less F*.
struct Problem<'a, O> {
    oracle: O,
    gap: &'a dyn Fn(&Vec<f64>) -> f64,
    start: Vec<f64>,
}

/// Prints a row of the table; returns the trace.
fn row<O, S>(problem: &Problem<'_, O>, solver: S) -> (String, Trace)
where
    O: Oracle<Theta = Vec<f64>>,
    S: Solver<O>,
{
    let limits = Limits {
        iterations: Some(20_000),
        lower_gradients: Some(BUDGET),
        ..Limits::default()
    };
    let report = Run::new(&problem.oracle, solver)
        .tolerance(0.0)
        .limits(limits)
        .start(problem.start.clone())
        .unwrap_or_else(|e| panic!("{e}"));
    let rows = report.trace.rows();
    let name = report.solver.clone();
    match rows.iter().position(|r| (problem.gap)(&r.theta) <= GAP) {
        Some(k) if k > 0 => {
            let (mut hypergradients, mut trials) = (0, 0);
            for r in &rows[..k] {
                hypergradients += r.hypergradients;
                trials += r.trials;
            }
            let points = if trials == 0 {
                hypergradients
            } else {
                1 + trials
            };
            let work = rows[k - 1].work;
            println!(
                "| {name} | {} | {k} | {} | {points} | {} | {} | {} |",
                report.trust,
                hypergradients + trials,
                work.lower_gradients,
                work.hessian_products,
                work.iterations()
            );
        }
        _ => {
            let best = rows
                .iter()
                .map(|r| (problem.gap)(&r.theta))
                .fold(f64::INFINITY, f64::min);
            println!(
                "| {name} | {} | {} after {}, gap {best:.2e} | | | {} | {} | {} |",
                report.trust,
                report.status,
                report.iterations,
                report.work.lower_gradients,
                report.work.hessian_products,
                report.work.iterations()
            );
        }
    }
    (name, report.trace)
}

/// The table of a problem, certified and without bounds.
fn table<O: Oracle<Theta = Vec<f64>>>(
    certified: &Problem<'_, O>,
    unbounded: &Problem<'_, O>,
) -> Vec<(String, Trace)> {
    println!(
        "| solver | trust | iterations | evaluations | points | lower gradients | Hessian products | sum |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut traces = Vec::new();
    let mut keep = |named: (String, Trace), drawn: bool| {
        if drawn {
            traces.push(named);
        }
    };
    for maid in [
        Maid::default(),
        Maid::lbfgs(),
        Maid::goal_oriented(),
        Maid::barzilai_borwein(),
        Maid::non_monotone(),
        Maid::diagonal(),
    ] {
        let drawn = maid != Maid::goal_oriented() && maid != Maid::diagonal();
        keep(row(certified, maid), drawn);
    }
    for law in [
        ToleranceSchedule::Exponential,
        ToleranceSchedule::Quadratic,
        ToleranceSchedule::Cubic,
    ] {
        keep(
            row(unbounded, Hoag::new(law)),
            law == ToleranceSchedule::Quadratic,
        );
    }
    for exponent in 1..=6 {
        let solver = GradientDescent::with_accuracy(10f64.powi(-exponent));
        keep(row(unbounded, solver), exponent == 4);
    }
    println!();
    traces
}

fn main() {
    let quadratic = Quadratic::random(1000, 10, 30.0, 1);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let start: Vec<f64> = (0..10)
        .map(|_| 200.0 * ((rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64 - 0.5))
        .collect();
    let best = quadratic.value(&quadratic.optimum());
    let gap = |theta: &Vec<f64>| quadratic.value(theta) - best;
    let problem = |trust| Problem {
        oracle: Implicit::new(quadratic.lower(), quadratic.upper()).with_trust(trust),
        gap: &gap,
        start: start.clone(),
    };
    println!(
        "(a) a random quadratic, from a gap of {:.3e}\n",
        gap(&start)
    );
    table(&problem(Trust::Certified), &problem(Trust::Unknown));

    let data = Data::new(2);
    let gap = |theta: &Vec<f64>| data.value(theta) - data.optimum;
    let problem = |trust| Problem {
        oracle: Implicit::new(Lower(data.clone()), Upper(data.clone())).with_trust(trust),
        gap: &gap,
        start: data.start.clone(),
    };
    println!(
        "(b) least squares, condition number {:.0} of the lower level, {:.1e} of F, from a gap of {:.3e}\n",
        data.condition_of_g(),
        data.condition_of_f,
        gap(&data.start)
    );
    let traces = table(&problem(Trust::Certified), &problem(Trust::Unknown));
    let mut arguments = std::env::args().skip_while(|a| a != "--figure").skip(1);
    if let Some(path) = arguments.next() {
        let mut figure = Figure::new()
            .axis(Axis::Work)
            .log_x()
            .optimum(data.optimum)
            .panels([Panel::Value]);
        for (name, trace) in &traces {
            figure = figure.run(name.as_str(), trace);
        }
        figure.write_svg(&path).unwrap_or_else(|e| panic!("{e}"));
    }
}
