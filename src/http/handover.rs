//! Where a thread that works for a call and the call that waits for it meet.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::sync::{Condvar, Mutex, lock, wait_until};

/// How far a thread that works for a call has come.
#[derive(PartialEq)]
enum HandoverState {
    Working,
    /// It ends, and its call waits for it.
    Ended,
    /// Its call has given up. The thread ends when the system lets it.
    Abandoned,
}

/// One thread's work for a call.
pub(super) struct Handover {
    phase: Mutex<HandoverState>,
    changed: Condvar,
    /// Counts the threads whose calls have given up, until they end.
    abandoned: Arc<AtomicUsize>,
}

impl Handover {
    pub(super) fn new(abandoned: &Arc<AtomicUsize>) -> Arc<Self> {
        let phase = Mutex::new(HandoverState::Working);
        Arc::new(Self { phase, changed: Condvar::new(), abandoned: Arc::clone(abandoned) })
    }

    /// Waits until the thread ends (`true`), or the call is given up: by [`abandon`](Self::abandon)
    /// or at this moment, whichever comes first.
    pub(super) fn wait(&self, until: Option<Instant>) -> bool {
        let mut phase = lock(&self.phase);
        while *phase == HandoverState::Working {
            match wait_until(&self.changed, phase, until) {
                Some(woken) => phase = woken,
                None => {
                    self.abandon();
                    phase = lock(&self.phase);
                }
            }
        }
        *phase == HandoverState::Ended
    }

    /// Gives the call up, unless the thread has ended.
    pub(super) fn abandon(&self) {
        let mut phase = lock(&self.phase);
        if *phase == HandoverState::Working {
            *phase = HandoverState::Abandoned;
            self.abandoned.fetch_add(1, Ordering::Relaxed);
            self.changed.notify_one();
        }
    }
}

/// Held by the thread: says that it ends when it is dropped, also by a panic.
pub(super) struct Ending(pub(super) Arc<Handover>);

impl Drop for Ending {
    fn drop(&mut self) {
        let mut phase = lock(&self.0.phase);
        if *phase == HandoverState::Abandoned {
            self.0.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
        *phase = HandoverState::Ended;
        self.0.changed.notify_one();
    }
}
