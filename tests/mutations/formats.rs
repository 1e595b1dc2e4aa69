//! The formats, a row each: valid files, how they are read, and what a file of so many bytes can say.

use bilevel::run::checkpoint;
use bilevel::stochastic::Saba;
use bilevel::{Implicit, Maid, Run, Stochastic};
use bilevel_problems::data::{
    CsvFormat, DataError, Labels, read_csv, read_idx, read_libsvm, read_npy, read_png,
    read_sentences,
};
use bilevel_problems::finite_sum::FiniteSum;
use bilevel_problems::imaging::{Experts, FoeModel, Potential};
use bilevel_problems::linfa::{Penalty, TunedLogistic, TunedRidge};
use bilevel_problems::quadratic::Quadratic;
use flate2::bufread::MultiGzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use flate2::{Compression, Crc};
use linfa::traits::{Fit, Predict};
use linfa::{Dataset, DatasetBase};
use ndarray::{Array1, Array2, Ix1};
use serde::de::DeserializeOwned;
use std::fmt::Display;
use std::io::{Read, Write};
use std::path::Path;

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
    pub(crate) read: Box<dyn Fn(&Path) -> Result<(), String>>,
    /// The bytes of memory that hold all that a file can say.
    pub(crate) claims: fn(&[u8]) -> usize,
    /// What a reader needs beside, whatever the file.
    pub(crate) slack: usize,
    /// A refusal has one of these words.
    pub(crate) places: &'static [&'static str],
}

const PLAIN: usize = 32 << 10;
/// The windows and tables of a decompressor.
const INFLATING: usize = 256 << 10;
const THREE: Labels = Labels::From { first: 0, count: 3 };

pub(crate) fn formats(folder: &Path) -> Vec<Format> {
    [tables(folder), images(), models(), checkpoints(folder)]
        .into_iter()
        .flatten()
        .collect()
}

fn message(error: impl Display) -> String {
    error.to_string()
}

fn as_it_is(bytes: Vec<u8>) -> Vec<u8> {
    bytes
}

fn gzip(bytes: Vec<u8>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    encoder.finish().unwrap()
}

/// The length of what is compressed in a file, as far as it is readable and a reader may go; that of the file where it is not compressed.
fn content(bytes: &[u8]) -> usize {
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
fn compressed(names: [&'static str; 3], of: impl Fn() -> Format) -> Vec<Format> {
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

fn idx(shape: &[u32], values: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
    bytes.extend(values);
    bytes
}

fn tables(folder: &Path) -> Vec<Format> {
    let text = |line: &dyn Fn(usize) -> String, lines: usize| -> Vec<u8> {
        (0..lines).map(line).collect::<String>().into_bytes()
    };
    let images = |n: u32| idx(&[n, 4, 5], (0..n * 20).map(|i| (i * 7 % 256) as u8));
    let labels = |first: u32| idx(&[12], (first..first + 12).map(|i| (i % 3) as u8));
    let [images_path, labels_path] = ["whole.images", "whole.labels"].map(|n| folder.join(n));
    std::fs::write(&images_path, images(12)).unwrap();
    std::fs::write(&labels_path, labels(0)).unwrap();
    let idx_images = || Format {
        name: "",
        file: "damaged.images",
        samples: vec![images(12), images(3)],
        finish: as_it_is,
        read: {
            let labels = labels_path.clone();
            let few = folder.join("few.labels");
            std::fs::write(&few, idx(&[3], [2, 0, 1].into_iter())).unwrap();
            Box::new(move |path| {
                let table = read_idx(path, &labels, 3).or_else(|_| read_idx(path, &few, 3));
                // Where the numbers of images and labels differ, the file of the labels is named.
                table.map(drop).map_err(|e| match e {
                    DataError::Shape { .. } => format!("{}: {e}", path.display()),
                    other => other.to_string(),
                })
            })
        },
        // An entry is a byte, then a number.
        claims: |bytes| 9 * content(bytes),
        slack: PLAIN,
        places: &["byte ", "entry ", "entries", "shape"],
    };
    let idx_labels = || Format {
        file: "damaged.labels",
        samples: vec![labels(0), labels(1)],
        read: {
            let images = images_path.clone();
            Box::new(move |path| {
                let table = read_idx(&images, path, 3).map_err(message)?;
                assert!(table.labels().iter().all(|l| *l < 3));
                Ok(())
            })
        },
        claims: |bytes| 4 * content(bytes) + 9 * 240,
        places: &["byte ", "entry ", "entries", "shape", "label "],
        ..idx_images()
    };
    let libsvm_line = |i: usize| format!("{} 2:{} {}:1e-3\n", i % 3, i as f64 / 8.0, i + 3);
    let libsvm = || Format {
        name: "",
        file: "damaged.libsvm",
        samples: vec![text(&libsvm_line, 30), text(&libsvm_line, 4)],
        finish: as_it_is,
        read: Box::new(|path| {
            let table = read_libsvm(path, None, THREE).map_err(message)?;
            assert!(table.labels().iter().all(|l| *l < 3));
            Ok(())
        }),
        // A line of a label alone, two bytes, is the start of a row and a class.
        claims: |bytes| 6 * content(bytes),
        slack: PLAIN,
        places: &["line"],
    };
    let csv_line = |i: usize| format!("{},-2.5,\"{}\",1e-3,{}\n", i as f64 / 8.0, i, i % 3);
    let csv = || Format {
        file: "damaged.csv",
        samples: vec![text(&csv_line, 30), text(&csv_line, 4)],
        read: Box::new(|path| {
            let table = read_csv(path, CsvFormat::new(THREE)).map_err(message)?;
            assert!(table.labels().iter().all(|l| *l < 3));
            Ok(())
        }),
        // A number takes a byte and a comma.
        claims: |bytes| 4 * content(bytes),
        ..libsvm()
    };
    let sentence = |i: usize| format!("{} a fine film of the year {i}\n", i % 3);
    let sentences = || Format {
        file: "damaged.txt",
        samples: vec![text(&sentence, 30), text(&sentence, 4)],
        read: Box::new(|path| {
            let sentences = read_sentences(path, THREE).map_err(message)?;
            assert!(
                sentences
                    .iter()
                    .all(|(words, class)| !words.is_empty() && *class < 3)
            );
            Ok(())
        }),
        // A line of a word of one letter, four bytes, becomes a list of strings.
        claims: |bytes| 33 * content(bytes),
        ..libsvm()
    };
    [
        compressed(
            ["IDX images", "IDX images, .gz", "IDX images, in .gz"],
            idx_images,
        ),
        compressed(
            ["IDX labels", "IDX labels, .gz", "IDX labels, in .gz"],
            idx_labels,
        ),
        compressed(["LIBSVM", "LIBSVM, .gz", "LIBSVM, in .gz"], libsvm),
        compressed(["CSV", "CSV, .gz", "CSV, in .gz"], csv),
        compressed(["text", "text, .gz", "text, in .gz"], sentences),
    ]
    .into_iter()
    .flatten()
    .collect()
}

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

fn images() -> Vec<Format> {
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

/// A file of JSON, as a program reads one of its own.
fn from_json<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let named = |e: &dyn Display| format!("{}: {e}", path.display());
    let bytes = std::fs::read(path).map_err(|e| named(&e))?;
    serde_json::from_slice(&bytes).map_err(|e| named(&e))
}

/// A little data, with and without classes.
fn samples() -> Array2<f64> {
    Array2::from_shape_fn((30, 3), |(i, j)| ((i * (j + 2)) as f64).sin())
}

fn models() -> Vec<Format> {
    let foe = |size: usize, potential: Potential| {
        let experts = Experts::new(3, size).unwrap();
        let experts = experts.with_potential(potential).unwrap();
        let theta = experts.random(1);
        let model = FoeModel::new(experts, theta, 0.1).unwrap();
        model.to_json().into_bytes()
    };
    let experts = Format {
        name: "fields of experts",
        file: "damaged.json",
        samples: vec![
            foe(3, Potential::Convex),
            foe(5, Potential::weakly_convex()),
        ],
        finish: as_it_is,
        read: Box::new(|path| {
            let model = FoeModel::read(path).map_err(message)?;
            assert_eq!(model.theta().len(), model.experts().theta_len());
            Ok(())
        }),
        // The text, and numbers of a digit and a comma.
        claims: |bytes| 5 * bytes.len(),
        slack: PLAIN,
        places: &[
            "line ",
            "format",
            "version",
            "theta",
            "sigma",
            "filter",
            "modulus",
            "concavity",
        ],
    };
    let numbers = Array1::from_shape_fn(30, |i| (i as f64).cos());
    let data: Dataset<f64, f64, Ix1> = Dataset::new(samples(), numbers);
    let ridge = |penalty| {
        let params = TunedRidge::params().penalty(penalty).max_iterations(3);
        serde_json::to_vec(&params.fit(&data).unwrap()).unwrap()
    };
    let ridge = Format {
        name: "ridge regression",
        samples: vec![ridge(Penalty::Single), ridge(Penalty::PerFeature)],
        read: Box::new(|path| {
            let model: TunedRidge = from_json(path)?;
            let predicted = model.predict(&samples());
            assert_eq!(predicted.len(), 30);
            Ok(())
        }),
        ..json()
    };
    let logistic = |classes: usize, penalty| {
        let labels = Array1::from_shape_fn(30, |i| format!("class {}", i % classes));
        let data = DatasetBase::new(samples(), labels);
        let params = TunedLogistic::params().penalty(penalty).max_iterations(3);
        serde_json::to_vec(&params.fit(&data).unwrap()).unwrap()
    };
    let logistic = Format {
        name: "logistic regression",
        samples: vec![
            logistic(2, Penalty::Single),
            logistic(3, Penalty::PerFeature),
        ],
        read: Box::new(|path| {
            let model: TunedLogistic<String> = from_json(path)?;
            let predicted: Array1<String> = model.predict(&samples());
            assert!(predicted.iter().all(|l| model.classes().contains(l)));
            let p = model.predict_probabilities(&samples());
            assert_eq!(p.ncols(), model.classes().len());
            Ok(())
        }),
        ..json()
    };
    vec![experts, ridge, logistic]
}

/// What models that go through serde have in common.
fn json() -> Format {
    Format {
        name: "",
        file: "damaged.json",
        samples: Vec::new(),
        finish: as_it_is,
        read: Box::new(|_| Ok(())),
        // Empty strings, of two quotes and a comma, are the worst; the predictions are few.
        claims: |bytes| 16 * bytes.len(),
        slack: PLAIN,
        places: &["line ", "coefficients", "weights"],
    }
}

/// The length and the checksum that a checkpoint should have.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.len() >= 24 {
        let mut crc = Crc::new();
        crc.update(&bytes[24..]);
        let length = (bytes.len() - 24) as u64;
        bytes[12..16].copy_from_slice(&crc.sum().to_le_bytes());
        bytes[16..24].copy_from_slice(&length.to_le_bytes());
    }
    bytes
}

/// A run by either driver, from its start or from a checkpoint.
type Driver = Box<dyn Fn(u64, Start<'_>) -> Result<(), bilevel::Error>>;

enum Start<'a> {
    /// Writes checkpoints there.
    Fresh(&'a Path),
    Resumed(&'a Path),
}

fn descent() -> Driver {
    let problem = Quadratic::random(6, 3, 10.0, 0);
    Box::new(move |iterations, start| {
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let run = Run::new(&oracle, Maid::lbfgs()).max_iterations(iterations);
        match start {
            Start::Fresh(path) => run.checkpoint(path, 1).start(vec![0.0; 3]).map(drop),
            Start::Resumed(path) => run.resume(path).map(drop),
        }
    })
}

fn batches() -> Driver {
    let problem = FiniteSum::random(4, 3, 12, 10.0, 1);
    Box::new(move |iterations, start| {
        let oracle = Implicit::new(problem.lower(), problem.upper());
        let solver = Stochastic {
            lower_batch: 4,
            upper_batch: 4,
            block: 5,
            ..Stochastic::new(Saba::default())
        };
        let run = Run::new(&oracle, solver).max_iterations(iterations);
        match start {
            Start::Fresh(path) => run.checkpoint(path, 1).start(vec![0.0; 3]).map(drop),
            Start::Resumed(path) => run.resume(path).map(drop),
        }
    })
}

/// What a checkpoint might hold: numbers, lists of both kinds, texts, and what may be missing.
type Held = (u64, f64, Vec<f64>, Vec<(u32, String)>, Option<Vec<f32>>);

fn checkpoints(folder: &Path) -> Vec<Format> {
    let whole = folder.join("whole.ckpt");
    let written = |write: &dyn Fn(&Path)| {
        std::fs::remove_file(&whole).ok();
        write(&whole);
        std::fs::read(&whole).unwrap()
    };
    let of_run = |name, driver: Driver| Format {
        name,
        file: "damaged.ckpt",
        samples: [1, 3]
            .map(|k| written(&|path| driver(k, Start::Fresh(path)).unwrap()))
            .to_vec(),
        finish: as_it_is,
        // It ends where it was resumed.
        read: Box::new(move |path| driver(0, Start::Resumed(path)).map_err(message)),
        // A file that is whole is run: the problem is of a few numbers.
        claims: |bytes| 4 * bytes.len(),
        slack: PLAIN,
        places: &["byte", "version", "length", "checksum", "another run"],
    };
    let held = |k: u64| -> Held {
        let texts = (0..k as u32).map(|i| (i, format!("text {i}"))).collect();
        (k, 0.5, vec![1.5; 9], texts, Some(vec![2.5; 4]))
    };
    let sealed = Format {
        name: "checkpoint, checksum right",
        samples: [2, 9]
            .map(|k| written(&|path| checkpoint::write(path, "a run", &held(k)).unwrap()))
            .to_vec(),
        finish: sealed,
        read: Box::new(|path| {
            let held: Result<Held, _> = checkpoint::read(path, "a run");
            held.map(drop).map_err(message)
        }),
        // A pair of a number and an empty text takes two bytes.
        claims: |bytes| 16 * bytes.len(),
        ..of_run("", descent())
    };
    vec![
        of_run("checkpoint of a descent", descent()),
        of_run("checkpoint on batches", batches()),
        sealed,
    ]
}
