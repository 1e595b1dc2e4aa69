//! Buffers that are lent out and taken back, so that a loop over a problem allocates once.
//!
//! [`Scratch`](bilevel::vector::Scratch) does the same for one thread and one kind of vector; a pool is shared between threads.

use bilevel::Element;
use std::sync::{Mutex, PoisonError};

/// Buffers that are lent out and taken back.
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(Mutex::new(Vec::new()))
    }
}

impl<T> Pool<T> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a buffer back.
    pub(crate) fn put(&self, value: T) {
        self.lock().push(value);
    }

    /// Lends a buffer, or makes one where none is free.
    pub(crate) fn take_or(&self, make: impl FnOnce() -> T) -> T {
        let free = self.lock().pop();
        free.unwrap_or_else(make)
    }
}

impl<E: Element> Pool<Vec<E>> {
    /// Lends an array of `len` entries of unspecified content.
    pub(crate) fn take(&self, len: usize) -> Vec<E> {
        let mut free = self.lock();
        match free.iter().position(|a| a.len() == len) {
            Some(at) => free.swap_remove(at),
            None => vec![E::default(); len],
        }
    }
}
