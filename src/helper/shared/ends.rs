//! The end of a task: claimed once, reported to the observers, then published.

use std::time::{Duration, Instant, SystemTime};

use super::callbacks::QueuedCallback;
use super::{Shared, State};
use crate::backend::Reply;
use crate::cancel::RaisedHooks;
use crate::config::WhenResultsFull;
use crate::foreign::{self, Foreign};
use crate::store::{Phase, Queued, Running, Unreported};
use crate::sync::{Arc, now};
use crate::task::{Exclusive, OnText, Task, TaskRequest, Usage, millis};
use crate::task_error::TaskError;

/// A claimed end of a task: the values needed to report and publish it.
pub(crate) struct Claim {
    pub(super) number: u64,
    pub(super) request: TaskRequest,
    pub(super) created_at: SystemTime,
    pub(super) queue_time: Duration,
    pub(super) began: Option<Instant>,
    pub(super) attempt_open: Option<Instant>,
    attempts: u32,
    pub(super) unreported: Option<Unreported>,
    slot: Option<usize>,
    /// The request's callback, where the task's own thread returns it.
    pub(super) on_text: Option<Foreign<OnText>>,
    /// When the first delta of text arrived.
    pub(super) first_text: Option<Instant>,
    /// The text that the backend has sent, for a task that failed.
    sent: String,
}

impl Claim {
    pub(super) fn queued(number: u64, mut queued: Queued) -> Self {
        Self {
            number,
            created_at: queued.created_at,
            queue_time: now().duration_since(queued.submitted),
            began: None,
            attempt_open: None,
            attempts: 0,
            unreported: None,
            slot: None,
            on_text: queued.request.on_text.take().map(Exclusive::into_inner),
            first_text: None,
            sent: String::new(),
            request: queued.request,
        }
    }

    pub(super) fn running(
        number: u64,
        running: Running,
        request: TaskRequest,
        sent: String,
    ) -> Self {
        Self {
            number,
            request,
            created_at: running.created_at,
            queue_time: running.queue_time,
            began: Some(running.began),
            attempt_open: running.attempt_open,
            attempts: running.attempts,
            unreported: running.unreported,
            slot: Some(running.slot),
            on_text: None,
            first_text: None,
            sent,
        }
    }
}

/// A task that another thread ends, while it runs or before it began.
#[must_use = "its end is claimed: conclude it"]
pub(super) struct Ended {
    /// The end and its reason; `None` if the task's own thread was asked to end it.
    claim: Option<(Claim, TaskError)>,
    hooks: Option<RaisedHooks>,
}

impl Ended {
    /// Whether the task's own thread must end it.
    pub(super) fn is_handed_over(&self) -> bool {
        self.claim.is_none()
    }
}

impl Shared {
    /// Claims the end of a queued or running task. If the task's thread is reporting a call, the
    /// reason is left with that thread, which then ends the task. A running task's cancel signal
    /// is raised in both cases.
    pub(super) fn claim(&self, state: &mut State, number: u64, why: TaskError) -> Option<Ended> {
        if let Some(queued) = state.store.claim_queued(number) {
            self.notify_capacity(state);
            return Some(Ended { claim: Some((Claim::queued(number, queued), why)), hooks: None });
        }
        let stopping = state.stopping;
        let Some(Phase::Running(running)) = state.store.phase(number) else { return None };
        let slot = &self.slots[running.slot];
        // A stop raises the signal itself, and runs the hooks where they hold nobody.
        let hooks = || (!stopping).then(|| slot.cancel.raise());
        if running.reporting {
            if running.end_with.is_some() {
                return None;
            }
            running.end_with = Some(why);
            return Some(Ended { claim: None, hooks: hooks() });
        }
        let running = state.store.claim_running(number)?;
        // The thread owns the request. The copy is made under the lock, since without it the
        // thread may return and take the next task. Never waits, see `ThreadSlot`.
        let request = match slot.request.try_read() {
            Ok(held) => held.as_ref().map(TaskRequest::clone_for_record),
            Err(_) => None,
        };
        let request = request.unwrap_or_else(|| TaskRequest::new(""));
        let claim = Claim::running(number, running, request, slot.sent.copy());
        Some(Ended { claim: Some((claim, why)), hooks: hooks() })
    }

    /// Publishes a claimed end; returns the callback to run after it. Call it without the lock.
    /// Within an observer, publication is deferred until the observer has returned: otherwise an
    /// observer that ends tasks would recurse without bound.
    pub(super) fn conclude(self: &Arc<Self>, ended: Ended) -> Option<Box<QueuedCallback>> {
        if !foreign::in_observer() {
            return self.conclude_now(ended);
        }
        let shared = Arc::clone(self);
        foreign::after_observers(move || {
            let callback = shared.conclude_now(ended);
            shared.queue_callback(callback);
        });
        None
    }

    fn conclude_now(&self, ended: Ended) -> Option<Box<QueuedCallback>> {
        drop(ended.hooks);
        let (claim, why) = ended.claim?;
        self.finish(claim, Err(why))
    }

    /// Reports to the observers how a claimed task ended, and makes its result readable; returns
    /// the callback to run next.
    pub(crate) fn finish(
        &self,
        mut claim: Claim,
        outcome: Result<Reply, TaskError>,
    ) -> Option<Box<QueuedCallback>> {
        let now = now();
        let completed_at = SystemTime::now();
        let submitted = claim.began.unwrap_or(now).checked_sub(claim.queue_time).unwrap_or(now);
        self.notify_suspended((claim.created_at, submitted), (completed_at, now));
        let request_bytes = claim.request.text_bytes();
        let (reply, error) = match outcome {
            Ok(reply) => (Some(reply), None),
            Err(error) => {
                (None, Some(error.with_partial_if_longer(std::mem::take(&mut claim.sent))))
            }
        };
        let provider = reply.as_ref().and_then(|reply| reply.provider.clone());
        let api = reply.as_ref().and_then(|reply| reply.api);
        let echoed = reply.as_ref().is_some_and(|reply| reply.echoed);
        let (result, model, usage, finish_reason) = match reply {
            Some(reply) => (Some(reply.text), reply.model, reply.usage, reply.finish_reason),
            None => (None, None, None, None),
        };
        let latency = claim.began.map_or(Duration::ZERO, |began| now.duration_since(began));
        let task = Task {
            task_id: self.task_id(claim.number),
            helper_id: self.id,
            prompt: std::mem::take(&mut claim.request.prompt),
            context: std::mem::take(&mut claim.request.context),
            created_at: claim.created_at,
            completed_at: Some(completed_at),
            result,
            error,
            cost: self.cost(model.as_deref(), usage.as_ref()),
            model,
            usage,
            finish_reason,
            api,
            echoed,
            attempts: claim.attempts + u32::from(claim.attempt_open.is_some()),
            queue_ms: millis(claim.queue_time),
            latency_ms: millis(latency),
        };
        if self.observers.any() {
            self.notify_end(&claim, &task, provider.as_deref(), now);
        }
        let bytes = task.text_bytes(request_bytes);
        self.publish(claim, task, bytes)
    }

    /// The cost of the tokens, if the price list has the model that answered, or else the model
    /// that was requested.
    fn cost(&self, model: Option<&str>, usage: Option<&Usage>) -> Option<f64> {
        let prices = self.config.prices.as_ref()?;
        prices.cost(model.or(self.config.model.as_deref())?, usage?)
    }

    fn publish(&self, claim: Claim, task: Task, bytes: usize) -> Option<Box<QueuedCallback>> {
        let Claim { number, slot, .. } = claim;
        let (max, bytes_max) = (self.config.max_results, self.config.max_result_bytes);
        // `RefuseTasks` keeps the result of every accepted task, even where its size exceeds the
        // bound.
        let unread_too = self.config.when_results_full == WhenResultsFull::DropOldest;
        let failed = task.error.as_ref().map(TaskError::kind);
        let mut state = self.lock();
        state.completed += 1;
        state.failed += u64::from(failed.is_some());
        if let Some(slot) = slot {
            // If another thread claimed this end, the slot may already run a later task.
            if state.running[slot] == Some(number) {
                state.running[slot] = None;
            }
            match failed {
                None => state.last_failure_repeats = false,
                Some(kind) => state.last_failure_repeats |= kind.repeats_without_human(),
            }
        }
        let on_done = state.store.on_done(number).and_then(Option::take);
        let on_done = on_done.map(|on_done| (on_done, task.clone()));
        state.store.publish(number, task, bytes);
        let callback = QueuedCallback::new(on_done, claim.request.tools, claim.on_text);
        state.callbacks_held += usize::from(callback.is_some());
        // Usually one result is evicted for each new one: the first needs no allocation.
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
        let woken = self.if_stop_is_through(&mut state);
        drop(state);
        // Without the lock, since each woken thread takes it at once.
        if awaited {
            self.finished.notify_all();
        }
        self.send_tickets(woken);
        let unread = evicted().filter(|(_, unread)| *unread);
        unread.for_each(|(task, _)| self.notify_dropped(task.task_id));
        callback
    }
}
