//! npy and PNG.

use bilevel_problems::data::{read_npy, read_png};
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

use super::harness::{Format, INFLATING, PLAIN, as_it_is, message};

fn npy(kind: &str, shape: &str, values: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(118u16.to_le_bytes());
    bytes.extend(format!("{header:<117}\n").bytes());
    bytes.extend(values.flatten());
    bytes
}

/// A PNG file of chunks, whose checksums are set by [`checked_chunks`].
fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in chunks {
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(*kind);
        bytes.extend(data);
        bytes.extend([0; 4]);
    }
    checked_chunks(bytes)
}

/// The checksums that the chunks of a PNG file should have.
fn checked_chunks(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let data = at + 4..at + 8 + length;
        let Some(data) = bytes
            .get(data.clone())
            .filter(|_| data.end + 4 <= bytes.len())
        else {
            break;
        };
        let mut crc = Crc::new();
        crc.update(data);
        at += 8 + length;
        bytes[at..at + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at += 4;
    }
    bytes
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Width, height, bits, colour type and interlacing of a PNG file.
fn png_header(width: u32, height: u32, kinds: [u8; 3]) -> (&'static [u8; 4], Vec<u8>) {
    let [bits, colours, interlaced] = kinds;
    let shape = [width.to_be_bytes(), height.to_be_bytes()].concat();
    (
        b"IHDR",
        [&shape[..], &[bits, colours, 0, 0, interlaced]].concat(),
    )
}

pub(super) fn images() -> Vec<Format> {
    let end = (b"IEND", Vec::new());
    // Rows begin with the number of their filter.
    let rows = |rows: usize, bytes: usize| -> Vec<u8> {
        let row =
            |r: usize| (0..=bytes).map(move |i| if i == 0 { (r % 5) as u8 } else { (r * i) as u8 });
        zlib(&(0..rows).flat_map(row).collect::<Vec<u8>>())
    };
    let grey = png(&[
        png_header(12, 9, [8, 0, 0]),
        (b"tEXt", b"Title\0a picture".to_vec()),
        (b"IDAT", rows(9, 12)),
        end.clone(),
    ]);
    let colour = png(&[
        png_header(6, 5, [16, 6, 0]),
        (b"iCCP", [b"icc\0\0", &zlib(&[7; 64])[..]].concat()),
        (b"IDAT", rows(5, 48)),
        end.clone(),
    ]);
    let palette = png(&[
        png_header(9, 8, [1, 3, 0]),
        (b"PLTE", vec![0, 0, 0, 255, 255, 255]),
        (b"IDAT", rows(8, 2)),
        end,
    ]);
    let png_file = || Format {
        name: "PNG",
        file: "damaged.png",
        samples: vec![grey.clone(), colour.clone(), palette.clone()],
        finish: as_it_is,
        read: Box::new(|path| {
            let image = read_png(path).map_err(message)?;
            assert!(image.pixels().iter().all(|p| (0.0..=1.0).contains(p)));
            Ok(())
        }),
        // A pixel takes up to eight bytes in the decoder and two as grey, before it is a number.
        claims: |bytes| {
            let side = |at: usize| {
                let side = bytes.get(at..at + 4).map(|b| b.try_into().unwrap());
                side.map_or(0, |b| u32::from_be_bytes(b) as usize)
            };
            // A bit is a pixel at least.
            10 * side(16)
                .saturating_mul(side(20))
                .min(8 * 1032 * bytes.len())
        },
        slack: INFLATING,
        places: &["byte ", "shape"],
    };
    let doubles = |n: i32| (0..n).map(|i| (f64::from(i) / 7.0).to_le_bytes().to_vec());
    let singles = |n: i32| (0..n).map(|i| (i as f32 / 7.0).to_be_bytes().to_vec());
    let npy_file = Format {
        name: "npy",
        file: "damaged.npy",
        samples: vec![
            npy("<f8", "(2, 3, 4)", doubles(24)),
            npy(">f4", "(5, 6)", singles(30)),
        ],
        finish: as_it_is,
        read: Box::new(|path| {
            let images = read_npy(path).map_err(message)?;
            assert!(
                images
                    .iter()
                    .flat_map(|i| i.pixels())
                    .all(|p| p.is_finite())
            );
            Ok(())
        }),
        // Four bytes are a number of eight.
        claims: |bytes| 2 * bytes.len(),
        slack: PLAIN,
        places: &[
            "byte ",
            "entry ",
            "in its header",
            "in its entries",
            "shape",
        ],
    };
    vec![
        npy_file,
        png_file(),
        Format {
            name: "PNG, checksums right",
            finish: checked_chunks,
            ..png_file()
        },
    ]
}
