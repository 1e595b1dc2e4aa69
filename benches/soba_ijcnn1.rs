//! Iterations of SOBA and SABA on the shapes of ijcnn1: 49,990 and 91,701 samples of 22 features, a penalty per feature, batches of 64.
//! `cargo bench -p bilevel-benches --bench soba_ijcnn1`; `peers/soba_ijcnn1.py` does the same work with JAX, in f32.
//!
//! Beside the time of an iteration: of its two passes over a batch alone, of reading their samples from memory at the bandwidth of a
//! copy, and the bytes of SABA's tables.

#![allow(clippy::unwrap_used)] // a benchmark may panic

use bilevel::stochastic::{Method, MinibatchOracle, Saba, StepSize};
use bilevel::{Soba, Solver, Stochastic, parallel};
use bilevel_problems::data::LabelledData;
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::linear::logistic::{LogisticOracle, Penalty, logistic_regression};
use std::time::Instant;

const TRAIN: usize = 49_990;
const VALIDATION: usize = 91_701;
const FEATURES: usize = 22;
const BATCH: usize = 64;
const ITERATIONS: u64 = 20_000;
const ROUNDS: usize = 15;

/// Entries that depend on their place alone, about uniform in (−√3, √3), and labels by a noisy plane.
fn table(samples: usize, first: usize) -> LabelledData<f64> {
    let entry = |i: usize| {
        let bits = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let bits = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0) * 3f64.sqrt()
    };
    let features: Vec<f64> = (0..samples * FEATURES).map(|i| entry(first + i)).collect();
    let label = |row: &[f64]| {
        let score: f64 = row.iter().enumerate().map(|(j, v)| v * entry(j * 7)).sum();
        u32::from(score + 0.5 * row[0] * row[1] > 0.0)
    };
    let labels = features.chunks_exact(FEATURES).map(label).collect();
    LabelledData::dense(FEATURES, features, labels, 2).unwrap()
}

/// Median and least seconds of some rounds of `work`.
fn seconds(mut work: impl FnMut()) -> [f64; 2] {
    let mut all: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let clock = Instant::now();
            work();
            clock.elapsed().as_secs_f64()
        })
        .collect();
    all.sort_by(f64::total_cmp);
    [all[ROUNDS / 2], all[0]]
}

fn show(name: &str, [median, least]: [f64; 2]) {
    let each = 1e6 / ITERATIONS as f64;
    println!(
        "{name:<44} {:>7.2} µs (least {:.2})",
        each * median,
        each * least
    );
}

fn iterations<E: Lanes, M: Method>(oracle: &LogisticOracle<E>, method: M) {
    let name = format!("{}, an iteration, {}", method.name(), E::NAME);
    let solver = Stochastic {
        lower_batch: BATCH,
        upper_batch: BATCH,
        block: ITERATIONS,
        lower_step: StepSize::decaying(0.03125, 0.5),
        upper_step: StepSize::decaying(0.03125, 0.5),
        ..Stochastic::new(method)
    };
    let mut state = solver.start(oracle, vec![0.0; FEATURES]).unwrap();
    solver.step(oracle, &mut state, 0.0).unwrap();
    show(
        &name,
        seconds(|| {
            solver.step(oracle, &mut state, 0.0).unwrap();
        }),
    );
}

/// The passes over batches that an iteration makes, without the rest of it.
fn passes<E: Lanes>(oracle: &LogisticOracle<E>) {
    use bilevel::problem::minibatch::{Batch, MinibatchLower, MinibatchUpper, Products};
    let levels = oracle.levels();
    let x = vec![E::from_f64(0.01); FEATURES];
    let v = vec![E::from_f64(0.02); FEATURES];
    let theta = vec![0.0; FEATURES];
    let mut c = theta.clone();
    let [mut a, mut b, mut d] = std::array::from_fn(|_| x.clone());
    let batch = |k: u64, samples: usize| {
        let start = (k as usize * 617) % (samples / BATCH) * BATCH;
        Batch::Range {
            start,
            end: start + BATCH,
        }
    };
    show(
        &format!("the two passes over batches, {}", E::NAME),
        seconds(|| {
            for k in 0..ITERATIONS {
                let products = Products {
                    gradient: &mut a,
                    hvp: &mut b,
                    cross: &mut c,
                };
                levels
                    .lower
                    .batch_all(batch(k, TRAIN), &x, &theta, &v, products);
                levels
                    .upper
                    .batch_gradients(batch(k, VALIDATION), &x, &theta, &mut d, &mut c);
            }
        }),
    );
}

/// The time to copy as many bytes as the samples of an iteration have.
fn memory<E: Lanes>() {
    let from = vec![E::default(); ITERATIONS as usize / 20 * 2 * BATCH * FEATURES];
    let mut to = from.clone();
    let [median, least] = seconds(|| to.copy_from_slice(&from));
    show(
        &format!("copying as many bytes, {}", E::NAME),
        [20.0 * median, 20.0 * least],
    );
}

fn all<E: Lanes>(train: &LabelledData<E>, validation: &LabelledData<E>) {
    let oracle = logistic_regression(train, validation, Penalty::PerFeature).unwrap();
    iterations(&oracle, Soba::default());
    iterations(&oracle, Saba::default());
    passes(&oracle);
    memory::<E>();
}

fn main() {
    let (train, validation) = (table(TRAIN, 0), table(VALIDATION, 1 << 24));
    let run = || {
        all(&train, &validation);
        all(&train.cast::<f32>(), &validation.cast::<f32>());
    };
    parallel::with_threads(1, run).unwrap();
    let batches = [TRAIN / BATCH, VALIDATION / BATCH];
    let vectors = 3 * batches[0] + 2 * batches[1] + 14;
    println!(
        "SABA's tables: {} vectors of {FEATURES} numbers, {:.1} MB",
        vectors,
        (vectors * FEATURES * 8) as f64 / 1e6
    );
}
