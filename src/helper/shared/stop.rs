//! Stopping: every task ends, every callback gets a thread to run it, threads are joined or
//! counted.
//!
//! A stop keeps its bound whatever foreign code does, so the stopping thread runs none where it
//! may block: cancel hooks of a custom backend, and observers (of tasks that end, and of the stop
//! itself) run on threads of their own (`duty`).
//!
//! A thread counts as ended when it has left all foreign code but the destructors of its
//! thread-local values.

use std::time::{Duration, Instant};

use super::duty::{Duty, may_wait};
use super::{Shared, State};
use crate::event::{EventFacts, EventKind, Fact};
use crate::foreign;
use crate::sync::{Arc, MutexGuard, lock, now, wait_until};

/// How long a stop waits for threads, in addition to the backend's
/// [`AiBackend::stop_grace`](crate::AiBackend::stop_grace). An idle thread ends in microseconds.
pub(super) const STOP_WAIT: Duration = Duration::from_millis(800);

/// How long it then waits for observers, which are notified of the stop.
const REPORT_WAIT: Duration = Duration::from_millis(200);

impl State {
    /// Whether a stop has nothing left to wait for but this many threads of its own. Threads that
    /// an earlier stop has detached are not waited for again.
    fn is_through(&self, own: usize) -> bool {
        self.threads <= self.unjoined + own && self.is_quiet()
    }
}

impl Shared {
    /// Stops the helper for good; see [`AutomationHelper::stop`](crate::AutomationHelper::stop).
    pub(crate) fn stop(self: &Arc<Self>) {
        let signalled = now();
        self.signal_stop();
        self.conduct_stop(signalled);
        self.join();
    }

    /// From now on no task begins, and queued tasks are ended. Running tasks are cancelled.
    pub(crate) fn signal_stop(self: &Arc<Self>) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.stopping, true) {
            return;
        }
        self.capacity.notify_all();
        let woken = state.wake(usize::MAX);
        drop(state);
        self.send_tickets(woken);
        // Not by `any`: each must be raised.
        if self.slots.iter().filter(|slot| slot.cancel.raise_without_hooks()).count() > 0 {
            (self.perform)(self, Duty::Hooks);
        }
    }

    /// Ends every task of a helper that was signalled to stop, and reports the stop once its
    /// threads are joined or detached. Only the first stop of a helper does so.
    pub(crate) fn conduct_stop(self: &Arc<Self>, signalled: Instant) {
        let mut state = self.lock();
        if state.stop_began.is_some() {
            return;
        }
        state.stop_began = Some(signalled);
        drop(state);
        (self.perform)(self, Duty::Ends);
    }

    /// `own` is the number of threads that the caller is, of those that a stop waits for.
    pub(super) fn end_and_report(self: &Arc<Self>, own: usize) {
        // At a stopped helper, all tasks are due. Within an observer this is deferred until the
        // observer has returned.
        let shared = Arc::clone(self);
        foreign::after_observers(move || shared.end_those_due());
        let mut state = self.lock();
        if self.observers.any() && may_wait() {
            state = self.await_threads(state, own);
        }
        state.stop_reported = true;
        let signalled = state.stop_began.unwrap_or_else(now);
        let (unjoined, was_started) = (state.unjoined, state.started);
        drop(state);
        if was_started {
            self.notify_stop(signalled, unjoined);
        }
        // If the stop did not wait for this thread, it left the callbacks to it.
        if own > 0 && unjoined > 0 {
            self.run_abandoned();
        }
    }

    /// Waits for the threads of a helper that was signalled to stop at the given moment, where
    /// the current thread may wait, and joins those that end in time.
    pub(crate) fn join(self: &Arc<Self>) {
        if may_wait() {
            drop(self.await_threads(self.lock(), 0));
            let handles = std::mem::take(&mut *lock(&self.handles));
            for (place, handle) in handles {
                if self.lock().exited[place] {
                    // But for destructors of thread-locals the thread has left foreign code.
                    let _ = handle.join();
                }
            }
        }
        let shared = Arc::clone(self);
        foreign::after_observers(move || shared.run_abandoned());
    }

    /// Waits until all threads but the caller's `own` have ended, no longer than a stop may wait.
    /// Then counts those that are still in foreign code; an idle thread is not.
    fn await_threads<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        own: usize,
    ) -> MutexGuard<'a, State> {
        let report = if own == 0 && self.observers.any() { REPORT_WAIT } else { Duration::ZERO };
        let until = state
            .stop_began
            .and_then(|began| began.checked_add(self.stop_wait.saturating_add(report)));
        while !state.is_through(own) {
            let woken = wait_until(&self.stop_goes_on, state, until);
            let in_time = woken.is_some();
            state = woken.unwrap_or_else(|| self.lock());
            if !in_time {
                break;
            }
        }
        state.unjoined = state.unjoined.max(state.threads.saturating_sub(state.sleepers + own));
        state
    }

    pub(crate) fn notify_stop(&self, since: Instant, left: usize) {
        let facts = [("unjoined_threads", Fact::Count(left as u64))];
        let mut event =
            self.event(EventKind::HelperStop).outcome(now().duration_since(since), None);
        event.facts = EventFacts::Named(&facts);
        self.observers.notify(&event);
    }

    /// Wakes waiting threads once a stop's last outcome is published and its last callback is
    /// queued; returns the number of threads to wake with tickets.
    pub(super) fn if_stop_is_through(&self, state: &mut State) -> usize {
        if !state.stopping || !state.is_quiet() {
            return 0;
        }
        self.stop_goes_on.notify_all();
        state.wake(usize::MAX)
    }
}
