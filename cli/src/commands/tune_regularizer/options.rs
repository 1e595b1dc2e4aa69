//! The options of the command line.

use bilevel::Mode;
use bilevel_problems::data::Noise;
use bilevel_problems::networks::regularizers::{Compander, Recipe, WeightCompander};
use bilevel_problems::networks::training::{Measure, Optimizer, Settings};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

use crate::options::{Checkpoints, Failure, Precision};

/// Tune a regulariser by gradient through the training run.
#[derive(Args)]
pub(crate) struct Options {
    /// The regulariser, or several, as in elr,wc: early-learning regularisation, self-knowledge distillation, decoupled mixup, weight
    /// compander.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "elr")]
    pub(super) regularizer: Vec<RegularizerName>,
    /// The model that is trained.
    #[arg(long, value_enum, default_value_t = ModelName::Perceptron)]
    pub(super) model: ModelName,
    /// Units of the perceptron's hidden layer, or of the recurrent model's state.
    #[arg(long, default_value_t = 64)]
    pub(super) hidden: usize,
    /// A folder with MNIST or a data set of its form: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same of `t10k`, plain
    /// or `.gz`. Without it 5,000 images of clothes that ship with the crate.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Training samples. [default: all that are not for validation]
    #[arg(long, value_name = "N")]
    pub(super) train: Option<usize>,
    /// Validation samples, whose labels are right.
    #[arg(long, value_name = "M", default_value_t = 1000)]
    pub(super) validation: usize,
    /// Test samples, at most. [default: all]
    #[arg(long, value_name = "K")]
    pub(super) test: Option<usize>,
    /// The share of the training labels that is wrong.
    #[arg(long, default_value_t = 0.4, allow_hyphen_values = true)]
    pub(super) noise: f64,
    /// Which labels are wrong.
    #[arg(long, value_enum, default_value_t = NoiseName::Symmetric)]
    pub(super) noise_kind: NoiseName,
    /// Passes over the training data.
    #[arg(long, default_value_t = 20)]
    pub(super) epochs: usize,
    /// Samples of a batch.
    #[arg(long, default_value_t = 64)]
    pub(super) batch: usize,
    /// The first step of the training. Long ones make a run chaotic, and its derivative huge.
    #[arg(long, default_value_t = 0.02, allow_hyphen_values = true)]
    pub(super) step: f64,
    /// The optimiser of the training.
    #[arg(long, value_enum, default_value_t = OptimizerName::Sgd)]
    pub(super) optimizer: OptimizerName,
    /// C of a penalty (C/2)‖w‖².
    #[arg(long, default_value_t = 1e-4)]
    pub(super) decay: f64,
    /// The measure that is tuned for: the cross-entropy on validation data; 1 − p of the label, a smooth form of the share of mistakes; or the
    /// cross-entropy once a temperature has been fitted to the scores.
    #[arg(long, value_enum, default_value_t = MeasureName::CrossEntropy)]
    pub(super) measure: MeasureName,
    /// The solver of the upper level: maid-extrapolating, hoag-quadratic, tpe, …; an unknown name prints the list.
    #[arg(long, default_value = "maid-extrapolating")]
    pub(super) solver: String,
    /// How the training run is differentiated. `auto` goes forward for one hyperparameter, which costs 3.5 trainings, and backwards for
    /// more, which costs 4 to 5 however many there are.
    #[arg(long, value_enum, default_value_t = ModeName::Auto)]
    pub(super) mode: ModeName,
    /// States of the run in memory, of the modes that go backwards.
    #[arg(long, default_value_t = 100)]
    pub(super) checkpoints_in_memory: usize,
    /// Steps that `truncated` goes back.
    #[arg(long, default_value_t = 200)]
    pub(super) last_steps: usize,
    /// Through the run, or implicitly at targets that are held still: then the lower level is solved in f64, seconds are those of a round of
    /// iterations, and report and trace are of the last round.
    #[arg(long, value_enum, default_value_t = Treatment::Unrolled)]
    pub(super) treatment: Treatment,
    /// Iterations between new targets, where they are held still.
    #[arg(long, default_value_t = 5)]
    pub(super) refresh: u64,
    /// Iterations of the upper level, at most.
    #[arg(long, default_value_t = 4)]
    pub(super) max_iterations: u64,
    /// Seconds, at most. A run that ends by it is not reproducible to the byte.
    #[arg(long)]
    pub(super) max_seconds: Option<f64>,
    /// Stop when ‖z‖ + ω, which bounds ‖∇F‖, is below this.
    #[arg(long, default_value_t = 1e-3)]
    pub(super) tolerance: f64,
    /// First or constant accuracy of the lower level, where targets are held still.
    #[arg(long, default_value_t = 0.01)]
    pub(super) accuracy: f64,
    /// Half the width of the box around the published θ (of a round: its first θ), of solvers that search in one.
    #[arg(long, default_value_t = 2.0)]
    pub(super) half_width: f64,
    /// Trials of a search by TPE, to compare with, or of `--solver tpe`; 0 for none.
    #[arg(long, default_value_t = 0)]
    pub(super) tpe_trials: u64,
    /// Seed of the split, the wrong labels, the first weights and the batches.
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Runs with this and the next seeds. Figures are of the first.
    #[arg(long, default_value_t = 1)]
    pub(super) seeds: u64,
    /// Numbers of the training.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(super) precision: Precision,
    #[command(flatten)]
    pub(super) checkpoints: Checkpoints,
    /// Output folder.
    #[arg(long, value_name = "DIR", default_value = "out/tune_regularizer")]
    pub(super) out: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RegularizerName {
    Elr,
    Pskd,
    Dm,
    Wc,
    WcTanh,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ModelName {
    Linear,
    Perceptron,
    Convolutional,
    Recurrent,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum NoiseName {
    Symmetric,
    Pair,
    Instance,
}

impl From<NoiseName> for Noise {
    fn from(name: NoiseName) -> Noise {
        match name {
            NoiseName::Symmetric => Noise::Symmetric,
            NoiseName::Pair => Noise::Pair,
            NoiseName::Instance => Noise::InstanceDependent,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum MeasureName {
    CrossEntropy,
    Error,
    Calibrated,
}

impl From<MeasureName> for Measure {
    fn from(name: MeasureName) -> Measure {
        match name {
            MeasureName::CrossEntropy => Measure::CrossEntropy,
            MeasureName::Error => Measure::Error,
            MeasureName::Calibrated => Measure::Calibrated,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum OptimizerName {
    Sgd,
    Adam,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ModeName {
    Auto,
    Forward,
    Reverse,
    Truncated,
    OneStep,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Treatment {
    Unrolled,
    Frozen,
}

impl Options {
    pub(super) fn recipe(&self) -> Result<Recipe, Failure> {
        let mut recipe = Recipe::default();
        for name in &self.regularizer {
            match name {
                RegularizerName::Elr => recipe.elr = Recipe::elr().elr,
                RegularizerName::Pskd => recipe.pskd = Recipe::pskd().pskd,
                RegularizerName::Dm => recipe.mixup = Recipe::mixup().mixup,
                RegularizerName::Wc => recipe.compander = Recipe::compander().compander,
                RegularizerName::WcTanh => {
                    recipe.compander = Some(WeightCompander {
                        shape: Compander::Tanh,
                        ..WeightCompander::default()
                    });
                }
                RegularizerName::None if self.regularizer.len() > 1 => {
                    return Err("--regularizer none stands alone".into());
                }
                RegularizerName::None => {}
            }
        }
        Ok(recipe)
    }

    pub(super) fn settings(&self, seed: u64) -> Settings {
        Settings {
            epochs: self.epochs,
            batch: self.batch,
            step: self.step,
            decay: self.decay,
            optimizer: match self.optimizer {
                OptimizerName::Sgd => Optimizer::default(),
                OptimizerName::Adam => Optimizer::adam(),
            },
            seed,
            ..Settings::default()
        }
    }

    /// The mode for this many hyperparameters.
    pub(super) fn mode(&self, hyperparameters: usize) -> Mode {
        let checkpoints = self.checkpoints_in_memory;
        match self.mode {
            ModeName::Auto if hyperparameters <= 1 => Mode::Forward,
            ModeName::Forward => Mode::Forward,
            ModeName::Auto | ModeName::Reverse => Mode::Reverse { checkpoints },
            ModeName::Truncated => Mode::Truncated {
                steps: self.last_steps,
                checkpoints,
            },
            ModeName::OneStep => Mode::OneStep,
        }
    }
}
