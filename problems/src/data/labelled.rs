//! [`LabelledData`]: samples with classes, dense or sparse.

mod transformed;

use bilevel::{Element, Error};

use crate::support::fingerprint::fingerprint;

/// The features of the samples of a [`LabelledData`].
#[derive(Debug, Clone, PartialEq)]
pub enum Features<E> {
    /// All features, sample after sample.
    Dense(Vec<E>),
    /// The features that are not zero.
    Sparse(Csr<E>),
}

/// Compressed sparse rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Csr<E> {
    /// The start of each row in the other two vectors, and last their length.
    pub starts: Vec<usize>,
    /// The column of each entry, increasing within a row.
    pub columns: Vec<u32>,
    /// The entries.
    pub values: Vec<E>,
}

impl<E: Element> Csr<E> {
    /// The columns and entries of row i.
    pub fn row(&self, i: usize) -> (&[u32], &[E]) {
        let range = self.starts[i]..self.starts[i + 1];
        (&self.columns[range.clone()], &self.values[range])
    }
}

/// Samples with labels: each a row of features and a class.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledData<E> {
    features: Features<E>,
    columns: usize,
    labels: Vec<u32>,
    classes: usize,
}

impl<E: Element> LabelledData<E> {
    /// Samples of `columns` features each, sample after sample, and the class of each, below `classes`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no samples, no features, fewer than two classes, features of another number, one that is not
    /// finite, or a label that is no class.
    pub fn dense(
        columns: usize,
        features: Vec<E>,
        labels: Vec<u32>,
        classes: usize,
    ) -> Result<Self, Error> {
        let expected = columns.checked_mul(labels.len());
        if expected != Some(features.len()) {
            return Err(Error::invalid(
                "features",
                format!("{} numbers", features.len()),
                format!("{columns} for each of {} labels", labels.len()),
            ));
        }
        LabelledData {
            features: Features::Dense(features),
            columns,
            labels,
            classes,
        }
        .checked()
    }

    /// The same from compressed sparse rows.
    ///
    /// # Errors
    /// As [`dense`](LabelledData::dense), and for rows that are out of order.
    pub fn sparse(
        columns: usize,
        features: Csr<E>,
        labels: Vec<u32>,
        classes: usize,
    ) -> Result<Self, Error> {
        let entries = features.values.len();
        let starts = &features.starts;
        let ordered = starts.first() == Some(&0)
            && starts.last() == Some(&entries)
            && starts.is_sorted()
            && features.columns.len() == entries;
        if starts.len() != labels.len() + 1 || !ordered {
            return Err(Error::invalid(
                "features",
                format!("{} starts of rows, {entries} entries", starts.len()),
                format!(
                    "increasing starts from 0 to the number of entries for {} labels",
                    labels.len()
                ),
            ));
        }
        for i in 0..labels.len() {
            let (of_row, _) = features.row(i);
            let increasing = of_row.is_sorted_by(|a, b| a < b);
            if !increasing || of_row.last().is_some_and(|&c| c as usize >= columns) {
                return Err(Error::invalid(
                    format!("the columns of row {i}"),
                    "out of order or out of range",
                    format!("increasing and below {columns}"),
                ));
            }
        }
        LabelledData {
            features: Features::Sparse(features),
            columns,
            labels,
            classes,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, Error> {
        if self.labels.is_empty() || self.columns == 0 {
            return Err(Error::invalid(
                "data",
                format!("{} samples × {} features", self.labels.len(), self.columns),
                "at least one of each",
            ));
        }
        let (values, what) = match &self.features {
            Features::Dense(values) => (values, "feature"),
            Features::Sparse(rows) => (&rows.values, "entry"),
        };
        if let Some(at) = values.iter().position(|v| !v.to_f64().is_finite()) {
            return Err(Error::invalid(
                format!("{what} {at}"),
                values[at].to_f64(),
                "a finite number",
            ));
        }
        self.with_classes()
    }

    fn with_classes(self) -> Result<Self, Error> {
        if self.classes < 2 || u32::try_from(self.classes).is_err() {
            return Err(Error::invalid("classes", self.classes, "at least 2"));
        }
        match self.labels.iter().position(|&l| l as usize >= self.classes) {
            Some(at) => Err(Error::invalid(
                format!("label {at}"),
                self.labels[at],
                format!("a class from 0 to {}", self.classes - 1),
            )),
            None => Ok(self),
        }
    }

    /// The same samples with other labels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for labels of another number, or one that is no class.
    pub fn with_labels(mut self, labels: Vec<u32>) -> Result<Self, Error> {
        if labels.len() != self.labels.len() {
            return Err(Error::invalid(
                "labels",
                format!("{} of them", labels.len()),
                format!("{}, one a sample", self.labels.len()),
            ));
        }
        self.labels = labels;
        self.with_classes()
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }

    /// The number of features of a sample.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The class of each sample. Of labels ±1, −1 is class 0 and +1 is class 1.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The features.
    pub fn features(&self) -> &Features<E> {
        &self.features
    }

    /// A checksum of features and labels.
    pub(crate) fn fingerprint(&self) -> u32 {
        let numbers = |v: &[usize]| v.iter().map(|&n| n as f64).collect::<Vec<_>>();
        let small = |v: &[u32]| v.iter().map(|&n| f64::from(n)).collect::<Vec<_>>();
        let features = match &self.features {
            Features::Dense(values) => vec![fingerprint(values)],
            Features::Sparse(rows) => vec![
                fingerprint(&numbers(&rows.starts)),
                fingerprint(&small(&rows.columns)),
                fingerprint(&rows.values),
            ],
        };
        fingerprint(&[
            f64::from(fingerprint(&small(&features))),
            f64::from(fingerprint(&small(&self.labels))),
            self.columns as f64,
            self.classes as f64,
        ])
    }
}

/// Refuses second data with another number of features or classes than the first.
pub(crate) fn same_columns<E: Element>(
    first: &LabelledData<E>,
    second: &LabelledData<E>,
) -> Result<(), Error> {
    let shape = |t: &LabelledData<E>| format!("{} features, {} classes", t.columns, t.classes);
    if shape(first) == shape(second) {
        return Ok(());
    }
    Err(Error::invalid(
        "the second data",
        shape(second),
        format!("{}, as in the first", shape(first)),
    ))
}

/// Refuses an empty list, and places beyond the samples.
pub(super) fn check_places(places: &[usize], samples: usize) -> Result<(), Error> {
    match places.iter().find(|&&i| i >= samples) {
        None if !places.is_empty() => Ok(()),
        place => {
            let found = place.map_or("none".to_owned(), usize::to_string);
            let expected = format!("places below {samples}, one at least");
            Err(Error::invalid("samples", found, expected))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data() -> LabelledData<f64> {
        let features = vec![1.0, 0.0, 5.0, 2.0, 0.0, 5.0, 6.0, 3.0, 5.0];
        LabelledData::dense(3, features, vec![0, 2, 1], 3).unwrap()
    }

    #[test]
    fn dense_and_sparse_hold_the_same() {
        let sparse = data().to_sparse();
        assert_eq!(sparse.to_dense(), data());
        let Features::Sparse(rows) = sparse.features() else {
            panic!("it is dense");
        };
        assert_eq!(rows.row(1), (&[0, 2][..], &[2.0, 5.0][..]));
        let again = LabelledData::sparse(3, rows.clone(), vec![0, 2, 1], 3).unwrap();
        assert_eq!(again, sparse);
        assert_eq!(
            sparse.rows(1..3).unwrap().to_dense(),
            data().rows(1..3).unwrap()
        );
        assert_eq!(sparse.shuffled(4).to_dense(), data().shuffled(4));
    }

    #[test]
    fn rows_get_the_length_one_and_zero_stays_zero() {
        let features = vec![3.0, 0.0, 4.0, 0.0, 0.0, 0.0, 6.0, 8.0, 0.0];
        let data = LabelledData::dense(3, features, vec![0, 1, 1], 2).unwrap();
        let expected = vec![0.6, 0.0, 0.8, 0.0, 0.0, 0.0, 0.6, 0.8, 0.0];
        let sparse = data.to_sparse().unit_rows().to_dense();
        assert_eq!(sparse, data.clone().unit_rows());
        let Features::Dense(values) = data.unit_rows().features else {
            panic!("it is sparse");
        };
        for (v, e) in values.iter().zip(&expected) {
            assert!((v - e).abs() < 1e-15);
        }
    }

    #[test]
    fn standardised_features_have_mean_zero_and_deviation_one() {
        let Features::Dense(values) = data().standardised(&data()).unwrap().features else {
            panic!("it is sparse");
        };
        for c in 0..3 {
            let column: Vec<f64> = (0..3).map(|i| values[3 * i + c]).collect();
            let squares: f64 = column.iter().map(|v| v * v).sum();
            assert!(column.iter().sum::<f64>().abs() < 1e-14);
            // The last feature is constant.
            let expected = if c == 2 { 0.0 } else { 3.0 };
            assert!((squares - expected).abs() < 1e-14, "{c}: {squares}");
        }
        // With the means and deviations of other samples.
        let other = data().rows(0..2).unwrap();
        let Features::Dense(values) = data().standardised(&other).unwrap().features else {
            panic!("it is sparse");
        };
        assert!((values[6] - (6.0 - 1.5) / 0.5).abs() < 1e-14);
        assert!(data().to_sparse().standardised(&data()).is_err());
    }

    #[test]
    fn the_seed_decides_the_order_and_no_sample_is_lost() {
        let many =
            LabelledData::dense(1, (0..50).map(f64::from).collect(), vec![1; 50], 2).unwrap();
        let Features::Dense(mut values) = many.shuffled(1).features else {
            panic!("it is sparse");
        };
        assert_ne!(many.shuffled(1), many.shuffled(2));
        assert_eq!(many.shuffled(1), many.shuffled(1));
        assert!(!values.is_sorted());
        values.sort_by(f64::total_cmp);
        assert_eq!(values, (0..50).map(f64::from).collect::<Vec<_>>());
    }

    #[test]
    fn data_that_make_no_sense_are_refused() {
        let refused = |data: Result<LabelledData<f64>, Error>, word: &str| {
            let error = data.unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(LabelledData::dense(2, vec![0.0; 3], vec![0], 2), "features");
        refused(LabelledData::dense(2, vec![], vec![], 2), "0 samples");
        refused(LabelledData::dense(0, vec![], vec![0], 2), "0 features");
        refused(
            LabelledData::dense(1, vec![f64::NAN], vec![0], 2),
            "feature 0 is NaN",
        );
        refused(
            LabelledData::dense(1, vec![1.0], vec![2], 2),
            "label 0 is 2",
        );
        refused(LabelledData::dense(1, vec![1.0], vec![0], 1), "classes");
        refused(data().with_labels(vec![0]), "labels");
        refused(data().with_labels(vec![0, 1, 7]), "label 2 is 7");
        refused(data().rows(2..4), "2..4");
        refused(data().rows(1..1), "1..1");
        let rows = |starts: &[usize], columns: &[u32]| {
            let values = vec![1.0; columns.len()];
            let features = Csr {
                starts: starts.to_vec(),
                columns: columns.to_vec(),
                values,
            };
            LabelledData::sparse(3, features, vec![0, 1], 2)
        };
        assert!(rows(&[0, 1, 3], &[2, 0, 1]).is_ok());
        refused(rows(&[0, 3], &[2, 0, 1]), "starts");
        refused(rows(&[0, 2, 1], &[2]), "starts");
        refused(rows(&[0, 1, 3], &[2, 1, 1]), "row 1");
        refused(rows(&[0, 1, 3], &[3, 0, 1]), "row 0");
    }

    #[test]
    fn the_checksum_depends_on_everything() {
        let marks = [
            data(),
            data().shuffled(1),
            data().to_sparse(),
            data().with_labels(vec![0, 1, 1]).unwrap(),
        ]
        .map(|t| t.fingerprint());
        for (i, a) in marks.iter().enumerate() {
            assert!(!marks[..i].contains(a));
        }
    }
}
