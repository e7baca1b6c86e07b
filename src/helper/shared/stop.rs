//! Stopping: every task ends, every callback gets a thread to run it, threads are joined or
//! counted.

use std::time::{Duration, Instant};

use super::due::{stopped, terminated};
use super::ends::Claim;
use super::{Shared, State};
use crate::event::{EventFacts, EventKind, Fact};
use crate::foreign;
use crate::helper::worker;
use crate::sync::{Arc, lock, now, wait_until};

/// How long a stop waits for threads, in addition to the backend's
/// [`AiBackend::stop_grace`](crate::AiBackend::stop_grace). An idle thread ends in microseconds.
const STOP_WAIT: Duration = Duration::from_millis(800);

impl State {
    /// Whether a stop has nothing left to wait for. Threads that an earlier stop has detached are
    /// not waited for again.
    fn is_through(&self) -> bool {
        self.threads <= self.unjoined && self.is_quiet()
    }
}

impl Shared {
    /// Stops the helper for good; see [`AutomationHelper::stop`](crate::AutomationHelper::stop).
    pub(crate) fn stop(self: &Arc<Self>) {
        self.signal_stop();
        self.end_all();
        self.join(now());
    }

    /// From now on no task begins, and queued tasks are ended. Running tasks are cancelled.
    pub(crate) fn signal_stop(&self) {
        let mut state = self.lock();
        if std::mem::replace(&mut state.stopping, true) {
            return;
        }
        let runs = state.running.iter().zip(&self.slots).filter(|(number, _)| number.is_some());
        let hooks: Vec<_> = runs.map(|(_, slot)| slot.cancel.raise()).collect();
        self.capacity.notify_all();
        let woken = state.wake(usize::MAX);
        drop(state);
        self.send_tickets(woken);
        drop(hooks);
    }

    /// Ends every task of a helper that was signalled to stop. Within an observer this is
    /// deferred until the observer has returned.
    pub(crate) fn end_all(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        foreign::after_observers(move || {
            let mut callbacks = Vec::new();
            for slot in 0..shared.slots.len() {
                let mut state = shared.lock();
                let Some(number) = state.running[slot] else { continue };
                let Some(ended) = shared.claim(&mut state, number, stopped()) else { continue };
                drop(state);
                callbacks.extend(shared.conclude(ended));
            }
            while let Some(callback) = shared.end_next_queued() {
                callbacks.extend(callback);
            }
            callbacks.into_iter().for_each(|callback| shared.queue_callback(Some(callback)));
        });
    }

    /// Ends the next queued task of a stopped helper; returns its callback. `None` if no task is
    /// queued.
    #[allow(clippy::option_option)]
    fn end_next_queued(&self) -> Option<Option<Box<super::QueuedCallback>>> {
        let (number, queued) = self.lock().store.take_next()?;
        Some(self.finish(Claim::queued(number, queued), Err(terminated())))
    }

    /// Waits for the threads of a helper that was signalled to stop at the given moment, and
    /// notifies the observers. On a helper's own thread, within a callback and within an observer
    /// it does not wait, since the threads may in turn wait for the caller.
    pub(crate) fn join(self: &Arc<Self>, signalled: Instant) {
        let waits =
            !worker::on_helper_thread() && !foreign::in_callback() && !foreign::in_observer();
        let left = if waits { self.await_threads(signalled) } else { 0 };
        let mut state = self.lock();
        state.unjoined += left;
        let first = !std::mem::replace(&mut state.stop_reported, true);
        let was_started = state.started;
        drop(state);
        if first && was_started {
            self.notify_stop(signalled, left);
        }
        let shared = Arc::clone(self);
        foreign::after_observers(move || shared.run_abandoned());
    }

    /// Joins the threads that end in time; returns the number of detached ones.
    fn await_threads(&self, signalled: Instant) -> usize {
        if !self.lock().is_through() {
            let grace = self.stop_grace();
            let mut state = self.lock();
            let began = *state.join_began.get_or_insert(signalled);
            let until = began.checked_add(STOP_WAIT.saturating_add(grace));
            while !state.is_through() {
                let Some(woken) = wait_until(&self.stop_goes_on, state, until) else { break };
                state = woken;
            }
        }
        let mut left = 0;
        let handles = std::mem::take(&mut *lock(&self.handles));
        for (slot, handle) in handles.into_iter().enumerate() {
            if self.lock().exited[slot] {
                // The thread has left all foreign code: the join takes microseconds.
                let _ = handle.join();
            } else {
                left += 1;
            }
        }
        left
    }

    /// The backend's stop grace; zero if the backend panics when asked.
    fn stop_grace(&self) -> Duration {
        self.fence(|| self.backend.stop_grace()).unwrap_or_default()
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
