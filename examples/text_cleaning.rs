//! Finds wrong labels of texts with a recurrent model: first names of women and of men, a third of them labelled wrongly.
//!
//! ```text
//! cargo run --release --example text_cleaning
//! ```
//!
//! The lower level trains a gated recurrent unit on names, each with a weight σ(θᵢ); the upper level judges it on names whose labels are
//! right. BO-REP moves both. It prints the most suspect names and draws how many of them are wrong into `out/text_cleaning/suspects.svg`.
//! The command `bilevel text-cleaning` compares methods and reads texts of yours.

use bilevel::plot::{Chart, Graph};
use bilevel::stochastic::{BoRep, StepSize, Stochastic};
use bilevel::{Accuracy, Solver};
use bilevel_problems::data::{Noise, Samples, Texts, first_names};
use bilevel_problems::linear::hyper_cleaning::{ModelCleaning, judge, model_cleaning};
use bilevel_problems::networks::models::Recurrent;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let names = first_names()?.shuffled(0);
    let (n, tenth) = (names.len(), names.len() / 10);
    let clean = names.rows(0..n - 2 * tenth)?;
    let train = Noise::Symmetric.apply(&clean, 0.3, 0)?;
    let validation = names.rows(n - 2 * tenth..n - tenth)?;
    let test = names.rows(n - tenth..n)?;
    // Embeddings of 16 letters' features, a state of 16 numbers, two classes.
    let model = Recurrent::new(train.vocabulary().len(), 16, 16, 2)?;
    let oracle: ModelCleaning<Recurrent, Texts, f32> =
        model_cleaning(&model, train.clone(), validation, 1e-3, 0)?;

    // The steps of the method, one by one: the lower level is not convex, so no exact evaluation ends the run.
    let first = |first| StepSize {
        first: Some(first),
        ..StepSize::default()
    };
    let solver = Stochastic {
        lower_batch: 32,
        upper_batch: 32,
        block: 100,
        lower_step: first(1.0),
        upper_step: first(30.0),
        accuracy: Accuracy::new(1e30, 1e30)?,
        ..Stochastic::new(BoRep::default())
    };
    let mut state = Solver::start(&solver, &oracle, vec![0.0; train.len()])?;
    for blocks in 1..=20 {
        solver.step(&oracle, &mut state, 0.0)?;
        if blocks % 5 == 0 {
            let [loss, right] = judge(&model, &test, &state.iterate().x);
            println!(
                "blocks {blocks:>4}: test loss {loss:.4}, {:.1} % right",
                100.0 * right
            );
        }
    }

    let theta = &state.iterate().theta;
    let mut order: Vec<usize> = (0..theta.len()).collect();
    order.sort_by(|&a, &b| theta[a].total_cmp(&theta[b]));
    let wrong = |i: usize| train.labels()[i] != clean.labels()[i];
    println!("\nthe most suspect names:");
    for &i in order.iter().take(10) {
        let (name, label) = (train.text(i, ""), train.labels()[i]);
        println!("  {name:<12} labelled {label}: wrong {}", wrong(i));
    }
    let mut caught = 0.0;
    let share = order.iter().enumerate().map(|(k, &i)| {
        caught += f64::from(u8::from(wrong(i)));
        ((k + 1) as f64, caught / (k + 1) as f64)
    });
    let graph = Graph::new(
        "Wrong labels",
        "most suspect names",
        "share of wrong labels",
    );
    std::fs::create_dir_all("out/text_cleaning")?;
    let chart = Chart::new().graph(graph.line("BO-REP", share.collect()));
    chart.write_svg("out/text_cleaning/suspects.svg")?;
    println!("wrote out/text_cleaning/suspects.svg");
    Ok(())
}
