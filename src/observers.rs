//! Those who watch a helper, called so that none of them can hurt it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::{Event, Observe};
use crate::slept::Slept;
use crate::sync::{Arc, AtomicU64, Ordering};

/// The observers of a helper or of a manager's helpers, how often they panicked, and what
/// they were told of the device's sleep: one sleep is one event, however many helpers saw it.
pub(crate) struct Observers {
    list: Vec<std::sync::Arc<dyn Observe>>,
    panics: AtomicU64,
    pub(crate) slept: Slept,
}

/// Observers shared by the helpers of a manager.
pub(crate) type SharedObservers = Arc<Observers>;

impl Observers {
    pub(crate) fn new(list: Vec<std::sync::Arc<dyn Observe>>) -> SharedObservers {
        Arc::new(Self { list, panics: AtomicU64::new(0), slept: Slept::new() })
    }

    /// Whether there is anybody to be told: who asks first need not make an event in vain.
    pub(crate) fn any(&self) -> bool {
        !self.list.is_empty()
    }

    /// Tells everybody. Call it without holding a lock.
    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.list.iter().for_each(|observer| self.call(|| observer.on_event(event)));
    }

    /// Tells everybody of events of one moment.
    pub(crate) fn tell_all(&self, events: &[Event<'_>]) {
        for observer in &self.list {
            let mut together = true;
            self.call(|| together = observer.on_events(events));
            if !together {
                events.iter().for_each(|event| self.call(|| observer.on_event(event)));
            }
        }
    }

    fn call(&self, observer: impl FnOnce()) {
        if quietly(observer).is_none() {
            self.panics.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }
}

/// Runs foreign code; nothing if it panicked. A payload whose drop panics in turn is kept
/// from doing harm too.
pub(crate) fn quietly<T>(foreign: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(foreign)) {
        Ok(value) => Some(value),
        Err(payload) => {
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            None
        }
    }
}
