//! Learns the weight and the smoothing of total-variation denoising from pairs of clean and noisy images.
//!
//! ```text
//! cargo run --release --example tv_denoise
//! cargo run --release --example tv_denoise -- --images photos/ --sigma 0.05 --norm isotropic --out results
//! ```
//!
//! It prints a table of the iterations and a summary, and writes `report.json`, `trace.csv`, `convergence.svg` and
//! `comparison.png` (clean, noisy and denoised side by side) into the output folder. Bad input ends it with one line on
//! standard error and exit code 2. The options and the reading of images are in `options.rs`; the learning is here.

mod options;

use bilevel::plot::Figure;
use bilevel::run::{Table, ctrl_c};
use bilevel::{
    Accuracy, Element, GradientDescent, Hoag, ImplicitState, Maid, Oracle, Report, Run, Solver,
};
use bilevel_problems::data::write_png;
use bilevel_problems::imaging::{Image, TvOracle, Weights, tv_denoising};
use options::{Failure, Options, Pairs, Precision, SolverName};
use std::io::Write;
use std::process::ExitCode;

/// The files in the output folder.
const OUTPUTS: [&str; 4] = [
    "report.json",
    "trace.csv",
    "convergence.svg",
    "comparison.png",
];
/// Images on the comparison sheet, at most.
const SHEET_ROWS: usize = 8;

fn main() -> ExitCode {
    options::main(|options| match options.precision {
        Precision::F64 => denoise::<f64>(options),
        Precision::F32 => denoise::<f32>(options),
    })
}

fn denoise<E: Element>(options: &Options) -> Result<(), Failure> {
    let (clean, noisy) = options.images()?;
    options.prepare(&OUTPUTS)?;
    let stored = |images: &[Image<f64>]| images.iter().map(Image::cast).collect::<Vec<_>>();
    let oracle: TvOracle<E> = tv_denoising(
        &stored(&clean),
        &stored(&noisy),
        options.norm.into(),
        Weights::Global,
        options.trust.into(),
    )?;
    let accuracy = Accuracy::new(options.epsilon, options.delta)?;
    let mut maid = Maid::default();
    maid.accuracy.initial = accuracy;
    let report = if options.evaluate {
        // The result does not depend on the solver.
        let run = Run::new(&oracle, maid).tolerance(options.tolerance);
        run.evaluate(options.theta.clone())?
    } else {
        match options.solver {
            SolverName::Maid => learn(options, &oracle, maid)?,
            SolverName::Hoag => {
                let mut hoag = Hoag::new(options.law.into());
                hoag.initial = accuracy;
                learn(options, &oracle, hoag)?
            }
            SolverName::Fixed => {
                let mut fixed = GradientDescent::with_accuracy(1.0);
                fixed.accuracy = accuracy;
                learn(options, &oracle, fixed)?
            }
        }
    };
    write(options, &oracle, &(clean, noisy), &report)
}

/// Runs a solver with a table of its iterations, checkpoints, and a clean end on Ctrl-C.
fn learn<E: Element>(
    options: &Options,
    oracle: &TvOracle<E>,
    solver: impl Solver<TvOracle<E>>,
) -> Result<Report<Vec<f64>>, Failure> {
    let mut run = Run::new(oracle, solver)
        .tolerance(options.tolerance)
        .max_iterations(options.max_iterations)
        // In the background, where the shell withholds Ctrl-C, nothing sets the flag.
        .stop_on(ctrl_c().unwrap_or_default())
        .observe(Table::stdout());
    if let Some(path) = options.checkpoint.as_ref().or(options.resume.as_ref()) {
        run = run.checkpoint(path, 1);
    }
    Ok(match &options.resume {
        Some(path) => run.resume(path)?,
        None => run.start(options.theta.clone())?,
    })
}

/// Denoises at the last θ, to the accuracy of the report.
fn denoised<E: Element>(
    oracle: &TvOracle<E>,
    clean: &[Image<f64>],
    report: &Report<Vec<f64>>,
) -> Result<Vec<Image<f64>>, Failure> {
    let mut state = oracle.start(&report.theta)?;
    oracle.value(&report.theta, report.attained.epsilon, &mut state)?;
    let image = |(term, clean): (&ImplicitState<Vec<E>>, &Image<f64>)| {
        let pixels = term.x().iter().map(|x| x.to_f64());
        Image::new(clean.rows(), clean.cols(), pixels.collect())
    };
    Ok(state
        .iter()
        .zip(clean)
        .map(image)
        .collect::<Result<_, _>>()?)
}

/// The means of PSNR and SSIM; the latter is NaN for images smaller than its window.
fn quality(clean: &[Image<f64>], images: &[Image<f64>]) -> (f64, f64) {
    let pairs = || clean.iter().zip(images);
    let psnr = pairs().map(|(c, x)| c.psnr(x.pixels())).sum::<f64>();
    let ssim = pairs().map(|(c, x)| c.ssim(x.pixels()).unwrap_or(f64::NAN));
    let count = clean.len() as f64;
    (psnr / count, ssim.sum::<f64>() / count)
}

fn write<E: Element>(
    options: &Options,
    oracle: &TvOracle<E>,
    (clean, noisy): &Pairs,
    report: &Report<Vec<f64>>,
) -> Result<(), Failure> {
    let denoised = denoised(oracle, clean, report)?;
    let (before, after) = (quality(clean, noisy), quality(clean, &denoised));
    let out = &options.out;
    let extra = [
        ("psnr_noisy", before.0),
        ("psnr", after.0),
        ("ssim_noisy", before.1),
        ("ssim", after.1),
    ];
    report.write_json(out.join("report.json"), &extra)?;
    report.trace.write_csv(out.join("trace.csv"))?;
    Figure::new()
        .run(report.solver.clone(), &report.trace)
        .write_svg(out.join("convergence.svg"))?;
    let sheet: Vec<Vec<Image<f64>>> = (0..clean.len().min(SHEET_ROWS))
        .map(|i| vec![clean[i].clone(), noisy[i].clone(), denoised[i].clone()])
        .collect();
    write_png(out.join("comparison.png"), &sheet)?;
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(
        std::io::stdout(),
        "\n{report}\n  PSNR           {:.2} dB noisy, {:.2} dB denoised\n\
         \x20 SSIM           {:.3} noisy, {:.3} denoised\n\
         wrote report.json, trace.csv, convergence.svg and comparison.png into {}",
        before.0,
        after.0,
        before.1,
        after.1,
        out.display()
    );
    Ok(())
}
