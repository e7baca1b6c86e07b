//! The calls of a queue to its engine: a few, each of them atomic, durable when it returns,
//! and safe to repeat where its answer was lost.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use automation_assistant::Priority;

use crate::error::Error;
use crate::id::JobId;
use crate::state::{JobState, JobStatus, QueueStats};

/// Longest time a job may wait between two deliveries, and longest lease.
pub(crate) const LEASE_MAX: Duration = Duration::from_secs(86_400);
/// The same in milliseconds.
#[cfg(feature = "embedded")]
pub(crate) const LEASE_MAX_MS: u64 = LEASE_MAX.as_secs() * 1_000;
/// Reasons kept of a job.
#[cfg(feature = "embedded")]
pub(crate) const REASONS_MAX: usize = 8;
/// Longest reason, in bytes.
pub(crate) const REASON_BYTES_MAX: usize = 256;
/// Bytes of records after which an answer to a worker gets no further job.
pub(crate) const ANSWER_BYTES_MAX: usize = 8 << 20;

/// A place that keeps jobs.
pub(crate) trait Engine: Send + Sync + fmt::Debug {
    /// Adds these jobs, all or none of them. A known key or id gives the known job.
    fn push(&self, jobs: &[Prepared]) -> Result<Vec<Pushed>, Error>;

    /// A worker's one call: outcomes in, leases renewed, jobs out, in one transaction.
    fn exchange(&self, ask: &Exchange<'_>) -> Result<Exchanged, Error>;

    /// The same, and calls `meanwhile` once: where there is a server, while it works on the
    /// answer. A call that fails may fail before that.
    fn exchange_while(
        &self,
        ask: &Exchange<'_>,
        meanwhile: &mut dyn FnMut(),
    ) -> Result<Exchanged, Error> {
        meanwhile();
        self.exchange(ask)
    }

    /// A job's state.
    fn status(&self, id: JobId) -> Result<Option<JobStatus>, Error>;

    /// The record of a job's outcome.
    fn outcome(&self, id: JobId) -> Result<Option<Vec<u8>>, Error>;

    /// Ends a waiting job with this record of an outcome, or marks one that a worker has.
    fn cancel(&self, id: JobId, record: &[u8]) -> Result<Cancelled, Error>;

    /// Jobs on the dead list, oldest first.
    fn dead(&self, limit: usize) -> Result<Vec<JobStatus>, Error>;

    /// Makes a dead job wait again, as if it had never been delivered.
    fn retry_dead(&self, id: JobId) -> Result<bool, Error>;

    /// Drops some of these; gives how many. Called until it gives 0.
    fn purge(&self, what: Purge) -> Result<u64, Error>;

    /// Counts of the queue.
    fn stats(&self) -> Result<QueueStats, Error>;

    /// Outcomes that were to be reported and whose worker is gone; they are now this worker's.
    /// `is_start` says that the worker has just begun: those of an earlier one of its name are
    /// among them.
    fn adopt_unreported(
        &self,
        worker: &str,
        lease: Duration,
        is_start: bool,
    ) -> Result<Vec<JobId>, Error>;

    /// A number kept under a name.
    fn bookmark(&self, name: &str) -> Result<u64, Error>;

    /// Keeps a number under a name.
    fn set_bookmark(&self, name: &str, value: u64) -> Result<(), Error>;

    /// Sleeps until there may be work or [`wake`](Self::wake) is called, at most this long.
    fn wait_for_work(&self, worker: &str, timeout: Duration) -> Result<(), Error>;

    /// Ends this worker's [`wait_for_work`](Self::wait_for_work), now or when it begins.
    fn wake(&self, worker: &str) -> Result<(), Error>;

    /// Sleeps until the job may have ended, at most this long.
    fn wait_for_outcome(&self, id: JobId, timeout: Duration);

    /// Calls this whenever there may be work or a cancelled job; `false` where the engine
    /// cannot know, and has to be asked.
    fn subscribe(&self, notify: Notify) -> bool;

    /// Says a worker has left.
    fn leave(&self, worker: &str) -> Result<(), Error>;
}

/// Called when there may be something to do. Must be short; gives `false` once it is of no use
/// any more.
pub(crate) type Notify = Arc<dyn Fn() -> bool + Send + Sync>;

/// A job, ready to be stored.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) id: JobId,
    pub(crate) key: Option<String>,
    pub(crate) record: Vec<u8>,
    pub(crate) lane: u8,
    pub(crate) tools: String,
    pub(crate) max_deliveries: u32,
    pub(crate) pushed_ms: u64,
}

/// The lane of a priority: lower goes first.
pub(crate) const fn lane(priority: Priority) -> u8 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

/// The result of pushing one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pushed {
    /// The job's id; that of the known job where the key was known.
    pub id: JobId,
    /// Whether the job is new; `false` where a job of its key was there.
    pub is_new: bool,
}

/// See [`Engine::exchange`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) worker: &'a str,
    pub(crate) lease: Duration,
    /// Jobs that the worker is through with.
    pub(crate) ends: &'a [End],
    /// Jobs that it still has.
    pub(crate) held: &'a [Hold],
    /// Outcomes that were reported to the worker's owner.
    pub(crate) reported: &'a [JobId],
    /// How many jobs it can take.
    pub(crate) want: usize,
    /// How many of these may have been delivered before: each may be what ended its worker.
    pub(crate) again: usize,
    /// Tools it offers.
    pub(crate) tools: &'a [String],
    /// How to treat jobs that are the worker's by name and not in `held`.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    pub(crate) recover: Recover,
    /// Whether outcomes are to be kept for reporting.
    pub(crate) report: bool,
}

/// How to treat jobs that are a worker's by name, but which it does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recover {
    /// Nothing.
    No,
    /// An answer was lost: jobs in it were never begun. Deliver them again, uncounted.
    LostAnswer,
    /// The worker has just begun: jobs are those of an earlier process of its name.
    Start,
}

/// A lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Hold {
    pub(crate) id: JobId,
    pub(crate) attempt: u32,
}

/// The end of a lease.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) hold: Hold,
    pub(crate) how: How,
}

/// How a lease ends.
#[derive(Debug, Clone)]
pub(crate) enum How {
    /// With an outcome, to be recorded.
    Outcome { state: JobState, record: Vec<u8> },
    /// Without; another delivery may do better after a pause. One that does not count can be
    /// repeated for ever: its reason lies with the worker, not with the job.
    Retry { reason: String, delay: Duration, counts: bool },
    /// Without having been tried in full: the delivery does not count.
    HandBack,
}

/// The result of a lease's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The outcome is recorded.
    Recorded,
    /// It was recorded before, and another worker reported it meanwhile.
    #[cfg_attr(not(feature = "redis"), allow(dead_code))]
    ReportedElsewhere,
    /// The job waits again.
    Requeued,
    /// The job is on the dead list.
    Dead,
    /// The job had been cancelled.
    Canceled,
    /// The lease was no longer the worker's; nothing was changed.
    Fenced,
}

/// The result of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewed {
    /// The lease goes on.
    Held,
    /// It goes on, and the job is to be cancelled.
    CancelAsked,
    /// It is another's, or the job has ended.
    Lost,
}

/// A job on its way to a worker.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) hold: Hold,
    pub(crate) key: Option<String>,
    pub(crate) deliveries: u32,
    pub(crate) pushed_ms: u64,
    pub(crate) record: Vec<u8>,
}

/// See [`Engine::exchange`].
#[derive(Debug, Default)]
pub(crate) struct Exchanged {
    /// One for each of `ends`.
    pub(crate) ends: Vec<Ended>,
    /// One for each of `held`.
    pub(crate) held: Vec<Renewed>,
    pub(crate) jobs: Vec<Delivery>,
    /// Whether more jobs may wait, which the answer's bytes did not admit.
    pub(crate) more: bool,
    /// Leases of others found to have ended: their jobs went back to wait, or to the dead list.
    pub(crate) lapsed: Lapsed,
    /// Jobs waiting or leased.
    pub(crate) open: u64,
    /// Outcomes that are yet to be reported to their workers' owners.
    pub(crate) unreported: u64,
    /// When a job that waits between two deliveries, or a lease, is due.
    pub(crate) due: Option<Duration>,
}

/// Jobs found without a living worker.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lapsed {
    pub(crate) redelivered: u64,
    pub(crate) dead: u64,
}

/// The result of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// The job waited and is canceled.
    Now,
    /// A worker has the job; its next renewal is answered with the wish.
    Asked,
    /// The job had ended.
    TooLate,
    /// There is no such job.
    Unknown,
}

/// The jobs that [`JobQueue::purge`](crate::JobQueue::purge) drops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purge {
    /// Kept outcomes, and the records and keys of their jobs.
    Results,
    /// The dead list.
    Dead,
    /// Jobs that wait; those that a worker has stay.
    Waiting,
}

/// Whether a worker with these tools may have a job that asks for those.
pub(crate) fn offers(tools: &[String], wanted: &str) -> bool {
    wanted.is_empty() || wanted.split(',').all(|name| tools.iter().any(|tool| tool == name))
}

/// A reason, cut to its bound and to one line.
pub(crate) fn clean_reason(reason: &str) -> String {
    let mut text: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.len() > REASON_BYTES_MAX {
        let mut end = REASON_BYTES_MAX;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}
