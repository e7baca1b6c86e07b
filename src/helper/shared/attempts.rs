//! The calls that a backend makes for a task, as reported to the observers.

use std::time::SystemTime;

use super::Shared;
use crate::backend::Attempt;
use crate::event::{CallFacts, EventFacts, EventKind};
use crate::store::{Phase, Unreported};
use crate::sync::{Arc, now};
use crate::task::TaskRequest;

impl Shared {
    /// A further call to the provider begins.
    pub(crate) fn attempt_begins(&self, number: u64) {
        if let Some(Phase::Running(running)) = self.lock().store.phase(number) {
            running.attempt_open = Some(now());
        }
    }

    /// The call that was begun was not made: no event is reported for it.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn attempt_withdrawn(&self, number: u64) {
        if let Some(Phase::Running(running)) = self.lock().store.phase(number) {
            running.attempt_open = None;
        }
    }

    /// A call to the provider has ended. Notifies the observers, except when the task was ended
    /// meanwhile (the call is reported already) or ends with this call (both are then reported
    /// together).
    pub(crate) fn attempt_ends(
        self: &Arc<Self>,
        number: u64,
        attempt: &Attempt<'_>,
        request: &TaskRequest,
    ) {
        let mut state = self.lock();
        let Some(Phase::Running(running)) = state.store.phase(number) else { return };
        let Some(opened) = running.attempt_open.take() else { return };
        running.attempts += 1;
        if attempt.last && attempt.error.is_none() {
            running.unreported = Some(Unreported {
                at: SystemTime::now(),
                latency: now().duration_since(opened),
                http_status: attempt.http_status,
                usage: attempt.usage.copied(),
                first_byte: attempt.first_byte,
                waited: attempt.waited,
                api: attempt.api,
                oddities: attempt.oddities,
            });
            return;
        }
        running.reporting = true;
        let ordinal = running.attempts;
        drop(state);
        let mut event =
            self.event(EventKind::BackendCall).outcome(now().duration_since(opened), attempt.error);
        event.task_id = Some(self.task_id(number));
        event.set_note(request.note.as_deref());
        event.facts = EventFacts::Call(CallFacts {
            attempt: ordinal,
            http_status: attempt.http_status,
            usage: attempt.usage,
            first_byte: attempt.first_byte,
            waited: attempt.waited,
            api: attempt.api,
            oddities: attempt.oddities,
        });
        self.observers.notify(&event);
        let mut state = self.lock();
        let Some(Phase::Running(running)) = state.store.phase(number) else { return };
        running.reporting = false;
        let Some(why) = running.end_with.take() else { return };
        let Some(ended) = self.claim(&mut state, number, why) else { return };
        drop(state);
        let callback = self.conclude(ended);
        self.queue_callback(callback);
    }
}
