//! The text format of LIBSVM: `label column:value column:value …`, with columns from 1.

use std::io::BufRead;
use std::path::Path;

use super::text::{Labels, content, number, refusal, shortened, unreadable};
use super::{Csr, DataError, LabelledData, read_file};

const FORMAT: &str = "LIBSVM";

/// Reads sparse samples in the format of LIBSVM, plain or gzip. Explicit zeros are dropped.
///
/// `columns` is the number of features; `None` takes the largest column in the file. Give that of the training file for a file of
/// validation data, whose last columns may happen to be empty.
///
/// # Errors
/// [`DataError`]: names the line for a label outside the classes, a number that is not finite, and columns that do not increase or
/// are beyond `columns`.
pub fn read_libsvm(
    path: impl AsRef<Path>,
    columns: Option<usize>,
    labels: Labels,
) -> Result<LabelledData<f64>, DataError> {
    let path = path.as_ref();
    parse(path, &read_file(path)?, columns, labels)
}

fn parse(
    path: &Path,
    bytes: &[u8],
    known: Option<usize>,
    kind: Labels,
) -> Result<LabelledData<f64>, DataError> {
    let refuse = refusal(path, FORMAT);
    let mut content = content(bytes);
    let mut rows = Csr {
        starts: vec![0],
        columns: Vec::new(),
        values: Vec::new(),
    };
    let mut labels = Vec::new();
    let mut lines = 0;
    let most = known.unwrap_or(u32::MAX as usize).min(u32::MAX as usize);
    let mut largest = 0;
    let mut text = String::new();
    for line in 1usize.. {
        text.clear();
        let at_line = |reason: String| refuse(format!("line {line}: {reason}"));
        let read = content.read_line(&mut text);
        if read.map_err(|e| at_line(unreadable(&e)))? == 0 {
            break;
        }
        lines = line;
        let sample = text.split('#').next().unwrap_or_default();
        let mut words = sample.split_ascii_whitespace();
        let Some(label) = words.next() else {
            continue;
        };
        labels.push(kind.class(label).map_err(at_line)?);
        let mut last = 0;
        for word in words {
            let pair = word
                .split_once(':')
                .ok_or_else(|| at_line(format!("`{}` is not column:value", shortened(word))))?;
            let column = pair.0.parse::<usize>().ok();
            let column = column.filter(|c| (1..=most).contains(c)).ok_or_else(|| {
                let found = shortened(pair.0);
                at_line(format!("the column is `{found}`; expected 1 to {most}"))
            })?;
            if column <= last {
                return Err(at_line(format!("column {column} comes after {last}")));
            }
            last = column;
            let value = number(pair.1).map_err(at_line)?;
            if value != 0.0 {
                rows.columns.push((column - 1) as u32);
                rows.values.push(value);
            }
        }
        largest = largest.max(last);
        rows.starts.push(rows.values.len());
    }
    LabelledData::sparse(known.unwrap_or(largest), rows, labels, kind.classes())
        .map_err(|e| refuse(format!("in all {lines} lines: {e}")))
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::gzip;
    use super::*;
    use crate::data::Features;

    fn read(text: &str, columns: Option<usize>) -> Result<LabelledData<f64>, DataError> {
        parse(
            Path::new("a.libsvm"),
            text.as_bytes(),
            columns,
            Labels::Signs,
        )
    }

    #[test]
    fn plain_and_compressed_files_give_the_same_data() {
        let text = "+1 1:0.5 4:-2e1 # a comment\n\n-1 2:0 3:7\r\n-1\n";
        let data = read(text, None).unwrap();
        assert_eq!(data.labels(), [1, 0, 0]);
        let Features::Dense(values) = data.to_dense().features().clone() else {
            panic!("it is sparse");
        };
        assert_eq!(values[..8], [0.5, 0.0, 0.0, -20.0, 0.0, 0.0, 7.0, 0.0]);
        assert_eq!(values.len(), 12);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.gz");
        std::fs::write(&path, gzip(text.as_bytes())).unwrap();
        assert_eq!(read_libsvm(&path, None, Labels::Signs).unwrap(), data);
        assert_eq!(read(text, Some(6)).unwrap().columns(), 6);
    }

    #[test]
    fn bad_lines_are_refused_by_number() {
        let cases = [
            ("1 1:2\n2 1:2\n", "line 2: the label is `2`"),
            ("1 1:nan\n", "line 1: `nan`"),
            ("1 1:1e999\n", "not a finite number"),
            ("1 0:1\n", "the column is `0`"),
            ("1 5:1\n", "the column is `5`; expected 1 to 4"),
            ("1 99999999999999999999:1\n", "the column is `99"),
            ("1 -1:1\n", "the column is `-1`"),
            ("1 2:1 2:1\n", "column 2 comes after 2"),
            ("1 2:1 1:1\n", "column 1 comes after 2"),
            ("1 2\n", "`2` is not column:value"),
            ("1 qid:3 2:1\n", "the column is `qid`"),
            ("", "0 samples"),
            ("\n# nothing\n", "0 samples"),
        ];
        for (text, words) in cases {
            let error = read(text, Some(4)).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
            assert!(error.contains("a.libsvm"), "{error}");
        }
        assert!(
            read("1\n-1\n", None)
                .unwrap_err()
                .to_string()
                .contains("0 features")
        );
    }

    #[test]
    fn damaged_files_are_refused() {
        let whole = gzip(b"1 1:2\n-1 1:3\n");
        for cut in [5, 12, whole.len() - 9, whole.len() - 1] {
            let error = parse(Path::new("a"), &whole[..cut], None, Labels::Signs);
            let error = error.unwrap_err().to_string();
            assert!(error.contains("too early"), "{cut}: {error}");
        }
        let mut wrong = whole.clone();
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert!(parse(Path::new("a"), &wrong, None, Labels::Signs).is_err());
        let binary = parse(Path::new("a"), &[b'1', 0xff, b'\n'], None, Labels::Signs);
        assert!(binary.unwrap_err().to_string().contains("line 1"));
    }
}
