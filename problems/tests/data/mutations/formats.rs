//! The formats, a row each: valid files, how they are read, and what a file of so many bytes can say.

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read, Write};
use std::path::Path;

use super::{
    checkpoints::checkpoints,
    harness::{Format, INFLATING},
    images::images,
    models::models,
    tables::tables,
    traces::traces,
};

pub(crate) fn formats(folder: &Path) -> Vec<Format> {
    [
        tables(folder),
        images(),
        models(),
        #[cfg(feature = "linfa")]
        super::estimators::estimators(),
        checkpoints(folder),
        traces(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn gzip(bytes: Vec<u8>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap()
}

/// The length of what is compressed in a file, as far as it is readable and a reader may go; that of the file where it is not compressed.
pub(super) fn content(bytes: &[u8]) -> usize {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return bytes.len();
    }
    let most = 256 * bytes.len() + (1 << 20);
    let mut inflated = MultiGzDecoder::new(bytes).take(most as u64);
    let mut room = vec![0; 1 << 12];
    let mut length = 0;
    while let Ok(read @ 1..) = inflated.read(&mut room) {
        length += read;
    }
    length
}

/// The plain format, compressed files that are damaged, and damaged files that are compressed.
pub(super) fn compressed(names: [&'static str; 3], of: impl Fn() -> Format) -> Vec<Format> {
    let samples = of().samples.into_iter().map(gzip).collect();
    vec![
        Format {
            name: names[0],
            ..of()
        },
        Format {
            name: names[1],
            samples,
            slack: INFLATING,
            ..of()
        },
        Format {
            name: names[2],
            finish: gzip,
            slack: INFLATING,
            ..of()
        },
    ]
}
