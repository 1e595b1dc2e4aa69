//! Learns the weight and the smoothing of total-variation denoising from pairs of clean and noisy images.
//!
//! ```text
//! cargo run --release --example tv_denoise
//! cargo run --release --example tv_denoise -- --images photos/ --sigma 0.05 --norm isotropic --out results
//! ```
//!
//! It prints a table of the iterations and a summary, and writes `report.json`, `trace.csv`, `convergence.svg` and
//! `comparison.png` (clean, noisy and denoised side by side) into the output folder. Bad input ends it with one line on
//! standard error and exit code 2.

mod common;

use bilevel::plot::Figure;
use bilevel::{Accuracy, Element, Limits, Maid, Report, Run};
use bilevel_cli::experiment::solvers::{HALF_WIDTH, around, solver};
use bilevel_problems::data::{photograph, read_npy, write_png};
use bilevel_problems::imaging::{Image, Norm, TvOracle, Weights, tv_denoising};
use clap::{Parser, ValueEnum};
use common::images::{
    SHEET_ROWS, check_sigma, denoised, mean_quality, read_all, scaled, stored, with_noise,
};
use common::{Checkpoints, Failure, Precision, TrustName, number, prepare};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// What is written into the output folder.
const OUTPUTS: [&str; 4] = [
    "report.json",
    "trace.csv",
    "convergence.svg",
    "comparison.png",
];

/// Learn the weight and the smoothing of total-variation denoising by hypergradient.
#[derive(Parser)]
#[command(name = "tv_denoise")]
struct Options {
    /// Clean images: a PNG file, or a folder of them; may be repeated. Without it a photograph that ships with the crate.
    #[arg(long, value_name = "FILE_OR_DIR")]
    images: Vec<PathBuf>,
    /// Clean images as .npy, images × rows × columns or rows × columns.
    #[arg(long, value_name = "A.npy", requires = "noisy", conflicts_with_all = ["images", "size", "sigma", "seed"])]
    clean: Option<PathBuf>,
    /// Noisy images as .npy, of the same shape.
    #[arg(long, value_name = "B.npy", requires = "clean")]
    noisy: Option<PathBuf>,
    /// Standard deviation of the noise that is added to clean images; white is 1.
    #[arg(long, default_value_t = 0.1)]
    sigma: f64,
    /// Crop the images to a square and scale it to N×N pixels.
    #[arg(long, value_name = "N")]
    size: Option<usize>,
    /// Seed of the noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// First θ: log weight, log smoothing. (With --resume the stored θ counts.)
    #[arg(
        long,
        default_value = "-5,-5",
        value_delimiter = ',',
        value_parser = number,
        allow_hyphen_values = true
    )]
    theta: Vec<f64>,
    /// First (maid, hoag) or constant (fixed) accuracy ε of the lower-level solutions.
    #[arg(long, default_value_t = 0.1)]
    epsilon: f64,
    /// First or constant accuracy δ of the adjoint solutions.
    #[arg(long, default_value_t = 0.1)]
    delta: f64,
    /// Total variation: |∂ₕx| + |∂ᵥx|, or the length of the gradient.
    #[arg(long, value_enum, default_value_t = NormName::Anisotropic)]
    norm: NormName,
    /// Upper-level solver.
    #[arg(long, value_enum, default_value_t = SolverName::Maid)]
    solver: SolverName,
    /// Tolerance law of hoag.
    #[arg(long, value_enum, default_value_t = LawName::Quadratic)]
    law: LawName,
    /// Error bounds from constants that hold for certain, or from samples.
    #[arg(long, value_enum, default_value_t = TrustName::Certified)]
    trust: TrustName,
    /// Storage of the images.
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    precision: Precision,
    /// Iterations of the upper level, at most.
    #[arg(long, default_value_t = 200)]
    max_iterations: u64,
    /// Stop when ‖z‖ + ω, which bounds ‖∇F‖, is below this.
    #[arg(long, default_value_t = 0.5)]
    tolerance: f64,
    /// Threads; all cores by default. The results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// Evaluate value and hypergradient at --theta to --epsilon and --delta, and stop.
    #[arg(long, conflicts_with_all = ["checkpoint", "resume"])]
    evaluate: bool,
    #[command(flatten)]
    checkpoints: Checkpoints,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/tv_denoise")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum NormName {
    Anisotropic,
    Isotropic,
}

#[derive(Clone, Copy, ValueEnum)]
enum SolverName {
    Maid,
    Hoag,
    Fixed,
}

#[derive(Clone, Copy, ValueEnum)]
enum LawName {
    Exponential,
    Quadratic,
    Cubic,
}

/// Clean and noisy images.
type Pairs = (Vec<Image<f64>>, Vec<Image<f64>>);

fn main() -> ExitCode {
    common::main(
        "tv_denoise",
        |options: &Options| options.threads,
        |options| match options.precision {
            Precision::F64 => denoise::<f64>(options),
            Precision::F32 => denoise::<f32>(options),
        },
    )
}

/// The clean and the noisy images that the options ask for.
fn images(options: &Options) -> Result<Pairs, Failure> {
    if let (Some(clean), Some(noisy)) = (&options.clean, &options.noisy) {
        let (a, b) = (read_npy(clean)?, read_npy(noisy)?);
        let shape = |images: &[Image<f64>]| {
            format!("{}×{}×{}", images.len(), images[0].rows(), images[0].cols())
        };
        if shape(&a) != shape(&b) {
            return Err(format!(
                "{}: the shape is {}; expected {}, the shape of {}",
                noisy.display(),
                shape(&b),
                shape(&a),
                clean.display()
            )
            .into());
        }
        return Ok((a, b));
    }
    check_sigma(options.sigma)?;
    let mut clean = read_all(&options.images)?;
    if clean.is_empty() {
        clean.push(photograph("camera")?);
    }
    let clean = scaled(clean, options.size)?;
    let noisy = with_noise(&clean, options.sigma, options.seed, 0);
    Ok((clean, noisy))
}

fn denoise<E: Element>(options: &Options) -> Result<(), Failure> {
    let norm = match options.norm {
        NormName::Anisotropic => Norm::Anisotropic,
        NormName::Isotropic => Norm::Isotropic,
    };
    let (clean, noisy) = images(options)?;
    prepare(&options.out, &OUTPUTS)?;
    let oracle: TvOracle<E> = tv_denoising(
        &stored(&clean),
        &stored(&noisy),
        norm,
        Weights::Global,
        options.trust.into(),
    )?;
    let accuracy = Accuracy::new(options.epsilon, options.delta)?;
    let theta = options.theta.clone();
    let report = if options.evaluate {
        // What is evaluated does not depend on the solver.
        let mut maid = Maid::default();
        maid.accuracy.initial = accuracy;
        let run = Run::new(&oracle, maid).tolerance(options.tolerance);
        run.evaluate(theta)?
    } else {
        let name = match (options.solver, options.law) {
            (SolverName::Maid, _) => "maid",
            (SolverName::Fixed, _) => "fixed",
            (SolverName::Hoag, LawName::Exponential) => "hoag-exponential",
            (SolverName::Hoag, LawName::Quadratic) => "hoag-quadratic",
            (SolverName::Hoag, LawName::Cubic) => "hoag-cubic",
        };
        let limits = Limits {
            iterations: Some(options.max_iterations),
            ..Limits::default()
        };
        let settings = options.checkpoints.settings(options.tolerance, limits);
        let region = around(&theta, HALF_WIDTH)?;
        solver(name, accuracy, &region)?.run(&oracle, theta, &settings)?
    };
    write(options, &oracle, &clean, &noisy, &report)
}

fn write<E: Element>(
    options: &Options,
    oracle: &TvOracle<E>,
    clean: &[Image<f64>],
    noisy: &[Image<f64>],
    report: &Report<Vec<f64>>,
) -> Result<(), Failure> {
    // The denoised images at the last θ, to the accuracy of the report.
    let denoised = denoised(oracle, &report.theta, report.attained.epsilon, clean)?;
    let (before, after) = (mean_quality(clean, noisy), mean_quality(clean, &denoised));
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
