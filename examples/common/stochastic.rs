//! Stochastic methods by name, beside all other solvers.

use bilevel::stochastic::{
    AccBo, Amigo, BoRep, Bome, Bsa, F2sa, Fsla, MaSoba, Method, MinibatchOracle, Mrbo, Saba, Slip,
    Soba, Srba, StocBio, Stochastic, Sustain, Ttsa, Vrbo,
};
use bilevel::{Accuracy, Region};

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
}

/// The stochastic methods by name. A new one is a new line.
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
            accuracy,
            ..Stochastic::new(M::default())
        })
    }
    macro_rules! named {
        ($($name:literal: $method:ty),* $(,)?) => {
            vec![$(($name, with::<O, $method>(batches, accuracy))),*]
        };
    }
    named![
        "soba": Soba,
        "saba": Saba,
        "ma-soba": MaSoba,
        "stocbio": StocBio,
        "ttsa": Ttsa,
        "bsa": Bsa,
        "amigo": Amigo,
        "mrbo": Mrbo,
        "vrbo": Vrbo,
        "sustain": Sustain,
        "fsla": Fsla,
        "srba": Srba,
        "f2sa": F2sa,
        "bome": Bome,
        "bo-rep": BoRep,
        "slip": Slip,
        "accbo": AccBo,
    ]
}

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
    solvers::solver(name, accuracy, region).map_err(|other| {
        let names: Vec<&str> = methods.iter().map(|(name, _)| *name).collect();
        format!("{other}; and on batches {}", names.join(", ")).into()
    })
}
