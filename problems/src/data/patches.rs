//! Random patches of images.

use bilevel::Error;
use chacha20::ChaCha8Rng;
use chacha20::rand_core::SeedableRng;

use super::image::Image;
use crate::support::random::below;

/// The most pixels of all patches together; more are probably a mistake.
const MOST_PIXELS: usize = 1 << 30;

/// `count` patches of `size`×`size` pixels, each from a random place of a random image. The seed determines them.
///
/// # Errors
/// [`Error::InvalidArgument`] for no patches, too many, or a size below 2; for no images, or one that is smaller than a patch.
pub fn patches(
    images: &[Image<f64>],
    count: usize,
    size: usize,
    seed: u64,
) -> Result<Vec<Image<f64>>, Error> {
    if size < 2 {
        return Err(Error::invalid("patch size", size, "at least 2"));
    }
    let most = MOST_PIXELS / size.saturating_mul(size);
    if count == 0 || count > most {
        let expected = format!("at least 1 and at most {most} of {size}×{size} pixels");
        return Err(Error::invalid("patches", count, expected));
    }
    if images.is_empty() {
        return Err(Error::invalid("images", "empty", "at least one"));
    }
    let small = |image: &Image<f64>| image.rows() < size || image.cols() < size;
    if let Some(i) = images.iter().position(small) {
        return Err(Error::invalid(
            format!("image {i}"),
            format!("{}×{} pixels", images[i].rows(), images[i].cols()),
            format!("at least {size}×{size}, the size of a patch"),
        ));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let patch = |_| {
        let image = &images[below(images.len(), &mut rng)];
        let top = below(image.rows() - size + 1, &mut rng);
        let left = below(image.cols() - size + 1, &mut rng);
        let rows = image.pixels()[top * image.cols()..].chunks(image.cols());
        let rows = rows.take(size).flat_map(|row| &row[left..left + size]);
        Image::new(size, size, rows.copied().collect())
    };
    (0..count).map(patch).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images whose pixels tell where they are.
    fn images() -> Vec<Image<f64>> {
        let image = |n: usize, rows: usize, cols: usize| {
            let pixels = (0..rows * cols).map(|at| (n * 1_000_000 + at) as f64);
            Image::new(rows, cols, pixels.collect()).unwrap()
        };
        vec![image(0, 9, 12), image(1, 7, 7), image(2, 40, 8)]
    }

    #[test]
    fn patches_are_pieces_of_the_images_from_everywhere() {
        let images = images();
        let drawn = patches(&images, 2_000, 7, 0).unwrap();
        let mut corners = std::collections::BTreeSet::new();
        for patch in &drawn {
            assert_eq!((patch.rows(), patch.cols()), (7, 7));
            let corner = patch.pixels()[0] as usize;
            let cols = images[corner / 1_000_000].cols();
            for (at, pixel) in patch.pixels().iter().enumerate() {
                assert_eq!(*pixel as usize, corner + at / 7 * cols + at % 7);
            }
            corners.insert(corner);
        }
        // Every place of every image: 3·6, 1 and 34·2.
        assert_eq!(corners.len(), 18 + 1 + 68);
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| patches(&images(), 50, 3, seed).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn too_small_images_and_no_or_absurdly_many_patches_are_refused() {
        let refused = |count, size, word: &str| {
            let error = patches(&images(), count, size, 0).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(1, 8, "image 1 is 7×7 pixels");
        refused(1, 1, "patch size");
        refused(1, usize::MAX, "patches");
        refused(0, 4, "patches is 0");
        refused(usize::MAX, 4, "at most");
        assert!(patches(&[], 1, 4, 0).is_err());
    }
}
