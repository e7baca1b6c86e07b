//! The state shared by the handles of a sink and its thread: the queue behind its lock, and the
//! signals between them.

use std::sync::Arc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::cancel::CancelSignal;
use crate::event::Observe;
use crate::opik::FlushReport;
use crate::opik::post::CONNECT_LIMIT;
use crate::opik::queue::Queue;
use crate::opik::spool::Spool;
use crate::opik::target::Target;
use crate::sync::{Condvar, JoinHandle, Mutex, MutexGuard, after, lock, wait_until};

/// How long a close waits for the thread in addition to the close's time: for observers, and for a
/// file to be written. A connection that is being opened adds [`CONNECT_LIMIT`].
const JOIN_GRACE: Duration = Duration::from_secs(1);

/// Shared by all handles and the thread.
pub(super) struct SinkShared {
    pub(super) state: Mutex<SinkState>,
    /// Signals work for the thread.
    pub(super) work: Condvar,
    /// Signals that entries were settled, or that the thread has ended.
    pub(super) progress: Condvar,
    /// Cancels the request in flight.
    pub(super) cancel: CancelSignal,
    pub(super) observers: Vec<Arc<dyn Observe>>,
    pub(super) project: Option<String>,
    pub(super) tags: Vec<String>,
    pub(super) close_timeout: Duration,
    /// The values that the thread takes when it starts.
    pub(super) kit: Mutex<Option<Kit>>,
    pub(super) handle: Mutex<Option<JoinHandle<()>>>,
}

/// The values that the thread owns.
pub(super) struct Kit {
    pub(super) target: Target,
    pub(super) spool: Option<Spool>,
}

/// The state behind the lock.
pub(super) struct SinkState {
    pub(super) queue: Queue,
    /// Whether a caller waits in `flush`: send now.
    pub(super) urgent: bool,
    /// When the thread stops sending; set once the sink is closing.
    pub(super) closing: Option<Instant>,
    pub(super) started: bool,
    pub(super) thread: Option<ThreadId>,
    pub(super) exited: bool,
    /// Whether the thread is in an observer, which may never return.
    pub(super) in_observer: bool,
}

impl SinkShared {
    pub(super) fn lock(&self) -> MutexGuard<'_, SinkState> {
        lock(&self.state)
    }

    /// See [`OpikSink::flush`](crate::OpikSink::flush).
    pub(super) fn flush(&self, timeout: Duration) -> FlushReport {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.lock();
        let goal = state.queue.added;
        // The sink's own thread (in an observer) would wait for itself.
        let own = state.thread == Some(std::thread::current().id());
        let waits = |state: &SinkState| {
            let runs = state.started && !state.exited && state.queue.disabled_by.is_none();
            runs && state.queue.settled() < goal
        };
        if !own {
            state.urgent = true;
            self.work.notify_one();
        }
        while !own && waits(&state) {
            match wait_until(&self.progress, state, until) {
                Some(woken) => state = woken,
                None => {
                    state = self.lock();
                    break;
                }
            }
        }
        let queue = &state.queue;
        FlushReport { sent: queue.sent, dropped: queue.dropped, pending: queue.pending() }
    }

    /// See [`OpikSink::close`](crate::OpikSink).
    pub(super) fn close(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        let first = state.closing.is_none();
        let until = *state.closing.get_or_insert(after(now, self.close_timeout));
        let own = state.thread == Some(std::thread::current().id());
        drop(state);
        self.work.notify_one();
        let mut handle = lock(&self.handle).take();
        if !first || own {
            // Another thread joins it, or this is that thread, which ends by itself.
            return;
        }
        if handle.is_none() {
            // The thread never ran: nothing will send the queued entries.
            let left = self.lock().queue.drop_all();
            drop(left);
            drop(lock(&self.kit).take());
            return;
        }
        if !self.await_exit(Some(until)) {
            drop(self.cancel.raise());
            // Only an observer, or opening a connection, can delay it now.
            let grace = Instant::now().checked_add(JOIN_GRACE);
            if !self.await_exit(grace) {
                let last = grace.and_then(|grace| grace.checked_add(CONNECT_LIMIT));
                if self.lock().in_observer || !self.await_exit(last) {
                    return;
                }
            }
        }
        if let Some(handle) = handle.take() {
            drop(handle.join());
        }
    }

    /// Waits for the thread's end; `false` if the given moment comes first.
    fn await_exit(&self, until: Option<Instant>) -> bool {
        let mut state = self.lock();
        while !state.exited {
            match wait_until(&self.progress, state, until) {
                Some(woken) => state = woken,
                None => return false,
            }
        }
        true
    }
}
