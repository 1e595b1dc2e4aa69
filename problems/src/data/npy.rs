//! NumPy's `.npy` files.

use std::path::Path;

use super::image::Image;
use super::{DataError, read_file};

/// The longest header that NumPy itself reads.
const LONGEST_HEADER: usize = 10_000;
/// The most brackets of a header, which the parser handles by recursion. A header of plain numbers needs two: for its fields and its shape.
const MOST_BRACKETS: usize = 16;

/// Refuses a header that is longer than the file or made to exhaust the parser.
fn check_header(bytes: &[u8]) -> Result<(), String> {
    let field = |width: usize| {
        let length = bytes.get(8..8 + width)?;
        let length = length.iter().rev().fold(0, |n, &b| n << 8 | usize::from(b));
        Some((8 + width, length))
    };
    let wide = bytes.get(6).is_some_and(|&version| version > 1);
    // The parser reports what is missing.
    let Some((from, length)) = field(if wide { 4 } else { 2 }) else {
        return Ok(());
    };
    let left = bytes.len() - from;
    if length > left.min(LONGEST_HEADER) {
        return Err(format!(
            "in its header, at byte 8: it is said to have {length} bytes; expected no more than {}",
            left.min(LONGEST_HEADER)
        ));
    }
    let header = &bytes[from..from + length];
    let opening = |&at: &usize| matches!(header[at], b'(' | b'[' | b'{');
    if let Some(at) = (0..length).filter(opening).nth(MOST_BRACKETS) {
        let at = from + at;
        return Err(format!(
            "in its header, at byte {at}: more than {MOST_BRACKETS} brackets"
        ));
    }
    // The parser multiplies the numbers of the shape unchecked, so the product is checked here; non-decimal numbers would escape the check.
    let other = |pair: &[u8]| {
        pair[0].is_ascii_digit() && (pair[1].is_ascii_alphabetic() || pair[1] == b'_')
    };
    if let Some(at) = header.windows(2).position(other) {
        let at = from + at;
        return Err(format!(
            "in its header, at byte {at}: a number that is not decimal"
        ));
    }
    let numbers = header.split(|b| !b.is_ascii_digit());
    let product = numbers.filter(|n| !n.is_empty()).try_fold(1u64, |all, n| {
        let number: u64 = std::str::from_utf8(n).ok()?.parse().ok()?;
        all.checked_mul(number.max(1))
    });
    match product {
        Some(_) => Ok(()),
        None => Err("in its header: its shape is beyond all files".to_owned()),
    }
}

/// A header: how the entries are stored, and the shape.
#[derive(Debug, PartialEq)]
struct Header {
    /// NumPy's name of the type, such as `<f8`.
    descr: String,
    /// Whether the first index runs fastest.
    fortran: bool,
    shape: Vec<usize>,
    /// Where the entries begin.
    end: usize,
}

/// Reads the literal of a header: a dictionary of a string, a truth value and a tuple of numbers, in any order.
struct Literal<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Literal<'a> {
    /// The next byte that is not blank.
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(format!("expected `{}`", char::from(byte)))
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let Some(quote @ (b'\'' | b'"')) = self.peek() else {
            return Err("expected a string".to_owned());
        };
        let from = self.at + 1;
        let len = self.text[from..].iter().position(|&b| b == quote);
        let len = len.ok_or("a string without an end")?;
        self.at = from + len + 1;
        std::str::from_utf8(&self.text[from..from + len]).map_err(|e| e.to_string())
    }

    /// A string, or whatever stands between brackets in its place.
    fn descr(&mut self) -> Result<String, String> {
        if self.peek() != Some(b'[') {
            return self.string().map(str::to_owned);
        }
        let from = self.at;
        let mut depth = 0usize;
        for (k, &byte) in self.text[from..].iter().enumerate() {
            depth += usize::from(matches!(byte, b'[' | b'('));
            depth -= usize::from(matches!(byte, b']' | b')'));
            if depth == 0 {
                self.at = from + k + 1;
                return Ok(String::from_utf8_lossy(&self.text[from..self.at]).into_owned());
            }
        }
        Err("a bracket without an end".to_owned())
    }

    fn word(&mut self) -> &'a [u8] {
        self.peek();
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|b| !b.is_ascii_alphanumeric());
        let word = &rest[..len.unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn shape(&mut self) -> Result<Vec<usize>, String> {
        let mut shape = Vec::new();
        self.expect(b'(')?;
        while !self.eat(b')') {
            let from = self.at;
            let number = std::str::from_utf8(self.word()).ok();
            let Some(number) = number.and_then(|n| n.parse().ok()) else {
                self.at = from;
                return Err("expected a number of the shape".to_owned());
            };
            shape.push(number);
            if !self.eat(b',') && self.peek() != Some(b')') {
                return Err("expected `,` or `)`".to_owned());
            }
        }
        Ok(shape)
    }

    fn header(&mut self) -> Result<(String, bool, Vec<usize>), String> {
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        self.expect(b'{')?;
        while !self.eat(b'}') {
            let key = self.string()?;
            self.expect(b':')?;
            match key {
                "descr" => descr = Some(self.descr()?),
                "shape" => shape = Some(self.shape()?),
                "fortran_order" => {
                    fortran = match self.word() {
                        b"True" => Some(true),
                        b"False" => Some(false),
                        _ => return Err("expected `True` or `False`".to_owned()),
                    }
                }
                other => return Err(format!("a field `{other}` that no array has")),
            }
            if !self.eat(b',') && self.peek() != Some(b'}') {
                return Err("expected `,` or `}`".to_owned());
            }
        }
        Ok((
            descr.ok_or("no field `descr`")?,
            fortran.ok_or("no field `fortran_order`")?,
            shape.ok_or("no field `shape`")?,
        ))
    }
}

/// Reads the header, once [`check_header`] has let it pass.
fn header(bytes: &[u8]) -> Result<Header, String> {
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err("in its header, at byte 0: not what NumPy begins its files with".to_owned());
    }
    let (from, length) = match bytes {
        [_, _, _, _, _, _, 1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([*a, *b]))),
        [_, _, _, _, _, _, 2 | 3, _, a, b, c, d, ..] => {
            (12, u32::from_le_bytes([*a, *b, *c, *d]) as usize)
        }
        [_, _, _, _, _, _, version, ..] if !(1..=3).contains(version) => {
            return Err(format!(
                "in its header, at byte 6: version {version}; expected 1, 2 or 3"
            ));
        }
        _ => return Err("in its header: it ends too early".to_owned()),
    };
    let text = bytes.get(from..from + length);
    let text = text.ok_or("in its header: it ends too early")?;
    let mut literal = Literal { text, at: 0 };
    let read = literal.header();
    let (descr, fortran, shape) =
        read.map_err(|e| format!("in its header, at byte {}: {e}", from + literal.at))?;
    Ok(Header {
        descr,
        fortran,
        shape,
        end: from + length,
    })
}

/// The entries in f64, of `size` bytes each.
fn entries(bytes: &[u8], size: usize, big: bool) -> Vec<f64> {
    let number = |bytes: &[u8]| {
        let mut word = [0u8; 8];
        word[..size].copy_from_slice(bytes);
        if big {
            word[..size].reverse();
        }
        match size {
            4 => f64::from(f32::from_le_bytes([word[0], word[1], word[2], word[3]])),
            _ => f64::from_le_bytes(word),
        }
    };
    bytes.chunks_exact(size).map(number).collect()
}

/// Reads images from a `.npy` file of shape (images, rows, columns) or (rows, columns), in f64 or f32.
///
/// # Errors
/// [`DataError`] for other shapes or types, damaged files, and entries that are not finite.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Vec<Image<f64>>, DataError> {
    let path = path.as_ref();
    let format = |reason: String| DataError::Format {
        path: path.to_owned(),
        format: "npy",
        reason,
    };
    let bytes = read_file(path)?;
    check_header(&bytes).map_err(format)?;
    let Header {
        descr,
        fortran,
        shape,
        end,
    } = header(&bytes).map_err(format)?;
    let (size, big) = match descr.as_str() {
        "<f8" | "=f8" => (8, false),
        "<f4" | "=f4" => (4, false),
        ">f8" => (8, true),
        ">f4" => (4, true),
        other => {
            return Err(format(format!(
                "in its header: its entries are {other}, not f64 or f32"
            )));
        }
    };
    let refuse = |expected: &str| DataError::Shape {
        path: path.to_owned(),
        found: format!(
            "({})",
            shape
                .iter()
                .map(usize::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
        expected: expected.to_owned(),
    };
    let (images, rows, cols) = match shape[..] {
        [rows, cols] => (1, rows, cols),
        [images, rows, cols] => (images, rows, cols),
        _ => return Err(refuse("(rows, columns) or (images, rows, columns)")),
    };
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let stored = count
        .and_then(|n| bytes[end..].get(..n.checked_mul(size)?))
        .ok_or_else(|| format(format!("it is too short for its shape {shape:?}")))?;
    if stored.is_empty() {
        return Err(refuse("at least one image with at least two pixels"));
    }
    let values = entries(stored, size, big);
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        return Err(DataError::NotFinite {
            path: path.to_owned(),
            index,
            value: values[index],
        });
    }
    if rows * cols < 2 {
        return Err(refuse("at least two pixels an image"));
    }
    let at = |image: usize, row: usize, col: usize| match fortran {
        false => values[(image * rows + row) * cols + col],
        true => values[image + images * (row + rows * col)],
    };
    (0..images)
        .map(|i| {
            let pixels = (0..rows * cols)
                .map(|k| at(i, k / cols, k % cols))
                .collect();
            Image::new(rows, cols, pixels).map_err(|e| format(e.to_string()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(shape: &[u64], fortran: bool, values: &[f64]) -> Vec<u8> {
        let fortran = if fortran { "True" } else { "False" };
        let shape: String = shape.iter().map(|n| format!("{n},")).collect();
        let header =
            format!("{{'descr': '<f8', 'fortran_order': {fortran}, 'shape': ({shape}), }}\n");
        let mut bytes = headed(1, header.len() as u32, &header);
        bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Image<f64>>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        read_npy(path)
    }

    #[test]
    fn both_orders_give_the_same_images() {
        let c: Vec<f64> = (0..12).map(f64::from).collect();
        // The same array of shape (2, 2, 3) with the first index running fastest.
        let mut fortran = vec![0.0; 12];
        for i in 0..2 {
            for r in 0..2 {
                for k in 0..3 {
                    fortran[i + 2 * (r + 2 * k)] = c[(i * 2 + r) * 3 + k];
                }
            }
        }
        let a = read(&written(&[2, 2, 3], false, &c)).unwrap();
        let b = read(&written(&[2, 2, 3], true, &fortran)).unwrap();
        assert_eq!(a, b);
        assert_eq!(a[1].pixels(), &c[6..]);
    }

    #[test]
    fn bad_files_are_refused_by_name() {
        let good = written(&[2, 2], false, &[1.0, 2.0, 3.0, 4.0]);
        assert!(matches!(read(b"nonsense"), Err(DataError::Format { .. })));
        assert!(matches!(read(&[]), Err(DataError::Format { .. })));
        for cut in [20, good.len() - 1] {
            assert!(matches!(read(&good[..cut]), Err(DataError::Format { .. })));
        }
        let mut integers = good.clone();
        let at = integers.windows(3).position(|w| w == b"<f8").unwrap();
        integers[at..at + 3].copy_from_slice(b"<i8");
        let refused = read(&integers).unwrap_err().to_string();
        assert!(
            refused.contains("<i8") && refused.contains("not f64 or f32"),
            "{refused}"
        );
        let nan = written(&[1, 2], false, &[1.0, f64::NAN]);
        assert!(matches!(
            read(&nan),
            Err(DataError::NotFinite { index: 1, .. })
        ));
        let vector = written(&[4], false, &[1.0; 4]);
        assert!(matches!(read(&vector), Err(DataError::Shape { .. })));
        let pixel = written(&[1, 1], false, &[1.0]);
        assert!(matches!(read(&pixel), Err(DataError::Shape { .. })));
        let empty = written(&[0, 4, 4], false, &[]);
        assert!(matches!(read(&empty), Err(DataError::Shape { .. })));
    }

    /// A file with this header, which is said to have so many bytes.
    fn headed(version: u8, length: u32, header: &str) -> Vec<u8> {
        let mut bytes = [b"\x93NUMPY", &[version, 0][..]].concat();
        let length = length.to_le_bytes();
        bytes.extend(&length[..if version > 1 { 4 } else { 2 }]);
        bytes.extend(header.as_bytes());
        bytes
    }

    #[test]
    fn a_header_longer_than_the_file_is_refused_before_anything_is_allocated() {
        for (version, length) in [(1, 65_535), (2, u32::MAX), (3, 1 << 30)] {
            let error = read(&headed(version, length, "{}"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("at byte 8"), "{error}");
        }
        let long = " ".repeat(LONGEST_HEADER + 1);
        let error = read(&headed(2, long.len() as u32, &long)).unwrap_err();
        assert!(error.to_string().contains("10001 bytes"), "{error}");
    }

    #[test]
    fn a_deeply_nested_header_is_refused_and_does_not_exhaust_the_stack() {
        let deep = "(".repeat(9_000);
        let error = read(&headed(1, 9_000, &deep)).unwrap_err().to_string();
        assert!(error.contains("at byte 26: more than 16"), "{error}");
    }

    #[test]
    fn entries_of_every_width_and_order_of_bytes_are_read() {
        for (descr, bytes) in [
            ("<f8", [1.5f64, -2.0].map(f64::to_le_bytes).concat()),
            (">f8", [1.5f64, -2.0].map(f64::to_be_bytes).concat()),
            ("<f4", [1.5f32, -2.0].map(f32::to_le_bytes).concat()),
            (">f4", [1.5f32, -2.0].map(f32::to_be_bytes).concat()),
        ] {
            let header = format!("{{\"shape\":(1,2),'fortran_order':False,'descr':'{descr}'}}");
            let file = [headed(2, header.len() as u32, &header), bytes].concat();
            assert_eq!(read(&file).unwrap()[0].pixels(), [1.5, -2.0], "{descr}");
        }
    }

    #[test]
    fn a_header_that_is_no_literal_is_refused_with_its_place() {
        for (header, words) in [
            ("", "at byte 10: expected `{`"),
            ("{'descr': '<f8'", "at byte 25: expected `,` or `}`"),
            ("{'descr': '<f8', 'size': 3}", "a field `size`"),
            ("{'fortran_order': Maybe}", "`True` or `False`"),
            (
                "{'descr': '<f8', 'fortran_order': False}",
                "no field `shape`",
            ),
            (
                "{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (2,)}",
                "[('a', '<f8')]",
            ),
            ("{'shape': (2 3)}", "expected `,` or `)`"),
        ] {
            let error = read(&headed(1, header.len() as u32, header))
                .unwrap_err()
                .to_string();
            assert!(error.contains(words), "{header}: {error}");
        }
    }

    #[test]
    fn a_shape_whose_product_overflows_is_refused() {
        for shape in [
            "(4294967296, 4294967296, 3)",
            "(99999999999999999999999, 1, 1)",
            "(9223372036854775807, 0, 4)",
            "(0xffffffff, 0xffffffff, 0xff)",
            "(4_294_967_296, 4_294_967_296)",
        ] {
            let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
            let error = read(&headed(1, header.len() as u32, &header)).unwrap_err();
            assert!(error.to_string().contains("in its header"), "{error}");
        }
    }
}
