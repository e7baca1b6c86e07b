//! The queue as a program sees it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::now_ms;
use crate::engine::{Cancelled, Engine, Prepared, Purge, Pushed, lane};
use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::limits::Limits;
use crate::outcome::{JobError, JobOutcome};
use crate::record;
use crate::report::Events;
use crate::state::{JobState, JobStatus, QueueStats};

/// Longest sleep of a [`JobQueue::wait`] between two looks.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Jobs or bytes handed to the engine in one step of a [`JobQueue::push_all`].
const STEP_JOBS: usize = 1_000;
const STEP_BYTES: usize = 1 << 20;
/// Pauses between two tries of a call while the server is away: from, to.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// Longest name of a bookmark, in bytes.
const BOOKMARK_NAME_BYTES_MAX: usize = 128;

/// A durable queue of jobs: a handle, cheap to clone, shared by producers and workers.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(feature = "embedded")] {
/// use automation_assistant::{AutomationAssistantManager, create_local_helper};
/// use automation_assistant_queue::{Job, JobQueue, Stop, Worker};
/// use std::time::Duration;
///
/// # let folder = std::env::temp_dir().join(format!("aaq-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("jobs.redb");
/// let queue = JobQueue::open(&path)?;
/// let id = queue.push(Job::new("hello").key("greeting"))?;
///
/// let manager = AutomationAssistantManager::new(1);
/// let helper = create_local_helper(&manager, "echo")?;
/// Worker::new(&queue, &manager).helper(helper).until_empty().run(&Stop::new())?;
///
/// let outcome = queue.wait(id, Duration::from_secs(5))?;
/// assert_eq!(outcome.result.as_deref(), Some("Local Response: Echo of 'hello'"));
/// # std::fs::remove_dir_all(folder)?;
/// # }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct JobQueue {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) limits: Limits,
    pub(crate) events: Events,
    /// For how long a call is tried again while the server is away.
    pub(crate) retry_for: Duration,
}

impl JobQueue {
    /// Opens a queue's file, or makes one (its folder must be there), with the default
    /// [`Limits`]. A new file can be read by its owner alone; one that is there keeps its
    /// permissions. Jobs that an earlier process was
    /// running wait again.
    ///
    /// # Errors
    ///
    /// [`Error::InUse`] at once if another process has the file; [`Error::NewerFormat`];
    /// [`Error::Storage`] if it cannot be opened, is damaged or no queue; a file that is none is
    /// left as it is.
    #[cfg(feature = "embedded")]
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        Self::open_with(path, Limits::default())
    }

    /// The same with bounds of one's own.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`Error::InvalidConfig`].
    #[cfg(feature = "embedded")]
    pub fn open_with(path: impl AsRef<std::path::Path>, limits: Limits) -> Result<Self, Error> {
        let engine = crate::embedded::Embedded::open(path.as_ref(), limits.clone())?;
        Ok(Self::over(Arc::new(engine), limits))
    }

    pub(crate) fn over(engine: Arc<dyn Engine>, limits: Limits) -> Self {
        Self { engine, limits, events: Events::none(), retry_for: Duration::ZERO }
    }

    /// Makes a call; tries again while the server is away. Every call may be repeated.
    fn call<T>(&self, call: impl Fn(&dyn Engine) -> Result<T, Error>) -> Result<T, Error> {
        let begun = Instant::now();
        let mut pause = PAUSE_FIRST;
        loop {
            match call(&*self.engine) {
                Err(Error::Unreachable { .. }) if begun.elapsed() + pause < self.retry_for => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(PAUSE_LAST);
                }
                result => return result,
            }
        }
    }

    /// Reports pushed jobs to this audit file; a [`Worker`](crate::Worker) of this handle
    /// reports what becomes of them. See [`JobReport`](crate::JobReport). Defaults to none.
    #[must_use]
    pub fn telemetry(mut self, telemetry: automation_assistant::Telemetry) -> Self {
        self.events = Events::to(telemetry);
        self
    }

    /// Adds a job. When this returns, the job is durable; see the crate's first lines.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidJob`]; [`Error::Full`]; the error of the storage or the server. After a
    /// failure of these two the job may be there or not: push it again with the same
    /// [`key`](Job::key).
    pub fn push(&self, job: impl Into<Job>) -> Result<JobId, Error> {
        let pushed = self.push_all([job.into()])?;
        match pushed.first() {
            Some(pushed) => Ok(pushed.id),
            None => Err(Error::BadRecord("the engine gave no id".to_owned())),
        }
    }

    /// Adds many jobs, in steps of at most 1,000 jobs or about 1 MiB, each of which becomes
    /// durable as one.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push). No job is pushed if one of them is invalid; after any other
    /// error the steps before the failed one are.
    pub fn push_all(&self, jobs: impl IntoIterator<Item = Job>) -> Result<Vec<Pushed>, Error> {
        let now = now_ms();
        let prepared: Result<Vec<Prepared>, Error> =
            jobs.into_iter().map(|job| self.prepare(&job, now)).collect();
        let prepared = prepared?;
        let mut pushed = Vec::with_capacity(prepared.len());
        let mut rest = prepared.as_slice();
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = |job: &&Prepared| {
                bytes += job.record.len();
                bytes <= STEP_BYTES
            };
            let len = rest.iter().take(STEP_JOBS).take_while(fits).count().max(1);
            let (step, later) = rest.split_at(len);
            let done = self.call(|engine| engine.push(step))?;
            self.events.pushed(done.iter().filter(|job| job.is_new).count() as u64);
            pushed.extend(done);
            rest = later;
        }
        Ok(pushed)
    }

    fn prepare(&self, job: &Job, pushed_ms: u64) -> Result<Prepared, Error> {
        job.validate()?;
        let id = JobId::next();
        let record = record::write_job(id, pushed_ms, job);
        if record.len() > self.limits.max_job_bytes {
            return Err(Error::InvalidJob(format!(
                "the job takes {} bytes as a record (images take a third more than their own \
                 bytes), the queue takes {}: shorten it, or raise Limits::max_job_bytes",
                record.len(),
                self.limits.max_job_bytes
            )));
        }
        // A record that cannot be read back (nested too deep, say) is not accepted.
        if job.may_be_unreadable() {
            record::read_job(&record).map_err(Error::InvalidJob)?;
        }
        Ok(Prepared {
            id,
            key: job.key.clone(),
            record,
            lane: lane(job.priority),
            tools: job.tool_set(),
            max_deliveries: job.max_deliveries,
            pushed_ms,
        })
    }

    /// Where a job is; `None` if there is no record of it (any more).
    ///
    /// # Errors
    ///
    /// The error of the storage or the server.
    pub fn status(&self, id: JobId) -> Result<Option<JobStatus>, Error> {
        self.call(|engine| engine.status(id))
    }

    /// The outcome of a job; `None` while it waits or runs. A job on the dead list gives a
    /// failure of kind `dead`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownJob`]; [`Error::BadRecord`]; the error of the storage or the server.
    pub fn result(&self, id: JobId) -> Result<Option<JobOutcome>, Error> {
        let status = self.status(id)?.ok_or(Error::UnknownJob(id))?;
        if !status.state.is_final() {
            return Ok(None);
        }
        if status.dead {
            return Ok(Some(dead_outcome(&status)));
        }
        let record = self.call(|engine| engine.outcome(id))?.ok_or(Error::UnknownJob(id))?;
        JobOutcome::read(&record).map(Some).map_err(Error::BadRecord)
    }

    /// Waits until a job has ended, at most this long. A look at a server that is under way by then
    /// is waited for: where the server is away or says nothing, for up to `RedisConfig::retry_for`
    /// and one `RedisConfig::timeout` more.
    ///
    /// # Errors
    ///
    /// [`Error::WaitTimedOut`]; otherwise as [`result`](Self::result).
    pub fn wait(&self, id: JobId, timeout: Duration) -> Result<JobOutcome, Error> {
        let begun = Instant::now();
        loop {
            if let Some(outcome) = self.result(id)? {
                return Ok(outcome);
            }
            let left = timeout.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return Err(Error::WaitTimedOut { waited: timeout });
            }
            self.engine.wait_for_outcome(id, left.min(LOOK_AGAIN));
        }
    }

    /// Cancels a job: one that waits ends at once; one that a worker has, when the worker
    /// renews its lease, within a third of it. `false` if the job has ended. A task that
    /// completes before that stays completed.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownJob`]; the error of the storage or the server.
    pub fn cancel(&self, id: JobId) -> Result<bool, Error> {
        let status = self.status(id)?.ok_or(Error::UnknownJob(id))?;
        let mut outcome = JobOutcome::without_result(id, JobState::Canceled, None);
        outcome.key = status.key;
        outcome.attempt = status.attempt;
        outcome.worker = status.worker.unwrap_or_default();
        let record = outcome.write();
        match self.call(|engine| engine.cancel(id, &record))? {
            Cancelled::Now | Cancelled::Asked => Ok(true),
            Cancelled::TooLate => Ok(false),
            Cancelled::Unknown => Err(Error::UnknownJob(id)),
        }
    }

    /// The dead list, oldest first, at most this many.
    ///
    /// # Errors
    ///
    /// The error of the storage or the server.
    pub fn dead(&self, limit: usize) -> Result<Vec<JobStatus>, Error> {
        self.call(|engine| engine.dead(limit))
    }

    /// Takes a job off the dead list: it waits again, with all its deliveries before it.
    /// `false` if it is not dead.
    ///
    /// # Errors
    ///
    /// The error of the storage or the server.
    pub fn retry_dead(&self, id: JobId) -> Result<bool, Error> {
        self.call(|engine| engine.retry_dead(id))
    }

    /// Drops all outcomes, dead jobs or waiting jobs, with their records and keys; gives how
    /// many.
    ///
    /// # Errors
    ///
    /// The error of the storage or the server; what was dropped until then stays dropped.
    pub fn purge(&self, what: Purge) -> Result<u64, Error> {
        let mut all = 0;
        loop {
            match self.call(|engine| engine.purge(what))? {
                0 => return Ok(all),
                dropped => all += dropped,
            }
        }
    }

    /// Counts of the queue.
    ///
    /// # Errors
    ///
    /// The error of the storage or the server.
    pub fn stats(&self) -> Result<QueueStats, Error> {
        self.call(|engine| engine.stats())
    }

    /// The number kept in the queue under this name; 0 where there is none. For producers that
    /// read a list and keep their place in it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for an empty name or one of more than 128 bytes; the error
    /// of the storage or the server.
    pub fn bookmark(&self, name: &str) -> Result<u64, Error> {
        check_bookmark(name)?;
        self.call(|engine| engine.bookmark(name))
    }

    /// Keeps a number in the queue under this name; durable as a pushed job is.
    ///
    /// # Errors
    ///
    /// As [`bookmark`](Self::bookmark).
    pub fn set_bookmark(&self, name: &str, value: u64) -> Result<(), Error> {
        check_bookmark(name)?;
        self.call(|engine| engine.set_bookmark(name, value))
    }
}

fn check_bookmark(name: &str) -> Result<(), Error> {
    if (1..=BOOKMARK_NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(Error::InvalidConfig("a bookmark's name has 1 to 128 bytes".to_owned()))
}

/// The outcome that a job on the dead list shows.
fn dead_outcome(status: &JobStatus) -> JobOutcome {
    let reason = status.reasons.last().map_or("no reason is known", String::as_str);
    let message =
        format!("on the dead list after {} deliveries; the last: {reason}", status.deliveries);
    let error = JobError::new("dead", message);
    let mut outcome = JobOutcome::without_result(status.id, JobState::Failed, Some(error));
    outcome.key.clone_from(&status.key);
    outcome.attempt = status.attempt;
    outcome.worker = status.worker.clone().unwrap_or_default();
    outcome.finished_at = status.finished_at.unwrap_or(status.pushed_at);
    outcome
}

impl fmt::Debug for JobQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobQueue").field("engine", &self.engine).finish_non_exhaustive()
    }
}
