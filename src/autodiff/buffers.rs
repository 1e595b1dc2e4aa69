//! [`Buffers`]: a pool of work arrays of any type.

use std::any::{Any, TypeId};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Work arrays of any type, lent out and taken back, so that repeated calls allocate nothing.
#[derive(Default)]
pub(super) struct Buffers(Mutex<Vec<Box<dyn Any + Send>>>);

impl Buffers {
    /// Calls `f` with a buffer of the type T. It holds what its last user left in it.
    pub(super) fn with<T: Default + Send + 'static, R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let mut buffer: Box<T> = self.take();
        let result = f(&mut buffer);
        self.put(buffer);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Box<dyn Any + Send>>> {
        // A panic elsewhere leaves the list usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take<T: Default + Send + 'static>(&self) -> Box<T> {
        let found = self.find(TypeId::of::<T>());
        found.and_then(|b| b.downcast().ok()).unwrap_or_default()
    }

    fn find(&self, wanted: TypeId) -> Option<Box<dyn Any + Send>> {
        let mut free = self.lock();
        let at = free
            .iter()
            .position(|buffer| (**buffer).type_id() == wanted);
        at.map(|at| free.swap_remove(at))
    }

    fn put(&self, buffer: Box<dyn Any + Send>) {
        self.lock().push(buffer);
    }
}
