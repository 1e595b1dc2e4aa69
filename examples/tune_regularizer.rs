//! Tunes the strength of a regulariser of a training run with wrong labels, by gradient through the run.
//!
//! ```text
//! cargo run --release --example tune_regularizer
//! ```
//!
//! A perceptron is trained on images of clothes, 40 % of whose labels are wrong, with early-learning regularisation. MAID moves the two
//! parameters of the regulariser by the loss on validation data with right labels. It prints them and the accuracies on test data, and
//! draws the path of the loss into `out/tune_regularizer/convergence.svg`. The command `bilevel tune-regularizer` has four regularisers,
//! four models and data of yours.

use bilevel::autodiff::Upper;
use bilevel::plot::Figure;
use bilevel::{Dynamics, Maid, Mode, Run, Unrolled};
use bilevel_problems::data::{Noise, fashion_mnist};
use bilevel_problems::networks::models::{Activation, Perceptron};
use bilevel_problems::networks::regularizers::Recipe;
use bilevel_problems::networks::training::{Settings, Training};

const TRAIN: usize = 1000;
const VALIDATION: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (all, test) = fashion_mnist()?;
    let all = all.shuffled(0);
    let train = Noise::Symmetric.apply(&all.rows(0..TRAIN)?, 0.4, 0)?;
    let validation = all.rows(TRAIN..TRAIN + VALIDATION)?;
    let model = Perceptron::new(all.columns(), &[32], all.classes(), Activation::Tanh)?;
    let settings = Settings {
        epochs: 10,
        step: 0.02,
        decay: 1e-4,
        ..Settings::default()
    };
    let make = || Training::<_, _, f32>::new(model.clone(), train.clone(), Recipe::elr(), settings);

    // A run of 160 steps is differentiated backwards, with 50 of its states in memory.
    let training = make()?;
    let published = training.theta()?;
    let criterion = training.criterion(validation)?;
    let mode = Mode::Reverse { checkpoints: 50 };
    let oracle = Unrolled::new(training, Upper::<_, f32>::new(criterion), mode)?;
    let report = Run::new(&oracle, Maid::extrapolating())
        .max_iterations(3)
        .start(published.clone())?;
    println!("{report}\n");

    // The accuracy on test data, of a training with either θ.
    let training = make()?;
    let judge = training.criterion(test)?;
    for (name, theta) in [("published", &published), ("tuned", &report.theta)] {
        let mut state = training.start();
        for t in 0..training.steps() {
            training.step(t, &mut state, theta);
        }
        let accuracy = 100.0 * judge.judge(&state, theta).accuracy;
        print!("{name:<10} test accuracy {accuracy:.2} %");
        for (parameter, value) in training.named(theta) {
            print!(", {parameter} {value:.3}");
        }
        println!();
    }
    std::fs::create_dir_all("out/tune_regularizer")?;
    Figure::new()
        .run("MAID", &report.trace)
        .write_svg("out/tune_regularizer/convergence.svg")?;
    println!("wrote out/tune_regularizer/convergence.svg");
    Ok(())
}
