//! The photographs that come with the crate: 256×256 grey images in the public domain (see `assets/images/NOTICE.md`).

use std::path::Path;

use super::image::Image;
use super::{DataError, png};

macro_rules! shipped {
    ($($name:literal),*) => {
        /// Names and PNG files of the photographs.
        #[doc(hidden)]
        pub const PHOTOGRAPHS: &[(&str, &[u8])] = &[
            $(($name, include_bytes!(concat!("../../assets/images/", $name, ".png")))),*
        ];
    };
}

shipped!(
    "astronaut",
    "brick",
    "camera",
    "chelsea",
    "coffee",
    "grass",
    "gravel",
    "rocket"
);

/// The photograph of that name, with values from 0 to 1: `astronaut`, `brick`, `camera`, `chelsea`, `coffee`, `grass`, `gravel` or `rocket`.
///
/// # Errors
/// [`DataError::UnknownPhotograph`] for another name.
pub fn photograph(name: &str) -> Result<Image<f64>, DataError> {
    match PHOTOGRAPHS.iter().find(|(n, _)| *n == name) {
        Some((name, bytes)) => png::decode(Path::new(name), bytes),
        None => Err(DataError::UnknownPhotograph {
            name: name.to_owned(),
            known: PHOTOGRAPHS
                .iter()
                .map(|(n, _)| *n)
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_photograph_decodes() {
        for (name, _) in PHOTOGRAPHS {
            let image = photograph(name).unwrap();
            assert_eq!((image.rows(), image.cols()), (256, 256), "{name}");
        }
        assert!(
            photograph("lena")
                .unwrap_err()
                .to_string()
                .contains("camera")
        );
    }
}
