//! Bounds of a queue.

use std::time::Duration;

use crate::error::Error;

/// Default bound on jobs that wait or are leased.
pub const DEFAULT_MAX_JOBS: u64 = 100_000;
/// Default bound on the bytes of all records: 256 MiB.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;
/// Default bound on one job's record: 8 MiB. Images count with a third more than their bytes: it
/// admits one of the 5 MiB that a helper takes by default.
pub const DEFAULT_MAX_JOB_BYTES: usize = 8 << 20;
/// Default bound on one outcome's record: 1 MiB.
pub const DEFAULT_MAX_RESULT_BYTES: usize = 1 << 20;
/// Default bound on kept outcomes.
pub const DEFAULT_MAX_RESULTS: u64 = 10_000;
/// Default age at which a kept outcome is dropped: a week.
pub const DEFAULT_RESULT_TTL: Duration = Duration::from_secs(7 * 86_400);

/// Bounds of a queue. Each applies to what this handle does: on a queue that several programs
/// share, give all of them the same.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Limits {
    pub(crate) max_jobs: u64,
    pub(crate) max_bytes: u64,
    pub(crate) max_job_bytes: usize,
    pub(crate) max_result_bytes: usize,
    pub(crate) max_results: u64,
    pub(crate) result_ttl: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_jobs: DEFAULT_MAX_JOBS,
            max_bytes: DEFAULT_MAX_BYTES,
            max_job_bytes: DEFAULT_MAX_JOB_BYTES,
            max_result_bytes: DEFAULT_MAX_RESULT_BYTES,
            max_results: DEFAULT_MAX_RESULTS,
            result_ttl: DEFAULT_RESULT_TTL,
        }
    }
}

impl Limits {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Most jobs that wait or are leased; a push beyond is [`Error::Full`]. Defaults to
    /// [`DEFAULT_MAX_JOBS`].
    pub fn max_jobs(mut self, jobs: u64) -> Self {
        self.max_jobs = jobs;
        self
    }

    /// Most bytes of all records, waiting, leased, dead and finished. A push beyond is
    /// [`Error::Full`]; an outcome beyond drops older outcomes. Defaults to
    /// [`DEFAULT_MAX_BYTES`].
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Longest record of a job, in bytes. A longer one is refused when pushed, and goes to the
    /// dead list unread where it is found in a queue. A push holds about four times the record
    /// while it runs, a worker twice the record of each job that runs; one answer of a queue to a
    /// worker holds at most this and 8 MiB. Defaults to [`DEFAULT_MAX_JOB_BYTES`].
    pub fn max_job_bytes(mut self, bytes: usize) -> Self {
        self.max_job_bytes = bytes;
        self
    }

    /// Longest record of an outcome, in bytes. A longer answer is recorded as the failure
    /// `response_too_large`; one that is found in a queue is [`Error::BadRecord`]. Defaults to
    /// [`DEFAULT_MAX_RESULT_BYTES`].
    pub fn max_result_bytes(mut self, bytes: usize) -> Self {
        self.max_result_bytes = bytes;
        self
    }

    /// Most outcomes kept; the oldest go first. A job's record and key go with its outcome.
    /// Defaults to [`DEFAULT_MAX_RESULTS`].
    pub fn max_results(mut self, results: u64) -> Self {
        self.max_results = results;
        self
    }

    /// How long an outcome is kept at most; dropped with the next outcome after that, and not
    /// shown from then on. Defaults to [`DEFAULT_RESULT_TTL`].
    pub fn result_ttl(mut self, ttl: Duration) -> Self {
        self.result_ttl = ttl;
        self
    }

    /// The same in milliseconds, as the engines count.
    pub(crate) fn ttl_ms(&self) -> u64 {
        u64::try_from(self.result_ttl.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let no = |why: &str| Err(Error::InvalidConfig(why.to_owned()));
        if self.max_jobs == 0 || self.max_results == 0 || self.result_ttl.is_zero() {
            return no("max_jobs, max_results and result_ttl are at least one");
        }
        // A failure without an answer takes some hundred bytes.
        if self.max_job_bytes < 1_024 || self.max_result_bytes < 4_096 {
            return no("max_job_bytes is at least 1024, max_result_bytes at least 4096");
        }
        Ok(())
    }
}
