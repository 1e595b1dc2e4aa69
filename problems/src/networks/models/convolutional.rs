//! A small convolutional net.

use bilevel::Error;
use bilevel::autodiff::Scalar;
use std::ops::Range;

use super::{Activation, Classifier, Input, first_layer, generator, held, layer, positive, random};
use crate::data::Kind;

/// The side of the filters of the first and the second convolution.
const SIDES: [usize; 2] = [5, 3];
/// The stride of both convolutions.
const STRIDE: usize = 2;

/// Two convolutions of stride 2 without padding, 5×5 and 3×3, each with a smooth activation, and a linear layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convolutional {
    /// The side of the images and of the outputs of the two convolutions.
    sides: [usize; 3],
    /// The channels of the image (one) and of the outputs of the two convolutions.
    channels: [usize; 3],
    classes: usize,
    activation: Activation,
}

impl Convolutional {
    /// For images of `side` × `side` pixels, with this many filters of each convolution.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for images of a side below 9, and for no filters or classes.
    pub fn new(
        side: usize,
        filters: [usize; 2],
        classes: usize,
        activation: Activation,
    ) -> Result<Self, Error> {
        let after = |side: usize, filter: usize| Some(side.checked_sub(filter)? / STRIDE + 1);
        let first = after(side, SIDES[0]);
        let (Some(first), Some(second)) = (first, first.and_then(|side| after(side, SIDES[1])))
        else {
            return Err(Error::invalid("the side of the images", side, "at least 9"));
        };
        for width in [filters[0], filters[1], classes] {
            positive("a number of filters or classes", width)?;
        }
        let model = Convolutional {
            sides: [side, first, second],
            channels: [1, filters[0], filters[1]],
            classes,
            activation,
        };
        let convolved = |k: usize| {
            let filter = model.channels[k].checked_mul(SIDES[k] * SIDES[k])?;
            filter.checked_add(1)?.checked_mul(model.channels[k + 1])
        };
        let units = second
            .checked_mul(second)
            .and_then(|n| n.checked_mul(filters[1]));
        let last = units.and_then(|n| n.checked_add(1)?.checked_mul(classes));
        let sizes = [convolved(0), convolved(1), last];
        held(sizes)?;
        Ok(model)
    }

    fn units(&self) -> usize {
        self.sides[2] * self.sides[2] * self.channels[2]
    }

    /// Inputs and outputs of the three layers.
    fn shapes(&self) -> [(usize, usize); 3] {
        let c = self.channels;
        [
            (c[0] * SIDES[0] * SIDES[0], c[1]),
            (c[1] * SIDES[1] * SIDES[1], c[2]),
            (self.units(), self.classes),
        ]
    }

    fn places(&self) -> [Range<usize>; 3] {
        let mut end = 0;
        self.shapes().map(|(inputs, outputs)| {
            let start = end;
            end += outputs * (inputs + 1);
            start..end
        })
    }
}

/// The upper left corners of the patches of a convolution, row by row.
fn corners(side: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..side * side).map(move |k| (STRIDE * (k / side), STRIDE * (k % side)))
}

impl Classifier for Convolutional {
    fn parameters(&self) -> usize {
        self.places()[2].end
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn layers(&self) -> Vec<Range<usize>> {
        let pairs = self.places().into_iter().zip(self.shapes());
        pairs
            .map(|(place, (inputs, outputs))| place.start..place.start + inputs * outputs)
            .collect()
    }

    fn start(&self, seed: u64) -> Vec<f64> {
        let mut rng = generator(seed);
        let mut w = Vec::with_capacity(self.parameters());
        for (inputs, outputs) in self.shapes() {
            w.extend(random(&mut rng, inputs * outputs, inputs));
            w.resize(w.len() + outputs, 0.0);
        }
        w
    }

    fn scores<S: Scalar>(&self, w: &[S], input: Input<'_, S>, out: &mut [S]) {
        let [first, second, last] = self.places();
        let [image, side, end] = self.sides;
        let c = self.channels;
        let zero = S::constant(0.0);
        // Units are stored position by position, the channels of a position side by side.
        let mut sums = vec![zero; side * side * c[1]];
        let mut patches = [
            vec![0.0; SIDES[0] * SIDES[0]],
            vec![0.0; SIDES[0] * SIDES[0]],
        ];
        for ((row, column), sums) in corners(side).zip(sums.chunks_exact_mut(c[1])) {
            let cut = |from: &[f64], to: &mut [f64]| {
                for (k, to) in to.chunks_exact_mut(SIDES[0]).enumerate() {
                    let at = (row + k) * image + column;
                    to.copy_from_slice(&from[at..at + SIDES[0]]);
                }
            };
            let [left, right] = &mut patches;
            let patch = match input {
                Input::Features(from) => {
                    cut(from, left);
                    Input::Features(left)
                }
                Input::Mixed {
                    first,
                    second,
                    share,
                } => {
                    cut(first, left);
                    cut(second, right);
                    Input::Mixed {
                        first: left,
                        second: right,
                        share,
                    }
                }
                Input::Products(_) | Input::Tokens(_) => return out.fill(S::constant(f64::NAN)),
            };
            first_layer(&w[first.clone()], patch, sums);
        }
        let mut units = vec![zero; sums.len()];
        self.activation.apply(&sums, &mut units);
        let mut sums = vec![zero; end * end * c[2]];
        let mut patch = vec![zero; SIDES[1] * SIDES[1] * c[1]];
        for ((row, column), sums) in corners(end).zip(sums.chunks_exact_mut(c[2])) {
            let width = SIDES[1] * c[1];
            for (k, patch) in patch.chunks_exact_mut(width).enumerate() {
                let at = ((row + k) * side + column) * c[1];
                patch.copy_from_slice(&units[at..at + width]);
            }
            layer(&w[second.clone()], &patch, sums);
        }
        let mut units = vec![zero; sums.len()];
        self.activation.apply(&sums, &mut units);
        layer(&w[last], &units, out);
    }

    fn check(&self, data: Kind) -> Result<(), Error> {
        data.expect(Kind::Features(self.sides[0] * self.sides[0]))
    }

    fn name(&self) -> String {
        format!(
            "convolutional {}x{} {}-{}-{} {:?}",
            self.sides[0],
            self.sides[0],
            self.channels[1],
            self.channels[2],
            self.classes,
            self.activation
        )
    }
}
