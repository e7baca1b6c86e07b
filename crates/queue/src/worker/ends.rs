//! How jobs end: what a finished task means, and what the queue made of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use automation_assistant::{ErrorKind, TaskError};

use super::Phase;
use super::held::{Arrived, Done, Ending};
use super::run::{RETRY_FIRST, Run};
use super::verdict::{Verdict, pause, verdict};
use crate::clock::now_ms;
use crate::engine::{Delivery, End, Ended, Hold, How};
use crate::error::Error;
use crate::outcome::{JobError, JobOutcome};
use crate::state::JobState;

/// How long a stop tries to hand jobs back.
const HAND_BACK_WAIT: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// At the end: what is recorded is recorded, all else goes back, and then the tasks are
    /// cancelled.
    pub(super) fn hand_back(&mut self) -> Result<(), Error> {
        self.drain();
        for Arrived { job, .. } in std::mem::take(&mut self.arrived) {
            self.end_early(job, How::HandBack, None);
        }
        for (_, held) in self.held.drain() {
            if !held.lost {
                let end = End { hold: held.hold, how: How::HandBack };
                self.endings.push(Ending { end, outcome: None, waited_ms: held.waited_ms });
            }
            self.slots.cancel(&held);
        }
        let until = Instant::now() + HAND_BACK_WAIT;
        while !(self.endings.is_empty() && self.reported.is_empty()) {
            if let Err(error) = self.exchange(0, 0, Vec::new(), Instant::now()) {
                if !error.is_passing() || Instant::now() >= until {
                    return Err(error);
                }
                self.receive_for(RETRY_FIRST);
            }
        }
        Ok(())
    }

    /// A task has ended: what is to be said of its job?
    pub(super) fn done(&mut self, done: Done) {
        if self.held.get(&done.hold.id).is_none_or(|held| held.hold != done.hold) {
            return;
        }
        let Some(held) = self.held.remove(&done.hold.id) else { return };
        // Not only where the engine notifies of nothing: jobs may wait that were held back.
        self.maybe_work = true;
        let kind = done.error.as_ref().map(TaskError::kind);
        let judged = kind.map(verdict);
        let ran = Duration::try_from_secs_f64(done.outcome.latency_ms / 1e3).unwrap_or_default();
        let ran = (done.outcome.calls > 0).then_some(ran);
        self.slots.settle(&held, ran, judged == Some(Verdict::NotHere), Instant::now());
        if held.lost {
            // By the answer to its renewal: the worker that has the job now records it.
            self.report.fenced += 1;
            return;
        }
        let outcome = self.sign(done.outcome, held.hold, held.key);
        let (how, outcome) = match (judged, &done.error) {
            (Some(_), _) if held.cancelled => {
                let bare = JobOutcome::without_result(held.hold.id, JobState::Canceled, None);
                let outcome = self.sign(bare, held.hold, outcome.key);
                (How::Outcome { state: outcome.state, record: outcome.write() }, Some(outcome))
            }
            // No thread took it: not while it waited, or not before its helper was stopped.
            (_, Some(error)) if (held.handed_on || outcome.calls == 0) && was_ended(error) => {
                (How::HandBack, None)
            }
            (Some(Verdict::Again), Some(error)) => {
                let delay = pause(self.worker.retry_pause, held.deliveries, error);
                (retry(error, delay, true), None)
            }
            (Some(Verdict::NotHere), Some(error)) => (retry(error, Duration::ZERO, false), None),
            _ => self.bounded(outcome),
        };
        let end = End { hold: held.hold, how };
        self.endings.push(Ending { end, outcome, waited_ms: held.waited_ms });
    }

    /// The outcome as a record; one that is too long becomes a failure.
    fn bounded(&self, mut outcome: JobOutcome) -> (How, Option<JobOutcome>) {
        let max = self.worker.queue.limits.max_result_bytes;
        let mut record = outcome.write();
        if record.len() > max {
            let why = format!(
                "the outcome takes {} bytes as a record, the queue takes {max}: raise \
                 max_result_bytes, or ask for less",
                record.len()
            );
            outcome.fail(ErrorKind::ResponseTooLarge.as_str(), why);
            record = outcome.write();
        }
        (How::Outcome { state: outcome.state, record }, Some(outcome))
    }

    /// The queue has taken an end.
    pub(super) fn ended(&mut self, ending: Ending, ended: Ended) {
        let Ending { end, outcome, waited_ms } = ending;
        self.worker.queue.events.ended(&end, outcome.as_ref(), waited_ms, ended);
        match (ended, &end.how, outcome) {
            (Ended::Recorded, _, Some(outcome)) => {
                self.count(&outcome);
                self.report_outcome(&outcome);
            }
            // Another worker has reported it.
            (Ended::ReportedElsewhere, _, Some(outcome)) => self.count(&outcome),
            (Ended::Fenced, ..) => self.report.fenced += 1,
            (Ended::Canceled, ..) => self.report.canceled += 1,
            (Ended::Dead, ..) => self.report.dead += 1,
            (_, How::HandBack, _) => self.report.handed_back += 1,
            _ => self.report.retried += 1,
        }
    }

    fn count(&mut self, outcome: &JobOutcome) {
        match outcome.state {
            JobState::Completed => self.report.completed += 1,
            JobState::Canceled => self.report.canceled += 1,
            _ => self.report.failed += 1,
        }
    }

    /// Calls the owner with an outcome. After a panic of the owner's it is not called again: what
    /// it was not called with stays to be reported, by the next worker.
    pub(super) fn report_outcome(&mut self, outcome: &JobOutcome) {
        self.phase(Phase::Reporting);
        let report = self.worker.on_outcome.as_mut().filter(|_| self.panic.is_none());
        let Some(report) = report else { return };
        match catch_unwind(AssertUnwindSafe(|| report(outcome))) {
            Ok(()) => self.reported.push(outcome.id),
            Err(panic) => self.panic = Some(panic),
        }
    }

    /// Reports what workers that are gone recorded and may not have reported.
    pub(super) fn adopt(&mut self) -> Result<(), Error> {
        let (queue, name) = (self.worker.queue.clone(), &self.worker.name);
        let found = queue.engine.adopt_unreported(name, self.worker.lease, !self.has_adopted)?;
        self.has_adopted = true;
        self.adopted.extend(found);
        // One by one: after a failure the rest is still to be reported.
        while self.panic.is_none()
            && let Some(id) = self.adopted.front().copied()
        {
            let record = queue.engine.outcome(id)?;
            self.adopted.pop_front();
            match record.as_deref().map(JobOutcome::read) {
                Some(Ok(outcome)) => self.report_outcome(&outcome),
                // Dropped meanwhile, or unreadable.
                _ => self.reported.push(id),
            }
        }
        Ok(())
    }

    pub(super) fn fail_early(&mut self, job: Delivery, error: &TaskError) {
        let failure = Some(JobError::from(error));
        let outcome = JobOutcome::without_result(job.hold.id, JobState::Failed, failure);
        let outcome = self.sign(outcome, job.hold, job.key.clone());
        let how = How::Outcome { state: outcome.state, record: outcome.write() };
        self.end_early(job, how, Some(outcome));
    }

    pub(super) fn end_early(&mut self, job: Delivery, how: How, outcome: Option<JobOutcome>) {
        let end = End { hold: job.hold, how };
        let waited_ms = now_ms().saturating_sub(job.pushed_ms);
        self.endings.push(Ending { end, outcome, waited_ms });
    }

    fn sign(&self, mut outcome: JobOutcome, hold: Hold, key: Option<String>) -> JobOutcome {
        outcome.key = key;
        outcome.attempt = hold.attempt;
        outcome.worker.clone_from(&self.worker.name);
        outcome
    }
}

/// Whether the task was ended by its helper's owner, not by itself.
fn was_ended(error: &TaskError) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Terminated)
}

fn retry(error: &TaskError, delay: Duration, counts: bool) -> How {
    How::Retry { reason: format!("{} ({})", error.summary(), error.kind()), delay, counts }
}
