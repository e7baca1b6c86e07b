//! A helper: a queue, its threads, its backend and its results.

mod ask;
pub(crate) mod shared;
mod thread;
pub(crate) mod worker;

pub use shared::{INBOX_BYTES_MAX, INBOX_MESSAGES_MAX};

use std::fmt;
use std::time::Duration;

use crate::backend::AiBackend;
use crate::config::HelperConfig;
use crate::env::Env;
use crate::error::Error;
use crate::event::{EventKind, Observe};
use crate::foreign::{Foreign, catch_panic};
use crate::helper::shared::{Perform, Shared};
use crate::id::{HelperId, TaskId};
use crate::observers::{Observer, Observers, SharedObservers};
use crate::status::{HelperStatus, HelperStatusReport};
use crate::sync::{Arc, lock, now};
use crate::task::{Task, TaskRequest, TaskState};
use crate::telemetry::Telemetry;

/// A helper: OS threads that take tasks from a queue and call a backend.
///
/// Usable by itself or through a manager. Clones are handles to the same helper. A helper of
/// a manager runs until it is terminated or its manager is dropped; handles from
/// [`spawn`](crate::AutomationAssistantManager::spawn) and
/// [`get_helper`](crate::AutomationAssistantManager::get_helper) do not keep it running, but can
/// read its results for as long as they live. One made by [`new`](Self::new) is stopped by
/// [`stop`](Self::stop), or when the last clone of its handle is dropped.
///
/// ```
/// use automation_assistant::{AutomationHelper, HelperConfig};
/// use std::time::Duration;
///
/// let helper = AutomationHelper::new(HelperConfig::local())?;
/// helper.start()?;
/// let id = helper.submit_task("hello")?;
/// let task = helper.wait_task(id, Duration::from_secs(5))?;
/// assert_eq!(task.result.as_deref(), Some("Local Response: Echo of 'hello'"));
/// # Ok::<(), automation_assistant::Error>(())
/// ```
#[derive(Clone)]
pub struct AutomationHelper {
    shared: Arc<Shared>,
    /// Stops the helper when its last owning handle is dropped. Non-owning handles hold `None`.
    _stop: Option<Arc<StopOnDrop>>,
}

struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Builds a helper with observers, telemetry or a custom backend.
#[must_use]
pub struct HelperBuilder {
    config: HelperConfig,
    backend: Option<Foreign<Box<dyn AiBackend>>>,
    observers: Vec<Observer>,
    perform: Option<Perform>,
}

impl HelperBuilder {
    /// Answers tasks with this backend. The configuration's backend type is ignored.
    pub fn backend(mut self, backend: impl AiBackend + 'static) -> Self {
        self.backend = Some(Foreign::new(Box::new(backend)));
        self.perform = Some(Shared::on_own_thread);
        self
    }

    /// Writes every event to an audit file. Defaults to none.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        self.observer(std::sync::Arc::new(telemetry))
    }

    /// Adds an observer, which is notified of every event. Defaults to none.
    pub fn observer(mut self, observer: std::sync::Arc<dyn Observe>) -> Self {
        self.observers.push(Foreign::new(observer));
        self.perform = Some(Shared::on_own_thread);
        self
    }

    /// Builds the helper. It accepts tasks at once and runs them after
    /// [`AutomationHelper::start`].
    ///
    /// # Errors
    ///
    /// As [`AutomationHelper::new`].
    pub fn build(self) -> Result<AutomationHelper, Error> {
        let observers = Observers::new(self.observers);
        AutomationHelper::make(self.config, self.backend, observers, self.perform)
    }
}

impl fmt::Debug for HelperBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperBuilder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl AutomationHelper {
    /// Builds a helper. It accepts tasks at once and runs them after [`start`](Self::start).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`], [`Error::MissingKey`], or [`Error::Unsupported`] where the
    /// backend needs a cargo feature that is off.
    pub fn new(config: HelperConfig) -> Result<Self, Error> {
        Self::builder(config).build()
    }

    /// A builder for a helper with observers, telemetry or a custom backend.
    pub fn builder(config: HelperConfig) -> HelperBuilder {
        HelperBuilder { config, backend: None, observers: Vec::new(), perform: None }
    }

    pub(crate) fn make(
        config: HelperConfig,
        backend: Option<Foreign<Box<dyn AiBackend>>>,
        observers: SharedObservers,
        perform: Option<Perform>,
    ) -> Result<Self, Error> {
        config.check()?;
        let (backend, provider) = match backend {
            // A custom backend names its provider in its replies, or not at all.
            Some(backend) => (backend, None),
            None => {
                let provider = config.provider();
                let backend = (provider.build)(&config, &Env::of_process())?;
                (Foreign::new(backend), Some(provider))
            }
        };
        let Some(name) = catch_panic(|| backend.name().to_owned()) else {
            let why = "the backend panicked when it was asked for its name";
            return Err(Error::InvalidConfig(why.into()));
        };
        let mut shared = Shared::new(config, backend, name, observers);
        shared.provider = provider;
        shared.perform = perform.unwrap_or(shared.perform);
        let shared = Arc::new(shared);
        let stop = Arc::new(StopOnDrop(Arc::clone(&shared)));
        Ok(Self { shared, _stop: Some(stop) })
    }

    /// A handle that does not keep the helper running.
    pub(crate) fn handle(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), _stop: None }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts the threads. On a helper that already runs this does nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system cannot create a thread (the helper is then stopped), and
    /// [`Error::InvalidConfig`] if the helper was stopped before.
    pub fn start(&self) -> Result<(), Error> {
        start(&self.shared)
    }

    /// Stops the helper for good. Running tasks are cancelled; queued tasks end as
    /// [`Terminated`](crate::ErrorKind::Terminated); results stay readable.
    ///
    /// Waits for the threads for at most 0.8 s plus the backend's
    /// [`stop_grace`](AiBackend::stop_grace), and 0.2 s longer for observers. A thread that is
    /// still in foreign code then (a backend, its drop, a tool, callback, observer or cancel hook)
    /// is detached and counted ([`HelperStatusReport::unjoined_threads`]). No foreign code runs on the calling thread: the
    /// observers, and the cancel hooks of a custom backend, are called on short-lived threads of
    /// the helper's.
    ///
    /// Called from one of the helper's threads, from a callback or from an observer, it signals
    /// the stop, calls the observers itself, and returns without waiting. If the helper was never
    /// started, its callbacks run on the calling thread.
    ///
    /// Not bounded are values that outlive the stop: the drop of an observer, and of the backend
    /// of a helper that was never started, runs on the thread that drops the last owner; and the
    /// destructors of a thread's thread-local values, for which a stop waits.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Submits a task to the queue.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`]; [`Error::QueueFull`] and [`Error::Stopped`], which return the
    /// request.
    pub fn submit_task(&self, request: impl Into<TaskRequest>) -> Result<TaskId, Error> {
        self.shared.submit(request.into(), Duration::ZERO)
    }

    /// Submits a task to the queue; waits at most this long for a free place.
    ///
    /// # Errors
    ///
    /// As [`submit_task`](Self::submit_task); [`Error::QueueFull`] after the time-out.
    pub fn submit_task_wait(
        &self,
        request: impl Into<TaskRequest>,
        timeout: Duration,
    ) -> Result<TaskId, Error> {
        self.shared.submit(request.into(), timeout)
    }

    /// A copy of the finished task. `None` while it is queued or running, and if it is unknown;
    /// [`look_up`](Self::look_up) distinguishes these.
    pub fn get_task_result(&self, task: TaskId) -> Option<Task> {
        self.shared.result(task).ok()?
    }

    /// Waits until the task has ended, at most this long; returns a copy.
    ///
    /// # Errors
    ///
    /// [`Error::WaitTimedOut`]; [`Error::UnknownTask`] and [`Error::ResultDropped`] at once.
    pub fn wait_task(&self, task: TaskId, timeout: Duration) -> Result<Task, Error> {
        self.shared.wait(task, timeout)
    }

    /// The finished task, which is removed from the helper. `None` if it has not ended or is
    /// unknown.
    pub fn take_task_result(&self, task: TaskId) -> Option<Task> {
        self.shared.take(task)
    }

    /// Removes all finished tasks; returns their number.
    pub fn clear_results(&self) -> usize {
        self.shared.clear()
    }

    /// Ends a queued or running task as [`Cancelled`](crate::ErrorKind::Cancelled). `false` if it
    /// is unknown or has ended already, even if the observers are still being notified of its end
    /// (see [`TaskState::Running`]).
    ///
    /// ```
    /// use automation_assistant::{AutomationAssistantManager, ErrorKind, HelperConfig};
    /// use std::time::Duration;
    ///
    /// let manager = AutomationAssistantManager::new(1);
    /// let slow = HelperConfig::local().custom_param("latency_ms", 60_000);
    /// let helper = manager.spawn(slow)?;
    /// let id = helper.submit_task("hello")?;
    /// assert!(helper.cancel_task(id));
    /// let task = helper.wait_task(id, Duration::from_secs(1))?;
    /// assert_eq!(task.error.unwrap().kind(), ErrorKind::Cancelled);
    /// # Ok::<(), automation_assistant::Error>(())
    /// ```
    #[doc(alias("cancel", "abort"))]
    pub fn cancel_task(&self, task: TaskId) -> bool {
        self.shared.cancel(task)
    }

    /// Whether the task is queued, running or finished; `None` if it is unknown.
    pub fn task_state(&self, task: TaskId) -> Option<TaskState> {
        self.shared.task_state(task)
    }

    /// The helper's state and counters.
    pub fn get_status(&self) -> HelperStatusReport {
        self.shared.report()
    }

    /// The helper's current status.
    pub fn status(&self) -> HelperStatus {
        self.shared.status()
    }

    /// The number of tickets that no thread has received, for the model checker.
    #[cfg(shuttle)]
    #[doc(hidden)]
    pub fn tickets(&self) -> usize {
        self.shared.tickets.waiting()
    }

    /// The helper's id.
    pub fn helper_id(&self) -> HelperId {
        self.shared.id
    }

    /// The helper's display name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The backend's name, such as `Local (local-mock)`.
    pub fn backend_name(&self) -> &str {
        &self.shared.backend_name
    }
}

impl fmt::Debug for AutomationHelper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutomationHelper")
            .field("helper_id", &self.shared.id)
            .field("name", &self.shared.name)
            .field("backend", &self.shared.backend_name)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

fn start(shared: &Arc<Shared>) -> Result<(), Error> {
    let began = now();
    let threads = shared.slots.len();
    // Held until all threads exist, so that a stop finds every one of them.
    let mut handles = lock(&shared.handles);
    {
        let mut state = shared.lock();
        if state.stopping {
            return Err(Error::InvalidConfig(
                "the helper was stopped for good: make a new one".into(),
            ));
        }
        if state.starting {
            return Ok(());
        }
        state.starting = true;
        // All are counted before the first one runs: a stop from now on leaves a ticket for
        // each of them, and waits for each of them.
        state.threads += threads;
        state.exited[..threads].fill(false);
    }
    for slot in 0..threads {
        if let Err(source) = shared.spawn(&mut handles, slot, worker::run) {
            let mut state = shared.lock();
            state.threads -= threads - slot;
            state.exited[slot..threads].fill(true);
            drop(state);
            shared.stop_goes_on.notify_all();
            drop(handles);
            shared.stop();
            let what = format!("starting thread {slot} of helper {}", shared.id);
            return Err(Error::Io { what, source });
        }
    }
    drop(handles);
    // Reported before the status changes: a reader of the status `Ready` finds the spawn event.
    let event = shared.event(EventKind::HelperSpawn).outcome(now().duration_since(began), None);
    shared.observers.notify(&event);
    let mut state = shared.lock();
    state.started = true;
    let stopped = state.stop_reported.then_some(state.unjoined);
    drop(state);
    // A stop that came before this point left its report to this thread.
    if let Some(left) = stopped {
        shared.notify_stop(began, left);
    }
    Ok(())
}
