//! The signal that ends a worker.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Notify;

/// Ends the [`Worker`](crate::Worker)s that were given it. Clones are the same signal.
///
/// ```
/// use automation_assistant_queue::Stop;
///
/// let stop = Stop::new();
/// stop.stop();
/// assert!(stop.clone().is_stopped());
/// ```
#[derive(Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Default)]
struct Inner {
    stopped: AtomicBool,
    notify: Mutex<Vec<Notify>>,
}

impl Stop {
    /// A signal that is not given yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal, for good.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
        let notify = self.0.notify.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for notify in notify {
            notify();
        }
    }

    /// Whether the signal was given.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Calls this when the signal is given; those that are of no use any more go.
    pub(crate) fn subscribe(&self, notify: Notify) {
        let mut list = self.0.notify.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(notify);
    }

    /// Forgets the subscription added last with this.
    pub(crate) fn unsubscribe(&self, notify: &Notify) {
        let mut list = self.0.notify.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|other| !Arc::ptr_eq(other, notify));
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").field("stopped", &self.is_stopped()).finish()
    }
}
