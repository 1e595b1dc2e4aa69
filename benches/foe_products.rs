//! The cost of one gradient and one Hessian product of a field of experts (48 filters 7×7) on four images of 256×256 pixels, and how
//! far from the arithmetic peak of the machine they are.
//!
//! ```text
//! cargo bench -p bilevel-benches --bench foe_products            # all cores
//! RAYON_NUM_THREADS=1 cargo bench -p bilevel-benches --bench foe_products
//! ```
//!
//! The peak is that of a matrix product of 768×768 matrices on each thread, measured in the same process by faer.
//! `benches/peers/foe_products.py` does the same work in other libraries.

#![allow(clippy::panic)] // a bench that cannot be set up ends with the reason

use bilevel::{Linearization, LowerLevel, parallel};
use bilevel_problems::data::photograph;
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::imaging::{Experts, FoeDenoising, Image, Potential};
use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, Mat, Par};
use std::time::Instant;

const IMAGES: usize = 4;
const COUNT: usize = 48;
const SIZE: usize = 7;
const REPETITIONS: usize = 15;

/// The median, the fastest and the slowest of the seconds of `f`, after one call that is not counted.
fn seconds(mut f: impl FnMut()) -> [f64; 3] {
    f();
    let mut times: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let clock = Instant::now();
            f();
            clock.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    [times[REPETITIONS / 2], times[0], times[REPETITIONS - 1]]
}

struct Product<E> {
    a: Mat<E>,
    b: Mat<E>,
    c: Mat<E>,
}

/// Operations a second of matrix products, one on each thread: the fastest.
fn peak<E: Lanes + ComplexField>() -> f64 {
    const N: usize = 768;
    let make = |phase: f64| {
        Mat::from_fn(N, N, |i, j| {
            E::from_f64((i as f64 * 0.3 + j as f64 * phase).sin())
        })
    };
    let mut products: Vec<Product<E>> = (0..parallel::width())
        .map(|_| Product {
            a: make(0.1),
            b: make(0.7),
            c: make(0.2),
        })
        .collect();
    let one = E::from_f64(1.0);
    let [_, fastest, _] = seconds(|| {
        parallel::for_each(&mut products, |_, p| {
            matmul(&mut p.c, Accum::Replace, &p.a, &p.b, one, Par::Seq);
        });
    });
    (products.len() * 2 * N * N * N) as f64 / fastest
}

struct Sample<E: Lanes> {
    problem: FoeDenoising<E>,
    x: Vec<E>,
    out: Vec<E>,
}

fn table<E: Lanes + ComplexField>(potential: Potential) {
    let experts = Experts::new(COUNT, SIZE)
        .and_then(|e| e.with_potential(potential))
        .unwrap_or_else(|e| panic!("{e}"));
    let theta = experts.random(0);
    let names = ["camera", "astronaut", "chelsea", "coffee"];
    let mut samples: Vec<Sample<E>> = (0..IMAGES)
        .map(|i| {
            let clean = photograph(names[i]).unwrap_or_else(|e| panic!("{e}"));
            let noisy: Image<E> = clean.with_noise(0.1, 0, i as u64).cast();
            let problem = FoeDenoising::new(&noisy, &experts).unwrap_or_else(|e| panic!("{e}"));
            Sample {
                x: noisy.pixels().to_vec(),
                out: noisy.pixels().to_vec(),
                problem,
            }
        })
        .collect();
    let pixels: usize = samples.iter().map(|s| s.x.len()).sum();
    // Two operations for each coefficient, forwards and backwards.
    let operations = (4 * COUNT * SIZE * SIZE * pixels) as f64;
    let peak = peak::<E>();
    let kind = match potential {
        Potential::Convex => "convex",
        Potential::WeaklyConvex { .. } => "weakly convex",
    };
    let row = |what: &str, [median, fastest, slowest]: [f64; 3]| {
        println!(
            "| {kind} | {} | {what} | {:.2} | {:.2} … {:.2} | {:.0} | {:.0} | {:.0} % |",
            E::NAME,
            1e3 * median,
            1e3 * fastest,
            1e3 * slowest,
            operations / median / 1e9,
            peak / 1e9,
            100.0 * operations / median / peak
        );
    };
    row(
        "gradient",
        seconds(|| {
            parallel::for_each(&mut samples, |_, s| {
                s.problem.gradient(&s.x, &theta, &mut s.out);
            });
        }),
    );
    row(
        "value and gradient",
        seconds(|| {
            parallel::for_each(&mut samples, |_, s| {
                s.problem.value_and_gradient(&s.x, &theta, &mut s.out);
            });
        }),
    );
    // The linearisations are made once, as an adjoint solve does.
    const PRODUCTS: usize = 5;
    let products = seconds(|| {
        parallel::for_each(&mut samples, |_, s| {
            let at = s.problem.linearize(&s.x, &theta);
            for _ in 0..PRODUCTS {
                at.hvp(&s.x, &mut s.out);
            }
        });
    });
    let setup = seconds(|| {
        parallel::for_each(&mut samples, |_, s| {
            drop(s.problem.linearize(&s.x, &theta));
        });
    });
    println!(
        "| {kind} | {} | linearisation | {:.2} | | | | |",
        E::NAME,
        1e3 * setup[0]
    );
    row(
        "Hessian product",
        std::array::from_fn(|i| (products[i] - setup[i]) / PRODUCTS as f64),
    );
    row(
        "derivative by θ (Bᵀw)",
        seconds(|| {
            parallel::for_each(&mut samples, |_, s| {
                let mut by_theta = vec![0.0; theta.len()];
                s.problem
                    .linearize(&s.x, &theta)
                    .cross_vjp(&s.x, &mut by_theta);
            });
        }),
    );
}

fn main() {
    println!(
        "{IMAGES} images 256×256, {COUNT} filters {SIZE}×{SIZE}, {} threads; ms: median, fastest … slowest of {REPETITIONS}\n",
        parallel::width()
    );
    println!("| potential | storage | work | ms | range | GFLOP/s | peak | share |");
    println!("|---|---|---|---|---|---|---|---|");
    table::<f32>(Potential::Convex);
    table::<f64>(Potential::Convex);
    table::<f32>(Potential::weakly_convex());
}
