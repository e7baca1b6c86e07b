//! Callbacks that clones of a `Together` share.

use std::sync::{Mutex, MutexGuard};
use std::thread::{self, ThreadId};

/// A callback that several threads may call: one call at a time.
pub(super) struct OneAtATime<F: ?Sized> {
    /// The thread that is in the callback.
    within: Mutex<Option<ThreadId>>,
    callback: Mutex<F>,
}

impl<F> OneAtATime<F> {
    pub(super) fn new(callback: F) -> Self {
        Self { within: Mutex::new(None), callback: Mutex::new(callback) }
    }
}

impl<F: ?Sized> OneAtATime<F> {
    /// Whether the current thread is in the callback: it would wait for itself if it called it.
    pub(super) fn is_within(&self) -> bool {
        *lock(&self.within) == Some(thread::current().id())
    }

    /// Calls it once no other thread is in it. Not to be called where
    /// [`is_within`](Self::is_within).
    pub(super) fn call<T>(&self, call: impl FnOnce(&mut F) -> T) -> T {
        let mut callback = lock(&self.callback);
        *lock(&self.within) = Some(thread::current().id());
        // Dropped before the lock of the callback, also by a panic.
        let _leaves = Leaves(&self.within);
        call(&mut callback)
    }
}

struct Leaves<'a>(&'a Mutex<Option<ThreadId>>);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        *lock(self.0) = None;
    }
}

/// A callback that panicked is called again all the same.
fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}
