//! Stochastic methods by name, beside all other solvers.

use bilevel::stochastic::{
    AccBo, Amigo, BoRep, Bome, Bsa, F2sa, Fsla, MaSoba, Method, MinibatchOracle, Mrbo, Saba, Slip,
    Soba, Srba, StepSize, StocBio, Stochastic, Sustain, Ttsa, Vrbo,
};
use bilevel::{Accuracy, Error, SearchBox};

use super::names::nearest;
use super::runs::{AnySolver, boxed};
use super::solvers;

/// What all stochastic methods are told.
#[derive(Debug, Clone, Copy)]
pub struct Batches {
    /// Samples of a batch of either level.
    pub size: usize,
    /// Iterations of the method in one of the driver.
    pub block: u64,
    /// Seed of the batches.
    pub seed: u64,
    /// γ₀, the first step of x and v, where it is not to be estimated.
    pub lower_step: Option<f64>,
    /// η₀, the first step of θ, where it is not to be estimated.
    pub upper_step: Option<f64>,
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
            lower_step: first(batches.lower_step),
            upper_step: first(batches.upper_step),
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
pub const METHODS: [&str; 17] = [
    "soba", "saba", "ma-soba", "stocbio", "ttsa", "bsa", "amigo", "mrbo", "vrbo", "sustain",
    "fsla", "srba", "f2sa", "bome", "bo-rep", "slip", "accbo",
];

/// The solver called `name`: a stochastic method, or one of [`solvers::solver`].
///
/// # Errors
/// As for [`solvers::solver`].
pub fn batch_solver<'a, O: MinibatchOracle + 'a>(
    name: &str,
    batches: Batches,
    accuracy: Accuracy,
    region: &SearchBox,
) -> Result<AnySolver<'a, O>, Error> {
    let mut methods = known::<O>(batches, accuracy);
    if let Some(at) = methods.iter().position(|(known, _)| *known == name) {
        return Ok(methods.swap_remove(at).1);
    }
    solvers::solver(name, accuracy, region).map_err(|error| with_methods(error, name))
}

/// The refusal of a name that is no solver's, with the methods that there are too.
pub(super) fn with_methods(error: Error, name: &str) -> Error {
    match error {
        Error::InvalidArgument {
            argument,
            found,
            expected,
        } if found == format!("`{name}`") => {
            let near = nearest(name, &METHODS);
            let expected = match near.starts_with("perhaps") {
                true => format!("{near}, or {expected}"),
                false => expected,
            };
            let expected = format!("{expected}; and on batches {}", METHODS.join(", "));
            Error::invalid(argument, found, expected)
        }
        other => other,
    }
}
