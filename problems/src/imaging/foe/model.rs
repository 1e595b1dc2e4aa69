//! A learned field of experts as a file.
//!
//! ```text
//! { "format": "bilevel fields of experts", "version": 1,
//!   "filters": K, "size": s, "potential": …, "zero_mean": …, "sigma": …, "theta": [ … ] }
//! ```
//!
//! The numbers are written with all their digits: reading restores every bit.

use bilevel::Error;
use serde::{Deserialize, Serialize};
use std::path::Path;

use super::{Experts, Potential};

const FORMAT: &str = "bilevel fields of experts";
const VERSION: u32 = 1;

/// A learned field of experts: the experts, their θ, and the noise level of the training.
#[derive(Debug, Clone, PartialEq)]
pub struct FoeModel {
    experts: Experts,
    theta: Vec<f64>,
    sigma: f64,
}

/// The entries by which a file is recognised as a model of this version.
#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: String,
    version: u32,
    filters: usize,
    size: usize,
    potential: Potential,
    zero_mean: bool,
    sigma: f64,
    theta: Vec<f64>,
}

impl FoeModel {
    /// The model with θ, trained for noise of standard deviation `sigma`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a θ of another length, entries that are not finite, or a σ that is not at least 0 and finite.
    pub fn new(experts: Experts, theta: Vec<f64>, sigma: f64) -> Result<Self, Error> {
        experts.check_length(&theta)?;
        if let Some(i) = theta.iter().position(|t| !t.is_finite()) {
            let argument = format!("theta[{i}]");
            return Err(Error::invalid(argument, theta[i], "a finite number"));
        }
        if !(sigma >= 0.0 && sigma.is_finite()) {
            let expected = "a finite number of at least 0";
            return Err(Error::invalid("sigma", sigma, expected));
        }
        Ok(FoeModel {
            experts,
            theta,
            sigma,
        })
    }

    /// The experts.
    pub fn experts(&self) -> &Experts {
        &self.experts
    }

    /// θ.
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// The standard deviation of the noise that the model was trained for, relative to white = 1.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// The model as JSON.
    pub fn to_json(&self) -> String {
        let content = Content {
            format: FORMAT.to_owned(),
            version: VERSION,
            filters: self.experts.count(),
            size: self.experts.size(),
            potential: self.experts.potential(),
            zero_mean: self.experts.is_zero_mean(),
            sigma: self.sigma,
            theta: self.theta.clone(),
        };
        // Finite numbers and strings: nothing in it can fail.
        let mut text = serde_json::to_string(&content).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The model that [`to_json`](FoeModel::to_json) wrote.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for text that is no model, a model of another version, or one whose parts do not fit together.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let no_model = |e: serde_json::Error| {
            let expected = "a file that a training of fields of experts wrote";
            Error::invalid("the model", format!("not readable ({e})"), expected)
        };
        let header: Header = serde_json::from_str(text).map_err(no_model)?;
        if header.format != FORMAT {
            let found = format!("`{}`", header.format);
            return Err(Error::invalid("the format", found, format!("`{FORMAT}`")));
        }
        if header.version != VERSION {
            let expected = format!("{VERSION}, which this program reads");
            return Err(Error::invalid("the version", header.version, expected));
        }
        let content: Content = serde_json::from_str(text).map_err(no_model)?;
        let mut experts =
            Experts::new(content.filters, content.size)?.with_potential(content.potential)?;
        if content.zero_mean {
            experts = experts.zero_mean();
        }
        Self::new(experts, content.theta, content.sigma)
    }

    /// Writes the model into a file.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        std::fs::write(path, self.to_json()).map_err(|e| Error::io(path, e))
    }

    /// Reads a model from a file.
    ///
    /// # Errors
    /// [`Error::Io`]; those of [`from_json`](FoeModel::from_json), which name the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let io = |e| Error::io(path, e);
        if !std::fs::metadata(path).map_err(io)?.is_file() {
            return Err(io(std::io::Error::other("this is not a regular file")));
        }
        let bytes = std::fs::read(path).map_err(io)?;
        Self::from_json(&String::from_utf8_lossy(&bytes)).map_err(|e| match e {
            Error::InvalidArgument {
                argument,
                found,
                expected,
            } => Error::InvalidArgument {
                argument: format!("{}: {argument}", path.display()),
                found,
                expected,
            },
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> FoeModel {
        let experts = Experts::new(3, 3)
            .unwrap()
            .with_potential(Potential::weakly_convex())
            .unwrap()
            .zero_mean();
        let theta = experts.random(7);
        FoeModel::new(experts, theta, 0.1).unwrap()
    }

    #[test]
    fn a_model_is_read_as_it_was_written_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        model().write(&path).unwrap();
        assert_eq!(FoeModel::read(&path).unwrap(), model());
    }

    #[test]
    fn what_is_no_model_or_does_not_fit_together_is_refused_with_a_reason() {
        let good = model().to_json();
        let refused = |text: &str, word: &str| {
            let error = FoeModel::from_json(text).unwrap_err().to_string();
            assert!(error.contains(word), "`{word}` is not in: {error}");
        };
        refused("", "not readable");
        refused("[1, 2]", "not readable");
        refused(&good.replace(FORMAT, "something else"), "something else");
        refused(
            &good.replace("\"version\":1", "\"version\":9"),
            "version is 9",
        );
        refused(
            &good.replace("\"size\":3", "\"size\":5"),
            "for 3 filters of 5×5",
        );
        refused(&good.replace("\"size\":3", "\"size\":4"), "odd number");
        refused(
            &good.replace("\"filters\":3", "\"filters\":10"),
            "at most 9",
        );
        refused(&good.replace("\"sigma\":0.1", "\"sigma\":-0.1"), "sigma");
        refused(
            &good.replace("\"modulus\":0.1", "\"modulus\":1.5"),
            "modulus",
        );
        refused(&good.replace("\"sigma\"", "\"sigmas\""), "sigmas");
        let (head, _) = good.split_once("\"theta\":[").unwrap();
        refused(&format!("{head}\"theta\":[1e999]}}"), "not readable");
        refused(&format!("{head}\"theta\":[null]}}"), "not readable");
        let nan = vec![f64::NAN; model().theta.len()];
        assert!(FoeModel::new(model().experts, nan, 0.1).is_err());
    }

    #[test]
    fn errors_about_a_file_name_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.json");
        let error = || FoeModel::read(&path).unwrap_err().to_string();
        assert!(error().contains("model.json"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(error().contains("model.json: the model is not readable"));
    }
}
