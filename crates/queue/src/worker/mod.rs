//! A worker: takes jobs from a queue, has helpers do them, records what came of them.

mod ends;
mod held;
mod pace;
mod run;
mod starts;
mod verdict;
mod waking;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, HelperId, Tool};

use crate::engine::LEASE_MAX;
use crate::error::Error;
use crate::id::random_u64;
use crate::outcome::JobOutcome;
use crate::queue::JobQueue;
use crate::stop::Stop;

/// Default length of a lease.
pub const DEFAULT_LEASE: Duration = Duration::from_secs(15);
/// Shortest lease.
pub const MIN_LEASE: Duration = Duration::from_millis(100);
/// Longest lease: a day.
pub const MAX_LEASE: Duration = LEASE_MAX;
/// Default time between two looks of a worker that has nothing to do, where the engine cannot
/// notify of new work.
const DEFAULT_POLL: Duration = Duration::from_secs(1);
/// Default pause of a job after its first failed delivery; doubled with each.
const DEFAULT_RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Longest name of a worker, in bytes.
const NAME_BYTES_MAX: usize = 64;

type OnOutcome<'m> = Box<dyn FnMut(&JobOutcome) + Send + 'm>;
type OnPhase = Arc<dyn Fn(Phase) + Send + Sync>;

/// Takes jobs from a queue, as many as its helpers have idle threads, and records what came of
/// them.
///
/// Where tasks are shorter than a call to the queue, a thread would idle between two of them. So a
/// helper is then given as many jobs ahead as its threads do in the time of one call, at most 128;
/// one that waits for a thread for 100 ms goes back to the queue, uncounted. Of jobs that were
/// delivered before, a worker has no more at a time than its helpers have threads: a job that kills
/// its worker must not bury those that waited behind it.
///
/// A job is *leased*: while its task runs, the worker renews the lease each third of its
/// length. A worker that is silent for longer (killed, stopped, cut off) loses its jobs to
/// others, and can no longer record outcomes for them.
///
/// The consequence of a failure, by its [`ErrorKind`](automation_assistant::ErrorKind): those that may
/// pass (`rate_limited`, `server`, `network`, `timeout`, `panicked`, `other`) put the job back
/// to wait, for a pause that doubles, until it was delivered
/// [`max_deliveries`](crate::Job::max_deliveries) times; those that ask for a human at this
/// worker (`authentication`, `permission_denied`, `not_found`, `quota_exceeded`) put it back
/// uncounted, and the helper takes no jobs for a pause that doubles up to a minute; all others
/// are the job's outcome.
#[must_use]
pub struct Worker<'m> {
    queue: JobQueue,
    manager: &'m AutomationAssistantManager,
    helpers: Vec<HelperId>,
    tools: Vec<Arc<dyn Tool>>,
    name: String,
    lease: Duration,
    poll: Duration,
    retry_pause: Duration,
    until_empty: bool,
    on_outcome: Option<OnOutcome<'m>>,
    on_phase: Option<OnPhase>,
}

/// Counts of a worker's run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// Jobs it recorded as completed.
    pub completed: u64,
    /// Jobs it recorded as failed.
    pub failed: u64,
    /// Jobs it recorded as canceled.
    pub canceled: u64,
    /// Jobs it put back to wait after a failure.
    pub retried: u64,
    /// Jobs that went to the dead list by it.
    pub dead: u64,
    /// Jobs it handed back when it was stopped.
    pub handed_back: u64,
    /// Outcomes it could not record because its lease was no longer its own.
    pub fenced: u64,
}

/// The next step of a worker, for tests that kill it there.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Asks for jobs.
    Leasing,
    /// Has new ones, which do not run yet.
    Leased,
    /// Waits for tasks that run.
    Running,
    /// Records outcomes.
    Recording,
    /// Has recorded outcomes, which are not reported yet.
    Reporting,
}

impl<'m> Worker<'m> {
    /// A worker without helpers, which come with [`helper`](Self::helper).
    pub fn new(queue: &JobQueue, manager: &'m AutomationAssistantManager) -> Self {
        Self {
            queue: queue.clone(),
            manager,
            helpers: Vec::new(),
            tools: Vec::new(),
            name: format!("worker-{:016x}", random_u64()),
            lease: DEFAULT_LEASE,
            poll: DEFAULT_POLL,
            retry_pause: DEFAULT_RETRY_PAUSE,
            until_empty: false,
            on_outcome: None,
            on_phase: None,
        }
    }

    /// Adds a helper of the manager. Jobs go to the first that has an idle thread.
    pub fn helper(mut self, helper: HelperId) -> Self {
        self.helpers.push(helper);
        self
    }

    /// Offers a tool: jobs that name it ([`Job::tool`](crate::Job::tool)) get it.
    pub fn tool(self, tool: impl Tool + 'static) -> Self {
        self.shared_tool(Arc::new(tool))
    }

    /// Offers a tool that others have too.
    pub fn shared_tool(mut self, tool: Arc<dyn Tool>) -> Self {
        self.tools.push(tool);
        self
    }

    /// Names the worker; 1 to 64 bytes without control characters. With a name that stays,
    /// such as the device's, a worker that is started again takes the jobs of its earlier life
    /// at once; two that run at a time must not share one. Defaults to a random name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// How long the worker may be silent before its jobs go to others, from [`MIN_LEASE`] to
    /// [`MAX_LEASE`]. Jobs may take longer: leases are renewed. Defaults to [`DEFAULT_LEASE`].
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a worker with nothing to do sleeps between two looks at a server, at most; the
    /// embedded engine wakes it. More than a minute counts as a minute. Defaults to a second.
    pub fn poll(mut self, poll: Duration) -> Self {
        self.poll = poll.min(run::SLEEP_MAX);
        self
    }

    /// The pause of a job after its first failed delivery; doubled with each further one, up
    /// to a minute. Defaults to a second.
    pub fn retry_pause(mut self, pause: Duration) -> Self {
        self.retry_pause = pause;
        self
    }

    /// Ends [`run`](Self::run) once no job waits or is leased to anyone. Defaults to running
    /// until it is stopped.
    pub fn until_empty(mut self) -> Self {
        self.until_empty = true;
        self
    }

    /// Called after an outcome was recorded, on the thread of [`run`](Self::run). Each recorded
    /// outcome is reported at least once, over restarts too: where a worker ends between
    /// recording and the call's end, the next one that reports (once the first one's lease is
    /// over) is called with it, before any other. A panic in it ends the run, which hands
    /// unfinished jobs back before the panic goes on: that outcome, and those that were recorded
    /// and not yet reported, count as not reported.
    pub fn on_outcome(mut self, report: impl FnMut(&JobOutcome) + Send + 'm) -> Self {
        self.on_outcome = Some(Box::new(report));
        self
    }

    /// For tests.
    #[doc(hidden)]
    pub fn on_phase(mut self, phase: impl Fn(Phase) + Send + Sync + 'static) -> Self {
        self.on_phase = Some(Arc::new(phase));
        self
    }

    /// Works until it is stopped, or with [`until_empty`](Self::until_empty) until there is
    /// nothing left. Stopped, it hands unfinished jobs back at once, uncounted, and cancels
    /// their tasks. A server that is away is waited for; so is a disk that is full.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`]; [`Error::Worker`] when none of its helpers is there any more;
    /// what the queue refuses for good, if it does so at the first call. Jobs that could not be
    /// handed back then are delivered again when their lease is over.
    pub fn run(self, stop: &Stop) -> Result<WorkerReport, Error> {
        self.validate()?;
        run::Run::new(self).run(stop)
    }

    fn validate(&self) -> Result<(), Error> {
        let no = |why: String| Err(Error::InvalidConfig(why));
        if self.helpers.is_empty() {
            return no("a worker needs a helper: add one with Worker::helper".to_owned());
        }
        if let Some(id) = self.helpers.iter().find(|id| self.manager.get_helper(**id).is_none()) {
            return no(format!("the manager has no helper {id}"));
        }
        if !(MIN_LEASE..=MAX_LEASE).contains(&self.lease) {
            return no(format!("a lease is from {MIN_LEASE:?} to {MAX_LEASE:?}"));
        }
        let sized = (1..=NAME_BYTES_MAX).contains(&self.name.len());
        if !sized || self.name.chars().any(char::is_control) || self.name == "-" {
            return no("a worker's name has 1 to 64 bytes, no control characters, and is not \
                       a lone hyphen"
                .to_owned());
        }
        if self.poll.is_zero() {
            return no("a poll of zero would never sleep".to_owned());
        }
        Ok(())
    }
}

impl fmt::Debug for Worker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.name)
            .field("helpers", &self.helpers)
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
