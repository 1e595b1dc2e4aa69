//! [`Buffers`]: a pool of work arrays of any type.

use std::any::Any;
use std::sync::{Mutex, PoisonError};

/// Work arrays of any type, lent out and taken back, so that repeated calls allocate nothing.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Box<dyn Any + Send>>>);

impl Buffers {
    /// Calls `f` with a buffer of the type T. It holds what its last user left in it.
    pub(super) fn with<T: Default + Send + 'static, R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // A panic elsewhere leaves the list usable.
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = lock();
        let at = free.iter().position(|buffer| buffer.is::<T>());
        let found = at.map(|at| free.swap_remove(at));
        drop(free);
        let mut buffer: Box<T> = found.and_then(|b| b.downcast().ok()).unwrap_or_default();
        let result = f(&mut buffer);
        lock().push(buffer);
        result
    }
}
