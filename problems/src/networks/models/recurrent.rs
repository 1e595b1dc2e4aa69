//! A recurrent classifier of sequences.

use bilevel::Error;
use bilevel::autodiff::{Scalar, scalar};
use std::ops::Range;

use super::{Classifier, Input, add, generator, held, layer, positive, random};
use crate::data::Kind;

/// A gated recurrent unit over embedded tokens, and a linear layer on the mean of its states.
///
/// ```text
/// r = σ(W_r e + U_r h + b_r),   u = σ(W_u e + U_u h + b_u),   n = tanh(W_n e + b_n + r ∘ (U_n h + c_n))
/// h ← n + u ∘ (h − n),          z = W h̄ + b
/// ```
///
/// with e the embedding of the token and h₀ = 0; h̄ is the mean over the tokens.
///
/// # Reference
/// K. Cho et al.: Learning phrase representations using RNN encoder-decoder. EMNLP 2014,
/// [doi:10.3115/v1/D14-1179](https://doi.org/10.3115/v1/D14-1179), with the reset gate applied after the product, as in most libraries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recurrent {
    vocabulary: usize,
    embedding: usize,
    hidden: usize,
    classes: usize,
}

impl Recurrent {
    /// For a vocabulary, with embeddings and states of these lengths.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size of 0.
    pub fn new(
        vocabulary: usize,
        embedding: usize,
        hidden: usize,
        classes: usize,
    ) -> Result<Self, Error> {
        for size in [vocabulary, embedding, hidden, classes] {
            positive("a size of the recurrent model", size)?;
        }
        let times = |a: usize, b: usize| a.checked_add(1).and_then(|a| a.checked_mul(b));
        let gates = hidden.checked_mul(3);
        let sizes = [
            vocabulary.checked_mul(embedding),
            gates.and_then(|gates| times(embedding, gates)),
            gates.and_then(|gates| times(hidden, gates)),
            times(hidden, classes),
        ];
        held(sizes)?;
        Ok(Recurrent {
            vocabulary,
            embedding,
            hidden,
            classes,
        })
    }

    /// The parameter ranges of the embeddings, the matrix for the token, the matrix for the state, and the last layer.
    fn places(&self) -> [Range<usize>; 4] {
        let (gates, mut end) = (3 * self.hidden, 0);
        [
            self.vocabulary * self.embedding,
            gates * (self.embedding + 1),
            gates * (self.hidden + 1),
            self.classes * (self.hidden + 1),
        ]
        .map(|size| {
            let start = end;
            end += size;
            start..end
        })
    }
}

impl Classifier for Recurrent {
    fn parameters(&self) -> usize {
        self.places()[3].end
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn layers(&self) -> Vec<Range<usize>> {
        let shifts = [0, 3 * self.hidden, 3 * self.hidden, self.classes];
        let pairs = self.places().into_iter().zip(shifts);
        pairs
            .map(|(place, shifts)| place.start..place.end - shifts)
            .collect()
    }

    fn start(&self, seed: u64) -> Vec<f64> {
        let mut rng = generator(seed);
        let mut w: Vec<f64> = random(&mut rng, self.vocabulary * self.embedding, 4).collect();
        for (inputs, outputs) in [
            (self.embedding, 3 * self.hidden),
            (self.hidden, 3 * self.hidden),
            (self.hidden, self.classes),
        ] {
            w.extend(random(&mut rng, inputs * outputs, inputs));
            w.resize(w.len() + outputs, 0.0);
        }
        w
    }

    fn scores<S: Scalar>(&self, w: &[S], input: Input<'_, S>, out: &mut [S]) {
        let Input::Tokens(tokens) = input else {
            return out.fill(S::constant(f64::NAN));
        };
        if tokens.iter().any(|&t| t as usize >= self.vocabulary) {
            return out.fill(S::constant(f64::NAN));
        }
        let [embeddings, of_token, of_state, last] = self.places();
        let (d, zero) = (self.hidden, S::constant(0.0));
        let [mut h, mut total, mut n, mut products] = [const { Vec::new() }; 4];
        for buffer in [&mut h, &mut total, &mut n, &mut products] {
            buffer.resize(d, zero);
        }
        let [mut a, mut b] = [vec![zero; 3 * d], vec![zero; 3 * d]];
        let mut gates = vec![zero; 2 * d];
        for &token in tokens {
            let at = embeddings.start + token as usize * self.embedding;
            layer(&w[of_token.clone()], &w[at..at + self.embedding], &mut a);
            layer(&w[of_state.clone()], &h, &mut b);
            add(&b[..2 * d], &mut a[..2 * d]);
            S::map(&a[..2 * d], scalar::sigmoid, &mut gates);
            let (reset, update) = gates.split_at(d);
            S::multiplied(reset, &b[2 * d..], &mut products);
            add(&products, &mut a[2 * d..]);
            S::map(&a[2 * d..], scalar::tanh, &mut n);
            // h ← u ∘ (h − n) + n
            S::scaled(&n, S::constant(-1.0), &mut products);
            add(&products, &mut h);
            S::multiplied(update, &h, &mut products);
            h.copy_from_slice(&products);
            add(&n, &mut h);
            add(&h, &mut total);
        }
        let mean: Vec<S> = total
            .iter()
            .map(|t| t.times(1.0 / tokens.len().max(1) as f64))
            .collect();
        layer(&w[last], &mean, out);
    }

    fn check(&self, data: Kind) -> Result<(), Error> {
        data.expect(Kind::Tokens(self.vocabulary))
    }

    fn name(&self) -> String {
        format!(
            "recurrent {}-{}-{}-{}",
            self.vocabulary, self.embedding, self.hidden, self.classes
        )
    }
}
