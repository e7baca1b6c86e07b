//! Callbacks: the code of a task's owner that runs after the task's outcome is published.
//!
//! All callbacks go through one queue, which the helper's threads empty before they take a task;
//! see the flow in the parent module. Two other parties take from the queue: `cancel_task` takes
//! the callback of the task that it ended, and a stop takes the callbacks that no thread will
//! run.

use std::time::Instant;

use super::{Shared, State};
use crate::foreign::{self, Foreign};
use crate::helper::thread;
use crate::sync::{Arc, Ordering, now};
use crate::task::{OnDone, OnText, Task, TaskRequest, Tools};

/// The work left for a task whose outcome is published: call its `on_done`, then drop the values
/// that came with its request.
pub(crate) struct QueuedCallback {
    on_done: Option<(Foreign<OnDone>, Task)>,
    // Dropped after the call: their drops run the owner's code, too.
    _tools: Tools,
    _on_text: Option<Foreign<OnText>>,
    /// The position in the queue, and the time at which it was queued.
    number: u64,
    since: Instant,
}

impl QueuedCallback {
    /// `None` if the request has no callback and no tools.
    pub(super) fn new(
        on_done: Option<(Foreign<OnDone>, Task)>,
        tools: Tools,
        on_text: Option<Foreign<OnText>>,
    ) -> Option<Box<Self>> {
        if on_done.is_none() && tools.is_empty() && on_text.is_none() {
            return None;
        }
        Some(Box::new(Self { on_done, _tools: tools, _on_text: on_text, number: 0, since: now() }))
    }

    /// The values that a thread still holds of a task that another party has ended.
    pub(super) fn leftover(
        request: Option<TaskRequest>,
        on_text: Option<Foreign<OnText>>,
    ) -> Option<Box<Self>> {
        let tools = request.map(|mut request| std::mem::take(&mut request.tools));
        Self::new(None, tools.unwrap_or_default(), on_text)
    }

    fn run(mut self: Box<Self>) {
        if let Some((on_done, task)) = self.on_done.take() {
            let call = on_done.into_inner();
            foreign::fence(|| call(&task));
        }
    }
}

impl State {
    /// Adds a callback to the queue; returns its number.
    pub(super) fn push_callback(&mut self, mut callback: Box<QueuedCallback>) -> u64 {
        self.last_callback += 1;
        callback.number = self.last_callback;
        callback.since = now();
        self.callbacks.push_back(callback);
        self.last_callback
    }

    /// Takes the oldest callback, or the one of this number, if it may run yet: callbacks of a
    /// stop run after the stop's last outcome is published.
    fn take_callback(&mut self, number: Option<u64>) -> Option<Box<QueuedCallback>> {
        if self.stopping && self.store.unfinished() > 0 {
            return None;
        }
        let place = number.map(|number| self.callbacks.binary_search_by_key(&number, |c| c.number));
        let callback = self.callbacks.remove(place.unwrap_or(Ok(0)).ok()?)?;
        self.callback_delay = now().duration_since(callback.since);
        self.callback_delay_max = self.callback_delay_max.max(self.callback_delay);
        Some(callback)
    }

    /// Whether every task has ended, and every callback is queued or was run.
    pub(super) fn is_quiet(&self) -> bool {
        self.store.unfinished() == 0 && self.callbacks_held == 0
    }
}

impl Shared {
    /// Takes a callback from the queue; see [`State::take_callback`].
    pub(super) fn next_callback(
        &self,
        state: &mut State,
        number: Option<u64>,
    ) -> Option<Box<QueuedCallback>> {
        let callback = state.take_callback(number)?;
        self.notify_capacity(state);
        Some(callback)
    }

    /// Queues the callback of a published end, if there is one, and wakes an idle thread for it.
    pub(super) fn queue_callback(&self, callback: Option<Box<QueuedCallback>>) {
        let Some(callback) = callback else { return };
        let mut state = self.lock();
        state.push_callback(callback);
        state.callbacks_held -= 1;
        let woken = state.wake(1) + self.if_stop_is_through(&mut state);
        drop(state);
        self.send_tickets(woken);
    }

    /// Runs the callback of a task that this thread has ended by `cancel_task`. If that was called
    /// within a callback, an idle thread of the helper runs it. If there is none, a thread that is
    /// no helper's runs it after that callback, unless the helper takes it earlier; a helper's thread
    /// goes on with its own, so that no helper is held by another's callback.
    pub(super) fn run_own(self: &Arc<Self>, callback: Box<QueuedCallback>) {
        let mut state = self.lock();
        state.callbacks_held -= 1;
        self.notify_capacity(&state);
        let woken = self.if_stop_is_through(&mut state);
        if !foreign::in_callback() {
            drop(state);
            self.send_tickets(woken);
            return self.run(callback);
        }
        let number = state.push_callback(callback);
        let idle = state.wake(1);
        // The threads of a stopped helper may be gone.
        let waits = thread::is_of_any() && !state.stopping;
        drop(state);
        self.send_tickets(woken + idle);
        if idle > 0 || waits {
            return;
        }
        let shared = Arc::clone(self);
        foreign::call_back(move || {
            let callback = shared.next_callback(&mut shared.lock(), Some(number));
            if let Some(callback) = callback {
                shared.run_now(callback);
            }
        });
    }

    /// Runs a callback that was taken from the queue.
    pub(crate) fn run(self: &Arc<Self>, callback: Box<QueuedCallback>) {
        let shared = Arc::clone(self);
        foreign::call_back(move || shared.run_now(callback));
    }

    fn run_now(&self, callback: Box<QueuedCallback>) {
        self.count_panics(|| callback.run());
    }

    /// Runs foreign code; returns `None` if it panicked, and counts the panic.
    pub(crate) fn fence<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        let mut outcome = None;
        self.count_panics(|| outcome = foreign::fence(call));
        outcome
    }

    /// Runs `work`, and counts the panics that were caught within it.
    pub(crate) fn count_panics(&self, work: impl FnOnce()) {
        let panics = foreign::count_caught(work);
        self.callback_panics.fetch_add(panics, Ordering::Relaxed);
    }

    /// Runs the callbacks of a stopped helper that no thread of a slot is left to run. Called by
    /// the stopping thread, and by the threads of duties that the stop did not wait for.
    pub(super) fn run_abandoned(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        foreign::call_back(move || {
            loop {
                let mut state = shared.lock();
                let slots_ended = state.exited.iter().take(shared.slots.len()).all(|ended| *ended);
                let abandoned = state.stopping && slots_ended;
                let Some(callback) =
                    abandoned.then(|| shared.next_callback(&mut state, None)).flatten()
                else {
                    return;
                };
                drop(state);
                shared.run_now(callback);
            }
        });
    }
}
