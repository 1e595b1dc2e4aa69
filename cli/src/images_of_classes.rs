//! Images of ten classes: what ships with the crate, or MNIST and data sets of its form.

use bilevel_problems::data::{Features, LabelledData, fashion_mnist, read_idx_folder, resized};
use bilevel_problems::imaging::Image;
use std::path::Path;

use crate::options::Failure;

/// All training and all test samples, of a folder of four IDX files or those that ship.
pub(crate) fn all_samples(
    folder: Option<&Path>,
) -> Result<(LabelledData<f64>, LabelledData<f64>), Failure> {
    Ok(folder.map_or_else(fashion_mnist, read_idx_folder)?)
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
pub(crate) fn scaled(table: &LabelledData<f64>, side: usize) -> Result<LabelledData<f64>, Failure> {
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
    Ok(LabelledData::dense(
        side * side,
        pixels,
        labels,
        table.classes(),
    )?)
}
