//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// The exit code of a process ended by Ctrl-C.
const EXIT_INTERRUPTED: i32 = 130;

/// A flag for [`Run::stop_on`](super::Run::stop_on), set by the first Ctrl-C. The second one ends the process at once.
///
/// # Errors
/// [`Error::Setup`] if a handler is already installed, or if the process ignores the signal, like background jobs of a script.
pub fn ctrl_c() -> Result<Arc<AtomicBool>, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::try_set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_INTERRUPTED);
        }
        eprintln!("\nstopping after this iteration; press Ctrl-C again to stop at once");
    })
    .map_err(|e| Error::Setup {
        what: "the Ctrl-C handler",
        reason: e.to_string(),
    })?;
    Ok(flag)
}
