//! Data: images, samples with labels or targets, texts, label noise, and (feature `data`) readers and the data that come with the crate.
//!
//! | type | holds | read by |
//! |---|---|---|
//! | [`LabelledData`] | samples with classes, dense or sparse | `read_csv`, `read_libsvm`, `read_idx`; `digits`, `fashion_mnist` |
//! | [`RegressionData`] | samples with numbers to be predicted | `read_regression` |
//! | `Texts` | token sequences with classes | `read_sentences` and `vocabulary`; `first_names` |
//! | [`Image`] | a grey image or a signal | `read_png`, `read_npy`; `photograph` |
//!
//! A reader refuses a file that it cannot use with an error that names the file, the place, what was found, and what was expected.

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
#[cfg(feature = "data")]
mod shipped;
mod standard;
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
#[doc(hidden)]
pub use photographs::PHOTOGRAPHS;
#[cfg(feature = "data")]
pub use photographs::photograph;
#[cfg(feature = "data")]
#[doc(hidden)]
pub use png::png_files;
#[cfg(feature = "data")]
pub use png::{read_png, read_pngs, resized, write_png};
pub use regression::RegressionData;
pub use samples::{Kind, Sample, Samples};
#[cfg(feature = "data")]
pub use shipped::{digits, fashion_mnist};
#[cfg(feature = "linfa")]
pub(crate) use standard::Standard;
#[cfg(feature = "data")]
pub use text::Labels;
#[cfg(feature = "data")]
pub use texts::{Texts, first_names, read_sentences, vocabulary};

#[cfg(feature = "data")]
use std::path::Path;
use std::path::PathBuf;

/// The file `name` of a folder, or `name.gz` where there is no plain file.
#[cfg(feature = "data")]
#[doc(hidden)]
pub fn plain_or_gz(folder: &Path, name: &str) -> PathBuf {
    let plain = folder.join(name);
    if plain.exists() {
        plain
    } else {
        folder.join(format!("{name}.gz"))
    }
}

/// The bytes of a regular file. Refuses a device or a folder before reading it.
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

/// The reason why data cannot be used.
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
    /// The file is damaged or not of the expected format.
    #[error("{}: not a readable {format} file: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format that was expected.
        format: &'static str,
        /// The fault.
        reason: String,
    },
    /// The data have an unusable shape.
    #[error("{}: the shape is {found}; expected {expected}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// The shape in the file.
        found: String,
        /// The expected shape.
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
        /// The names of the photographs.
        known: String,
    },
}
