//! How tasks end: claimed once, told to the observers, published.

use std::time::{Duration, Instant, SystemTime};

use super::{RUN_GRACE, Shared, State};
use crate::backend::Reply;
use crate::cancel::RaisedHooks;
use crate::config::WhenResultsFull;
use crate::event::{Event, EventKind, Fact};
use crate::observers::quietly;
use crate::store::{Phase, Queued, Running, Untold};
use crate::sync::{Ordering, now};
use crate::task::{Exclusive, OnDone, Task, TaskRequest, Usage, millis};
use crate::task_error::{ErrorKind, TaskError};

/// A claimed end of a task: all that is needed to tell and to publish it.
pub(crate) struct Claim {
    pub(crate) number: u64,
    request: TaskRequest,
    created_at: SystemTime,
    queue_time: Duration,
    began: Option<Instant>,
    attempt_open: Option<Instant>,
    attempts: u32,
    untold: Option<Untold>,
    on_done: Option<OnDone>,
    slot: Option<usize>,
    /// When the first piece of text came.
    pub(crate) first_text: Option<Instant>,
}

/// What ends at once when the lock is gone: hooks to run, tasks to publish.
#[derive(Default)]
pub(crate) struct Afterwards<'a> {
    pub(super) hooks: Vec<RaisedHooks<'a>>,
    pub(super) ends: Vec<(Claim, TaskError)>,
}

impl Claim {
    pub(super) fn queued(number: u64, queued: Queued) -> Self {
        Self {
            number,
            created_at: queued.created_at,
            queue_time: now().duration_since(queued.submitted),
            request: queued.request,
            began: None,
            attempt_open: None,
            attempts: 0,
            untold: None,
            on_done: None,
            slot: None,
            first_text: None,
        }
    }

    pub(super) fn running(number: u64, running: Running, request: TaskRequest) -> Self {
        Self {
            number,
            request,
            created_at: running.created_at,
            queue_time: running.queue_time,
            began: Some(running.began),
            attempt_open: running.attempt_open,
            attempts: running.attempts,
            untold: running.untold,
            on_done: running.on_done,
            slot: Some(running.slot),
            first_text: None,
        }
    }
}

impl Shared {
    /// Claims a running task's end, or leaves the reason with its thread where that is just
    /// telling observers; raises its signal either way. Needs [`Self::finish_all`] after.
    pub(super) fn end_running<'a>(
        &'a self,
        state: &mut State,
        number: u64,
        why: TaskError,
        after: &mut Afterwards<'a>,
    ) -> bool {
        let Some(Phase::Running(running)) = state.store.phase(number) else { return false };
        let slot = running.slot;
        if running.logging {
            if running.end_with.is_some() {
                return false;
            }
            running.end_with = Some(why);
            after.hooks.push(self.slots[slot].cancel.raise());
            return true;
        }
        let Some(running) = state.store.claim_running(number) else { return false };
        // The thread has the request. Its copy is made under the lock, for when the lock is
        // gone the thread may come back and take the next task. Never waits, see `Slot`.
        let request = match self.slots[slot].request.try_read() {
            Ok(held) => held.as_ref().map(TaskRequest::clone_for_record),
            Err(_) => None,
        };
        let request = request.unwrap_or_else(|| TaskRequest::new(""));
        after.hooks.push(self.slots[slot].cancel.raise());
        after.ends.push((Claim::running(number, running, request), why));
        true
    }

    pub(super) fn end_queued(
        &self,
        state: &mut State,
        number: u64,
        why: TaskError,
        after: &mut Afterwards<'_>,
    ) -> bool {
        let Some(queued) = state.store.claim_queued(number) else { return false };
        if state.room_waiters > 0 {
            self.room.notify_one();
        }
        after.ends.push((Claim::queued(number, queued), why));
        true
    }

    /// Runs hooks and publishes ends. Call it without the lock.
    pub(super) fn finish_all(&self, after: Afterwards<'_>) {
        drop(after.hooks);
        for (claim, why) in after.ends {
            self.finish(claim, Err(why));
        }
    }

    /// Tells the observers how a claimed task ended, makes that readable, and calls back.
    pub(crate) fn finish(&self, claim: Claim, outcome: Result<Reply, TaskError>) {
        let Claim { number, mut request, began, attempt_open, untold, mut on_done, slot, .. } =
            claim;
        let now = now();
        let latency = began.map_or(Duration::ZERO, |began| now.duration_since(began));
        let mut attempts = claim.attempts;
        let on_done = on_done.take().or_else(|| request.on_done.take().map(Exclusive::into_inner));
        let (reply, error) = match outcome {
            Ok(reply) => (Some(reply), None),
            Err(error) => (None, Some(error)),
        };
        attempts += u32::from(attempt_open.is_some());
        let completed_at = SystemTime::now();
        let submitted = began.unwrap_or(now).checked_sub(claim.queue_time).unwrap_or(now);
        self.tell_sleep((claim.created_at, submitted), (completed_at, now));
        let request_bytes = request.text_bytes();
        let provider = reply.as_ref().and_then(|reply| reply.provider.clone());
        let (result, model, usage, finish_reason) = match reply {
            Some(reply) => (Some(reply.text), reply.model, reply.usage, reply.finish_reason),
            None => (None, None, None, None),
        };
        let cost = self.cost(model.as_deref(), usage.as_ref());
        let task = Task {
            task_id: self.task_id(number),
            helper_id: self.id,
            prompt: std::mem::take(&mut request.prompt),
            context: std::mem::take(&mut request.context),
            created_at: claim.created_at,
            completed_at: Some(completed_at),
            result,
            error,
            model,
            usage,
            cost,
            finish_reason,
            attempts,
            queue_ms: millis(claim.queue_time),
            latency_ms: millis(latency),
        };
        if self.observers.any() {
            let mut end = self.event(EventKind::TaskComplete).outcome(latency, task.error.as_ref());
            end.at = completed_at;
            end.queue = Some(claim.queue_time);
            if let Some(trace) = &mut end.trace {
                trace.note = request.note.as_deref();
                trace.images = &request.images;
                trace.provider = provider.as_deref().or(trace.provider);
                trace.first_text = began.zip(claim.first_text).map(|(from, to)| to - from);
            }
            let open = attempt_open.map(|opened| now.duration_since(opened));
            self.tell_end(&task, end, open, untold.as_ref());
        }
        let bytes = task.text_bytes(request_bytes);
        let for_callback = on_done.as_ref().map(|_| task.clone());
        self.publish(number, task, bytes, slot);
        if let (Some(on_done), Some(task)) = (on_done, for_callback) {
            if quietly(move || on_done(&task)).is_none() {
                self.callback_panics.fetch_add(1, Ordering::Relaxed);
            }
        }
        // Turns, tools and the like: user data, dropped where no lock is held.
        drop(request);
    }

    /// Tells the observers if the device slept while a task was here, from a moment (by the
    /// wall clock and the steady one) to another.
    fn tell_sleep(&self, from: (SystemTime, Instant), to: (SystemTime, Instant)) {
        if self.observers.any() {
            // Notes it; what the task is charged was decided before.
            let _ = self.observers.slept.between(from, to);
        }
        if let Some(slept) = self.observers.slept.to_tell() {
            let facts = [("suspended_ms", Fact::Number(millis(slept)))];
            let mut event = self.event(EventKind::Suspended);
            event.facts = &facts;
            self.observers.tell(&event);
        }
    }

    /// Tells the observers of a task's end, and with it of its last call: where the backend
    /// told nothing of that (it has been `open` so long), or it went well just now.
    fn tell_end<'a>(
        &'a self,
        task: &'a Task,
        mut end: Event<'a>,
        open: Option<Duration>,
        untold: Option<&'a Untold>,
    ) {
        let of_task = |event: &mut Event<'a>| {
            event.task_id = Some(task.task_id);
            event.attempt = Some(task.attempts);
        };
        of_task(&mut end);
        end.usage = task.usage.as_ref();
        end.task = Some(task);
        let mut call = self.event(EventKind::BackendCall);
        of_task(&mut call);
        call.at = end.at;
        if let Some(open) = open {
            call = call.outcome(open, task.error.as_ref());
            call.usage = end.usage;
        } else if let Some(untold) = untold {
            call = call.outcome(untold.latency, None);
            call.at = untold.at;
            call.http_status = untold.http_status;
            call.usage = untold.usage.as_ref();
            call.first_byte = untold.first_byte;
            call.waited = untold.waited;
        } else {
            return self.observers.tell(&end);
        }
        self.observers.tell_all(&[call, end]);
    }

    /// What tokens cost, where a price list knows the model that answered (or else the one
    /// that was asked for).
    pub(super) fn cost(&self, model: Option<&str>, usage: Option<&Usage>) -> Option<f64> {
        let prices = self.config.prices.as_ref()?;
        let cost = prices.cost(model.or(self.config.model.as_deref())?, usage?)?;
        // A price that is no number makes no cost.
        (cost.is_finite() && cost >= 0.0).then_some(cost)
    }

    pub(super) fn publish(&self, number: u64, task: Task, bytes: usize, slot: Option<usize>) {
        let (max, bytes_max) = (self.config.max_results, self.config.max_result_bytes);
        // What was accepted when there was room is kept, however long its result came out.
        let unread_too = self.config.when_results_full == WhenResultsFull::DropOldest;
        let failed = task.error.as_ref().map(TaskError::kind);
        let mut state = self.lock();
        state.completed += 1;
        state.failed += u64::from(failed.is_some());
        if let Some(slot) = slot {
            // A later task may run there already, if this end was claimed by another thread.
            if state.running[slot] == Some(number) {
                state.running[slot] = None;
            }
            match failed {
                None => state.last_failure_repeats = false,
                Some(kind) => state.last_failure_repeats |= kind.repeats_without_human(),
            }
        }
        state.store.publish(number, task, bytes);
        // In a steady state one goes for each that comes: no allocation for that one.
        let first = state.store.evict(max, bytes_max, unread_too);
        let mut more = Vec::new();
        if first.is_some() {
            more.extend(std::iter::from_fn(|| state.store.evict(max, bytes_max, unread_too)));
        }
        let evicted = || first.iter().chain(&more);
        state.dropped_unread += evicted().filter(|(_, unread)| *unread).count() as u64;
        let awaited = state.awaited.contains(&number);
        for watch in &state.watches {
            watch.fire();
        }
        drop(state);
        // Without the lock, which whoever wakes up wants at once.
        if awaited {
            self.finished.notify_all();
        }
        for (task, unread) in evicted() {
            if !unread {
                continue;
            }
            let mut event = self.event(EventKind::ResultDropped);
            event.task_id = Some(task.task_id);
            self.observers.tell(&event);
        }
    }

    /// Whether the time is over for a running task whose backend did not notice.
    pub(super) fn is_overdue(&self, running: &Running, now: Instant) -> bool {
        let over = |at: Instant| at.checked_add(RUN_GRACE).is_some_and(|at| at <= now);
        if running.end_with.is_some() {
            return false;
        }
        if running.deadline.is_some_and(over) {
            return true;
        }
        let Some(sleepless) = running.sleepless else { return false };
        let submitted = running.began.checked_sub(running.queue_time).unwrap_or(running.began);
        let slept = self.observers.slept.since(running.created_at, submitted);
        !slept.is_zero() && sleepless.checked_sub(slept).is_none_or(over)
    }

    /// How long the device slept while the task waited, as far as that counts.
    pub(super) fn slept_since(&self, queued: &Queued) -> Duration {
        if queued.deadline.is_none() || !self.config.count_suspended_time {
            return Duration::ZERO;
        }
        self.observers.slept.since(queued.created_at, queued.submitted)
    }

    pub(super) fn queued_is_late(&self, queued: &Queued, now: Instant) -> bool {
        let Some(deadline) = queued.deadline else { return false };
        deadline.saturating_duration_since(now) <= self.slept_since(queued)
    }
}

pub(super) fn expired_in_queue() -> TaskError {
    TaskError::new(
        ErrorKind::Timeout,
        "the deadline passed while the task waited in the queue: give it longer, \
         or the helper more threads",
    )
}
