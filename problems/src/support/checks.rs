//! Checks of images and of logarithms.

use bilevel::{Element, Error};

#[cfg(feature = "imaging")]
use crate::data::Image;

/// For logarithms beyond these, e^θ, its powers up to the fifth or their products leave the normal numbers of the type.
const MAX_LOG_F64: f64 = 120.0;
const MAX_LOG_F32: f64 = 20.0;

/// Refuses an image with an entry that is NaN or larger than `most` in absolute value; `what` names a pixel in the message.
#[cfg(feature = "imaging")]
pub(crate) fn check_pixels<E: Element>(
    image: &Image<E>,
    what: &str,
    most: f64,
) -> Result<(), Error> {
    let unusable = |p: &E| p.to_f64().is_nan() || p.to_f64().abs() > most;
    let Some(i) = image.pixels().iter().position(unusable) else {
        return Ok(());
    };
    Err(Error::invalid(
        format!("{what} ({}, {})", i / image.cols(), i % image.cols()),
        format!("{:?}", image.pixels()[i].to_f64()),
        if most < f64::MAX {
            format!("a finite number of at most {most:e}")
        } else {
            "a finite number".to_owned()
        },
    ))
}

/// Refuses logarithms whose exponentials leave the range of the storage type.
pub(crate) fn check_logarithms<E: Element>(theta: &[f64]) -> Result<(), Error> {
    let limit = if E::NAME == "f32" {
        MAX_LOG_F32
    } else {
        MAX_LOG_F64
    };
    match theta.iter().position(|t| t.is_nan() || t.abs() > limit) {
        None => Ok(()),
        Some(i) => Err(Error::invalid(
            format!("theta[{i}]"),
            format!("{:?}", theta[i]),
            format!("a logarithm between -{limit} and {limit}"),
        )),
    }
}
