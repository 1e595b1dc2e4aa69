//! IDX, LIBSVM, CSV and texts, plain and compressed.

use bilevel_problems::data::{
    CsvFormat, DataError, Labels, read_csv, read_idx, read_libsvm, read_sentences,
};
use std::path::Path;

use super::formats::{compressed, content};
use super::harness::{Format, PLAIN, as_it_is, message};

const THREE: Labels = Labels::From { first: 0, count: 3 };

fn idx(shape: &[u32], values: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    shape.iter().for_each(|n| bytes.extend(n.to_be_bytes()));
    bytes.extend(values);
    bytes
}

pub(super) fn tables(folder: &Path) -> Vec<Format> {
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
