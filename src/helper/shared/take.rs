//! How a helper's thread takes its next task or callback, and ends its own task.

use std::time::Instant;

use serde_json::Value;

use super::callbacks::QueuedCallback;
use super::due::{STOPPED, expired_in_queue, terminated};
use super::ends::Claim;
use super::{INBOX_KEY, Shared, State};
use crate::backend::{Reply, timed_out};
use crate::foreign::Foreign;
use crate::store::{Queued, Running};
use crate::sync::{earlier, now};
use crate::task::{Exclusive, OnText, TaskRequest};
use crate::task_error::{ErrorKind, TaskError};

/// The next work for a thread.
pub(crate) enum Next {
    Task {
        number: u64,
        deadline: Option<Instant>,
        on_text: Option<Foreign<OnText>>,
    },
    QueuedCallback(Box<QueuedCallback>),
    /// The next task was due to end and was ended.
    Ended,
    Nothing,
    Stop,
}

/// The outcome of a backend's call for a task.
pub(crate) struct Done {
    pub(crate) outcome: Result<Reply, TaskError>,
    /// When the first delta of text arrived.
    pub(crate) first_text: Option<Instant>,
    pub(crate) on_text: Option<Foreign<OnText>>,
}

impl Shared {
    /// The thread's next work: callbacks come before tasks. A thread that sleeps if there is none
    /// must receive a ticket before it asks again.
    // Here and below: what it takes of the stack is given back before the backend is called,
    // which may wait for long.
    #[inline(never)]
    pub(crate) fn begin_next(&self, slot: usize, will_sleep: bool) -> Next {
        let mut state = self.lock();
        if let Some(callback) = self.next_callback(&mut state, None) {
            return Next::QueuedCallback(callback);
        }
        let Some((number, queued)) = state.store.take_next() else {
            if state.stopping && state.is_quiet() {
                return Next::Stop;
            }
            state.sleepers += usize::from(will_sleep);
            return Next::Nothing;
        };
        self.notify_capacity(&state);
        let now = now();
        let why = match () {
            () if state.stopping => terminated(),
            () if self.queued_is_late(&queued, now) => expired_in_queue(),
            () => return self.begin(&mut state, slot, (number, queued), now),
        };
        drop(state);
        let callback = self.finish(Claim::queued(number, queued), Err(why));
        self.queue_callback(callback);
        Next::Ended
    }

    /// Puts a claimed task into the thread's slot.
    fn begin(
        &self,
        state: &mut State,
        slot: usize,
        (number, mut queued): (u64, Queued),
        now: Instant,
    ) -> Next {
        let timeout = queued.request.timeout.unwrap_or(self.timeout);
        let suspended = self.suspended_since(&queued);
        let own = queued.deadline.and_then(|deadline| deadline.checked_sub(suspended));
        let deadline = earlier(now.checked_add(timeout), own);
        let on_text = queued.request.on_text.take().map(Exclusive::into_inner);
        let running = Running {
            slot,
            created_at: queued.created_at,
            queue_time: now.duration_since(queued.submitted),
            began: now,
            deadline,
            own_deadline: queued.deadline.filter(|_| self.config.count_suspended_time),
            on_done: None,
            attempt_open: Some(now),
            attempts: 0,
            unreported: None,
            reporting: false,
            end_with: None,
        };
        self.slots[slot].cancel.reset();
        // If the caller's context has this key already, it is kept and the messages stay in the
        // inbox.
        if !state.inbox.is_empty() && !queued.request.context.contains_key(INBOX_KEY) {
            state.inbox_bytes = 0;
            let messages = Value::Array(std::mem::take(&mut state.inbox));
            queued.request.context.insert(INBOX_KEY.to_owned(), messages);
        }
        // The slot is empty here: `end_own` took the previous request.
        *self.slots[slot].request.write().unwrap_or_else(|p| p.into_inner()) = Some(queued.request);
        state.store.set_running(number, running);
        state.running[slot] = Some(number);
        state.began_any = true;
        Next::Task { number, deadline, on_text }
    }

    /// Ends the task that a thread has worked on, unless another thread has ended it meanwhile.
    /// The slot is empty afterwards; the callback, and all other values to drop, are the next
    /// work that a thread takes.
    #[inline(never)]
    pub(crate) fn end_own(&self, slot: usize, number: u64, done: Done) {
        let mut state = self.lock();
        let mut held = self.slots[slot].request.write().unwrap_or_else(|p| p.into_inner());
        let request = held.take();
        drop(held);
        let sent = &self.slots[slot].sent;
        let Some(running) = state.store.claim_running(number) else {
            sent.forget();
            if let Some(leftover) = QueuedCallback::leftover(request, done.on_text) {
                state.push_callback(leftover);
            }
            return;
        };
        let stopping = state.stopping;
        drop(state);
        // Late beyond the grace it is over, whether or not anyone looked at it meanwhile.
        let outcome = match done.outcome {
            Ok(_) if self.is_overdue(&running, now()) => Err(timed_out()),
            // A backend sees no more than its cancel signal.
            Err(error) if stopping && error.kind() == ErrorKind::Cancelled => {
                Err(error.with_summary(STOPPED))
            }
            outcome => outcome,
        };
        let text = if outcome.is_err() { sent.copy() } else { String::new() };
        sent.forget();
        let request = request.unwrap_or_else(|| TaskRequest::new(""));
        let mut claim = Claim::running(number, running, request, text);
        claim.on_text = done.on_text;
        claim.first_text = done.first_text;
        let callback = self.finish(claim, outcome);
        self.queue_callback(callback);
    }
}
