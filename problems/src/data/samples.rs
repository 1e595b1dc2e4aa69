//! [`Samples`]: labelled data of any kind, as models and label noise use them.

use bilevel::Error;

use super::{Features, LabelledData};

/// One sample without its label.
#[derive(Debug, Clone, Copy, PartialEq)]
#[doc(hidden)]
pub enum Sample<'a> {
    /// Its features.
    Features(&'a [f64]),
    /// Its tokens, as positions in a vocabulary.
    Tokens(&'a [u32]),
}

/// The kind of data of all samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[doc(hidden)]
pub enum Kind {
    /// This number of features per sample.
    Features(usize),
    /// This number of features per sample, stored without zeros.
    SparseFeatures(usize),
    /// Tokens of a vocabulary of this size.
    Tokens(usize),
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Features(n) => write!(f, "{n} features a sample"),
            Kind::SparseFeatures(n) => write!(f, "{n} sparse features a sample"),
            Kind::Tokens(n) => write!(f, "tokens of a vocabulary of {n}"),
        }
    }
}

impl Kind {
    /// The number of features, or of tokens in the vocabulary.
    pub fn columns(self) -> usize {
        match self {
            Kind::Features(n) | Kind::SparseFeatures(n) | Kind::Tokens(n) => n,
        }
    }

    /// Refuses data of another kind than `expected`.
    pub(crate) fn expect(self, expected: Kind) -> Result<(), Error> {
        if self == expected {
            Ok(())
        } else {
            Err(Error::invalid("data", self, expected.to_string()))
        }
    }
}

/// Labelled samples: a [`LabelledData`] of features, or [`Texts`](super::Texts).
pub trait Samples: Clone + Send + Sync {
    /// The class of every sample.
    fn labels(&self) -> &[u32];
    /// The number of classes.
    fn classes(&self) -> usize;
    /// The kind of data.
    fn kind(&self) -> Kind;
    /// The i-th sample; empty for sparse features.
    fn sample(&self, i: usize) -> Sample<'_>;
    /// The same samples with other labels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another number of labels, and labels outside the classes.
    fn with_labels(self, labels: Vec<u32>) -> Result<Self, Error>;
    /// A checksum of features and labels, which identifies the data.
    fn fingerprint(&self) -> u32;

    /// The number of samples.
    fn len(&self) -> usize {
        self.labels().len()
    }
    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Samples for LabelledData<f64> {
    fn labels(&self) -> &[u32] {
        LabelledData::labels(self)
    }

    fn classes(&self) -> usize {
        LabelledData::classes(self)
    }

    fn kind(&self) -> Kind {
        match self.features() {
            Features::Dense(_) => Kind::Features(self.columns()),
            Features::Sparse(_) => Kind::SparseFeatures(self.columns()),
        }
    }

    fn sample(&self, i: usize) -> Sample<'_> {
        let columns = self.columns();
        Sample::Features(match self.features() {
            Features::Dense(values) => &values[i * columns..(i + 1) * columns],
            Features::Sparse(_) => &[],
        })
    }

    fn with_labels(self, labels: Vec<u32>) -> Result<Self, Error> {
        LabelledData::with_labels(self, labels)
    }

    fn fingerprint(&self) -> u32 {
        LabelledData::fingerprint(self)
    }
}
