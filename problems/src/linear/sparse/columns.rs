//! A design matrix, column after column.

use bilevel::Error;

use crate::data::{Features, LabelledData, RegressionData};

/// The columns of n samples, dense or sparse. Their means are kept beside them instead of being subtracted: a sparse matrix stays sparse.
pub(crate) struct Columns {
    store: Store,
    samples: usize,
    /// The mean of every column.
    means: Vec<f64>,
    /// The variance of every column.
    variances: Vec<f64>,
}

enum Store {
    Dense(Vec<f64>),
    Sparse {
        starts: Vec<usize>,
        rows: Vec<u32>,
        values: Vec<f64>,
    },
}

impl Columns {
    pub(crate) fn of_regression(samples: &RegressionData) -> Result<Self, Error> {
        let (n, d) = (samples.samples(), samples.columns());
        let values = samples.features();
        let columns = (0..d).flat_map(|j| (0..n).map(move |i| values[i * d + j]));
        Self::new(Store::Dense(columns.collect()), n, d)
    }

    pub(crate) fn of_classes(samples: &LabelledData<f64>) -> Result<Self, Error> {
        let (n, d) = (samples.samples(), samples.columns());
        let sparse = samples.to_sparse();
        let Features::Sparse(csr) = sparse.features() else {
            return Err(Error::invalid(
                "data",
                "dense",
                "samples that can be sparse",
            ));
        };
        let mut starts = vec![0; d + 1];
        csr.columns
            .iter()
            .for_each(|&j| starts[j as usize + 1] += 1);
        for j in 0..d {
            starts[j + 1] += starts[j];
        }
        let mut ends = starts.clone();
        let (mut rows, mut values) = (vec![0; csr.values.len()], vec![0.0; csr.values.len()]);
        for i in 0..n {
            let (columns, entries) = csr.row(i);
            for (&j, &value) in columns.iter().zip(entries) {
                let at = &mut ends[j as usize];
                (rows[*at], values[*at]) = (i as u32, value);
                *at += 1;
            }
        }
        let store = Store::Sparse {
            starts,
            rows,
            values,
        };
        Self::new(store, n, d)
    }

    fn new(store: Store, samples: usize, d: usize) -> Result<Self, Error> {
        let mut columns = Columns {
            store,
            samples,
            means: Vec::new(),
            variances: Vec::new(),
        };
        let n = samples as f64;
        let mean = |j| columns.fold(j, |sum, _, v| sum + v) / n;
        columns.means = (0..d).map(mean).collect();
        // Squares of the differences from the mean: with those of the features themselves the variance would cancel. Entries not stored are 0.
        let variance = |j: usize| {
            let m = columns.means[j];
            let mut stored = 0.0;
            let squares = columns.fold(j, |sum, _, v| {
                stored += 1.0;
                sum + (v - m) * (v - m)
            });
            (squares + (n - stored) * m * m) / n
        };
        columns.variances = (0..d).map(variance).collect();
        if columns.variances.iter().all(|v| v.is_finite()) {
            return Ok(columns);
        }
        let expected = "numbers whose squares are finite";
        Err(Error::invalid("features", "an overflow", expected))
    }

    pub(crate) fn len(&self) -> usize {
        self.means.len()
    }

    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// The number of stored entries.
    pub(super) fn entries(&self) -> usize {
        match &self.store {
            Store::Dense(values) | Store::Sparse { values, .. } => values.len(),
        }
    }

    pub(crate) fn means(&self) -> &[f64] {
        &self.means
    }

    pub(crate) fn variances(&self) -> &[f64] {
        &self.variances
    }

    fn fold(&self, j: usize, mut f: impl FnMut(f64, usize, f64) -> f64) -> f64 {
        match &self.store {
            Store::Dense(values) => {
                let column = &values[j * self.samples..(j + 1) * self.samples];
                column
                    .iter()
                    .enumerate()
                    .fold(0.0, |sum, (i, &v)| f(sum, i, v))
            }
            Store::Sparse {
                starts,
                rows,
                values,
            } => {
                let range = starts[j]..starts[j + 1];
                let entries = rows[range.clone()].iter().zip(&values[range]);
                entries.fold(0.0, |sum, (&i, &v)| f(sum, i as usize, v))
            }
        }
    }

    /// ⟨aⱼ, r⟩ of the column as it is, not centred.
    pub(crate) fn dot(&self, j: usize, r: &[f64]) -> f64 {
        self.fold(j, |sum, i, v| sum + v * r[i])
    }

    /// r ← r + s aⱼ, of the column as it is, not centred.
    pub(crate) fn add(&self, j: usize, s: f64, r: &mut [f64]) {
        self.fold(j, |_, i, v| {
            r[i] += s * v;
            0.0
        });
    }
}
