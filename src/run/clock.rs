//! Wall-clock time, on targets that have a clock.
//!
//! `wasm32-unknown-unknown` has none, and asking the standard library for the time panics there. A run on it takes no
//! seconds and cannot be limited in them.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use std::time::Instant;

/// Whether [`Clock`] tells the time.
pub(super) const HAS_TIME: bool = cfg!(not(all(target_family = "wasm", target_os = "unknown")));

/// A clock that was started.
#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
pub(super) struct Clock(Instant);

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
impl Clock {
    pub(super) fn start() -> Self {
        Clock(Instant::now())
    }

    /// Seconds since the start.
    pub(super) fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// A clock that stands still.
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub(super) struct Clock;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
impl Clock {
    pub(super) fn start() -> Self {
        Clock
    }

    /// Zero.
    pub(super) fn seconds(&self) -> f64 {
        0.0
    }
}
