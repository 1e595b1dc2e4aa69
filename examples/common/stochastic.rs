//! Stochastic methods by name, beside all other solvers.

use bilevel::stochastic::{
    AccBo, Amigo, BoRep, Bome, Bsa, F2sa, Fsla, MaSoba, Method, MinibatchOracle, Mrbo, Saba, Slip,
    Soba, Srba, StepSize, StocBio, Stochastic, Sustain, Ttsa, Vrbo,
};
use bilevel::{Accuracy, Region};
use clap::Args;

use super::Failure;
use super::solvers::{self, AnySolver, boxed};

/// What all stochastic methods are told.
#[derive(Clone, Copy)]
pub(crate) struct Batches {
    /// Samples of a batch of either level.
    pub(crate) size: usize,
    /// Iterations of the method in one of the driver.
    pub(crate) block: u64,
    pub(crate) seed: u64,
    /// γ₀ and η₀, where they are not to be estimated.
    pub(crate) steps: Steps,
}

/// First steps of stochastic methods.
#[derive(Clone, Copy, Args)]
pub(crate) struct Steps {
    /// γ₀ of stochastic methods, the first step of x and v; estimated by default.
    #[arg(long, value_name = "GAMMA")]
    pub(crate) lower_step: Option<f64>,
    /// η₀ of stochastic methods, the first step of θ; estimated by default.
    #[arg(long, value_name = "ETA")]
    pub(crate) upper_step: Option<f64>,
}

/// The stochastic methods, in the order of [`METHODS`]. A new one is a name there and a type here.
fn known<'a, O: MinibatchOracle + 'a>(
    batches: Batches,
    accuracy: Accuracy,
) -> Vec<(&'static str, AnySolver<'a, O>)> {
    fn with<'a, O: MinibatchOracle + 'a, M: Method + Default + 'a>(
        batches: Batches,
        accuracy: Accuracy,
    ) -> AnySolver<'a, O> {
        boxed(Stochastic {
            lower_batch: batches.size,
            upper_batch: batches.size,
            block: batches.block,
            seed: batches.seed,
            lower_step: first(batches.steps.lower_step),
            upper_step: first(batches.steps.upper_step),
            accuracy,
            ..Stochastic::new(M::default())
        })
    }
    fn first(step: Option<f64>) -> StepSize {
        StepSize {
            first: step,
            ..StepSize::default()
        }
    }
    macro_rules! each {
        ($($method:ty),* $(,)?) => {
            METHODS.into_iter().zip([$(with::<O, $method>(batches, accuracy)),*]).collect()
        };
    }
    each![
        Soba, Saba, MaSoba, StocBio, Ttsa, Bsa, Amigo, Mrbo, Vrbo, Sustain, Fsla, Srba, F2sa, Bome,
        BoRep, Slip, AccBo,
    ]
}

/// The names of the stochastic methods.
pub(crate) const METHODS: [&str; 17] = [
    "soba", "saba", "ma-soba", "stocbio", "ttsa", "bsa", "amigo", "mrbo", "vrbo", "sustain",
    "fsla", "srba", "f2sa", "bome", "bo-rep", "slip", "accbo",
];

/// The solver called `name`: a stochastic method, or one of [`solvers::solver`].
pub(crate) fn solver<'a, O: MinibatchOracle + 'a>(
    name: &str,
    batches: Batches,
    accuracy: Accuracy,
    region: &Region,
) -> Result<AnySolver<'a, O>, Failure> {
    let mut methods = known::<O>(batches, accuracy);
    if let Some(at) = methods.iter().position(|(known, _)| *known == name) {
        return Ok(methods.swap_remove(at).1);
    }
    solvers::solver(name, accuracy, region)
        .map_err(|other| format!("{other}; and on batches {}", METHODS.join(", ")).into())
}
