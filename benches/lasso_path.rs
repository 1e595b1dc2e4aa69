//! The penalty of a lasso by five folds: hypergradient descent against a path of 100 values, on a9a and on the counts of 20 newsgroups
//! (the first ten groups against the others). `BILEVEL_DATA=… cargo bench -p bilevel-benches --bench lasso_path` reads `libsvm/a9a.gz` and
//! `20news/20news_counts.train.libsvm.gz` there.
//!
//! Both use the same solver with the same warm starts, folds in parallel, and look between the λ at which all weights are 0 and a
//! thousandth of it. The validation error is half the mean square, the mean over the folds.

#![allow(clippy::unwrap_used)] // a benchmark may panic

use bilevel::upper::Constraint;
use bilevel::{Folds, Maid, Mean, Oracle, Run};
use bilevel_problems::data::{Features, LabelledData, Labels, read_libsvm};
use bilevel_problems::linear::lasso::{Lasso, Shrinkage};
use std::path::Path;
use std::time::Instant;

const FOLDS: usize = 5;
const POINTS: usize = 100;
/// The largest λ of the path over the smallest: what both look through.
const RANGE: f64 = 1000.0;
const EPSILON: f64 = 1e-4;

fn compare(name: &str, samples: &LabelledData<f64>) {
    let folds = Folds::stratified(samples.labels(), FOLDS, 0).unwrap();
    let clock = Instant::now();
    let oracle: Mean<Lasso> = folds
        .oracle(|fold| {
            let (train, validation) = samples.split(&fold)?;
            Lasso::of_classes(&train, &validation, Shrinkage::Lasso)
        })
        .unwrap();
    println!("{name}: {FOLDS} folds, made in {:.2} s", seconds(clock));
    let largest = oracle
        .terms()
        .iter()
        .map(Lasso::largest_l1)
        .fold(0.0, f64::max)
        .ln();

    let clock = Instant::now();
    let mut solver = Maid::lbfgs();
    solver.accuracy.initial.epsilon = 1e-2;
    solver.line_search.constraint = Constraint::Bounds {
        lower: vec![largest - RANGE.ln()],
        upper: vec![largest],
    };
    let report = Run::new(&oracle, solver)
        .tolerance(1e-4)
        .max_iterations(30)
        .start(vec![largest - 3.0])
        .unwrap();
    let descent = seconds(clock);
    let rows = report.trace.rows();
    let solves: u64 = rows.iter().map(|r| r.trials + r.hypergradients).sum();
    println!(
        "{name}: descent {descent:.2} s, validation error {:.6} at θ = {:.3}, {solves} solves a fold, {}",
        report.value.value, report.theta[0], report.status
    );

    let clock = Instant::now();
    let mut state = oracle.start(&vec![largest]).unwrap();
    let mut best = (f64::INFINITY, 0.0);
    for k in 0..POINTS {
        let theta = largest - RANGE.ln() * k as f64 / (POINTS - 1) as f64;
        let found = oracle.value(&vec![theta], EPSILON, &mut state).unwrap();
        if found.value.value < best.0 {
            best = (found.value.value, theta);
        }
        if k % 10 == 9 {
            println!(
                "{name}: {} points of the path {:.2} s, validation error {:.6} at θ = {:.3}",
                k + 1,
                seconds(clock),
                best.0,
                best.1
            );
        }
    }
    let path = seconds(clock);
    println!(
        "{name}: the descent is {:.1} times as fast as the path",
        path / descent
    );
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
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
    let news = LabelledData::sparse(columns, counts, halves, 2).unwrap();
    println!(
        "20news: {} samples, {} features, {} classes",
        news.samples(),
        news.columns(),
        news.classes()
    );
    compare("20news", &news);
}
