//! Compares stochastic methods on the penalties of a regression of handwritten digits: the same start, the same samples.
//!
//! ```text
//! cargo run --release --example stochastic_benchmark
//! ```
//!
//! Every method goes over all samples a hundred times. Afterwards F is computed exactly at the θ of each row of its trace, and drawn
//! against the samples into `out/stochastic_benchmark/benchmark.svg`. The command `bilevel stochastic-benchmark` compares all methods
//! on the published problems, over several seeds.

use bilevel::lower::Lbfgs;
use bilevel::plot::{Chart, Graph};
use bilevel::stochastic::{BoRep, MaSoba, Method, Saba, Soba, Stochastic};
use bilevel::{Accuracy, Error, Implicit, Limits, Oracle, Run};
use bilevel_problems::data::digits;
use bilevel_problems::linear::logistic::{
    CrossEntropy, LogisticRegression, Penalty, logistic_regression,
};

const EPOCHS: u64 = 100;
/// The accuracy of the lower level at which F is computed, far below the differences that are drawn.
const ACCURACY: f64 = 1e-7;

/// Multinomial regression, solved by L-BFGS where it is solved exactly.
type Digits = Implicit<LogisticRegression<f64>, CrossEntropy<f64>, Lbfgs>;

/// Runs a method, and adds its line to the graph: F over the epochs.
fn benchmark(
    oracle: &Digits,
    method: impl Method,
    samples: u64,
    graph: Graph,
) -> Result<Graph, Error> {
    let name = method.name();
    let solver = Stochastic {
        block: 50,
        accuracy: Accuracy::new(1e-3, 1e-3)?,
        ..Stochastic::new(method)
    };
    let limits = Limits {
        samples: Some(EPOCHS * samples),
        ..Limits::default()
    };
    let run = Run::new(oracle, solver).limits(limits);
    let report = run.start(vec![0.0; 10])?;
    let mut state = oracle.start(&report.theta)?;
    let (mut points, mut epochs) = (Vec::new(), 0.0);
    for row in report.trace.rows() {
        // A row holds the θ that its block began with.
        let value = oracle.value(&row.theta, ACCURACY, &mut state)?.value.value;
        points.push((epochs, value));
        epochs = row.work.samples() as f64 / samples as f64;
    }
    let last = points.last().map_or(f64::NAN, |(_, value)| *value);
    println!(
        "{name:<8} F = {last:.6} after {epochs:.0} epochs, {:.2} s",
        report.seconds
    );
    Ok(graph.line(name, points))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let all = digits()?;
    let (train, validation) = (all.rows(0..1000)?, all.rows(1000..all.samples())?);
    // A penalty for each of ten classes.
    let oracle = logistic_regression(&train, &validation, Penalty::PerClass)?
        .with_lower_solver(Lbfgs::default());
    let samples = all.samples() as u64;
    let mut graph = Graph::new("Penalties of ten classes", "epochs", "F").log_y();
    graph = benchmark(&oracle, Soba::default(), samples, graph)?;
    graph = benchmark(&oracle, Saba::default(), samples, graph)?;
    graph = benchmark(&oracle, MaSoba::default(), samples, graph)?;
    graph = benchmark(&oracle, BoRep::default(), samples, graph)?;
    std::fs::create_dir_all("out/stochastic_benchmark")?;
    Chart::new()
        .graph(graph)
        .write_svg("out/stochastic_benchmark/benchmark.svg")?;
    println!("wrote out/stochastic_benchmark/benchmark.svg");
    Ok(())
}
