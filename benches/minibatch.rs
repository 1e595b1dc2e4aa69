//! Times of what a stochastic method calls in every iteration: `batch_all` of logistic regression and hyper-cleaning, of contiguous
//! and of listed samples. `cargo bench -p bilevel-benches --bench minibatch`.

#![allow(clippy::unwrap_used)] // a benchmark may panic

use bilevel::Element;
use bilevel::problem::minibatch::{Batch, MinibatchLower, Products};
use bilevel_problems::data::LabelledData;
use bilevel_problems::linear::hyper_cleaning::HyperCleaning;
use bilevel_problems::linear::logistic::{LogisticRegression, Penalty};
use std::time::Instant;

/// Entries that depend on their place alone, about uniform in (−1, 1).
fn entry(i: usize) -> f64 {
    let bits = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (bits >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

fn table(samples: usize, columns: usize, classes: usize) -> LabelledData<f64> {
    let features = (0..samples * columns).map(entry).collect();
    let labels = (0..samples).map(|i| (i * 7 % classes) as u32).collect();
    LabelledData::dense(columns, features, labels, classes).unwrap()
}

/// The median and the shortest time of a call on batches of 64, in microseconds.
fn time<E: Element, P: MinibatchLower<Theta = Vec<f64>, X = Vec<E>>>(
    name: &str,
    lower: &P,
    theta_len: usize,
) {
    let n = lower.start().len();
    let x: Vec<E> = (0..n).map(|i| E::from_f64(0.1 * entry(i))).collect();
    let v: Vec<E> = (0..n).map(|i| E::from_f64(entry(i + 9))).collect();
    let theta: Vec<f64> = (0..theta_len).map(|i| -3.0 + entry(i)).collect();
    let (mut gradient, mut hvp, mut cross) = (x.clone(), x.clone(), theta.clone());
    let batches = lower.samples() / 64;
    let list: Vec<usize> = (0..64).map(|i| i * batches).collect();
    let mut medians = [[0.0; 2]; 2];
    for (listed, median) in medians.iter_mut().enumerate() {
        let mut times: Vec<f64> = (0..101)
            .map(|_| {
                let calls = (20_000 / n).max(2);
                let clock = Instant::now();
                for call in 0..calls {
                    let start = call % batches * 64;
                    let batch = if listed == 1 {
                        Batch::List(&list)
                    } else {
                        Batch::Range {
                            start,
                            end: start + 64,
                        }
                    };
                    let products = Products {
                        gradient: &mut gradient,
                        hvp: &mut hvp,
                        cross: &mut cross,
                    };
                    lower.batch_all(batch, &x, &theta, &v, products);
                }
                clock.elapsed().as_secs_f64() / calls as f64 * 1e6
            })
            .collect();
        times.sort_by(f64::total_cmp);
        *median = [times[times.len() / 2], times[0]];
    }
    let [[range, shortest], [listed, shortest_listed]] = medians;
    println!(
        "{name:<38} {range:>9.2} µs (shortest {shortest:.2}), listed {listed:>9.2} µs ({shortest_listed:.2})"
    );
}

fn main() {
    let small = table(20_000, 22, 2);
    let binary = LogisticRegression::new(&small, Penalty::PerWeight).unwrap();
    time("binary, dense, 22 features, f64", &binary, 22);
    let binary = LogisticRegression::new(&small.cast::<f32>(), Penalty::PerWeight).unwrap();
    time("binary, dense, 22 features, f32", &binary, 22);
    let large = table(2_000, 784, 10);
    let multinomial = LogisticRegression::new(&large, Penalty::PerWeight).unwrap();
    time("multinomial, dense, 784×10, f64", &multinomial, 7840);
    let single = large.cast::<f32>();
    let multinomial = LogisticRegression::new(&single, Penalty::PerWeight).unwrap();
    time("multinomial, dense, 784×10, f32", &multinomial, 7840);
    let cleaning = HyperCleaning::new(&large, 1e-3).unwrap();
    time("hyper-cleaning, dense, 784×10, f64", &cleaning, 2_000);
}
