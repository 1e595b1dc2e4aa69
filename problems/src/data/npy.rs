//! NumPy's `.npy` files.

use npyz::{DType, NpyFile, Order, TypeChar};
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

/// Reads images from a `.npy` file of shape (images, rows, columns) or (rows, columns), in f64 or f32.
///
/// # Errors
/// [`DataError`] for other shapes or types, damaged files, and entries that are not finite.
pub fn read_npy(path: impl AsRef<Path>) -> Result<Vec<Image<f64>>, DataError> {
    let path = path.as_ref();
    let format = |reason: String| DataError::Format {
        path: path.to_owned(),
        format: "npy",
        // The library's reasons can have several lines.
        reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let bytes = read_file(path)?;
    check_header(&bytes).map_err(format)?;
    let file = NpyFile::new(&bytes[..]).map_err(|e| format(format!("in its header: {e}")))?;
    let order = file.order();
    let size = match file.dtype() {
        DType::Plain(t) if t.type_char() == TypeChar::Float && t.size_field() >= 4 => {
            t.size_field() as usize
        }
        other => {
            return Err(format(format!(
                "in its header: its entries are {}, not f64 or f32",
                other.descr()
            )));
        }
    };
    let shape: Vec<usize> = file
        .shape()
        .iter()
        .map(|&n| usize::try_from(n).unwrap_or(usize::MAX))
        .collect();
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
    let entries = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|n| n.checked_mul(size).is_some_and(|b| b <= bytes.len()))
        .ok_or_else(|| format(format!("it is too short for its shape {shape:?}")))?;
    if entries == 0 {
        return Err(refuse("at least one image with at least two pixels"));
    }
    let in_entries = |e: std::io::Error| format(format!("in its entries: {e}"));
    let values: Vec<f64> = if size == 4 {
        let values: Vec<f32> = file.into_vec().map_err(in_entries)?;
        values.into_iter().map(f64::from).collect()
    } else {
        file.into_vec().map_err(in_entries)?
    };
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
    let at = |image: usize, row: usize, col: usize| match order {
        Order::C => values[(image * rows + row) * cols + col],
        Order::Fortran => values[image + images * (row + rows * col)],
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
    use npyz::WriterBuilder;

    fn written(shape: &[u64], order: Order, values: &[f64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .order(order)
            .shape(shape)
            .writer(&mut bytes)
            .begin_nd()
            .unwrap();
        writer.extend(values.iter().copied()).unwrap();
        writer.finish().unwrap();
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
        let a = read(&written(&[2, 2, 3], Order::C, &c)).unwrap();
        let b = read(&written(&[2, 2, 3], Order::Fortran, &fortran)).unwrap();
        assert_eq!(a, b);
        assert_eq!(a[1].pixels(), &c[6..]);
    }

    #[test]
    fn bad_files_are_refused_by_name() {
        let good = written(&[2, 2], Order::C, &[1.0, 2.0, 3.0, 4.0]);
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
        let nan = written(&[1, 2], Order::C, &[1.0, f64::NAN]);
        assert!(matches!(
            read(&nan),
            Err(DataError::NotFinite { index: 1, .. })
        ));
        let vector = written(&[4], Order::C, &[1.0; 4]);
        assert!(matches!(read(&vector), Err(DataError::Shape { .. })));
        let pixel = written(&[1, 1], Order::C, &[1.0]);
        assert!(matches!(read(&pixel), Err(DataError::Shape { .. })));
        let empty = written(&[0, 4, 4], Order::C, &[]);
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
