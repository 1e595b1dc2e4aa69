//! A linear model with softmax.

use bilevel::Error;
use bilevel::autodiff::Scalar;
use std::ops::Range;

use super::{Classifier, Input, first_layer, held, positive};
use crate::data::Kind;

/// z = W a + b: multinomial logistic regression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linear {
    features: usize,
    classes: usize,
}

impl Linear {
    /// For this many features and classes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for none.
    pub fn new(features: usize, classes: usize) -> Result<Self, Error> {
        positive("features", features)?;
        positive("classes", classes)?;
        held([features.checked_add(1).and_then(|n| n.checked_mul(classes))])?;
        Ok(Linear { features, classes })
    }
}

impl Classifier for Linear {
    fn parameters(&self) -> usize {
        self.classes * (self.features + 1)
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn layers(&self) -> Vec<Range<usize>> {
        let matrix = 0..self.classes * self.features;
        std::iter::once(matrix).collect()
    }

    fn first_matrix(&self) -> Option<Range<usize>> {
        Some(0..self.classes * self.features)
    }

    /// 0: there is one minimiser.
    fn start(&self, _seed: u64) -> Vec<f64> {
        vec![0.0; self.parameters()]
    }

    fn scores<S: Scalar>(&self, w: &[S], input: Input<'_, S>, out: &mut [S]) {
        first_layer(w, input, out);
    }

    fn check(&self, data: Kind) -> Result<(), Error> {
        data.expect(Kind::Features(self.features))
    }

    fn name(&self) -> String {
        format!("linear {}-{}", self.features, self.classes)
    }
}
