//! Images of ten classes: what ships with the crate, or MNIST and data sets of its form.

use bilevel_problems::data::{Features, Table, fashion_mnist, read_idx, resized};
use bilevel_problems::imaging::Image;
use std::path::{Path, PathBuf};

use super::Failure;

pub(crate) const CLASSES: usize = 10;

/// The file `name` of a folder, plain or with `.gz`.
pub(crate) fn plain_or_gz(folder: &Path, name: &str) -> PathBuf {
    let plain = folder.join(name);
    if plain.exists() {
        plain
    } else {
        folder.join(format!("{name}.gz"))
    }
}

/// All training and all test samples, of a folder of four IDX files or those that ship.
pub(crate) fn all_samples(folder: Option<&Path>) -> Result<(Table<f64>, Table<f64>), Failure> {
    let Some(folder) = folder else {
        return Ok(fashion_mnist()?);
    };
    let read = |part: &str| {
        read_idx(
            plain_or_gz(folder, &format!("{part}-images-idx3-ubyte")),
            plain_or_gz(folder, &format!("{part}-labels-idx1-ubyte")),
            CLASSES,
        )
    };
    Ok((read("train")?, read("t10k")?))
}

/// Training and validation samples where no option says how many: of a whole data set, or of what ships.
pub(crate) fn split(whole: bool) -> (usize, usize) {
    if whole {
        (20_000, 5_000)
    } else {
        (4_000, 1_000)
    }
}

/// The same square images at `side` × `side` pixels.
pub(crate) fn scaled(table: &Table<f64>, side: usize) -> Result<Table<f64>, Failure> {
    let Features::Dense(values) = table.features() else {
        return Err("the images are not dense".into());
    };
    let width = table.columns().isqrt();
    if width * width != table.columns() {
        return Err(format!("images of {} pixels are not square", table.columns()).into());
    }
    let mut pixels = Vec::with_capacity(table.samples() * side * side);
    for image in values.chunks_exact(table.columns()) {
        let image = Image::new(width, width, image.to_vec())?;
        pixels.extend_from_slice(resized(&image, side)?.pixels());
    }
    let labels = table.labels().to_vec();
    Ok(Table::dense(side * side, pixels, labels, table.classes())?)
}
