//! Learns the filters, weights and smoothings of a field of experts that denoises, and denoises with a learned one.
//!
//! ```text
//! bilevel foe-denoise
//! bilevel foe-denoise --train photos/ --test others/ --filters 24 --patches 200 --out results
//! bilevel foe-denoise --model results/model.json --images holiday.png --as-is
//! ```
//!
//! A training prints a table of the iterations, a summary, and PSNR and SSIM of every test image, and writes `report.json`,
//! `trace.csv`, `convergence.svg`, `filters.png` (the learned filters, the strongest first), `comparison.png` (test images clean,
//! noisy and denoised) and `model.json` into the output folder. With `--model` it writes the denoised images. Bad input ends it
//! with one line on standard error and exit code 2.

use crate::images::{
    HEADER, HELD_OUT, SHEET_ROWS, check_sigma, mean_quality, quality, read_all, row, shipped,
    stored, with_noise,
};
use crate::options::{Checkpoints, Failure, Precision, TrustName, prepare};
use crate::registry::solvers::{HALF_WIDTH, around, solver};
use crate::watch;
use bilevel::lower::LowerReport;
use bilevel::plot::Figure;
use bilevel::{Accuracy, Limits, Report};
use bilevel_problems::data::{patches, photograph, png_files, read_png, write_png};
use bilevel_problems::imaging::foe::Lanes;
use bilevel_problems::imaging::{
    Experts, FoeDenoising, FoeModel, FoeOracle, Image, Potential, foe_denoising,
};
use clap::{Args, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The files that a training writes into the output folder.
const OUTPUTS: [&str; 6] = [
    "report.json",
    "trace.csv",
    "convergence.svg",
    "filters.png",
    "comparison.png",
    "model.json",
];
/// The noise of test images comes from streams that no patch has.
const TEST_STREAM: u64 = 1 << 32;
/// Denoised images are this close to the exact ones, in the root mean square over the pixels: a quarter of a grey level.
const ACCURACY: f64 = 1e-3;

/// Learn a field of experts that denoises, or denoise with one.
#[derive(Args)]
pub(crate) struct Options {
    /// Clean images to train on: a PNG file, or a folder of them; may be repeated. Without it the photographs that ship with the
    /// crate but for one.
    #[arg(long, value_name = "FILE_OR_DIR")]
    train: Vec<PathBuf>,
    /// Clean images to test with. Without it the photograph that is left.
    #[arg(long, value_name = "FILE_OR_DIR")]
    test: Vec<PathBuf>,
    /// Filters K, at most as many as one has coefficients.
    #[arg(long, value_name = "K", default_value_t = 24)]
    filters: usize,
    /// Width and height of a filter: an odd number.
    #[arg(long, value_name = "S", default_value_t = 5)]
    filter_size: usize,
    /// Patches of the training images, drawn at random.
    #[arg(long, value_name = "N", default_value_t = 16)]
    patches: usize,
    /// Width and height of a patch. (With filters of 7×7, 58 pixels fill whole registers.)
    #[arg(long, value_name = "P", default_value_t = 58)]
    patch_size: usize,
    /// Standard deviation of the noise that is added to clean images; white is 1. With --model, that of the model by default.
    #[arg(long, value_name = "σ")]
    sigma: Option<f64>,
    /// Seed of patches, noise and random filters.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The function of a filter's response that is summed up.
    #[arg(long, value_enum, default_value_t = PotentialName::Convex)]
    potential: PotentialName,
    /// The modulus of strong convexity that the weakly convex potential leaves to the energy. [default: 0.1]
    #[arg(long, value_name = "μ")]
    modulus: Option<f64>,
    /// The first filters.
    #[arg(long, value_enum, default_value_t = Start::Dct)]
    init: Start,
    /// Take the means off the filters: flat regions cost nothing. (The default.)
    #[arg(long, conflicts_with = "free_mean")]
    zero_mean: bool,
    /// Leave the means of the filters free.
    #[arg(long)]
    free_mean: bool,
    /// Upper-level solver: maid, maid-lbfgs, hoag-quadratic, fixed, …; an unknown name prints the list.
    #[arg(long, default_value = "maid-goal-oriented")]
    solver: String,
    /// Error bounds from constants that hold for certain, from samples, or none.
    #[arg(long, value_enum, default_value_t = TrustName::Estimated)]
    trust: TrustName,
    /// First (maid, hoag) or constant (fixed) accuracy ε of the lower-level solutions.
    #[arg(long, default_value_t = 0.1)]
    epsilon: f64,
    /// First or constant accuracy δ of the adjoint solutions.
    #[arg(long, default_value_t = 0.1)]
    delta: f64,
    /// Iterations of the upper level, at most.
    #[arg(long, default_value_t = 40)]
    max_iterations: u64,
    /// Seconds of training, at most. A training that ends by it is not reproducible to the byte.
    #[arg(long)]
    max_seconds: Option<f64>,
    /// Stop when ‖z‖ + ω, which bounds ‖∇F‖, is below this.
    #[arg(long, default_value_t = 0.01)]
    tolerance: f64,
    /// Storage of the images.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    precision: Precision,
    #[command(flatten)]
    checkpoints: Checkpoints,
    /// Denoise with this model in place of a training.
    #[arg(long, value_name = "FILE", requires = "images", conflicts_with_all = TRAINING)]
    model: Option<PathBuf>,
    /// Images to denoise with a model, after noise is added.
    #[arg(long, value_name = "FILE_OR_DIR", requires = "model")]
    images: Vec<PathBuf>,
    /// The images are noisy as they are.
    #[arg(long, requires = "model", conflicts_with = "sigma")]
    as_is: bool,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/foe_denoise")]
    out: PathBuf,
}

/// The options that have no meaning without a training.
const TRAINING: [&str; 19] = [
    "train",
    "test",
    "filters",
    "filter_size",
    "patches",
    "patch_size",
    "potential",
    "modulus",
    "init",
    "zero_mean",
    "free_mean",
    "solver",
    "trust",
    "epsilon",
    "delta",
    "max_iterations",
    "max_seconds",
    "checkpoint",
    "resume",
];

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum PotentialName {
    Convex,
    WeaklyConvex,
}

#[derive(Clone, Copy, ValueEnum)]
enum Start {
    Dct,
    Random,
}

/// Runs the command.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    match (&options.model, options.precision) {
        (None, Precision::F64) => train::<f64>(options),
        (None, Precision::F32) => train::<f32>(options),
        (Some(model), Precision::F64) => apply::<f64>(options, model),
        (Some(model), Precision::F32) => apply::<f32>(options, model),
    }
}

/// The experts that the options ask for.
fn experts(options: &Options) -> Result<Experts, Failure> {
    let mut experts = Experts::new(options.filters, options.filter_size)?;
    if options.potential == PotentialName::WeaklyConvex {
        let mut potential = Potential::weakly_convex();
        if let (Potential::WeaklyConvex { modulus, .. }, Some(mu)) =
            (&mut potential, options.modulus)
        {
            *modulus = mu;
        }
        experts = experts.with_potential(potential)?;
    } else if options.modulus.is_some() {
        return Err("--modulus is that of the weakly convex potential: add --potential weakly-convex, or leave it out".into());
    }
    Ok(if options.free_mean {
        experts
    } else {
        experts.zero_mean()
    })
}

/// Names and clean images of the test.
fn test_images(options: &Options) -> Result<(Vec<String>, Vec<Image<f64>>), Failure> {
    if options.test.is_empty() {
        return Ok((vec![HELD_OUT.to_owned()], vec![photograph(HELD_OUT)?]));
    }
    let (mut names, mut images) = (Vec::new(), Vec::new());
    for path in &options.test {
        for file in png_files(path)? {
            images.push(read_png(&file)?);
            names.push(stem(&file));
        }
    }
    Ok((names, images))
}

fn stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or(file.as_os_str());
    stem.to_string_lossy().into_owned()
}

fn train<E: Lanes>(options: &Options) -> Result<(), Failure> {
    let experts = experts(options)?;
    let sigma = options.sigma.unwrap_or(0.1);
    check_sigma(sigma)?;
    let mut images = read_all(&options.train)?;
    if images.is_empty() {
        images = shipped()?;
    }
    let clean = patches(&images, options.patches, options.patch_size, options.seed)?;
    drop(images);
    let noisy = with_noise(&clean, sigma, options.seed, 0);
    let (names, test_clean) = test_images(options)?;
    let test_noisy = with_noise(&test_clean, sigma, options.seed, TEST_STREAM);
    for noisy in &test_noisy {
        // Refuses an image that is too small before the training, not after it.
        FoeDenoising::<E>::new(&noisy.cast(), &experts)?;
    }
    prepare(&options.out, &OUTPUTS)?;
    let oracle: FoeOracle<E> = foe_denoising(
        &stored(&clean),
        &stored(&noisy),
        &experts,
        options.trust.into(),
    )?;
    let theta = match options.init {
        Start::Dct => experts.dct(),
        Start::Random => experts.random(options.seed),
    };
    let limits = Limits {
        iterations: Some(options.max_iterations),
        seconds: options.max_seconds,
        ..Limits::default()
    };
    let settings = options.checkpoints.settings(options.tolerance, limits);
    let accuracy = Accuracy::new(options.epsilon, options.delta)?;
    let region = around(&theta, HALF_WIDTH)?;
    let report = solver(&options.solver, accuracy, &region)?.run(&oracle, theta, &settings)?;
    drop(oracle);
    let model = FoeModel::new(experts, report.theta.clone(), sigma)?;
    let denoised = names
        .iter()
        .zip(&test_noisy)
        .map(|(name, noisy)| Ok(denoise::<E>(&model, noisy, name)?.0))
        .collect::<Result<Vec<_>, Failure>>()?;
    write(
        options,
        &model,
        &report,
        &names,
        &test_clean,
        &test_noisy,
        &denoised,
    )
}

/// The noisy image without its noise, and how accurately that was computed.
fn denoise<E: Lanes>(
    model: &FoeModel,
    noisy: &Image<f64>,
    name: &str,
) -> Result<(Image<f64>, LowerReport), Failure> {
    let (rows, cols) = (noisy.rows(), noisy.cols());
    let lower = FoeDenoising::<E>::new(&noisy.cast(), model.experts())?;
    let epsilon = ACCURACY * ((rows * cols) as f64).sqrt();
    let (x, report) = watch::minimize(lower, &model.theta().to_vec(), epsilon, name)?;
    let pixels = x.into_iter().map(E::to_f64).collect();
    Ok((Image::new(rows, cols, pixels)?, report))
}

fn write(
    options: &Options,
    model: &FoeModel,
    report: &Report<Vec<f64>>,
    names: &[String],
    clean: &[Image<f64>],
    noisy: &[Image<f64>],
    denoised: &[Image<f64>],
) -> Result<(), Failure> {
    let (before, after) = (mean_quality(clean, noisy), mean_quality(clean, denoised));
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
    let filters = model.experts().picture(model.theta())?;
    write_png(out.join("filters.png"), &[vec![filters]])?;
    let sheet: Vec<Vec<Image<f64>>> = (0..clean.len().min(SHEET_ROWS))
        .map(|i| vec![clean[i].clone(), noisy[i].clone(), denoised[i].clone()])
        .collect();
    write_png(out.join("comparison.png"), &sheet)?;
    model.write(out.join("model.json"))?;
    let mut text = format!("\n{report}\n\n{HEADER}\n");
    for (i, name) in names.iter().enumerate() {
        let (noisy, denoised) = (
            quality(&clean[i], &noisy[i]),
            quality(&clean[i], &denoised[i]),
        );
        text += &row(name, noisy, denoised);
        text.push('\n');
    }
    text += &row("mean", before, after);
    // A closed pipe is no reason to fail: the files are written.
    let _ = writeln!(
        std::io::stdout(),
        "{text}\nwrote {} into {}",
        OUTPUTS.join(", "),
        out.display()
    );
    Ok(())
}

/// Denoises images with a stored model, one after the other.
fn apply<E: Lanes>(options: &Options, model: &Path) -> Result<(), Failure> {
    let model = FoeModel::read(model)?;
    let sigma = options.sigma.unwrap_or(model.sigma());
    check_sigma(sigma)?;
    let mut files = Vec::new();
    for path in &options.images {
        files.extend(png_files(path)?);
    }
    let names: Vec<String> = files
        .iter()
        .map(|file| format!("{}.png", stem(file)))
        .collect();
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(
                format!("two images are called {name}; the denoised ones would be one").into(),
            );
        }
        let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if same(&options.out.join(name), &files[i]) {
            return Err(format!(
                "{}: the denoised image would replace it; name another folder by --out",
                files[i].display()
            )
            .into());
        }
    }
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
    prepare(&options.out, &outputs)?;
    let print = |line: &str| {
        let _ = writeln!(std::io::stdout(), "{line}");
    };
    if !options.as_is {
        print(HEADER);
    }
    for (i, (file, name)) in files.iter().zip(&names).enumerate() {
        let image = read_png(file)?;
        let (clean, noisy) = if options.as_is {
            (None, image)
        } else {
            let noisy = image.with_noise(sigma, options.seed, TEST_STREAM + i as u64);
            (Some(image), noisy)
        };
        let (denoised, solved) = denoise::<E>(&model, &noisy, name)?;
        print(&match clean {
            Some(clean) => row(name, quality(&clean, &noisy), quality(&clean, &denoised)),
            None => format!("{name:<24} {} gradients", solved.work.lower_gradients),
        });
        drop(noisy);
        write_png(options.out.join(name), &[vec![denoised]])?;
    }
    print(&format!("wrote them into {}", options.out.display()));
    Ok(())
}
