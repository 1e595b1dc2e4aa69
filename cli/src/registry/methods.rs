//! Stochastic methods by name.

use bilevel::stochastic::{
    AccBo, Amigo, BoRep, Bome, Bsa, F2sa, Fsla, MaSoba, Method, Mrbo, Saba, Slip, Soba, Srba,
    StepSize, StocBio, Stochastic, Sustain, Ttsa, Vrbo,
};
use bilevel::{Accuracy, Error, SearchBox};
use std::marker::PhantomData;

use super::names::nearest;
use super::{Entry, entry, solvers};
use crate::finite_sum::DynSum;
use crate::runs::{AnySolver, boxed};

/// A use of the register: [`methods`] calls it with the type of every method.
pub trait OfMethod {
    /// The result for one method.
    type Output;

    /// Makes the result for the method `M`.
    fn of<M: Method + Default + 'static>(&self) -> Self::Output;
}

/// The register of stochastic methods, each with the result of `make` for its type. A new method is one entry here.
#[rustfmt::skip] // one line for each
pub fn methods<V: OfMethod>(make: &V) -> Vec<Entry<V::Output>> {
    vec![
        entry("soba", "one step of SGD on x, v and θ at once", make.of::<Soba>()),
        entry("saba", "SOBA with variance-reduced directions, as in SAGA", make.of::<Saba>()),
        entry("ma-soba", "SOBA with a moving average of the directions of θ", make.of::<MaSoba>()),
        entry("stocbio", "steps of SGD on x, a Neumann series for v, one step of θ", make.of::<StocBio>()),
        entry("ttsa", "SGD on two time scales with a Neumann series for v", make.of::<Ttsa>()),
        entry("bsa", "a loop of SGD with decreasing steps and a Neumann series", make.of::<Bsa>()),
        entry("amigo", "a few steps of SGD on x and on v, both from where they stood", make.of::<Amigo>()),
        entry("mrbo", "recursive momentum on both levels and a Neumann hypergradient", make.of::<Mrbo>()),
        entry("vrbo", "SPIDER on both levels", make.of::<Vrbo>()),
        entry("sustain", "recursive momentum on both levels on one time scale", make.of::<Sustain>()),
        entry("fsla", "a fully single loop with the momentum of STORM for θ", make.of::<Fsla>()),
        entry("srba", "recursive directions of x, v and θ, as in SARAH and SPIDER", make.of::<Srba>()),
        entry("f2sa", "first-order penalty method without products with A or B", make.of::<F2sa>()),
        entry("bome", "first-order method with a barrier on the lower-level value", make.of::<Bome>()),
        entry("bo-rep", "normalised momentum and periodic lower steps, for unbounded smoothness", make.of::<BoRep>()),
        entry("slip", "normalised momentum in a single loop, for unbounded smoothness", make.of::<Slip>()),
        entry("accbo", "normalised recursive momentum, for unbounded smoothness", make.of::<AccBo>()),
    ]
}

/// Makes nothing, for the names alone.
struct Nothing;

impl OfMethod for Nothing {
    type Output = ();

    fn of<M: Method + Default + 'static>(&self) {}
}

/// The names and descriptions of the register, in its order.
pub fn descriptions() -> Vec<Entry<()>> {
    methods(&Nothing)
}

/// The names of the stochastic methods.
pub fn names() -> Vec<&'static str> {
    descriptions().iter().map(|entry| entry.name).collect()
}

/// Whether a stochastic method is called `name`.
pub fn is_method(name: &str) -> bool {
    names().contains(&name)
}

/// The settings that all stochastic methods share.
#[derive(Debug, Clone, Copy)]
pub struct Batches {
    /// Samples in a batch of either level.
    pub size: usize,
    /// Iterations of the method in one of the driver.
    pub block: u64,
    /// Seed of the batches.
    pub seed: u64,
    /// γ₀, the first step of x and v; estimated where it is `None`.
    pub lower_step: Option<f64>,
    /// η₀, the first step of θ; estimated where it is `None`.
    pub upper_step: Option<f64>,
}

/// The methods as solvers for any problem of finite sums.
struct OnBatches<'a> {
    batches: Batches,
    accuracy: Accuracy,
    oracle: PhantomData<&'a ()>,
}

/// A solver for any problem of finite sums.
pub type BatchSolver<'a> = AnySolver<'a, &'a DynSum<'a, f64>>;

impl<'a> OfMethod for OnBatches<'a> {
    type Output = BatchSolver<'a>;

    fn of<M: Method + Default + 'static>(&self) -> BatchSolver<'a> {
        let first = |first| StepSize {
            first,
            ..StepSize::default()
        };
        let batches = self.batches;
        boxed(Stochastic {
            lower_batch: batches.size,
            upper_batch: batches.size,
            block: batches.block,
            seed: batches.seed,
            lower_step: first(batches.lower_step),
            upper_step: first(batches.upper_step),
            accuracy: self.accuracy,
            ..Stochastic::new(M::default())
        })
    }
}

/// The solver called `name`: a stochastic method, or one of [`solvers::solver`].
///
/// # Errors
/// As for [`solvers::solver`].
pub fn batch_solver<'a>(
    name: &str,
    batches: Batches,
    accuracy: Accuracy,
    search_box: &SearchBox,
) -> Result<BatchSolver<'a>, Error> {
    let on_batches = OnBatches {
        batches,
        accuracy,
        oracle: PhantomData,
    };
    let mut all = methods(&on_batches).into_iter();
    if let Some(found) = all.find(|known| known.name == name) {
        return Ok(found.value);
    }
    solvers::solver(name, accuracy, search_box).map_err(|error| with_methods(error, name))
}

/// The refusal of an unknown solver, with the names of the methods added.
pub(crate) fn with_methods(error: Error, name: &str) -> Error {
    match error {
        Error::InvalidArgument {
            argument,
            found,
            expected,
        } if found == format!("`{name}`") => {
            let names = names();
            let near = nearest(name, &names);
            let expected = match near.starts_with("perhaps") {
                true => format!("{near}, or {expected}"),
                false => expected,
            };
            let expected = format!("{expected}; and on batches {}", names.join(", "));
            Error::invalid(argument, found, expected)
        }
        other => other,
    }
}
