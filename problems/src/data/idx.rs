//! IDX, the format of MNIST and similar data sets: images and labels of one byte each, in two files.

use std::io::Read;
use std::path::Path;

use super::text::{content, most_content, refusal, unreadable};
use super::{DataError, LabelledData, plain_or_gz, read_file};

const FORMAT: &str = "IDX";

/// Reads samples from a file of images, whose values are scaled to 0 … 1, and a file of labels from 0 to `classes` − 1; plain or gzip.
///
/// # Errors
/// [`DataError`] for files that are damaged, of other types or of different lengths, and for labels outside the classes.
pub fn read_idx(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    classes: usize,
) -> Result<LabelledData<f64>, DataError> {
    let (images, labels) = (images.as_ref(), labels.as_ref());
    parse(
        (images, &read_file(images)?),
        (labels, &read_file(labels)?),
        classes,
    )
}

/// The number of classes of MNIST and data sets of its form.
const CLASSES: usize = 10;

/// The training and the test samples of MNIST or a data set of its form: a folder with `train-images-idx3-ubyte`,
/// `train-labels-idx1-ubyte` and the same of `t10k`, plain or with `.gz`.
///
/// # Errors
/// As for [`read_idx`].
pub fn read_idx_folder(
    folder: impl AsRef<Path>,
) -> Result<(LabelledData<f64>, LabelledData<f64>), DataError> {
    let file =
        |part: &str, kind: &str| plain_or_gz(folder.as_ref(), &format!("{part}-{kind}-ubyte"));
    let read = |part: &str| {
        read_idx(
            file(part, "images-idx3"),
            file(part, "labels-idx1"),
            CLASSES,
        )
    };
    Ok((read("train")?, read("t10k")?))
}

pub(super) fn parse(
    (images, image_bytes): (&Path, &[u8]),
    (labels, label_bytes): (&Path, &[u8]),
    classes: usize,
) -> Result<LabelledData<f64>, DataError> {
    let (shape, pixels) = array(images, image_bytes, 2..=4)?;
    let (count, classes_of) = array(labels, label_bytes, 1..=1)?;
    if shape[0] != count[0] {
        return Err(DataError::Shape {
            path: labels.to_owned(),
            found: format!("{} labels", count[0]),
            expected: format!("{}, one for each of the images", shape[0]),
        });
    }
    if pixels.is_empty() {
        return Err(DataError::Shape {
            path: images.to_owned(),
            found: format!("{shape:?}"),
            expected: "at least one image of at least one pixel".to_owned(),
        });
    }
    let features = pixels.iter().map(|&p| f64::from(p) / 255.0).collect();
    LabelledData::dense(
        shape[1..].iter().product(),
        features,
        classes_of.iter().map(|&l| u32::from(l)).collect(),
        classes,
    )
    .map_err(|e| refusal(labels, FORMAT)(e.to_string()))
}

/// The shape of an array of bytes and its entries.
fn array(
    path: &Path,
    bytes: &[u8],
    dimensions: std::ops::RangeInclusive<usize>,
) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let refuse = refusal(path, FORMAT);
    let mut content = content(bytes);
    let mut at = 0;
    let mut four = || {
        let mut four = [0u8; 4];
        let read = content.read_exact(&mut four);
        read.map_err(|e| refuse(format!("in its header, at byte {at}: {}", unreadable(&e))))?;
        at += 4;
        Ok::<_, DataError>(four)
    };
    let [zero, also_zero, kind, rank] = four()?;
    if (zero, also_zero) != (0, 0) {
        let reason = "its first two bytes are not zero, at byte 0";
        return Err(refuse(reason.to_owned()));
    }
    if kind != 8 {
        return Err(refuse(format!(
            "its entries are of type {kind:#04x}, at byte 2; expected bytes, 0x08"
        )));
    }
    if !dimensions.contains(&usize::from(rank)) {
        return Err(DataError::Shape {
            path: path.to_owned(),
            found: format!("of {rank} dimensions, at byte 3"),
            expected: format!("one of {} to {}", dimensions.start(), dimensions.end()),
        });
    }
    let shape: Vec<usize> = (0..rank)
        .map(|_| four().map(|n| u32::from_be_bytes(n) as usize))
        .collect::<Result<_, _>>()?;
    // The claim of the header is checked against the size of the file before anything is allocated.
    let most = most_content(bytes);
    let entries = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n <= most)
        .ok_or_else(|| refuse(format!("it is too short for its shape {shape:?}")))?;
    let mut values = Vec::new();
    let read = content.take(entries as u64 + 1).read_to_end(&mut values);
    read.map_err(|e| refuse(format!("at entry {}: {}", values.len(), unreadable(&e))))?;
    if values.len() != entries {
        let (found, more) = (values.len(), values.len() > entries);
        return Err(refuse(format!(
            "{} entries where its shape {shape:?} says {entries}",
            if more {
                format!("more than {entries}")
            } else {
                found.to_string()
            }
        )));
    }
    Ok((shape, values))
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::gzip;
    use super::*;
    use crate::data::Features;

    fn written(kind: u8, shape: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, kind, shape.len() as u8];
        for n in shape {
            bytes.extend(n.to_be_bytes());
        }
        bytes.extend(values);
        bytes
    }

    fn read(images: &[u8], labels: &[u8]) -> Result<LabelledData<f64>, DataError> {
        parse(
            (Path::new("images"), images),
            (Path::new("labels"), labels),
            3,
        )
    }

    #[test]
    fn plain_and_compressed_files_give_the_same_data() {
        let images = written(8, &[2, 1, 2], &[0, 255, 51, 0]);
        let labels = written(8, &[2], &[2, 0]);
        let data = read(&images, &labels).unwrap();
        assert_eq!(data.features(), &Features::Dense(vec![0.0, 1.0, 0.2, 0.0]));
        assert_eq!(data.labels(), [2, 0]);
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, gzip(bytes)).unwrap();
            path
        };
        let again = read_idx(path("i", &images), path("l", &labels), 3).unwrap();
        assert_eq!(again, data);
    }

    #[test]
    fn bad_files_are_refused_by_name() {
        let images = written(8, &[2, 1, 2], &[0, 255, 51, 0]);
        let labels = written(8, &[2], &[2, 0]);
        let refused = |images: &[u8], labels: &[u8], words: &str| {
            let error = read(images, labels).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        refused(b"", &labels, "images: ");
        refused(&images, b"nonsense", "labels: ");
        refused(&images[..7], &labels, "in its header");
        refused(&images[..images.len() - 1], &labels, "3 entries");
        let mut longer = images.clone();
        longer.push(1);
        refused(&longer, &labels, "more than 4 entries");
        refused(&written(9, &[2, 1, 2], &[0; 4]), &labels, "type 0x09");
        refused(&labels, &labels, "of 1 dimensions, at byte 3");
        refused(&images, &images, "of 3 dimensions");
        refused(&images, &written(8, &[3], &[0, 1, 2]), "3 labels");
        refused(&images, &written(8, &[2], &[0, 3]), "label 1 is 3");
        refused(
            &written(8, &[0, 1, 2], &[]),
            &written(8, &[0], &[]),
            "shape is [0, 1, 2]",
        );
    }

    #[test]
    fn a_header_that_claims_more_than_the_file_can_hold_is_refused_before_anything_is_allocated() {
        let labels = written(8, &[2], &[2, 0]);
        for shape in [[u32::MAX; 3], [1 << 20, 1 << 10, 1]] {
            let claims = written(8, &shape, &[0; 4]);
            for bytes in [claims.clone(), gzip(&claims)] {
                let error = read(&bytes, &labels).unwrap_err().to_string();
                assert!(error.contains("too short for its shape"), "{error}");
            }
        }
    }

    #[test]
    fn a_truncated_or_damaged_compressed_file_is_refused() {
        let images = gzip(&written(8, &[40, 2, 2], &[7; 160]));
        let labels = written(8, &[40], &[1; 40]);
        assert!(read(&images, &labels).is_ok());
        for cut in [3, 15, images.len() - 9, images.len() - 1] {
            let error = read(&images[..cut], &labels).unwrap_err().to_string();
            assert!(error.contains("too early"), "{cut}: {error}");
        }
        let mut wrong = images.clone();
        let at = wrong.len() - 6;
        wrong[at] ^= 1;
        assert!(read(&wrong, &labels).is_err());
    }
}
