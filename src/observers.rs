//! Calls to the observers of a helper, isolated from it.

use crate::event::{Event, Observe};
use crate::foreign::{self, Foreign};
use crate::suspended::SuspendedTime;
use crate::sync::{Arc, AtomicU64, Ordering};

/// An observer; a panic in its drop is caught.
pub(crate) type Observer = Foreign<std::sync::Arc<dyn Observe>>;

/// The observers of a helper or of a manager's helpers, the number of their panics, and the
/// suspended time that was reported: one event for each suspension, however many helpers were
/// affected.
pub(crate) struct Observers {
    list: Vec<Observer>,
    panics: AtomicU64,
    pub(crate) suspended: SuspendedTime,
}

/// Observers shared by the helpers of a manager.
pub(crate) type SharedObservers = Arc<Observers>;

impl Observers {
    pub(crate) fn new(list: Vec<Observer>) -> SharedObservers {
        Arc::new(Self { list, panics: AtomicU64::new(0), suspended: SuspendedTime::new() })
    }

    /// Whether there are observers: callers that ask first need not build an event in vain.
    pub(crate) fn any(&self) -> bool {
        !self.list.is_empty()
    }

    /// Notifies all observers of an event. The caller must hold no lock.
    pub(crate) fn notify(&self, event: &Event<'_>) {
        self.list.iter().for_each(|observer| self.call(|| observer.on_event(event)));
    }

    /// Notifies all observers of several events of one moment.
    pub(crate) fn notify_all(&self, events: &[Event<'_>]) {
        for observer in &self.list {
            let mut together = true;
            self.call(|| together = observer.on_events(events));
            if !together {
                events.iter().for_each(|event| self.call(|| observer.on_event(event)));
            }
        }
    }

    fn call(&self, observer: impl FnOnce()) {
        if foreign::observe(observer).is_none() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}
