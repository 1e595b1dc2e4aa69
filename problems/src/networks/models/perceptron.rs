//! A multilayer perceptron with a smooth activation.

use bilevel::Error;
use bilevel::autodiff::Scalar;
use std::ops::Range;

use super::{Activation, Classifier, Input, first_layer, generator, held, layer, positive, random};
use crate::data::Kind;

/// z = W_L φ(W_{L−1} φ(… W₁ a + b₁ …) + b_{L−1}) + b_L.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Perceptron {
    /// Features, the widths of the hidden layers, classes.
    widths: Vec<usize>,
    activation: Activation,
}

impl Perceptron {
    /// For this many features and classes, with hidden layers of these widths.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a width of 0.
    pub fn new(
        features: usize,
        hidden: &[usize],
        classes: usize,
        activation: Activation,
    ) -> Result<Self, Error> {
        let widths = [&[features], hidden, &[classes]].concat();
        for &width in &widths {
            positive("a width of the perceptron", width)?;
        }
        let sizes = widths.windows(2).map(|pair| {
            let inputs = pair[0].checked_add(1)?;
            inputs.checked_mul(pair[1])
        });
        held(sizes)?;
        Ok(Perceptron { widths, activation })
    }

    /// The parameter range of every layer, with its numbers of inputs and outputs.
    fn places(&self) -> impl Iterator<Item = (Range<usize>, usize, usize)> + '_ {
        let mut end = 0;
        self.widths.windows(2).map(move |pair| {
            let start = end;
            end += pair[1] * (pair[0] + 1);
            (start..end, pair[0], pair[1])
        })
    }
}

impl Classifier for Perceptron {
    fn parameters(&self) -> usize {
        self.places().last().map_or(0, |(place, ..)| place.end)
    }

    fn classes(&self) -> usize {
        self.widths[self.widths.len() - 1]
    }

    fn layers(&self) -> Vec<Range<usize>> {
        self.places()
            .map(|(place, inputs, outputs)| place.start..place.start + inputs * outputs)
            .collect()
    }

    fn first_matrix(&self) -> Option<Range<usize>> {
        Some(0..self.widths[0] * self.widths[1])
    }

    fn start(&self, seed: u64) -> Vec<f64> {
        let mut rng = generator(seed);
        let mut w = Vec::with_capacity(self.parameters());
        for (_, inputs, outputs) in self.places() {
            w.extend(random(&mut rng, inputs * outputs, inputs));
            w.resize(w.len() + outputs, 0.0);
        }
        w
    }

    fn scores<S: Scalar>(&self, w: &[S], input: Input<'_, S>, out: &mut [S]) {
        let last = self.widths.len() - 2;
        let mut units: Vec<S> = Vec::new();
        for (k, (place, _, outputs)) in self.places().enumerate() {
            let mut sums = vec![S::constant(0.0); outputs];
            if k == 0 {
                first_layer(&w[place], input, &mut sums);
            } else {
                layer(&w[place], &units, &mut sums);
            }
            if k == last {
                out.copy_from_slice(&sums);
            } else {
                units.resize(outputs, S::constant(0.0));
                self.activation.apply(&sums, &mut units);
            }
        }
    }

    fn check(&self, data: Kind) -> Result<(), Error> {
        data.expect(Kind::Features(self.widths[0]))
    }

    fn name(&self) -> String {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        format!("perceptron {} {:?}", widths.join("-"), self.activation)
    }
}
