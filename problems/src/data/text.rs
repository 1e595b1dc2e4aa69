//! The ground of all text readers: compressed files, lines, numbers and labels.

use flate2::bufread::MultiGzDecoder;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use super::DataError;

/// A gzip file may expand to this many times its own size plus [`ALLOWANCE`] bytes. Real data stay far below; a file made to fill the memory
/// reaches 1,032.
const MOST_EXPANSION: usize = 256;

/// The content that the smallest gzip file may have: in sorted labels, for example, one byte stands for hundreds.
const ALLOWANCE: usize = 1 << 20;

/// The labels of a file and the classes that they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// −1, which becomes class 0, and +1, which becomes class 1.
    Signs,
    /// `count` whole numbers from `first` on; `first` becomes class 0.
    From {
        /// The smallest label.
        first: i64,
        /// The number of classes.
        count: usize,
    },
}

impl Labels {
    pub(super) fn classes(self) -> usize {
        match self {
            Labels::Signs => 2,
            Labels::From { count, .. } => count,
        }
    }

    /// The class that a label stands for.
    pub(super) fn class(self, text: &str) -> Result<u32, String> {
        let found = text.parse::<f64>().ok();
        let class = match self {
            Labels::Signs => found.filter(|v| v.abs() == 1.0).map(|v| u32::from(v > 0.0)),
            Labels::From { first, count } => found
                .map(|v| v - first as f64)
                .filter(|offset| *offset >= 0.0 && *offset < count as f64 && offset.fract() == 0.0)
                .map(|offset| offset as u32),
        };
        class.ok_or_else(|| {
            let expected = match self {
                Labels::Signs => "-1 or 1".to_owned(),
                Labels::From { first, count } => {
                    format!("a whole number, the first of {count} being {first}")
                }
            };
            format!("the label is `{}`; expected {expected}", shortened(text))
        })
    }
}

/// A finite number.
pub(super) fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(format!("`{}` is not a finite number", shortened(text))),
    }
}

/// The beginning of a text from a file, escaped to one line for a message.
pub(super) fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown = String::new();
    for c in text.chars().take(SHOWN) {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether the bytes are those of a gzip file.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// The most bytes that the content of a file may have.
pub(super) fn most_content(bytes: &[u8]) -> usize {
    if is_gzip(bytes) {
        let expanded = bytes.len().saturating_mul(MOST_EXPANSION);
        expanded.saturating_add(ALLOWANCE)
    } else {
        bytes.len()
    }
}

/// The content of a file, decompressed while it is read where it is gzip.
pub(super) fn content(bytes: &[u8]) -> Box<dyn BufRead + '_> {
    if is_gzip(bytes) {
        let bounded = Bounded {
            inner: MultiGzDecoder::new(bytes),
            left: most_content(bytes),
        };
        Box::new(BufReader::with_capacity(1 << 16, bounded))
    } else {
        Box::new(bytes)
    }
}

/// A reader that fails after this many bytes, instead of ending.
struct Bounded<R> {
    inner: R,
    left: usize,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(to)?;
        match self.left.checked_sub(read) {
            Some(left) => {
                self.left = left;
                Ok(read)
            }
            None => Err(std::io::Error::other(format!(
                "it holds more than {MOST_EXPANSION} times its own size; decompress the file first, if that is right"
            ))),
        }
    }
}

/// The message of a failed read.
pub(super) fn unreadable(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the file ends too early".to_owned(),
        _ => error.to_string(),
    }
}

/// Refuses a file of this format for a reason.
pub(super) fn refusal(path: &Path, format: &'static str) -> impl Fn(String) -> DataError {
    move |reason| DataError::Format {
        path: path.to_owned(),
        format,
        reason,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Write;

    /// The same bytes as a gzip file.
    pub(in crate::data) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_small_file_that_inflates_hugely_is_refused_while_it_is_read() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![b'0'; 64 << 20]).unwrap();
        let bomb = encoder.finish().unwrap();
        let most = most_content(&bomb);
        assert!(most < 20 << 20, "{most}");
        let mut line = String::new();
        let error = content(&bomb).read_line(&mut line).unwrap_err();
        assert!(error.to_string().contains("256 times"), "{error}");
        assert!(line.len() <= most);
        // Whole files that are small stay readable, however well they are compressed.
        let sorted = gzip(&vec![b'0'; 1 << 20]);
        let mut bytes = Vec::new();
        content(&sorted).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 1 << 20);
    }

    #[test]
    fn labels_outside_the_classes_are_refused() {
        let classes = Labels::From {
            first: -2,
            count: 4,
        };
        assert_eq!(classes.class("-2"), Ok(0));
        assert_eq!(classes.class("1.0"), Ok(3));
        for text in ["2", "-3", "0.5", "nan", "inf", "", "x", "1e300"] {
            assert!(classes.class(text).is_err(), "{text}");
        }
        assert_eq!(Labels::Signs.class("+1"), Ok(1));
        assert_eq!(Labels::Signs.class("-1.0"), Ok(0));
        for text in ["0", "2", "nan", ""] {
            assert!(Labels::Signs.class(text).is_err(), "{text}");
        }
        let none = Labels::From { first: 0, count: 0 };
        assert!(none.class("0").is_err());
        let long = Labels::Signs.class(&"7".repeat(1000)).unwrap_err();
        assert!(long.len() < 200, "{long}");
    }
}
