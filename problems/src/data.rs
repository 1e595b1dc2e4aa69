//! Reading and writing of images, reading of tables and texts, and the photographs, tables and names that come with the crate.
//!
//! Every reader refuses what it cannot use with an error that names the file, what was found and what was expected.

#[cfg(feature = "data")]
mod csv;
#[cfg(feature = "data")]
mod idx;
mod image;
mod labelled;
#[cfg(feature = "data")]
mod libsvm;
mod noise;
#[cfg(feature = "data")]
mod npy;
mod patches;
#[cfg(feature = "data")]
mod photographs;
#[cfg(feature = "data")]
mod png;
mod regression;
mod samples;
mod standard;
#[cfg(feature = "data")]
mod tables;
#[cfg(feature = "data")]
mod text;
#[cfg(feature = "data")]
mod texts;

#[cfg(feature = "data")]
pub use csv::{CsvFormat, read_csv, read_regression};
#[cfg(feature = "data")]
pub use idx::{read_idx, read_idx_folder};
pub use image::Image;
pub(crate) use labelled::same_columns;
pub use labelled::{Csr, Features, LabelledData};
#[cfg(feature = "data")]
pub use libsvm::read_libsvm;
pub use noise::Noise;
pub(crate) use noise::symmetric;
#[cfg(feature = "data")]
pub use npy::read_npy;
pub use patches::patches;
#[cfg(feature = "data")]
pub use photographs::{PHOTOGRAPHS, photograph};
#[cfg(feature = "data")]
pub use png::{png_files, read_png, read_pngs, resized, write_png};
pub use regression::RegressionData;
pub use samples::{Kind, Sample, Samples};
#[cfg(feature = "linfa")]
pub(crate) use standard::Standard;
#[cfg(feature = "data")]
pub use tables::{digits, fashion_mnist};
#[cfg(feature = "data")]
pub use text::Labels;
#[cfg(feature = "data")]
pub use texts::{Texts, first_names, read_sentences, vocabulary};

#[cfg(feature = "data")]
use std::path::Path;
use std::path::PathBuf;

/// The file `name` of a folder or, where there is none, the same with `.gz`.
#[cfg(feature = "data")]
pub fn plain_or_gz(folder: &Path, name: &str) -> PathBuf {
    let plain = folder.join(name);
    if plain.exists() {
        plain
    } else {
        folder.join(format!("{name}.gz"))
    }
}

/// The bytes of a regular file; a device or a folder is refused before it is read.
#[cfg(feature = "data")]
fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    if !std::fs::metadata(path).map_err(io)?.is_file() {
        return Err(io(std::io::Error::other("this is not a regular file")));
    }
    std::fs::read(path).map_err(io)
}

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file or folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the operating system.
        source: std::io::Error,
    },
    /// The file is not of the format that was expected, or is damaged.
    #[error("{}: not a readable {format} file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that was expected.
        format: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The data have a shape that makes no sense here.
    #[error("{}: the shape is {found}; expected {expected}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape in the file.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// An entry is NaN or infinite.
    #[error("{}: entry {index} is {value}; expected a finite number", path.display())]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The position of the entry, from 0, in the order of the file.
        index: usize,
        /// The entry.
        value: f64,
    },
    /// A folder holds no images.
    #[error("{}: no PNG files in this folder", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// No photograph of that name comes with the crate.
    #[error("no photograph is called `{name}`; there are {known}")]
    UnknownPhotograph {
        /// The name that was asked for.
        name: String,
        /// The names that there are.
        known: String,
    },
}
