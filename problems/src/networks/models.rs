//! Classifiers, written once over any [`Scalar`]: their gradients, Hessian products and mixed products follow.
//!
//! | model | input | parameters |
//! |---|---|---|
//! | [`Linear`] | features | C (d + 1) |
//! | [`Perceptron`] | features | a smooth activation between layers of any widths |
//! | [`Convolutional`] | square images | two convolutions of stride 2, and a linear layer |
//! | [`Recurrent`] | tokens: characters or words | an embedding, a gated recurrent unit, and a linear layer |
//!
//! The parameters form one vector, layer after layer: the weight matrix, row after row, then the biases.

mod convolutional;
mod linear;
mod perceptron;
mod recurrent;

pub use convolutional::Convolutional;
pub use linear::Linear;
pub use perceptron::Perceptron;
pub use recurrent::Recurrent;

use bilevel::Error;
use bilevel::autodiff::{Scalar, scalar};
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};
use std::ops::Range;

use crate::data::{Kind, Sample, Samples};

/// The input of a model.
#[derive(Debug, Clone, Copy)]
#[doc(hidden)]
pub enum Input<'a, S> {
    /// The features of a sample.
    Features(&'a [f64]),
    /// Two mixed samples, share · first + (1 − share) · second. The first layer, which is linear, is applied to both and mixes the results.
    Mixed {
        /// The features of one sample.
        first: &'a [f64],
        /// Those of the other.
        second: &'a [f64],
        /// The share of the first.
        share: S,
    },
    /// The product of the [`first_matrix`](Classifier::first_matrix) with the features of a sample or of two mixed samples.
    Products(&'a [S]),
    /// Indices into a vocabulary.
    Tokens(&'a [u32]),
}

/// The class of the largest score, the first of equal ones; none where a score is NaN or infinite.
pub(crate) fn predicted<S: Scalar>(scores: &[S]) -> Option<usize> {
    let finite = scores.iter().all(|s| s.value().is_finite());
    let larger = |best: usize, c: usize| {
        if scores[c].value() > scores[best].value() {
            c
        } else {
            best
        }
    };
    (finite && !scores.is_empty()).then(|| (0..scores.len()).fold(0, larger))
}

impl<'a, S> From<Sample<'a>> for Input<'a, S> {
    fn from(sample: Sample<'a>) -> Self {
        match sample {
            Sample::Features(features) => Input::Features(features),
            Sample::Tokens(tokens) => Input::Tokens(tokens),
        }
    }
}

/// The scores of an input.
pub(crate) fn scores<'a, S: Scalar + 'a>(
    model: &impl Classifier,
    w: &[S],
    input: impl Into<Input<'a, S>>,
) -> Vec<S> {
    let mut scores = vec![S::constant(0.0); model.classes()];
    model.scores(w, input.into(), &mut scores);
    scores
}

/// out ← share · first + (1 − share) · second.
pub(crate) fn mix<S: Scalar>(first: &[S], second: &[S], share: S, out: &mut [S]) {
    let mut other = out.to_vec();
    S::scaled(second, (-share).plus(1.0), &mut other);
    let mut own = out.to_vec();
    S::scaled(first, share, &mut own);
    S::added(&own, &other, out);
}

/// Refuses empty data and data of a kind or a number of classes that the model does not take.
pub(crate) fn fits<D: Samples>(name: &str, model: &impl Classifier, data: &D) -> Result<(), Error> {
    model.check(data.kind())?;
    if data.is_empty() {
        return Err(Error::invalid(name, "empty", "at least one sample"));
    }
    if data.classes() != model.classes() {
        let expected = format!("{}, those of the model", model.classes());
        return Err(Error::invalid("classes", data.classes(), expected));
    }
    Ok(())
}

/// A model that computes a score for each class.
pub trait Classifier: Send + Sync {
    /// The number of parameters.
    fn parameters(&self) -> usize;
    /// The number of classes C.
    fn classes(&self) -> usize;
    /// The ranges of the weight matrices among the parameters, without the biases. A weight compander acts on these.
    fn layers(&self) -> Vec<Range<usize>>;
    /// The range of the matrix by which the model first multiplies the features, or `None` if it begins otherwise. A model with such a matrix
    /// must take [`Input::Products`], which speeds up batches.
    fn first_matrix(&self) -> Option<Range<usize>> {
        None
    }
    /// Initial parameters, random where hidden units must differ.
    fn start(&self, seed: u64) -> Vec<f64>;
    /// out ← the scores of the classes; NaN for an input of a kind that the model does not take.
    fn scores<S: Scalar>(&self, w: &[S], input: Input<'_, S>, out: &mut [S]);
    /// Refuses data that the model does not take: features of another number, tokens beyond the vocabulary.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    fn check(&self, data: Kind) -> Result<(), Error>;
    /// A short name with the sizes, as in `perceptron 784-64-10`.
    fn name(&self) -> String;
}

/// A smooth activation function.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// tanh x.
    #[default]
    Tanh,
    /// ln(1 + eˣ), a smooth form of the rectifier.
    Softplus,
}

impl Activation {
    /// out ← the function of every entry of x.
    pub fn apply<S: Scalar>(self, x: &[S], out: &mut [S]) {
        match self {
            Activation::Tanh => S::map(x, scalar::tanh, out),
            Activation::Softplus => S::map(x, scalar::softplus, out),
        }
    }
}

/// out ← W input + b, where w is W, row after row, and then b.
fn first_layer<S: Scalar>(w: &[S], input: Input<'_, S>, out: &mut [S]) {
    let (matrix, shifts) = w.split_at(w.len() - out.len());
    match input {
        Input::Features(features) => S::mat_data(matrix, features, out),
        Input::Mixed {
            first,
            second,
            share,
        } => {
            let (mut own, mut other) = (out.to_vec(), out.to_vec());
            S::mat_data(matrix, first, &mut own);
            S::mat_data(matrix, second, &mut other);
            mix(&own, &other, share, out);
        }
        Input::Products(products) if products.len() == out.len() => out.copy_from_slice(products),
        Input::Products(_) => return out.fill(S::constant(f64::NAN)),
        Input::Tokens(_) => return out.fill(S::constant(f64::NAN)),
    }
    add(shifts, out);
}

/// out ← W x + b, likewise.
fn layer<S: Scalar>(w: &[S], x: &[S], out: &mut [S]) {
    let (matrix, shifts) = w.split_at(w.len() - out.len());
    S::mat_vec(matrix, x, out);
    add(shifts, out);
}

/// out ← out + x, entry by entry.
fn add<S: Scalar>(x: &[S], out: &mut [S]) {
    let before = out.to_vec();
    S::added(&before, x, out);
}

/// Normal entries of variance 1/`inputs`, with which a layer preserves the size of its input.
fn random(rng: &mut ChaCha8Rng, entries: usize, inputs: usize) -> impl Iterator<Item = f64> + '_ {
    let scale = 1.0 / (inputs.max(1) as f64).sqrt();
    (0..entries).map(move |_| {
        let z: f64 = StandardNormal.sample(rng);
        scale * z
    })
}

fn generator(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn positive(name: &str, value: usize) -> Result<usize, Error> {
    if value > 0 {
        Ok(value)
    } else {
        Err(Error::invalid(name, value, "at least 1"))
    }
}

/// Refuses models whose total number of parameters overflows or is above 2 billion.
fn held(sizes: impl IntoIterator<Item = Option<usize>>) -> Result<(), Error> {
    const MOST: usize = 1 << 31;
    let total = sizes
        .into_iter()
        .try_fold(0usize, |sum, size| sum.checked_add(size?));
    if total.is_some_and(|n| n < MOST) {
        return Ok(());
    }
    Err(Error::invalid(
        "the sizes of the model",
        "more than 2 billion parameters",
        "fewer",
    ))
}
