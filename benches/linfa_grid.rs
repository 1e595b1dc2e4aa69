//! The penalties of a logistic regression: tuned by hypergradient against a grid of 30 values for linfa-logistic, on the same five folds.
//! `cargo bench -p bilevel-benches --bench linfa_grid`: winequality as two classes, six and more points or fewer; with `BILEVEL_DATA=…`, which has `libsvm/a9a.gz` and
//! `libsvm/ijcnn1.gz`, those too. A fifth of the samples is for the test.
//!
//! Features are standardised for both. linfa-logistic penalises the sum of the losses by α, ours their mean by e^θ: α = n e^θ. It leaves the intercept
//! out of the penalty, ours does not.

#![allow(clippy::unwrap_used)] // a benchmark may panic

use bilevel::Folds;
use bilevel::oracle::folds::hold_out;
use bilevel_problems::data::{LabelledData, Labels, read_libsvm};
use bilevel_problems::linfa::{Penalty, TunedLogistic};
use linfa::Dataset;
use linfa::traits::{Fit, Predict};
use linfa_logistic::{FittedLogisticRegression, LogisticRegression};
use ndarray::{Array1, Array2, Axis, Ix1};
use std::path::Path;
use std::time::Instant;

type Data = Dataset<f64, bool, Ix1>;

const FOLDS: usize = 5;
const POINTS: usize = 30;
/// The logarithms of penalties of the grid, from the first to the last.
const GRID: [f64; 2] = [-14.0, 1.0];

fn at(data: &Data, places: &[usize]) -> Data {
    let records = data.records.select(Axis(0), places);
    Dataset::new(records, data.targets.select(Axis(0), places))
}

/// The mean cross-entropy and the accuracy of probabilities of the class `true`.
fn judge(data: &Data, p: impl Iterator<Item = f64>) -> [f64; 2] {
    let mut sums = [0.0; 2];
    for (p, &yes) in p.zip(&data.targets) {
        let p = if yes { p } else { 1.0 - p };
        sums[0] -= p.max(f64::MIN_POSITIVE).ln();
        sums[1] += f64::from(u8::from(p > 0.5));
    }
    sums.map(|sum| sum / data.targets.len() as f64)
}

fn of_linfa(model: &FittedLogisticRegression<f64, bool>, data: &Data) -> [f64; 2] {
    // It takes whichever class it meets first, or a class of its choice, for the positive one.
    let positive = model.labels().pos.class;
    let p = model.predict_probabilities(&data.records);
    judge(
        data,
        p.into_iter().map(|p| if positive { p } else { 1.0 - p }),
    )
}

fn show(name: &str, seconds: f64, fits: String, validation: f64, [loss, accuracy]: [f64; 2]) {
    println!(
        "  {name:<34}{seconds:>9.2} s {fits:>8} fits   validation {validation:.5}   test {loss:.5}, {:.2} % right",
        100.0 * accuracy
    );
}

fn grid(train: &Data, test: &Data, folds: &Folds) {
    let clock = Instant::now();
    let splits: Vec<[Data; 2]> = folds
        .iter()
        .map(|fold| [at(train, &fold.train), at(train, &fold.validation)])
        .collect();
    let fit = |data: &Data, theta: f64| {
        LogisticRegression::default()
            .alpha(theta.exp() * data.targets.len() as f64)
            .max_iterations(1_000)
            .gradient_tolerance(1e-4)
            .fit(data)
    };
    let mut best = (f64::INFINITY, 0.0);
    let mut failed = 0;
    for k in 0..POINTS {
        let theta = GRID[0] + (GRID[1] - GRID[0]) * k as f64 / (POINTS - 1) as f64;
        let mut sum = 0.0;
        for [fitted, judging] in &splits {
            match fit(fitted, theta) {
                Ok(model) => sum += of_linfa(&model, judging)[0] / FOLDS as f64,
                Err(_) => {
                    failed += 1;
                    sum = f64::INFINITY;
                }
            }
        }
        if sum < best.0 {
            best = (sum, theta);
        }
    }
    let model = fit(train, best.1).unwrap();
    let seconds = clock.elapsed().as_secs_f64();
    let fits = (POINTS * FOLDS + 1).to_string();
    let name = format!("linfa-logistic, θ = {:.2}", best.1);
    show(&name, seconds, fits, best.0, of_linfa(&model, test));
    if failed > 0 {
        println!("  {failed} of its fits failed");
    }
}

fn tuned(train: &Data, test: &Data, penalty: Penalty) {
    let clock = Instant::now();
    let params = TunedLogistic::params().penalty(penalty).folds(FOLDS);
    let model = params.fit(train).unwrap();
    let seconds = clock.elapsed().as_secs_f64();
    let report = model.report().unwrap();
    let p = model.predict_probabilities(&test.records);
    let rows = report.trace.rows();
    let solves: u64 = rows.iter().map(|r| r.trials + r.hypergradients).sum();
    // Of the best of three descents; the seconds are those of all.
    let fits = format!("3 × {}", solves * FOLDS as u64);
    let name = match penalty {
        Penalty::Single => format!("TunedLogistic, θ = {:.2}", report.theta[0]),
        _ => format!("TunedLogistic, {} penalties", report.theta.len()),
    };
    let score = judge(test, p.column(1).iter().copied());
    show(&name, seconds, fits, report.value.value, score);
    assert_eq!(model.predict(test).len(), test.targets.len());
}

fn compare(name: &str, data: &Data) {
    let n = data.targets.len();
    // A fifth of the samples is for the test, drawn by chance: ijcnn1 is a series in time. Standardised by the others.
    let split = hold_out(n, 0.2, 1).unwrap();
    let (mut train, mut test) = (at(data, &split.train), at(data, &split.validation));
    let mean = train.records.mean_axis(Axis(0)).unwrap();
    let deviation = train.records.std_axis(Axis(0), 0.0);
    let deviation = deviation.mapv(|s| if s > 0.0 { s } else { 1.0 });
    for part in [&mut train, &mut test] {
        part.records = (&part.records - &mean) / &deviation;
    }
    println!(
        "{name}: {} samples, {} features",
        train.targets.len(),
        train.records.ncols()
    );
    // The folds that TunedLogistic makes with its default seed.
    let labels: Vec<u32> = train.targets.iter().map(|&yes| u32::from(yes)).collect();
    let folds = Folds::stratified(&labels, FOLDS, 0).unwrap();
    grid(&train, &test, &folds);
    tuned(&train, &test, Penalty::Single);
    tuned(&train, &test, Penalty::PerFeature);
}

fn dense(table: &LabelledData<f64>) -> Data {
    let (n, d) = (table.samples(), table.columns());
    let bilevel_problems::data::Features::Dense(values) = table.to_dense().features().clone()
    else {
        unreachable!("it was made dense");
    };
    let records = Array2::from_shape_vec((n, d), values).unwrap();
    let targets: Array1<bool> = table.labels().iter().map(|&l| l == 1).collect();
    Dataset::new(records, targets)
}

fn main() {
    let wine = linfa_datasets::winequality();
    let wine = Dataset::new(wine.records.clone(), wine.targets.mapv(|q| q >= 6));
    // `-- winequality`, `-- a9a` or `-- ijcnn1` for one of them.
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    if wanted("winequality") {
        compare("winequality", &wine);
    }
    let Ok(folder) = std::env::var("BILEVEL_DATA") else {
        println!("set BILEVEL_DATA to the folder with libsvm/a9a.gz and libsvm/ijcnn1.gz for more");
        return;
    };
    for name in ["a9a", "ijcnn1"] {
        if wanted(name) {
            let path = Path::new(&folder).join(format!("libsvm/{name}.gz"));
            compare(
                name,
                &dense(&read_libsvm(path, None, Labels::Signs).unwrap()),
            );
        }
    }
}
