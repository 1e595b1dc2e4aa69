//! The formats, a row each: valid files, how they are read, and what a file of so many bytes can say.

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::fmt::Display;
use std::io::{Read, Write};
use std::path::Path;

use super::{
    checkpoints::checkpoints, experiments::experiments, images::images, models::models,
    tables::tables,
};

/// Reads a file; what a reader refuses, in words.
pub(crate) type Reader = Box<dyn Fn(&Path) -> Result<(), String>>;

/// One format.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    /// The name that a file gets.
    pub(crate) file: &'static str,
    /// Valid files, before `finish`.
    pub(crate) samples: Vec<Vec<u8>>,
    /// What is done to bytes after they were changed: compressed, say, or given the checksum that they should have.
    pub(crate) finish: fn(Vec<u8>) -> Vec<u8>,
    /// Reads a file, and uses what was read.
    pub(crate) read: Reader,
    /// The bytes of memory that hold all that a file can say.
    pub(crate) claims: fn(&[u8]) -> usize,
    /// What a reader needs beside, whatever the file.
    pub(crate) slack: usize,
    /// A refusal has one of these words.
    pub(crate) places: &'static [&'static str],
}

pub(super) const PLAIN: usize = 32 << 10;
/// The windows and tables of a decompressor.
pub(super) const INFLATING: usize = 256 << 10;

pub(crate) fn formats(folder: &Path) -> Vec<Format> {
    [
        tables(folder),
        images(),
        models(),
        checkpoints(folder),
        experiments(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

pub(super) fn message(error: impl Display) -> String {
    error.to_string()
}

pub(super) fn as_it_is(bytes: Vec<u8>) -> Vec<u8> {
    bytes
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
