//! Comma-separated numbers, one column of which is the label.

use bilevel::Error;
use std::path::Path;

use super::text::{Labels, content, number, refusal, unreadable};
use super::{DataError, LabelledData, RegressionData, read_file};

const FORMAT: &str = "CSV";

/// The layout of a file of comma-separated values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvFormat {
    /// Which labels there are.
    pub labels: Labels,
    /// The column of the label, from 0; `None` is the last.
    pub label_column: Option<usize>,
    /// Whether the first line holds names, which are skipped.
    pub header: bool,
}

impl CsvFormat {
    /// A file without a header, with these labels in the last column.
    pub fn new(labels: Labels) -> Self {
        CsvFormat {
            labels,
            label_column: None,
            header: false,
        }
    }
}

/// Reads samples with labels from comma-separated numbers, plain or gzip.
///
/// # Errors
/// [`DataError`]: names the line for rows of different length, a number that is not finite, and a label outside the classes.
pub fn read_csv(path: impl AsRef<Path>, format: CsvFormat) -> Result<LabelledData<f64>, DataError> {
    let path = path.as_ref();
    parse(path, &read_file(path)?, format)
}

pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    format: CsvFormat,
) -> Result<LabelledData<f64>, DataError> {
    let label = |text: &str| format.labels.class(text);
    let rows = rows(path, bytes, format.header, format.label_column, label)?;
    let classes = format.labels.classes();
    let data = LabelledData::dense(rows.columns, rows.features, rows.labels, classes);
    data.map_err(|e| in_all(path, rows.lines, &e))
}

/// Reads samples from comma-separated numbers, plain or gzip; the last column is the target. With `header`, the first line holds names and is
/// skipped.
///
/// # Errors
/// [`DataError`]: names the line and the column, as [`read_csv`] does.
pub fn read_regression(path: impl AsRef<Path>, header: bool) -> Result<RegressionData, DataError> {
    let path = path.as_ref();
    let rows = rows(path, &read_file(path)?, header, None, number)?;
    let samples = RegressionData::new(rows.columns, rows.features, rows.labels);
    samples.map_err(|e| in_all(path, rows.lines, &e))
}

/// A refusal of the file as a whole.
fn in_all(path: &Path, lines: u64, error: &Error) -> DataError {
    refusal(path, FORMAT)(format!("in all {lines} lines: {error}"))
}

/// The content of a file.
struct Rows<L> {
    /// Features of a sample.
    columns: usize,
    features: Vec<f64>,
    labels: Vec<L>,
    lines: u64,
}

/// Reads the features of all rows, and their labels by `label`. The label is in the last column unless another one is given.
fn rows<L>(
    path: &Path,
    bytes: &[u8],
    header: bool,
    label_column: Option<usize>,
    label: impl Fn(&str) -> Result<L, String>,
) -> Result<Rows<L>, DataError> {
    let refuse = refusal(path, FORMAT);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(header)
        .trim(csv::Trim::All)
        .from_reader(content(bytes));
    let mut features = Vec::new();
    let mut labels = Vec::new();
    let mut columns = 0;
    let mut record = csv::StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {}
            Err(error) => return Err(refuse(reason(&error, line))),
        }
        let line = record.position().map_or(line, csv::Position::line);
        let label_at = label_column.unwrap_or(record.len().saturating_sub(1));
        if label_at >= record.len() {
            return Err(refuse(format!(
                "line {line}: {} columns, and the label is said to be in column {label_at} from 0",
                record.len()
            )));
        }
        columns = record.len() - 1;
        for (at, text) in record.iter().enumerate() {
            let at_column = |reason| refuse(format!("line {line}, column {}: {reason}", at + 1));
            if at == label_at {
                labels.push(label(text).map_err(at_column)?);
            } else {
                features.push(number(text).map_err(at_column)?);
            }
        }
    }
    Ok(Rows {
        columns,
        features,
        labels,
        lines: reader.position().line().saturating_sub(1),
    })
}

fn reason(error: &csv::Error, line: u64) -> String {
    match error.kind() {
        csv::ErrorKind::Io(error) => format!("line {line}: {}", unreadable(error)),
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = pos.as_ref().map_or(line, csv::Position::line);
            format!("line {line}: {len} columns; expected {expected_len}, as in the first")
        }
        csv::ErrorKind::Utf8 { .. } => format!("line {line}: it is not text in UTF-8"),
        _ => format!("line {line}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::gzip;
    use super::*;
    use crate::data::Features;

    const CLASSES: CsvFormat = CsvFormat {
        labels: Labels::From { first: 1, count: 3 },
        label_column: None,
        header: false,
    };

    fn read(text: &str, format: CsvFormat) -> Result<LabelledData<f64>, DataError> {
        parse(Path::new("a.csv"), text.as_bytes(), format)
    }

    #[test]
    fn plain_and_compressed_files_give_the_same_data() {
        let data = read("1,-2.5,3\r\n 4, 5,1\n", CLASSES).unwrap();
        assert_eq!(data.labels(), [2, 0]);
        assert_eq!(data.features(), &Features::Dense(vec![1.0, -2.5, 4.0, 5.0]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.gz");
        std::fs::write(&path, gzip(b"1,-2.5,3\n4,5,1\n")).unwrap();
        assert_eq!(read_csv(&path, CLASSES).unwrap(), data);
        let first = CsvFormat {
            label_column: Some(0),
            header: true,
            ..CLASSES
        };
        let named = read("label,a,b\n3,1,-2.5\n1,4,5\n", first).unwrap();
        assert_eq!(named, data);
    }

    #[test]
    fn bad_lines_are_refused_by_number() {
        let cases = [
            ("1,2,1\n1,2,4\n", "line 2, column 3: the label is `4`"),
            ("1,2,1\n1,1\n", "line 2: 2 columns; expected 3"),
            ("1,2,1\n1,2,1\n1,1,1,1\n", "line 3: 4 columns; expected 3"),
            ("1,nan,1\n", "line 1, column 2: `nan`"),
            ("1,,1\n", "line 1, column 2: ``"),
            ("a,b,c\n1,2,1\n", "line 1, column 1: `a`"),
            ("1,\"2\n3\",1\n", "line 1, column 2: `2\\n3` is not"),
            ("", "in all 0 lines: data is 0 samples"),
            ("1\n2\n", "0 features"),
        ];
        for (text, words) in cases {
            let error = read(text, CLASSES).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
            assert!(error.contains("a.csv"), "{error}");
        }
        let beyond = CsvFormat {
            label_column: Some(9),
            ..CLASSES
        };
        assert!(read("1,2,1\n", beyond).is_err());
    }

    #[test]
    fn numbers_to_be_predicted_are_read_from_the_last_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "size,rooms,price\n1,-2.5,3.5\n4,5,-1e3\n").unwrap();
        let samples = read_regression(&path, true).unwrap();
        assert_eq!(samples.targets(), [3.5, -1e3]);
        assert_eq!(samples.features(), [1.0, -2.5, 4.0, 5.0]);
        let error = read_regression(&path, false).unwrap_err().to_string();
        assert!(error.contains("line 1, column 1: `size`"), "{error}");
        std::fs::write(&path, "").unwrap();
        assert!(read_regression(&path, false).is_err());
    }

    #[test]
    fn damaged_files_are_refused() {
        let whole = gzip("1,2,1\n".repeat(50).as_bytes());
        for cut in [5, 12, whole.len() - 9, whole.len() - 1] {
            let error = parse(Path::new("a"), &whole[..cut], CLASSES).unwrap_err();
            assert!(error.to_string().contains("too early"), "{cut}: {error}");
        }
        let binary = parse(Path::new("a"), b"1,2,1\n\xff,2,1\n", CLASSES);
        let error = binary.unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
