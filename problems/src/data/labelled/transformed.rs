//! Other storage, other samples and other scales of the same data.

use bilevel::{Element, Error, Fold};
use std::ops::Range;

use super::{Csr, Features, LabelledData, check_places, same_columns};
use crate::data::standard::Standard;
use crate::support::random::permutation;

impl<E: Element> LabelledData<E> {
    /// The same samples in another storage type.
    pub fn cast<F: Element>(&self) -> LabelledData<F> {
        let cast = |v: &[E]| v.iter().map(|v| F::from_f64(v.to_f64())).collect();
        LabelledData {
            features: match &self.features {
                Features::Dense(values) => Features::Dense(cast(values)),
                Features::Sparse(rows) => Features::Sparse(Csr {
                    starts: rows.starts.clone(),
                    columns: rows.columns.clone(),
                    values: cast(&rows.values),
                }),
            },
            columns: self.columns,
            labels: self.labels.clone(),
            classes: self.classes,
        }
    }

    /// The same samples with all features stored, zeros included.
    pub fn to_dense(&self) -> Self {
        let features = match &self.features {
            Features::Dense(values) => values.clone(),
            Features::Sparse(rows) => {
                let mut all = vec![E::default(); self.samples() * self.columns];
                for (i, out) in all.chunks_exact_mut(self.columns).enumerate() {
                    let (columns, values) = rows.row(i);
                    for (&c, &v) in columns.iter().zip(values) {
                        out[c as usize] = v;
                    }
                }
                all
            }
        };
        LabelledData {
            features: Features::Dense(features),
            ..self.clone_labels()
        }
    }

    /// The same samples with only the non-zero features stored.
    pub fn to_sparse(&self) -> Self {
        let features = match &self.features {
            Features::Sparse(rows) => rows.clone(),
            Features::Dense(values) => {
                let mut rows = Csr {
                    starts: vec![0],
                    columns: Vec::new(),
                    values: Vec::new(),
                };
                for row in values.chunks_exact(self.columns) {
                    for (c, &v) in (0u32..).zip(row) {
                        if v != E::default() {
                            rows.columns.push(c);
                            rows.values.push(v);
                        }
                    }
                    rows.starts.push(rows.values.len());
                }
                rows
            }
        };
        LabelledData {
            features: Features::Sparse(features),
            ..self.clone_labels()
        }
    }

    /// The labels without features.
    fn clone_labels(&self) -> Self {
        LabelledData {
            features: Features::Dense(Vec::new()),
            columns: self.columns,
            labels: self.labels.clone(),
            classes: self.classes,
        }
    }

    /// The samples at these places, in this order.
    fn select(&self, order: impl Iterator<Item = usize> + Clone) -> Self {
        let features = match &self.features {
            Features::Dense(values) => {
                let row = |i| &values[i * self.columns..(i + 1) * self.columns];
                Features::Dense(order.clone().flat_map(row).copied().collect())
            }
            Features::Sparse(rows) => {
                let mut some = Csr {
                    starts: vec![0],
                    columns: Vec::new(),
                    values: Vec::new(),
                };
                for i in order.clone() {
                    let (columns, values) = rows.row(i);
                    some.columns.extend_from_slice(columns);
                    some.values.extend_from_slice(values);
                    some.starts.push(some.values.len());
                }
                Features::Sparse(some)
            }
        };
        LabelledData {
            features,
            columns: self.columns,
            labels: order.map(|i| self.labels[i]).collect(),
            classes: self.classes,
        }
    }

    /// The samples of a range.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty range, or one beyond the samples.
    pub fn rows(&self, range: Range<usize>) -> Result<Self, Error> {
        if range.is_empty() || range.end > self.samples() {
            return Err(Error::invalid(
                "rows",
                format!("{range:?}"),
                format!("at least one of 0..{}", self.samples()),
            ));
        }
        Ok(self.select(range))
    }

    /// The training and the validation samples of a fold.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a fold of other samples.
    pub fn split(&self, fold: &Fold) -> Result<(Self, Self), Error> {
        Ok((self.at(&fold.train)?, self.at(&fold.validation)?))
    }

    /// The samples at these places, such as those of a [`Fold`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for none, and a place beyond the samples.
    pub fn at(&self, places: &[usize]) -> Result<Self, Error> {
        check_places(places, self.samples())?;
        Ok(self.select(places.iter().copied()))
    }

    /// The same samples in a random order of this seed.
    pub fn shuffled(&self, seed: u64) -> Self {
        let order = permutation(self.samples(), seed);
        self.select(order.iter().copied())
    }

    /// Every sample divided by its Euclidean norm; a zero sample stays zero. Word counts of texts become comparable across lengths.
    pub fn unit_rows(mut self) -> Self {
        let columns = self.columns;
        let scale = |row: &mut [E]| {
            let square: f64 = row.iter().map(|v| v.to_f64() * v.to_f64()).sum();
            let share = if square > 0.0 {
                1.0 / square.sqrt()
            } else {
                0.0
            };
            for v in row {
                *v = E::from_f64(share * v.to_f64());
            }
        };
        match &mut self.features {
            Features::Dense(values) => values.chunks_exact_mut(columns.max(1)).for_each(scale),
            Features::Sparse(csr) => {
                for range in csr.starts.windows(2) {
                    scale(&mut csr.values[range[0]..range[1]]);
                }
            }
        }
        self
    }

    /// Every feature less its mean over the samples of `of`, divided by its standard deviation there (by 1 where it is constant). For
    /// validation data pass the training data as `of`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for sparse data, which would not stay sparse, and data that differ in their number of features.
    pub fn standardised(&self, of: &LabelledData<E>) -> Result<Self, Error> {
        let (Features::Dense(values), Features::Dense(reference)) = (&self.features, &of.features)
        else {
            return Err(Error::invalid(
                "data",
                "sparse",
                "dense samples: less their means the features are not zero; see `to_dense`",
            ));
        };
        same_columns(of, self)?;
        let features = Standard::of(reference, self.columns).apply(values);
        Ok(LabelledData {
            features: Features::Dense(features),
            ..self.clone_labels()
        })
    }
}
