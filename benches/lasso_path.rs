//! The penalty of a lasso by five folds: hypergradient descent against a path of 100 values, on a9a and on the counts of 20 newsgroups
//! (the first ten groups against the others). `BILEVEL_DATA=… cargo bench --bench lasso_path` reads `libsvm/a9a.gz` and
//! `20news/20news_counts.train.libsvm.gz` there.
//!
//! Both use the same solver with the same warm starts, folds in parallel. The path goes from the λ at which all weights are 0 to a
//! thousandth of it.

#![allow(clippy::unwrap_used)] // a benchmark may panic

use bilevel::{Folds, Maid, Oracle, Run, Sum};
use bilevel_problems::data::{Features, Labels, Table, read_libsvm};
use bilevel_problems::lasso::{Lasso, Shrinkage};
use std::path::Path;
use std::time::Instant;

const POINTS: usize = 100;
const EPSILON: f64 = 1e-4;

fn compare(name: &str, samples: &Table<f64>) {
    let folds = Folds::stratified(samples.labels(), 5, 0).unwrap();
    let oracle: Sum<Lasso> = folds
        .oracle(|fold| {
            let (train, validation) = samples.split(&fold)?;
            Lasso::of_classes(&train, &validation, Shrinkage::Lasso)
        })
        .unwrap();
    let largest = oracle
        .terms()
        .iter()
        .map(Lasso::largest_l1)
        .fold(0.0, f64::max)
        .ln();
    let clock = Instant::now();
    let mut state = oracle.start(&vec![largest]).unwrap();
    let mut best = (f64::INFINITY, 0.0);
    for k in 0..POINTS {
        let theta = largest - 1000f64.ln() * k as f64 / (POINTS - 1) as f64;
        let found = oracle.value(&vec![theta], EPSILON, &mut state).unwrap();
        if found.value.value < best.0 {
            best = (found.value.value, theta);
        }
    }
    let path = clock.elapsed().as_secs_f64();
    let clock = Instant::now();
    let mut solver = Maid::lbfgs();
    solver.accuracy.initial.epsilon = 1e-2;
    let report = Run::new(&oracle, solver)
        .tolerance(1e-4 * best.0)
        .max_iterations(30)
        .start(vec![largest - 3.0])
        .unwrap();
    let descent = clock.elapsed().as_secs_f64();
    let rows = report.trace.rows();
    let solves: u64 = rows.iter().map(|r| r.trials + r.hypergradients).sum();
    println!(
        "{name}: path {path:.2} s, F {:.6} at θ = {:.3}; descent {descent:.2} s ({:.1} times as fast), F {:.6} at θ = {:.3}, {solves} solves a fold, {}",
        best.0,
        best.1,
        path / descent,
        report.value.value,
        report.theta[0],
        report.status
    );
}

fn main() {
    let Ok(folder) = std::env::var("BILEVEL_DATA") else {
        println!("set BILEVEL_DATA to the folder with libsvm/a9a.gz and 20news");
        return;
    };
    let folder = Path::new(&folder);
    // `-- a9a` or `-- 20news` for one of them.
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("a9a") {
        let a9a = read_libsvm(folder.join("libsvm/a9a.gz"), None, Labels::Signs).unwrap();
        compare("a9a", &a9a);
    }
    if !wanted("20news") {
        return;
    }
    let groups = Labels::From {
        first: 1,
        count: 20,
    };
    let news = folder.join("20news/20news_counts.train.libsvm.gz");
    let news = read_libsvm(news, None, groups).unwrap();
    let halves = news.labels().iter().map(|&l| u32::from(l >= 10)).collect();
    let Features::Sparse(counts) = news.unit_rows().to_sparse().features().clone() else {
        unreachable!("it was made sparse");
    };
    let columns = 1 + counts.columns.iter().copied().max().unwrap() as usize;
    let news = Table::sparse(columns, counts, halves, 2).unwrap();
    println!(
        "20news: {} samples, {} features, {} classes",
        news.samples(),
        news.columns(),
        news.classes()
    );
    compare("20news", &news);
}
