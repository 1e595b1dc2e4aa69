//! The cost of one iteration of the inner solvers on twelve images of 96×96 pixels, and which limit of the machine binds.
//!
//! ```text
//! cargo bench -p bilevel-benches --bench tv_iterations            # all cores
//! RAYON_NUM_THREADS=1 cargo bench -p bilevel-benches --bench tv_iterations
//! ```
//!
//! A FISTA iteration is one gradient and one momentum step of all images; a CG iteration is one Hessian product and the
//! vector updates. Beside each stands the time that the machine needs at least, measured in the same process: for the square
//! roots and divisions from registers, and for the bytes from vectors of the same size. `benches/peers/tv_evaluation.py`
//! does the same work in another library.

#![allow(clippy::panic)] // a bench that cannot be set up ends with the reason

use bilevel::linear::{Cg, LinearSolver, System};
use bilevel::lower::{Fista, LowerSolver};
use bilevel::simd::dispatch;
use bilevel::vector::Scratch;
use bilevel::{Element, Linearization, LowerLevel, UpperLevel, Vector, parallel};
use bilevel_problems::data::{photograph, resized};
use bilevel_problems::imaging::{Image, Norm, SquaredError, TvDenoising};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const IMAGES: usize = 12;
const SIDE: usize = 96;
const ITERATIONS: u64 = 200;
const REPETITIONS: usize = 15;

/// Sorted seconds of `f` over the repetitions, after one that is not counted.
fn times(mut f: impl FnMut()) -> Vec<f64> {
    f();
    let mut times: Vec<f64> = (0..REPETITIONS)
        .map(|_| {
            let clock = Instant::now();
            f();
            clock.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

/// The seconds of a solver: the median.
fn median(f: impl FnMut()) -> f64 {
    times(f)[REPETITIONS / 2]
}

/// The limit of the machine: the fastest.
fn fastest(f: impl FnMut()) -> f64 {
    times(f)[0]
}

/// One image with what its solves need.
struct Sample<E: Element> {
    lower: TvDenoising<E>,
    upper: SquaredError<E>,
    x: Vec<E>,
    q: Vec<E>,
    scratch: Scratch<Vec<E>>,
}

fn samples<E: Element>(norm: Norm) -> Vec<Sample<E>> {
    let names = ["camera", "astronaut", "chelsea", "coffee"];
    (0..IMAGES)
        .map(|i| {
            let clean = photograph(names[i % names.len()])
                .map(|p| resized(&p, SIDE).unwrap_or(p))
                .unwrap_or_else(|e| panic!("{e}"));
            let noisy: Image<E> = clean.with_noise(0.1, 0, i as u64).cast();
            let lower = TvDenoising::new(&noisy, norm).unwrap_or_else(|e| panic!("{e}"));
            Sample {
                x: noisy.pixels().to_vec(),
                q: vec![E::default(); noisy.pixels().len()],
                upper: SquaredError::new(&clean.cast()),
                lower,
                scratch: Scratch::default(),
            }
        })
        .collect()
}

/// Seconds for a square root and a division of one number each, with all threads busy.
fn arithmetic_limit<E: Element>() -> f64 {
    const NUMBERS: usize = 4096;
    const ROUNDS: usize = 200;
    let threads = parallel::width();
    let mut blocks: Vec<Vec<E>> = (0..threads)
        .map(|_| (0..NUMBERS).map(|i| E::from_f64(1.0 + i as f64)).collect())
        .collect();
    let seconds = fastest(|| {
        parallel::for_each(&mut blocks, |_, block| {
            dispatch(
                #[inline(always)]
                || {
                    let one = E::from_f64(1.0);
                    for _ in 0..ROUNDS {
                        for x in block.iter_mut() {
                            *x = one / (*x).sqrt() + one;
                        }
                    }
                },
            );
        });
    });
    black_box(&blocks);
    seconds / (threads * NUMBERS * ROUNDS) as f64
}

/// Seconds a byte, reading and writing vectors of one image with all threads busy.
fn memory_limit<E: Element>(images: &mut [Sample<E>]) -> f64 {
    let seconds = fastest(|| {
        parallel::for_each(images, |_, s| {
            for _ in 0..ITERATIONS {
                s.q.axpby(0.5, &s.x, 0.5);
            }
        });
    });
    let bytes = 3 * size_of::<E>() * IMAGES * SIDE * SIDE * ITERATIONS as usize;
    seconds / bytes as f64
}

fn report<E: Element>(norm: Norm) {
    let theta = vec![-3.0, -5.0];
    let mut images = samples::<E>(norm);
    let pixels = (IMAGES * SIDE * SIDE) as f64;
    let bytes = size_of::<E>() as f64 * pixels;
    let arithmetic = arithmetic_limit::<E>();
    let memory = memory_limit(&mut images);
    let fista = Fista {
        max_iterations: ITERATIONS,
        ..Fista::default()
    };
    let seconds = median(|| {
        parallel::for_each(&mut images, |_, s| {
            s.x = s.lower.start();
            fista.minimize(&s.lower, &theta, 1e-300, &mut s.x, &mut s.scratch);
        });
    }) / ITERATIONS as f64;
    // Square roots and divisions an edge: anisotropic two and one a pixel, isotropic one and one. Vectors: the gradient reads
    // y and the data and writes; its norm, the step, the restart test and the momentum read ten and write two.
    let operations = match norm {
        Norm::Anisotropic => 1.5,
        Norm::Isotropic => 1.0,
    };
    let line = |name: &str, seconds: f64, arithmetic: f64, memory: f64| {
        let (limit, bound) = if arithmetic > memory {
            ("square roots and divisions", arithmetic)
        } else {
            ("bytes", memory)
        };
        println!(
            "{:<11} {} {name:<6} {:>8.1} µs   arithmetic {:>5.1} µs, memory {:>5.1} µs: {limit} bind; {:>2.0} % of that limit, {:>2.0} % of both",
            format!("{norm:?}"),
            E::NAME,
            seconds * 1e6,
            arithmetic * 1e6,
            memory * 1e6,
            100.0 * bound / seconds,
            100.0 * (arithmetic + memory) / seconds,
        );
    };
    line(
        "FISTA",
        seconds,
        operations * pixels * arithmetic,
        15.0 * bytes * memory,
    );
    let cg = Cg {
        max_iterations: ITERATIONS,
        ..Cg::default()
    };
    let products = AtomicU64::new(0);
    let seconds = median(|| {
        products.store(0, Ordering::Relaxed);
        parallel::for_each(&mut images, |_, s| {
            let mut rhs = s.scratch.take(&s.x);
            s.upper.gradient_x(&s.x, &theta, &mut rhs);
            let at = s.lower.linearize(&s.x, &theta);
            let product = |v: &Vec<E>, out: &mut Vec<E>| at.hvp(v, out);
            s.q.assign(&mut |_| 0.0);
            let system = System {
                product: &product,
                preconditioner: None,
                sparse: None,
                rhs: &rhs,
                tolerance: 0.0,
            };
            let report = cg.solve(&system, &mut s.q, &mut s.scratch);
            products.fetch_add(report.products, Ordering::Relaxed);
            drop(at);
            s.scratch.put(rhs);
        });
    });
    let iterations = products.into_inner() as f64 / IMAGES as f64;
    let blocks = match norm {
        Norm::Anisotropic => 2.0,
        Norm::Isotropic => 3.0,
    };
    line(
        "CG",
        seconds / iterations,
        0.0,
        (blocks + 2.0 + 2.0 + 3.0 + 3.0 + 1.0 + 3.0) * bytes * memory,
    );
}

fn main() {
    println!(
        "{IMAGES} images of {SIDE}×{SIDE}, {} threads; one iteration of all images, median of {REPETITIONS}",
        parallel::width()
    );
    for norm in [Norm::Anisotropic, Norm::Isotropic] {
        report::<f64>(norm);
        report::<f32>(norm);
    }
}
