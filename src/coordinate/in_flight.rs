//! Tasks that a coordinated call has submitted and waits for.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::helper::shared::Shared;
use crate::id::TaskId;
use crate::sync::{Arc, after, earlier, now};
use crate::task::{Task, TaskRequest};
use crate::task_error::ErrorKind;

/// How long the outcome of a cancelled task may take to become readable. It is readable at once,
/// unless a thread is notifying observers of it.
const OUTCOME_SHOWS_WITHIN: Duration = Duration::from_secs(1);

/// A submitted task and its helper.
pub(super) struct Submitted {
    pub(super) shared: Arc<Shared>,
    pub(super) id: TaskId,
    pub(super) submitted: Instant,
}

impl Submitted {
    /// Cancels the task and returns its outcome; [leaves](Self::leave) one that does not show.
    pub(super) fn end(&self, template: Option<&TaskRequest>) -> Result<Task, Error> {
        self.shared.call_off(self.id);
        let outcome = self.outcome_by(after(now(), OUTCOME_SHOWS_WITHIN));
        if is_late(&outcome) {
            self.leave(template);
        }
        outcome
    }

    /// Leaves a task whose observers hold its outcome beyond the end of the call: when it shows, its
    /// result counts as read, and the template's `on_done` is called, unless it was by now.
    pub(super) fn leave(&self, template: Option<&TaskRequest>) {
        let on_done = template.and_then(|template| template.on_done.take());
        let Err(on_done) = self.shared.leave(self.id, on_done) else { return };
        if let (Ok(Ok(task)), Some(on_done)) = (self.shared.poll(self.id), on_done) {
            self.shared.fence(|| (on_done.into_inner())(&task));
        }
    }

    fn outcome_by(&self, until: Instant) -> Result<Task, Error> {
        self.shared.wait(self.id, until.saturating_duration_since(now()))
    }
}

/// Whether the observers of a task that was cancelled hold its outcome.
pub(super) fn is_late(outcome: &Result<Task, Error>) -> bool {
    matches!(outcome, Err(Error::WaitTimedOut { .. }))
}

/// A request in flight at one of the helpers of a call.
pub(super) struct InFlight {
    /// The place of its answer.
    pub(super) place: usize,
    /// The place of its helper among the call's helpers.
    pub(super) helper: usize,
    pub(super) task: Submitted,
}

/// A request whose task has ended.
pub(super) type Completed = (InFlight, Result<Task, Error>);

/// Removes and returns the completed requests, and when to look again, if there is a limit.
pub(super) fn take_completed(in_flight: &mut Vec<InFlight>) -> (Vec<Completed>, Option<Instant>) {
    let mut completed = Vec::new();
    let mut look_again = None;
    let mut at = 0;
    while at < in_flight.len() {
        let task = &in_flight[at].task;
        match task.shared.poll(task.id) {
            Ok(Err(moment)) => {
                look_again = earlier(look_again, moment);
                at += 1;
            }
            Ok(Ok(task)) => completed.push((in_flight.swap_remove(at), Ok(task))),
            Err(error) => completed.push((in_flight.swap_remove(at), Err(error))),
        }
    }
    (completed, look_again)
}

/// Cancels all of them, then collects their outcomes, which have one time to become readable.
pub(super) fn end_all(in_flight: Vec<InFlight>) -> Vec<Completed> {
    let until = after(now(), OUTCOME_SHOWS_WITHIN);
    for request in &in_flight {
        request.task.shared.call_off(request.task.id);
    }
    let end = |request: InFlight| {
        let outcome = request.task.outcome_by(until);
        (request, outcome)
    };
    in_flight.into_iter().map(end).collect()
}

/// Whether the next task at that helper will fail in the same way for a while.
pub(super) fn will_repeat(kind: ErrorKind) -> bool {
    kind.repeats_without_human() || matches!(kind, ErrorKind::Network | ErrorKind::RateLimited)
}
