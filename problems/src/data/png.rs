//! PNG files.

use png::{
    BitDepth, ColorType, Compression, Decoder, DecodingError, Encoder, Filter, Limits,
    Transformations,
};
use std::io::{BufWriter, Cursor};
use std::path::{Path, PathBuf};

use super::image::Image;
use super::{DataError, read_file};

/// The most bytes that one byte of a deflate stream stands for.
const MOST_EXPANSION: u64 = 1032;
/// The most pixels of an image: a small file of one colour could otherwise fill the memory.
const MOST_PIXELS: u64 = 1 << 28;
/// Bytes that a decoder may hold beside the image and four times the file, for colour profiles and texts.
const BESIDE: u64 = 4 << 20;

pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Image<f64>, DataError> {
    let refuse = |reason: String| DataError::Format {
        path: path.to_owned(),
        format: "PNG",
        reason,
    };
    let raw = decompress(bytes).map_err(refuse)?;
    if raw.rows * raw.cols < 2 {
        return Err(DataError::Shape {
            path: path.to_owned(),
            found: format!("{}×{} pixels", raw.rows, raw.cols),
            expected: "at least two pixels".to_owned(),
        });
    }
    Image::new(raw.rows, raw.cols, raw.luminance()).map_err(|e| refuse(e.to_string()))
}

/// The samples of an image as the file has them, with palettes resolved: one to four channels of one or two bytes.
struct Raw {
    rows: usize,
    cols: usize,
    channels: usize,
    wide: bool,
    bytes: Vec<u8>,
}

impl Raw {
    /// Grey values from 0 to 1. Colours become 0.2126 R + 0.7152 G + 0.0722 B, the luminance of Rec. 709; transparency is left out.
    fn luminance(&self) -> Vec<f64> {
        let sample = |bytes: &[u8]| match bytes {
            [high, low] => f64::from(u16::from_be_bytes([*high, *low])) / 65_535.0,
            _ => f64::from(bytes[0]) / 255.0,
        };
        let width = 1 + usize::from(self.wide);
        let pixel = |pixel: &[u8]| {
            let channel = |k: usize| sample(&pixel[k * width..(k + 1) * width]);
            match self.channels {
                1 | 2 => channel(0),
                _ => 0.2126 * channel(0) + 0.7152 * channel(1) + 0.0722 * channel(2),
            }
        };
        self.bytes
            .chunks_exact(self.channels * width)
            .map(pixel)
            .collect()
    }
}

/// Width, height, and the bytes of the image before compression according to the header; `None` for an unreadable header.
fn claimed(bytes: &[u8]) -> Option<(u32, u32, u64)> {
    let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let (width, height) = (word(16)?, word(20)?);
    let channels = match bytes.get(25)? {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        _ => return None,
    };
    let bits = u64::from(width) * channels * u64::from(*bytes.get(24)?);
    let all = u64::from(height).saturating_mul(bits.div_ceil(8));
    Some((width, height, all))
}

/// The image in a file, unless its header claims more than the file can hold. An error says how far the file was read.
fn decompress(bytes: &[u8]) -> Result<Raw, String> {
    let length = bytes.len() as u64;
    let mut limits = Limits { bytes: usize::MAX };
    if let Some((width, height, all)) = claimed(bytes) {
        let shape = format!("in its header, at byte 16: {width}×{height} pixels");
        if all > length.saturating_mul(MOST_EXPANSION) {
            return Err(format!("{shape}, which {length} bytes cannot hold"));
        }
        if u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(format!("{shape}; expected no more than {MOST_PIXELS}"));
        }
        limits.bytes = usize::try_from(BESIDE + 4 * length + all).unwrap_or(usize::MAX);
    }
    let mut file = Cursor::new(bytes);
    read_samples(&mut file, limits).map_err(|e| format!("up to byte {}: {e}", file.position()))
}

fn read_samples(file: &mut Cursor<&[u8]>, limits: Limits) -> Result<Raw, DecodingError> {
    let mut decoder = Decoder::new_with_limits(file, limits);
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info()?;
    let size = reader
        .output_buffer_size()
        .ok_or(DecodingError::LimitsExceeded)?;
    let mut bytes = vec![0; size];
    let info = reader.next_frame(&mut bytes)?;
    bytes.truncate(info.buffer_size());
    Ok(Raw {
        rows: info.height as usize,
        cols: info.width as usize,
        channels: info.color_type.samples(),
        wide: info.bit_depth == BitDepth::Sixteen,
        bytes,
    })
}

/// Reads a PNG file as a grey image with values from 0 to 1. Colours become their luminance.
///
/// # Errors
/// [`DataError`].
pub fn read_png(path: impl AsRef<Path>) -> Result<Image<f64>, DataError> {
    let path = path.as_ref();
    decode(path, &read_file(path)?)
}

/// The PNG files of a path: the file itself, or all PNG files of a folder in the order of their names.
///
/// # Errors
/// [`DataError::Io`], [`DataError::NoImages`].
#[doc(hidden)]
pub fn png_files(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, DataError> {
    let path = path.as_ref();
    let io = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(io)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(io)?
        .map(|entry| entry.map(|e| e.path()))
        .collect::<Result<_, _>>()
        .map_err(io)?;
    files.retain(|f| f.is_file() && f.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")));
    files.sort();
    if files.is_empty() {
        return Err(DataError::NoImages {
            path: path.to_owned(),
        });
    }
    Ok(files)
}

/// Reads a PNG file, or all PNG files of a folder in the order of their names.
///
/// # Errors
/// [`DataError`].
pub fn read_pngs(path: impl AsRef<Path>) -> Result<Vec<Image<f64>>, DataError> {
    png_files(path)?.iter().map(read_png).collect()
}

/// The central square of an image, scaled to `size`×`size` pixels with an antialiasing filter.
///
/// # Errors
/// [`bilevel::Error::InvalidArgument`] for a size below 2 or above 16,384.
pub fn resized(image: &Image<f64>, size: usize) -> Result<Image<f64>, bilevel::Error> {
    const LARGEST: usize = 1 << 14;
    if !(2..=LARGEST).contains(&size) {
        let expected = format!("at least 2 and at most {LARGEST}");
        return Err(bilevel::Error::invalid("size", size, expected));
    }
    let side = image.rows().min(image.cols());
    let (top, left) = ((image.rows() - side) / 2, (image.cols() - side) / 2);
    let square: Vec<f32> = (0..side * side)
        .map(|k| image.pixels()[(top + k / side) * image.cols() + left + k % side] as f32)
        .collect();
    let scaled = match size == side {
        true => square,
        false => {
            let mut scaled = across(&across(&square, side, size), side, size);
            scaled.iter_mut().for_each(|p| *p = p.clamp(0.0, 1.0));
            scaled
        }
    };
    Image::new(size, size, scaled.into_iter().map(f64::from).collect())
}

/// The columns of an image, each scaled to `size` entries by a triangular filter and written as a row: twice, both directions are
/// scaled.
fn across(image: &[f32], side: usize, size: usize) -> Vec<f32> {
    let width = image.len() / side;
    let ratio = side as f32 / size as f32;
    let support = ratio.max(1.0);
    let mut weights = Vec::new();
    let mut out = vec![0.0; width * size];
    for to in 0..size {
        let centre = (to as f32 + 0.5) * ratio;
        let first = ((centre - support).floor().max(0.0) as usize).min(side - 1);
        let last = ((centre + support).ceil() as usize).clamp(first + 1, side);
        let triangle = |i: usize| {
            let distance = ((i as f32 - (centre - 0.5)) / support).abs();
            if distance < 1.0 { 1.0 - distance } else { 0.0 }
        };
        weights.clear();
        weights.extend((first..last).map(triangle));
        let mut sum = 0.0f32;
        weights.iter().for_each(|w| sum += w);
        weights.iter_mut().for_each(|w| *w /= sum);
        for col in 0..width {
            let mut value = 0.0f32;
            for (w, row) in weights.iter().zip(first..) {
                value += image[row * width + col] * w;
            }
            out[col * size + to] = value;
        }
    }
    out
}

/// Writes images as one PNG, one row of images per inner `Vec`, with white gaps between them. Values are clamped to 0 … 1; small images are
/// enlarged by a whole factor so that their pixels can be seen.
///
/// # Errors
/// [`DataError::Io`], [`DataError::Format`].
pub fn write_png(path: impl AsRef<Path>, rows: &[Vec<Image<f64>>]) -> Result<(), DataError> {
    const GAP: u32 = 6;
    const SMALL: u32 = 192;
    let path = path.as_ref();
    let largest = rows
        .iter()
        .flatten()
        .map(|i| i.cols().max(i.rows()) as u32)
        .max()
        .unwrap_or(1);
    let factor = (SMALL / largest).max(1);
    // Columns are as wide as their widest image, so that rows of several sizes are aligned.
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<u32> = (0..columns)
        .map(|c| {
            let widest = rows.iter().filter_map(|row| row.get(c));
            widest.map(|i| i.cols() as u32).max().unwrap_or(0) * factor + GAP
        })
        .collect();
    let width: u32 = widths.iter().sum();
    let height = rows
        .iter()
        .map(|row| row.iter().map(|i| i.rows() as u32).max().unwrap_or(0) * factor + GAP)
        .sum::<u32>();
    let width = width.saturating_sub(GAP).max(1) as usize;
    let height = height.saturating_sub(GAP).max(1) as usize;
    let mut canvas = vec![255u8; width * height];
    let factor = factor as usize;
    let mut top = 0;
    for row in rows {
        let mut left = 0;
        for (image, column) in row.iter().zip(&widths) {
            for (k, value) in image.pixels().iter().enumerate() {
                let grey = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
                let (i, j) = (k / image.cols(), k % image.cols());
                for line in 0..factor {
                    let at = (top + i * factor + line) * width + left + j * factor;
                    canvas[at..at + factor].fill(grey);
                }
            }
            left += *column as usize;
        }
        let tallest = row.iter().map(Image::rows).max().unwrap_or(0);
        top += tallest * factor + GAP as usize;
    }
    let io = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let file = BufWriter::new(std::fs::File::create(path).map_err(io)?);
    encode(file, width, height, &canvas).map_err(|e| match e {
        png::EncodingError::IoError(source) => io(source),
        other => DataError::Format {
            path: path.to_owned(),
            format: "PNG",
            reason: other.to_string(),
        },
    })
}

fn encode(
    file: impl std::io::Write,
    width: usize,
    height: usize,
    pixels: &[u8],
) -> Result<(), png::EncodingError> {
    let mut encoder = Encoder::new(file, width as u32, height as u32);
    encoder.set_color(ColorType::Grayscale);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_image_is_read_back_to_rounding() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let pixels: Vec<f64> = (0..200 * 3).map(|i| f64::from(i % 256) / 255.0).collect();
        let image = Image::new(200, 3, pixels).unwrap();
        write_png(&path, &[vec![image.clone()]]).unwrap();
        assert_eq!(read_png(&path).unwrap(), image);
        assert_eq!(read_pngs(folder.path()).unwrap(), vec![image]);
    }

    #[test]
    fn bad_files_and_folders_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            read_pngs(folder.path()),
            Err(DataError::NoImages { .. })
        ));
        let path = folder.path().join("a.png");
        assert!(matches!(read_png(&path), Err(DataError::Io { .. })));
        std::fs::write(&path, b"no png").unwrap();
        assert!(matches!(read_png(&path), Err(DataError::Format { .. })));
    }

    #[test]
    fn a_header_that_claims_more_than_the_file_can_hold_is_refused_before_anything_is_allocated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let image = Image::new(200, 3, vec![0.5; 600]).unwrap();
        write_png(&path, &[vec![image]]).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[17] = 0xff;
        // As if nobody had tampered with it.
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        let error = decode(&path, &bytes).unwrap_err().to_string();
        assert!(
            error.contains("at byte 16") && error.contains("cannot hold"),
            "{error}"
        );
        let cut = decode(&path, &bytes[..20]).unwrap_err().to_string();
        assert!(cut.contains("up to byte 20"), "{cut}");
    }

    #[test]
    fn scaling_keeps_the_mean_of_a_flat_image_and_refuses_nothing_to_scale_to() {
        let flat = Image::new(40, 60, vec![0.25; 2400]).unwrap();
        let small = resized(&flat, 7).unwrap();
        assert!(small.pixels().iter().all(|p| (p - 0.25).abs() < 1e-6));
        assert!(resized(&flat, 1).is_err());
    }
}
