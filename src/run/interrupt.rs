//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

/// The exit code of a process ended by Ctrl-C.
const EXIT_INTERRUPTED: i32 = 130;

/// A flag for [`Run::stop_on`](super::Run::stop_on), set by the first Ctrl-C. The second one ends the process at once.
///
/// On Linux, a process that ignores the signal, like a background job of a script, goes on ignoring it: nothing sets the flag.
///
/// # Errors
/// [`Error::Setup`] if a handler is already installed, or, elsewhere than on Linux, if the process ignores the signal.
pub fn ctrl_c() -> Result<Arc<AtomicBool>, Error> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    let set = ctrlc::try_set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(EXIT_INTERRUPTED);
        }
        eprintln!("\nstopping after this iteration; press Ctrl-C again to stop at once");
    });
    match set {
        Err(error) if !ignored() => Err(Error::Setup {
            what: "the Ctrl-C handler",
            reason: error.to_string(),
        }),
        _ => Ok(flag),
    }
}

/// Whether the process ignores the signal of Ctrl-C.
fn ignored() -> bool {
    const SIGINT: u32 = 2;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (SIGINT - 1) & 1 == 1)
}
