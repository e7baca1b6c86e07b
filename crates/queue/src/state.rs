//! Where a job is, and what the queue holds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::id::JobId;

/// Where a job is. `Display` spells it as the A2A protocol does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// Waits for a worker; also between two deliveries.
    Submitted,
    /// A worker has it.
    Working,
    /// It has an answer.
    Completed,
    /// It has none and will get none; [`JobStatus::dead`] says whether it is on the dead list.
    Failed,
    /// It was cancelled.
    Canceled,
}

impl JobState {
    const ALL: [Self; 5] =
        [Self::Submitted, Self::Working, Self::Completed, Self::Failed, Self::Canceled];

    /// The state as A2A spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether the job's outcome is recorded, or the job is dead.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Canceled)
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for JobState {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(())
    }
}

/// A job's state and history at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobStatus {
    /// The job.
    pub id: JobId,
    /// Its idempotency key.
    pub key: Option<String>,
    /// Where it is.
    pub state: JobState,
    /// On the dead list: delivered [`max_deliveries`](crate::Job::max_deliveries) times
    /// without an outcome, or unreadable. [`JobQueue::retry_dead`](crate::JobQueue::retry_dead)
    /// brings it back.
    pub dead: bool,
    /// Cancelled while a worker has it, which learns of it with its next renewal; `false` once the
    /// job has ended.
    pub cancel_asked: bool,
    /// How often it was handed to a worker, hand-backs not counted.
    pub deliveries: u32,
    /// How often it was leased at all; only the newest lease can record an outcome.
    pub attempt: u32,
    /// The worker that has it, or had it last.
    pub worker: Option<String>,
    /// When it was pushed, by the producer's wall clock.
    pub pushed_at: SystemTime,
    /// When its outcome was recorded.
    pub finished_at: Option<SystemTime>,
    /// Why deliveries had no outcome, oldest first; the last few.
    pub reasons: Vec<String>,
}

/// Counts of a queue.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Jobs that wait for a worker, those between two deliveries included.
    pub waiting: u64,
    /// Jobs that a worker has.
    pub leased: u64,
    /// Jobs on the dead list.
    pub dead: u64,
    /// Outcomes kept.
    pub results: u64,
    /// Bytes of the records of all these.
    pub bytes: u64,
    /// Jobs pushed so far.
    pub pushed: u64,
    /// Outcomes recorded so far.
    pub finished: u64,
    /// Leases that ended without an outcome so far, hand-backs not counted.
    pub redelivered: u64,
    /// Outcomes refused so far because their worker no longer had the lease.
    pub fenced: u64,
    /// Outcomes dropped so far, for their age, or for newer ones.
    pub results_dropped: u64,
    /// Workers that called within their lease, and the jobs they have.
    pub workers: Vec<WorkerStats>,
}

/// A worker as the queue knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Its name.
    pub name: String,
    /// Jobs it has.
    pub leased: u64,
    /// How long it may yet stay silent before it counts as dead; zero once it does.
    pub alive_for: Duration,
}
