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

use bilevel::plot::Figure;
use bilevel::run::{ProgressBar, Table, ctrl_c};
use bilevel::upper::AdaptiveAccuracy;
use bilevel::{
    Accuracy, Element, GradientDescent, Hoag, Law, Maid, Oracle, Report, Run, Solver, Trust,
    parallel,
};
use bilevel_problems::data::{photograph, read_npy, read_pngs, resized, write_png};
use bilevel_problems::imaging::{Image, Norm, TvOracle, Weights, tv_denoising};
use clap::{Parser, ValueEnum};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Images on the comparison sheet, at most.
const SHEET_ROWS: usize = 8;
/// More noise than this hides an image from any storage type.
const MAX_SIGMA: f64 = 1e6;
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
    /// Write a checkpoint into this file after every iteration.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Go on from a checkpoint, with the limits given here; it is kept up to date unless --checkpoint names another file.
    #[arg(long, value_name = "FILE")]
    resume: Option<PathBuf>,
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

#[derive(Clone, Copy, ValueEnum)]
enum TrustName {
    Certified,
    Estimated,
}

#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    F64,
    F32,
}

type Failure = Box<dyn Error + Send + Sync>;
/// Clean and noisy images.
type Pairs = (Vec<Image<f64>>, Vec<Image<f64>>);

/// A number, with or without blanks around it.
fn number(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.trim().parse()
}

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        // A mistake gets one line like every other one; help and version are printed as they are.
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let reason = text.split("Usage:").next().unwrap_or_default();
            let reason = reason
                .split("For more information")
                .next()
                .unwrap_or_default();
            let words: Vec<&str> = reason
                .trim_start_matches("error:")
                .split_whitespace()
                .collect();
            return fail(&format!("{}; try --help", words.join(" ")));
        }
        Err(error) => error.exit(),
    };
    let threads = match options.threads {
        Some(threads) => threads,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let result = parallel::with_threads(threads, || match options.precision {
        Precision::F64 => denoise::<f64>(&options),
        Precision::F32 => denoise::<f32>(&options),
    });
    match result {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error),
        Err(error) => fail(&error),
    }
}

fn fail(error: &impl std::fmt::Display) -> ExitCode {
    eprintln!("tv_denoise: {error}");
    ExitCode::from(2)
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
    if !(0.0..=MAX_SIGMA).contains(&options.sigma) {
        return Err(format!(
            "--sigma is {:?}; expected a number from 0 to {MAX_SIGMA:?}",
            options.sigma
        )
        .into());
    }
    let mut clean = Vec::new();
    for path in &options.images {
        clean.extend(read_pngs(path)?);
    }
    if clean.is_empty() {
        clean.push(photograph("camera")?);
    }
    if let Some(size) = options.size {
        clean = clean
            .iter()
            .map(|image| resized(image, size))
            .collect::<Result<_, _>>()?;
    }
    let noisy = clean
        .iter()
        .enumerate()
        .map(|(i, image)| image.with_noise(options.sigma, options.seed, i as u64))
        .collect();
    Ok((clean, noisy))
}

/// Makes sure that the output folder can be written to, before any work is done.
fn prepare(out: &Path) -> Result<(), Failure> {
    let refuse = |e: std::io::Error| {
        format!(
            "{}: the output folder cannot be written to: {e}",
            out.display()
        )
    };
    std::fs::create_dir_all(out).map_err(refuse)?;
    let probe = out.join(".tv_denoise.partial");
    std::fs::write(&probe, b"").map_err(refuse)?;
    std::fs::remove_file(&probe).map_err(refuse)?;
    for name in OUTPUTS {
        let path = out.join(name);
        if path.is_dir() {
            return Err(format!(
                "{}: a folder lies where a file is to be written",
                path.display()
            )
            .into());
        }
    }
    Ok(())
}

fn denoise<E: Element>(options: &Options) -> Result<(), Failure> {
    let norm = match options.norm {
        NormName::Anisotropic => Norm::Anisotropic,
        NormName::Isotropic => Norm::Isotropic,
    };
    let trust = match options.trust {
        TrustName::Certified => Trust::Certified,
        TrustName::Estimated => Trust::Estimated,
    };
    let (clean, noisy) = images(options)?;
    prepare(&options.out)?;
    let stored = |images: &[Image<f64>]| images.iter().map(Image::cast).collect::<Vec<Image<E>>>();
    let oracle = tv_denoising(
        &stored(&clean),
        &stored(&noisy),
        norm,
        Weights::Global,
        trust,
    )?;
    let accuracy = Accuracy::new(options.epsilon, options.delta)?;
    let maid = Maid {
        accuracy: AdaptiveAccuracy {
            initial: accuracy,
            ..AdaptiveAccuracy::default()
        },
        ..Maid::default()
    };
    let report = match options.solver {
        // What is evaluated does not depend on the solver.
        _ if options.evaluate => run(options, &oracle, maid)?,
        SolverName::Maid => run(options, &oracle, maid)?,
        SolverName::Fixed => {
            let solver = GradientDescent {
                accuracy,
                ..GradientDescent::with_accuracy(options.epsilon)
            };
            run(options, &oracle, solver)?
        }
        SolverName::Hoag => {
            let law = match options.law {
                LawName::Exponential => Law::Exponential,
                LawName::Quadratic => Law::Quadratic,
                LawName::Cubic => Law::Cubic,
            };
            let solver = Hoag {
                initial: accuracy,
                ..Hoag::new(law)
            };
            run(options, &oracle, solver)?
        }
    };
    write(options, &oracle, &clean, &noisy, &report)
}

/// Runs, resumes or evaluates.
fn run<E: Element, S: Solver<TvOracle<E>>>(
    options: &Options,
    oracle: &TvOracle<E>,
    solver: S,
) -> Result<Report<Vec<f64>>, Failure> {
    let mut run = Run::new(oracle, solver)
        .tolerance(options.tolerance)
        .max_iterations(options.max_iterations);
    if options.evaluate {
        return Ok(run.evaluate(options.theta.clone())?);
    }
    run = run
        .observe(Table::new(std::io::stdout()))
        .stop_on(ctrl_c()?);
    if !std::io::stdout().is_terminal() && std::io::stderr().is_terminal() {
        run = run.observe(ProgressBar::default());
    }
    if let Some(path) = options.checkpoint.as_ref().or(options.resume.as_ref()) {
        run = run.checkpoint(path, 1);
    }
    Ok(match &options.resume {
        Some(path) => run.resume(path)?,
        None => run.start(options.theta.clone())?,
    })
}

fn write<E: Element>(
    options: &Options,
    oracle: &TvOracle<E>,
    clean: &[Image<f64>],
    noisy: &[Image<f64>],
    report: &Report<Vec<f64>>,
) -> Result<(), Failure> {
    // The denoised images at the last θ, to the accuracy of the report.
    let mut state = oracle.start(&report.theta)?;
    oracle.value(&report.theta, report.attained.epsilon, &mut state)?;
    let denoised: Vec<Image<f64>> = state
        .iter()
        .zip(clean)
        .map(|(s, c)| {
            Image::new(
                c.rows(),
                c.cols(),
                s.x().iter().map(|x| x.to_f64()).collect(),
            )
        })
        .collect::<Result<_, _>>()?;
    let mean_psnr = |images: &[Image<f64>]| {
        clean
            .iter()
            .zip(images)
            .map(|(c, x)| c.psnr(x.pixels()))
            .sum::<f64>()
            / clean.len() as f64
    };
    let (psnr_noisy, psnr) = (mean_psnr(noisy), mean_psnr(&denoised));
    let out = &options.out;
    report.write_json(
        out.join("report.json"),
        &[("psnr_noisy", psnr_noisy), ("psnr", psnr)],
    )?;
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
        "\n{report}\n  PSNR           {psnr_noisy:.2} dB noisy, {psnr:.2} dB denoised\n\
         wrote report.json, trace.csv, convergence.svg and comparison.png into {}",
        out.display()
    );
    Ok(())
}
