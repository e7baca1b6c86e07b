//! The handle that stops a coordinated call from another thread.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::helper::shared::Watch;

/// Stops a coordinated call from another thread. Clones stop the same call.
#[derive(Clone, Default)]
pub struct CancelHandle(Arc<Mutex<CancelState>>);

#[derive(Default)]
struct CancelState {
    cancelled: bool,
    watches: Vec<crate::sync::Arc<Watch>>,
}

impl CancelHandle {
    /// A handle that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the calls that have this handle and cancels their tasks. A call that gets the handle
    /// later ends at once.
    pub fn cancel(&self) {
        let mut inner = self.lock();
        inner.cancelled = true;
        for watch in inner.watches.drain(..) {
            watch.fire();
        }
    }

    /// Whether [`cancel`](Self::cancel) was called.
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Registers a watch that the cancellation wakes. If the handle is already cancelled, nothing
    /// wakes it.
    pub(super) fn add(&self, watch: &crate::sync::Arc<Watch>) {
        self.lock().watches.push(crate::sync::Arc::clone(watch));
    }

    pub(super) fn remove(&self, watch: &crate::sync::Arc<Watch>) {
        self.lock().watches.retain(|other| !crate::sync::Arc::ptr_eq(other, watch));
    }

    fn lock(&self) -> MutexGuard<'_, CancelState> {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").field("cancelled", &self.is_cancelled()).finish()
    }
}
