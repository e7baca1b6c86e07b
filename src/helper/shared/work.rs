//! What a helper's threads do with tasks: take them, tell of calls, hand them back.

use std::time::{Instant, SystemTime};

use serde_json::{Value, json};

use super::ends::{Afterwards, Claim, expired_in_queue};
use super::{INBOX_KEY, Message, Shared};
use crate::backend::Attempt;
use crate::event::EventKind;
use crate::store::{Phase, Running, Untold};
use crate::sync::{earlier, now};
use crate::task::{Exclusive, TaskRequest};
use crate::task_error::{ErrorKind, TaskError};

/// What a thread finds when it has got a ticket.
pub(crate) enum Next {
    Task {
        number: u64,
        deadline: Option<Instant>,
        on_text: Option<crate::task::OnText>,
    },
    Nothing,
    /// The next one's deadline had passed: it was ended.
    Late,
    Stop,
}

/// A request whose task was ended by somebody else: dropped where no lock is held.
pub(crate) type Leftover = Option<TaskRequest>;

impl Shared {
    /// A further call to the provider begins.
    pub(crate) fn attempt_begins(&self, number: u64) {
        if let Some(Phase::Running(running)) = self.lock().store.phase(number) {
            running.attempt_open = Some(now());
        }
    }

    /// The call that has begun was not made: nothing will be told of it.
    pub(crate) fn attempt_withdrawn(&self, number: u64) {
        if let Some(Phase::Running(running)) = self.lock().store.phase(number) {
            running.attempt_open = None;
        }
    }

    /// A call to the provider has ended: tells the observers, unless the task was ended
    /// meanwhile (then that was told already), or is about to end with this call (then both are
    /// told at once).
    pub(crate) fn attempt_ends(&self, number: u64, attempt: &Attempt<'_>) {
        let mut state = self.lock();
        let Some(Phase::Running(running)) = state.store.phase(number) else { return };
        let Some(opened) = running.attempt_open.take() else { return };
        running.attempts += 1;
        if attempt.last && attempt.error.is_none() {
            running.untold = Some(Untold {
                at: SystemTime::now(),
                latency: now().duration_since(opened),
                http_status: attempt.http_status,
                usage: attempt.usage.copied(),
                first_byte: attempt.first_byte,
                waited: attempt.waited,
            });
            return;
        }
        running.logging = true;
        let ordinal = running.attempts;
        drop(state);
        let mut event =
            self.event(EventKind::BackendCall).outcome(now().duration_since(opened), attempt.error);
        event.task_id = Some(self.task_id(number));
        event.attempt = Some(ordinal);
        event.http_status = attempt.http_status;
        event.usage = attempt.usage;
        event.first_byte = attempt.first_byte;
        event.waited = attempt.waited;
        self.observers.tell(&event);
        let mut state = self.lock();
        let Some(Phase::Running(running)) = state.store.phase(number) else { return };
        running.logging = false;
        let Some(why) = running.end_with.take() else { return };
        let mut after = Afterwards::default();
        self.end_running(&mut state, number, why, &mut after);
        drop(state);
        self.finish_all(after);
    }

    /// The next task for a thread, put into its slot. A thread that will sleep if there is
    /// none must take a ticket before it asks again.
    pub(crate) fn begin_next(&self, slot: usize, will_sleep: bool) -> Next {
        let mut state = self.lock();
        if state.stopping {
            return Next::Stop;
        }
        let Some((number, mut queued)) = state.store.take_next() else {
            state.sleepers += usize::from(will_sleep);
            return Next::Nothing;
        };
        if state.room_waiters > 0 {
            self.room.notify_one();
        }
        let now = now();
        if self.queued_is_late(&queued, now) {
            drop(state);
            self.finish(Claim::queued(number, queued), Err(expired_in_queue()));
            return Next::Late;
        }
        let timeout = queued.request.timeout.unwrap_or(self.timeout);
        let slept = self.slept_since(&queued);
        let own = queued.deadline.and_then(|deadline| deadline.checked_sub(slept));
        let deadline = earlier(now.checked_add(timeout), own);
        let on_text = queued.request.on_text.take().map(Exclusive::into_inner);
        let running = Running {
            slot,
            created_at: queued.created_at,
            queue_time: now.duration_since(queued.submitted),
            began: now,
            deadline,
            sleepless: queued.deadline.filter(|_| self.config.count_suspended_time),
            on_done: queued.request.on_done.take().map(Exclusive::into_inner),
            attempt_open: Some(now),
            attempts: 0,
            untold: None,
            logging: false,
            end_with: None,
        };
        self.slots[slot].cancel.reset();
        // A context of the caller's own under that name is left alone; the messages wait.
        if !state.inbox.is_empty() && !queued.request.context.contains_key(INBOX_KEY) {
            let inbox = std::mem::take(&mut state.inbox);
            let message = |message: Message| json!({"from": message.from, "text": message.text});
            let messages: Vec<Value> = inbox.into_iter().map(message).collect();
            queued.request.context.insert(INBOX_KEY.to_owned(), Value::Array(messages));
        }
        let mut place = self.slots[slot].request.write().unwrap_or_else(|p| p.into_inner());
        let left_over = place.replace(queued.request);
        drop(place);
        state.store.set_running(number, running);
        state.running[slot] = Some(number);
        state.began_any = true;
        drop(state);
        drop(left_over);
        Next::Task { number, deadline, on_text }
    }

    /// Claims the end of the task that a thread has worked on, with its request; nothing if
    /// somebody else ended it meanwhile. The slot is empty afterwards.
    pub(crate) fn claim_own(&self, slot: usize, number: u64) -> (Option<Claim>, Leftover) {
        let mut state = self.lock();
        let mut place = self.slots[slot].request.write().unwrap_or_else(|p| p.into_inner());
        let request = place.take();
        drop(place);
        match (state.store.claim_running(number), request) {
            (Some(running), Some(request)) => {
                (Some(Claim::running(number, running, request)), None)
            }
            (Some(running), None) => {
                (Some(Claim::running(number, running, TaskRequest::new(""))), None)
            }
            (None, request) => (None, request),
        }
    }

    /// Ends everything at once: queued tasks as terminated, running ones as cancelled.
    /// Threads see the stop at their next ticket.
    pub(crate) fn signal_stop(&self) {
        let mut state = self.lock();
        if state.stopping {
            return;
        }
        state.stopping = true;
        let mut after = Afterwards::default();
        for (number, queued) in state.store.claim_all_queued() {
            let why = TaskError::new(
                ErrorKind::Terminated,
                "the helper was stopped before it began this task",
            );
            after.ends.push((Claim::queued(number, queued), why));
        }
        for slot in 0..state.running.len() {
            let Some(number) = state.running[slot] else { continue };
            let why =
                TaskError::new(ErrorKind::Cancelled, "the helper was stopped during this task");
            self.end_running(&mut state, number, why, &mut after);
        }
        let threads = state.threads;
        self.room.notify_all();
        drop(state);
        for _ in 0..threads {
            self.tickets.send();
        }
        self.finish_all(after);
    }
}
