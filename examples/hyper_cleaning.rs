//! Finds wrong labels: learns a weight σ(θᵢ) for every training sample from a few samples whose labels are right.
//!
//! ```text
//! cargo run --release --example hyper_cleaning
//! ```
//!
//! Half of the labels of 2,000 images of clothes are replaced by wrong ones. It prints how well a weight below one half tells them,
//! and draws the weights of right and wrong samples into `out/hyper_cleaning/weights.svg`. The command `bilevel hyper-cleaning` has
//! options, accuracies on test data, and a list of the suspects.

use bilevel::lower::Lbfgs;
use bilevel::plot::{Chart, Graph};
use bilevel::stochastic::{Saba, Stochastic};
use bilevel::{Accuracy, Run};
use bilevel_problems::data::fashion_mnist;
use bilevel_problems::linear::hyper_cleaning::{corrupt_labels, hyper_cleaning};

const TRAIN: usize = 2000;
const VALIDATION: usize = 500;
/// Bars of the histogram.
const BARS: usize = 25;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (all, _) = fashion_mnist()?;
    let all = all.shuffled(0);
    let pixels = all.rows(0..TRAIN)?;
    let clean = pixels.standardised(&pixels)?;
    let train = corrupt_labels(&clean, 0.5, 0)?;
    let validation = all.rows(TRAIN..TRAIN + VALIDATION)?.standardised(&pixels)?;

    // The lower level is a multinomial regression with the penalty (0.2/2)‖x‖²; SABA moves θ, x and v on batches of 64 samples.
    let oracle = hyper_cleaning(&train, &validation, 0.2)?.with_lower_solver(Lbfgs::default());
    let solver = Stochastic {
        lower_batch: 64,
        upper_batch: 64,
        block: 200,
        accuracy: Accuracy::new(0.01, 0.01)?,
        ..Stochastic::new(Saba::default())
    };
    let report = Run::new(&oracle, solver)
        .max_iterations(30)
        .start(vec![0.0; TRAIN])?;
    println!("{report}\n");

    let pairs = train.labels().iter().zip(clean.labels());
    let wrong: Vec<bool> = pairs.map(|(a, b)| a != b).collect();
    let found = |flagged: bool, of_wrong: bool| {
        let pairs = report.theta.iter().zip(&wrong);
        pairs
            .filter(|(t, w)| (**t < 0.0) == flagged && **w == of_wrong)
            .count() as f64
    };
    let (caught, missed, blamed) = (found(true, true), found(false, true), found(true, false));
    let (precision, recall) = (caught / (caught + blamed), caught / (caught + missed));
    println!("wrong labels: precision {precision:.3}, recall {recall:.3} at weight 1/2");

    let edges: Vec<f64> = (0..=BARS).map(|i| i as f64 / BARS as f64).collect();
    let mut graph = Graph::new("Weights of the training samples", "weight σ(θᵢ)", "samples");
    for (name, of_wrong) in [("right label", false), ("wrong label", true)] {
        let mut counts = vec![0.0; BARS];
        for (theta, _) in report
            .theta
            .iter()
            .zip(&wrong)
            .filter(|(_, w)| **w == of_wrong)
        {
            let weight = 1.0 / (1.0 + (-theta).exp());
            counts[((weight * BARS as f64) as usize).min(BARS - 1)] += 1.0;
        }
        graph = graph.histogram(name, &edges, &counts);
    }
    std::fs::create_dir_all("out/hyper_cleaning")?;
    Chart::new()
        .graph(graph)
        .write_svg("out/hyper_cleaning/weights.svg")?;
    println!("wrote out/hyper_cleaning/weights.svg");
    Ok(())
}
