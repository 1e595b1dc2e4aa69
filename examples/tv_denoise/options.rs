//! The command line: options, the images that they name, the output folder, and one line for every mistake.

use bilevel::upper::ToleranceSchedule;
use bilevel::{Trust, parallel};
use bilevel_problems::data::{photograph, read_npy, read_pngs, resized};
use bilevel_problems::imaging::{Image, Norm};
use clap::{Parser, ValueEnum};
use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Clean and noisy images.
pub(crate) type Pairs = (Vec<Image<f64>>, Vec<Image<f64>>);

/// More noise than this hides an image from any storage type.
const MAX_SIGMA: f64 = 1e6;

/// Learn the weight and the smoothing of total-variation denoising by hypergradient.
#[derive(Parser)]
#[command(name = "tv_denoise")]
pub(crate) struct Options {
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
    pub(crate) theta: Vec<f64>,
    /// First (maid, hoag) or constant (fixed) accuracy ε of the lower-level solutions.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) epsilon: f64,
    /// First or constant accuracy δ of the adjoint solutions.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) delta: f64,
    /// Total variation: |∂ₕx| + |∂ᵥx|, or the length of the gradient.
    #[arg(long, value_enum, default_value_t = NormName::Anisotropic)]
    pub(crate) norm: NormName,
    /// Upper-level solver.
    #[arg(long, value_enum, default_value_t = SolverName::Maid)]
    pub(crate) solver: SolverName,
    /// Tolerance law of hoag.
    #[arg(long, value_enum, default_value_t = LawName::Quadratic)]
    pub(crate) law: LawName,
    /// Error bounds from constants that hold for certain, or from samples.
    #[arg(long, value_enum, default_value_t = TrustName::Certified)]
    pub(crate) trust: TrustName,
    /// Storage of the images.
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    pub(crate) precision: Precision,
    /// Iterations of the upper level, at most.
    #[arg(long, default_value_t = 200)]
    pub(crate) max_iterations: u64,
    /// Stop when ‖z‖ + ω, which bounds ‖∇F‖, is below this.
    #[arg(long, default_value_t = 0.5)]
    pub(crate) tolerance: f64,
    /// Threads; all cores by default. The results do not depend on it.
    #[arg(long)]
    threads: Option<usize>,
    /// Evaluate value and hypergradient at --theta to --epsilon and --delta, and stop.
    #[arg(long, conflicts_with_all = ["checkpoint", "resume"])]
    pub(crate) evaluate: bool,
    /// Write a checkpoint into this file after every iteration.
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Resume from a checkpoint, with the limits given here; it is kept up to date unless --checkpoint names another file.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/tv_denoise")]
    pub(crate) out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum NormName {
    Anisotropic,
    Isotropic,
}

impl From<NormName> for Norm {
    fn from(name: NormName) -> Norm {
        match name {
            NormName::Anisotropic => Norm::Anisotropic,
            NormName::Isotropic => Norm::Isotropic,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SolverName {
    Maid,
    Hoag,
    Fixed,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LawName {
    Exponential,
    Quadratic,
    Cubic,
}

impl From<LawName> for ToleranceSchedule {
    fn from(name: LawName) -> ToleranceSchedule {
        match name {
            LawName::Exponential => ToleranceSchedule::Exponential,
            LawName::Quadratic => ToleranceSchedule::Quadratic,
            LawName::Cubic => ToleranceSchedule::Cubic,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum TrustName {
    Certified,
    Estimated,
    Unknown,
}

impl From<TrustName> for Trust {
    fn from(name: TrustName) -> Trust {
        match name {
            TrustName::Certified => Trust::Certified,
            TrustName::Estimated => Trust::Estimated,
            TrustName::Unknown => Trust::Unknown,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Precision {
    F64,
    F32,
}

/// A number, with or without blanks around it.
fn number(text: &str) -> Result<f64, std::num::ParseFloatError> {
    text.trim().parse()
}

impl Options {
    /// The clean and the noisy images that the options ask for.
    pub(crate) fn images(&self) -> Result<Pairs, Failure> {
        if let (Some(clean), Some(noisy)) = (&self.clean, &self.noisy) {
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
        let sigma = self.sigma;
        if !(0.0..=MAX_SIGMA).contains(&sigma) {
            return Err(
                format!("--sigma is {sigma:?}; expected a number from 0 to {MAX_SIGMA:?}").into(),
            );
        }
        let mut clean = Vec::new();
        for path in &self.images {
            clean.extend(read_pngs(path)?);
        }
        if clean.is_empty() {
            clean.push(photograph("camera")?);
        }
        if let Some(size) = self.size {
            for image in &mut clean {
                *image = resized(image, size)?;
            }
        }
        // Every image has a stream of its own.
        let noisy = clean.iter().zip(0..);
        let noisy = noisy.map(|(image, stream)| image.with_noise(sigma, self.seed, stream));
        let noisy = noisy.collect();
        Ok((clean, noisy))
    }

    /// Makes sure that the output folder can be written to, before any work is done.
    pub(crate) fn prepare(&self, outputs: &[&str]) -> Result<(), Failure> {
        let out = &self.out;
        let refuse = |e: std::io::Error| {
            format!(
                "{}: the output folder cannot be written to: {e}",
                out.display()
            )
        };
        std::fs::create_dir_all(out).map_err(refuse)?;
        let probe = out.join(".probe.partial");
        std::fs::write(&probe, b"").map_err(refuse)?;
        std::fs::remove_file(&probe).map_err(refuse)?;
        for name in outputs {
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
}

/// Reads the options and does `work` with them on as many threads as they say. A mistake ends the program with one line on
/// standard error and exit code 2.
pub(crate) fn main(work: impl Fn(&Options) -> Result<(), Failure> + Sync) -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        // A mistake gets one line; help and version are printed as they are.
        Err(error) if error.use_stderr() => {
            let text = error.to_string();
            let reason = text.split("Usage:").next().unwrap_or_default();
            let reason = reason.split("For more information").next();
            let reason = reason.unwrap_or_default().trim_start_matches("error:");
            let words: Vec<&str> = reason.split_whitespace().collect();
            return fail(&format!("{}; try --help", words.join(" ")));
        }
        Err(error) => error.exit(),
    };
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = options.threads.unwrap_or_else(all);
    match parallel::with_threads(threads, || work(&options)) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => fail(&error),
        Err(error) => fail(&error),
    }
}

fn fail(error: &impl Display) -> ExitCode {
    eprintln!("tv_denoise: {error}");
    ExitCode::from(2)
}
