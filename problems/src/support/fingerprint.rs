//! A checksum of data, by which a checkpoint recognises its problem.

use bilevel::Element;

/// CRC-32 of the entries as f64, little endian.
pub(crate) fn fingerprint<E: Element>(data: &[E]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for value in data {
        hasher.update(&value.to_f64().to_le_bytes());
    }
    hasher.finalize()
}
