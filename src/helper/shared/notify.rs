//! Events about a helper's tasks that are reported to the observers.

use std::time::{Duration, Instant, SystemTime};

use super::Shared;
use super::ends::Claim;
use crate::event::{CallFacts, EventFacts, EventKind, Fact, TaskFacts};
use crate::id::TaskId;
use crate::task::{Task, millis};

impl Shared {
    /// Reports a suspension of the device during a task, between two moments (each by the wall
    /// clock and the monotonic clock).
    pub(super) fn notify_suspended(&self, from: (SystemTime, Instant), to: (SystemTime, Instant)) {
        if self.observers.any() {
            // Records it; the time charged to the task was computed before.
            let _ = self.observers.suspended.between(from, to);
        }
        if let Some(suspended) = self.observers.suspended.unreported() {
            let facts = [("suspended_ms", Fact::Number(millis(suspended)))];
            let mut event = self.event(EventKind::Suspended);
            event.facts = EventFacts::Named(&facts);
            self.observers.notify(&event);
        }
    }

    /// Reports a task's end, together with its last call if that is not reported yet: the call
    /// has just succeeded, or the backend reports no calls.
    pub(super) fn notify_end(
        &self,
        claim: &Claim,
        task: &Task,
        provider: Option<&str>,
        now: Instant,
    ) {
        let since = |from: Instant| now.duration_since(from);
        let latency = claim.began.map_or(Duration::ZERO, since);
        let mut end = self.event(EventKind::TaskComplete).outcome(latency, task.error.as_ref());
        if let Some(at) = task.completed_at {
            end.at = at;
        }
        end.task_id = Some(task.task_id);
        end.facts = EventFacts::Task(TaskFacts { task, queue: claim.queue_time });
        let note = claim.request.note.as_deref();
        end.set_note(note);
        if let Some(trace) = &mut end.trace {
            trace.images = &claim.request.images;
            trace.vendor = provider;
            trace.first_text = claim.began.zip(claim.first_text).map(|(from, to)| to - from);
        }
        let mut call = self.event(EventKind::BackendCall);
        call.task_id = end.task_id;
        call.at = end.at;
        call.set_note(note);
        let mut facts = CallFacts { attempt: task.attempts, ..CallFacts::default() };
        if let Some(opened) = claim.attempt_open {
            call = call.outcome(since(opened), task.error.as_ref());
            facts.usage = task.usage.as_ref();
        } else if let Some(unreported) = &claim.unreported {
            call = call.outcome(unreported.latency, None);
            call.at = unreported.at;
            facts.http_status = unreported.http_status;
            facts.usage = unreported.usage.as_ref();
            facts.first_byte = unreported.first_byte;
            facts.waited = unreported.waited;
            facts.api = unreported.api;
            facts.oddities = unreported.oddities;
        } else {
            return self.observers.notify(&end);
        }
        call.facts = EventFacts::Call(facts);
        self.observers.notify_all(&[call, end]);
    }

    /// Reports that an unread result was dropped for a newer one.
    pub(super) fn notify_dropped(&self, id: TaskId) {
        let mut event = self.event(EventKind::ResultDropped);
        event.task_id = Some(id);
        self.observers.notify(&event);
    }
}
