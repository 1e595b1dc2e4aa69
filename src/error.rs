//! Errors: invalid input, and user functions that return values that are not finite.
//!
//! A solver that does not converge is not an error but a [`Status`](crate::Status) with advice.

use std::path::PathBuf;

/// The error type of the crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An argument or a setting has a value outside its range.
    #[error("{argument} is {found}; expected {expected}")]
    InvalidArgument {
        /// The argument or setting, by its public name.
        argument: String,
        /// The given value.
        found: String,
        /// The accepted values.
        expected: String,
    },
    /// A function of the user's problem returned NaN or an infinity at a finite point.
    #[error(
        "{function} is not finite at a finite point{}: check its domain there, or keep the search away from it",
        in_brackets(.cause.as_deref())
    )]
    NotFinite {
        /// The function, named as in the problem traits.
        function: &'static str,
        /// The cause, such as a sample, if the problem can tell.
        cause: Option<String>,
    },
    /// A certified bound needs a constant that the problem does not supply.
    #[error(
        "a certified bound needs {constant}, which the problem does not supply: supply it, or ask for Trust::Estimated"
    )]
    MissingConstant {
        /// The constant and the place to supply it.
        constant: &'static str,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason given by the operating system.
        source: std::io::Error,
    },
    /// A checkpoint cannot be resumed from.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The checkpoint file.
        path: PathBuf,
        /// The reason.
        reason: CheckpointError,
    },
    /// A figure could not be drawn.
    #[error("the figure could not be drawn: {reason}")]
    Figure {
        /// The missing part, or the reason given by the drawing library.
        reason: String,
    },
    /// The thread pool could not be built, or the signal handler could not be installed.
    #[error("{what} could not be set up: {reason}")]
    Setup {
        /// The object of the setup.
        what: &'static str,
        /// The reason given by the system.
        reason: String,
    },
}

/// Why a checkpoint cannot be resumed from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file does not begin like a checkpoint.
    #[error("this is not a checkpoint of bilevel: its first 8 bytes are others")]
    NotACheckpoint,
    /// A checkpoint was to be written over something else.
    #[error("something that is not a checkpoint lies here; it is not overwritten")]
    WouldOverwrite,
    /// Another version of the format.
    #[error("the checkpoint has format version {found}; this program reads version {expected}")]
    Version {
        /// The version in the file.
        found: u32,
        /// The version that this build writes and reads.
        expected: u32,
    },
    /// The file ends too early or its checksum does not match.
    #[error("the checkpoint is truncated or damaged: {0}")]
    Damaged(String),
    /// The checkpoint belongs to another problem or another solver setting.
    #[error("the checkpoint belongs to another run: it holds `{found}`, this run is `{expected}`")]
    OtherRun {
        /// The identity in the file.
        found: String,
        /// The identity of the run that was to be resumed.
        expected: String,
    },
}

fn in_brackets(text: Option<&str>) -> String {
    text.map_or_else(String::new, |text| format!(" ({text})"))
}

impl Error {
    /// An [`Error::InvalidArgument`].
    pub fn invalid(
        argument: impl Into<String>,
        found: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> Self {
        Error::InvalidArgument {
            argument: argument.into(),
            found: found.to_string(),
            expected: expected.into(),
        }
    }

    /// An [`Error::Io`] about `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io {
            path: path.into(),
            source,
        }
    }

    /// Prefixes the argument's name with `place`, e.g. a file name.
    pub fn within(self, place: &str) -> Self {
        match self {
            Error::InvalidArgument {
                argument,
                found,
                expected,
            } => Error::InvalidArgument {
                argument: format!("{place}: {argument}"),
                found,
                expected,
            },
            other => other,
        }
    }
}

/// `Ok(value)` when `value > 0` and finite, else an [`Error::InvalidArgument`] that names `argument`.
pub(crate) fn positive(argument: &str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(Error::invalid(
            argument,
            format!("{value:?}"),
            "a positive, finite number",
        ))
    }
}

/// `Ok(value)` when `0 < value < 1`, else an [`Error::InvalidArgument`] that names `argument`.
pub(crate) fn in_unit_interval(argument: &str, value: f64) -> Result<f64, Error> {
    if value > 0.0 && value < 1.0 {
        Ok(value)
    } else {
        Err(Error::invalid(
            argument,
            value,
            "a number strictly between 0 and 1",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_argument_the_value_and_the_expectation() {
        let error = positive("epsilon", -1.0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "epsilon is -1.0; expected a positive, finite number"
        );
        assert!(positive("epsilon", f64::NAN).is_err());
        assert!(positive("epsilon", f64::INFINITY).is_err());
        assert!(in_unit_interval("shrink", 1.0).is_err());
    }

    #[test]
    fn checkpoint_errors_name_the_file() {
        let error = Error::Checkpoint {
            path: "run.ckpt".into(),
            reason: CheckpointError::Version {
                found: 9,
                expected: 1,
            },
        };
        assert_eq!(
            error.to_string(),
            "run.ckpt: the checkpoint has format version 9; this program reads version 1"
        );
    }
}
