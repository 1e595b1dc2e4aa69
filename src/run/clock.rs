//! Wall-clock time, on targets that have a clock.
//!
//! On `wasm32-unknown-unknown` the standard library panics when asked for the time. There a run takes 0 seconds and cannot be limited by
//! time.

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
use std::time::Instant;

/// Whether [`Clock`] measures time.
pub(super) const HAS_TIME: bool = cfg!(not(all(target_family = "wasm", target_os = "unknown")));

/// A running clock.
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

/// A stopped clock.
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
