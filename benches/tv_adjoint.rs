//! The adjoint system of TV denoising by conjugate gradients, with each preconditioner, and by the sparse direct solver, at several θ.
//!
//! ```text
//! cargo bench -p bilevel-benches --bench tv_adjoint
//! ```
//!
//! A photograph of 128×128 pixels that ships with the problems, with noise 0.1, f64, on one thread. Seconds are medians over the repetitions
//! after the first; the first of the sparse solver, which analyses the pattern, stands beside them.

#![allow(clippy::panic)] // a bench that cannot be set up ends with the reason

use bilevel::linear::{Cg, LinearSolver, SparseCholesky, System};
use bilevel::lower::{Fista, LowerSolver};
use bilevel::vector::Scratch;
use bilevel::{Linearization, LowerLevel, UpperLevel, Vector};
use bilevel_problems::data::{photograph, resized};
use bilevel_problems::imaging::{Image, Norm, Preconditioner, SquaredError, TvDenoising};
use std::time::Instant;

const SIZE: usize = 128;
const REPETITIONS: usize = 5;

/// Products, attained residual relative to ‖b‖, and milliseconds: first and median of the others.
fn time<L: LinearSolver>(
    solver: &L,
    lower: &TvDenoising<f64>,
    (x, theta, b): (&Vec<f64>, &Vec<f64>, &Vec<f64>),
    relative: f64,
) -> String {
    let mut scratch = Scratch::default();
    let mut times = Vec::new();
    let mut told = String::new();
    for _ in 0..=REPETITIONS {
        let clock = Instant::now();
        let at = lower.linearize(x, theta);
        let precondition = |r: &Vec<f64>, out: &mut Vec<f64>| at.precondition(r, out);
        let system = System {
            product: &|v: &Vec<f64>, out: &mut Vec<f64>| at.hvp(v, out),
            preconditioner: at.has_preconditioner().then_some(&precondition),
            sparse: at.sparse(),
            rhs: b,
            tolerance: relative * b.norm(),
        };
        let mut q = b.zeros_like();
        let report = solver.solve(&system, &mut q, &mut scratch);
        times.push(clock.elapsed().as_secs_f64() * 1e3);
        told = format!(
            "{} {:.0e} {:?}",
            report.products,
            report.residual / b.norm(),
            report.status
        );
    }
    let mut others = times.split_off(1);
    others.sort_by(f64::total_cmp);
    format!("{told}, {:.1} ({:.1})", others[REPETITIONS / 2], times[0])
}

fn measure() {
    let photo = photograph("camera").unwrap_or_else(|e| panic!("{e}"));
    let clean: Image<f64> = resized(&photo, SIZE).unwrap_or_else(|e| panic!("{e}"));
    let noisy = clean.with_noise(0.1, 0, 0);
    let upper = SquaredError::new(&clean);
    println!(
        "| norm | θ | ‖r‖/‖b‖ | CG | diagonal | cosine | sparse |\n|---|---|---|---|---|---|---|"
    );
    for norm in [Norm::Isotropic, Norm::Anisotropic] {
        let lower = |preconditioner| {
            let lower = TvDenoising::new(&noisy, norm);
            let lower = lower.unwrap_or_else(|e| panic!("{e}"));
            lower.with_preconditioner(preconditioner)
        };
        for theta in [
            [-3.0, -3.0],
            [-2.5, -5.0],
            [-2.5, -9.0],
            [1.0, -2.0],
            [2.0, -8.0],
        ] {
            let theta = theta.to_vec();
            let plain = lower(Preconditioner::None);
            let mut x = plain.start();
            let solver = Fista::default();
            solver.minimize(&plain, &theta, 1e-3, &mut x, &mut Scratch::default());
            let mut b = x.zeros_like();
            upper.gradient_x(&x, &theta, &mut b);
            let at = (&x, &theta, &b);
            for relative in [1e-3, 1e-8] {
                print!("| {norm:?} | {theta:?} | {relative:e} |");
                for preconditioner in [
                    Preconditioner::None,
                    Preconditioner::Diagonal,
                    Preconditioner::Cosine,
                ] {
                    let solver = Cg {
                        max_iterations: 100_000,
                        ..Cg::default()
                    };
                    print!(" {} |", time(&solver, &lower(preconditioner), at, relative));
                }
                let solver = SparseCholesky::default();
                println!(" {} |", time(&solver, &plain, at, relative));
            }
        }
    }
}

fn main() {
    bilevel::parallel::with_threads(1, measure).unwrap_or_else(|e| panic!("{e}"));
}
