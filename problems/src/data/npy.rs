//! NumPy's `.npy` files.

mod header;

use std::path::Path;

use header::{Header, check_header, header};

use super::image::Image;
use super::{DataError, read_file};

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
                "in its header: its entries are {}, not f64 or f32",
                header::shown(other)
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
    use super::header::LONGEST_HEADER;
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
            ("{'des\ncr': 1}", "a field `des\\ncr`"),
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
