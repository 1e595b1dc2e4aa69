//! Ridge regression with a penalty of its own for every feature, as a problem written by hand: the lower level in `problem.rs`, the
//! samples and the upper level in `samples.rs`.
//!
//! ```text
//! cargo run --example ridge
//! ```
//!
//! It checks the derivatives, learns the penalties and draws value, hypergradient and bounds into `out/ridge/convergence.svg`.

mod problem;
mod samples;

use bilevel::plot::Figure;
use bilevel::{Error, Implicit, Maid, Run, check_lower, check_upper};
use samples::Samples;

fn main() -> Result<(), Error> {
    let (train, valid) = (Samples::new(100, 1.0), Samples::new(100, 2.0));
    let (w, theta) = (vec![0.3, -0.2, 0.5, 0.1, -0.4], vec![-1.0; 5]);
    print!("{}", check_lower(&train, &w, &theta));
    print!("{}", check_upper(&valid, &w, &theta));
    let report = Run::new(&Implicit::new(train, valid), Maid::default()).start(theta)?;
    println!("\n{report}");
    std::fs::create_dir_all("out/ridge").map_err(|e| Error::io("out/ridge", e))?;
    Figure::new()
        .run("MAID", &report.trace)
        .write_svg("out/ridge/convergence.svg")
}
