//! The registry of helpers: the library's front door.

use std::fmt;
use std::time::Duration;

use crate::backend::AiBackend;
use crate::config::{BackendType, HelperConfig};
use crate::connections::Connections;
use crate::error::Error;
use crate::event::Observe;
use crate::foreign::Foreign;
use crate::helper::AutomationHelper;
use crate::helper::shared::{Message, Shared, Watch};
use crate::id::{HelperId, TaskId};
use crate::observers::{Observer, Observers, SharedObservers};
use crate::opik::{OpikConfig, OpikSink};
use crate::status::HelperStatusReport;
use crate::sync::{Arc, Mutex, earlier, lock, now};
use crate::task::{Task, TaskRequest, TaskState};
use crate::telemetry::Telemetry;

/// Default bound on a manager's helpers, as in the Python prototype.
pub const DEFAULT_MAX_HELPERS: usize = 5;

/// Spawns helpers, hands them tasks, and collects the results.
///
/// Shareable between threads; all methods take `&self`. Dropping it stops every helper, as
/// [`terminate_all`](Self::terminate_all) does.
///
/// ```
/// use automation_assistant::{AutomationAssistantManager, HelperConfig};
/// use std::time::Duration;
///
/// let manager = AutomationAssistantManager::new(5);
/// let helper = manager.spawn_helper(HelperConfig::local().name("echo"))?;
/// let task = manager.submit_task(helper, "hello")?;
/// let done = manager.wait_task(helper, task, Duration::from_secs(5))?;
/// println!("{}", done.result.unwrap_or_default());
/// # Ok::<(), automation_assistant::Error>(())
/// ```
pub struct AutomationAssistantManager {
    max_helpers: usize,
    registry: Mutex<Registry>,
    observers: SharedObservers,
    connections: Connections,
    /// Told by the helpers as an observer; kept here to be closed with the manager.
    opik: Option<Box<dyn TraceSink>>,
}

/// A sink behind a table of its own: only a program that asks for traces names the table, and
/// so only that program links what sends them (a twentieth of it).
trait TraceSink: Send + Sync {
    fn sink(&self) -> &OpikSink;
    fn observer(&self) -> std::sync::Arc<dyn Observe>;
    fn close(&self);
}

impl TraceSink for OpikSink {
    fn sink(&self) -> &OpikSink {
        self
    }

    fn observer(&self) -> std::sync::Arc<dyn Observe> {
        std::sync::Arc::new(self.clone())
    }

    fn close(&self) {
        Self::close(self);
    }
}

/// Makes a sink; see [`TraceSink`].
type MakeSink = fn(OpikConfig) -> Result<Box<dyn TraceSink>, Error>;

struct Registry {
    /// In the order of spawning. Searched from the front: each helper is a thread at least, so
    /// there are a few, and the ids of a few lie in one or two cache lines.
    helpers: Vec<(HelperId, AutomationHelper)>,
    /// Places taken by helpers that are being made.
    reserved: usize,
}

impl Registry {
    fn find(&self, id: HelperId) -> Option<&AutomationHelper> {
        self.helpers.iter().find(|(other, _)| *other == id).map(|(_, helper)| helper)
    }
}

/// Makes a manager with observers and limits of one's own.
#[must_use]
pub struct ManagerBuilder {
    max_helpers: usize,
    observers: Vec<Observer>,
    opik: Option<(Box<OpikConfig>, MakeSink)>,
}

impl ManagerBuilder {
    /// How many helpers there may be at once; at least 1. Defaults to 5.
    pub fn max_helpers(mut self, helpers: usize) -> Self {
        self.max_helpers = helpers;
        self
    }

    /// Writes every event of every helper to an audit file. Defaults to none: the library
    /// writes no file that nobody asked for.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        self.observer(std::sync::Arc::new(telemetry))
    }

    /// Adds someone who is told of every event of every helper.
    pub fn observer(mut self, observer: std::sync::Arc<dyn Observe>) -> Self {
        self.observers.push(Foreign::new(observer));
        self
    }

    /// Sends traces of the helpers' tasks to Opik: of those helpers that trace
    /// ([`HelperConfig::trace`]). Defaults to none. What became of the traces is told to the
    /// other observers, and by [`AutomationAssistantManager::opik`].
    pub fn opik(mut self, config: OpikConfig) -> Self {
        let make: MakeSink = |config| Ok(Box::new(OpikSink::new(config)?));
        self.opik = Some((Box::new(config), make));
        self
    }

    /// Makes the manager.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for zero helpers; with [`opik`](Self::opik), what
    /// [`OpikSink::new`] says.
    pub fn build(self) -> Result<AutomationAssistantManager, Error> {
        if self.max_helpers == 0 {
            return Err(Error::InvalidConfig(
                "max_helpers is zero: a manager needs room for at least one helper".into(),
            ));
        }
        let mut observers = self.observers;
        let opik = match self.opik {
            Some((mut config, make)) => {
                config.observers.extend(observers.iter().map(|observer| (**observer).clone()));
                let sink = make(*config)?;
                observers.push(Foreign::new(sink.observer()));
                Some(sink)
            }
            None => None,
        };
        let mut manager = AutomationAssistantManager::make(self.max_helpers, observers);
        manager.opik = opik;
        Ok(manager)
    }
}

impl fmt::Debug for ManagerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagerBuilder")
            .field("max_helpers", &self.max_helpers)
            .field("observers", &self.observers.len())
            .finish()
    }
}

impl Default for AutomationAssistantManager {
    /// A manager for at most five helpers.
    fn default() -> Self {
        Self::new(DEFAULT_MAX_HELPERS)
    }
}

impl AutomationAssistantManager {
    /// A manager for at most this many helpers. With zero, every spawn is refused.
    pub fn new(max_helpers: usize) -> Self {
        Self::make(max_helpers, Vec::new())
    }

    /// A manager with observers and limits of one's own.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder { max_helpers: DEFAULT_MAX_HELPERS, observers: Vec::new(), opik: None }
    }

    fn make(max_helpers: usize, observers: Vec<Observer>) -> Self {
        Self {
            max_helpers,
            registry: Mutex::new(Registry { helpers: Vec::new(), reserved: 0 }),
            observers: Observers::new(observers),
            connections: Connections::new(),
            opik: None,
        }
    }

    /// The sink that sends traces to Opik, where one was asked for: to flush it, to ask what
    /// became of the traces, to score one. It ends with the manager.
    pub fn opik(&self) -> Option<&OpikSink> {
        self.opik.as_deref().map(TraceSink::sink)
    }

    /// The limit on helpers.
    pub fn max_helpers(&self) -> usize {
        self.max_helpers
    }

    /// How many helpers there are.
    pub fn helper_count(&self) -> usize {
        lock(&self.registry).helpers.len()
    }

    /// Makes and starts a helper.
    ///
    /// # Errors
    ///
    /// [`Error::MaxHelpers`]; [`Error::InvalidConfig`]; [`Error::MissingKey`];
    /// [`Error::Unsupported`] where the backend needs a cargo feature that is off;
    /// [`Error::Io`] if the system refuses a thread.
    pub fn spawn_helper(&self, config: HelperConfig) -> Result<HelperId, Error> {
        self.spawn(config, None)
    }

    /// Makes and starts a helper with a backend of one's own. The configuration's type and
    /// the fields for HTTP are not looked at.
    ///
    /// # Errors
    ///
    /// As [`spawn_helper`](Self::spawn_helper).
    pub fn spawn_helper_with(
        &self,
        config: HelperConfig,
        backend: impl AiBackend + 'static,
    ) -> Result<HelperId, Error> {
        self.spawn(config, Some(Foreign::new(Box::new(backend))))
    }

    fn spawn(
        &self,
        mut config: HelperConfig,
        backend: Option<Foreign<Box<dyn AiBackend>>>,
    ) -> Result<HelperId, Error> {
        {
            let mut registry = lock(&self.registry);
            if registry.helpers.len() + registry.reserved >= self.max_helpers {
                return Err(Error::MaxHelpers { max: self.max_helpers });
            }
            registry.reserved += 1;
        }
        config.http.connections.get_or_insert_with(|| self.connections.clone());
        // Given back on every way out.
        let reservation = Reservation(self);
        let helper = AutomationHelper::make(config, backend, Arc::clone(&self.observers))?;
        helper.start()?;
        let id = helper.helper_id();
        let mut registry = lock(&self.registry);
        registry.helpers.push((id, helper));
        registry.reserved -= 1;
        drop(registry);
        std::mem::forget(reservation);
        Ok(id)
    }

    /// Stops a helper and forgets it; its results are gone for the manager, but readable
    /// through handles taken before. Waits as [`AutomationHelper::stop`] does.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownHelper`].
    pub fn terminate_helper(&self, helper: HelperId) -> Result<(), Error> {
        let mut registry = lock(&self.registry);
        let at = registry.helpers.iter().position(|(id, _)| *id == helper);
        let (_, found) = registry.helpers.remove(at.ok_or(Error::UnknownHelper(helper))?);
        drop(registry);
        found.stop();
        Ok(())
    }

    /// Stops all helpers at once and forgets them. Every task ends within a second; the call
    /// returns when the threads are joined or left, see [`AutomationHelper::stop`]. New
    /// helpers can be spawned afterwards.
    pub fn terminate_all(&self) {
        let mut registry = lock(&self.registry);
        let helpers = std::mem::take(&mut registry.helpers);
        drop(registry);
        let signalled = now();
        for (_, helper) in &helpers {
            helper.shared().signal_stop();
        }
        for (_, helper) in &helpers {
            helper.shared().end_all();
        }
        for (_, helper) in &helpers {
            helper.shared().join(signalled);
        }
    }

    /// A handle to a helper, which does not keep it running.
    pub fn get_helper(&self, helper: HelperId) -> Option<AutomationHelper> {
        lock(&self.registry).find(helper).map(AutomationHelper::handle)
    }

    pub(crate) fn observers(&self) -> &SharedObservers {
        &self.observers
    }

    pub(crate) fn shared(&self, helper: HelperId) -> Result<Arc<Shared>, Error> {
        let registry = lock(&self.registry);
        let found = registry.find(helper).ok_or(Error::UnknownHelper(helper))?;
        Ok(Arc::clone(found.shared()))
    }

    /// Puts a task into a helper's queue.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownHelper`]; [`Error::InvalidRequest`]; [`Error::QueueFull`] and
    /// [`Error::Stopped`], which give the request back.
    pub fn submit_task(
        &self,
        helper: HelperId,
        request: impl Into<TaskRequest>,
    ) -> Result<TaskId, Error> {
        self.shared(helper)?.submit(request.into(), Duration::ZERO)
    }

    /// Puts a task into a helper's queue; waits for room at most this long.
    ///
    /// # Errors
    ///
    /// As [`submit_task`](Self::submit_task), [`Error::QueueFull`] when the time is over.
    pub fn submit_task_wait(
        &self,
        helper: HelperId,
        request: impl Into<TaskRequest>,
        timeout: Duration,
    ) -> Result<TaskId, Error> {
        self.shared(helper)?.submit(request.into(), timeout)
    }

    /// A copy of the finished task; `None` while it waits or runs, or if it is unknown.
    pub fn get_task_result(&self, helper: HelperId, task: TaskId) -> Option<Task> {
        self.shared(helper).ok()?.poll(task).ok()?.ok()
    }

    /// Waits until the task has ended, at most this long; gives a copy.
    ///
    /// # Errors
    ///
    /// [`Error::WaitTimedOut`]; [`Error::UnknownHelper`], [`Error::UnknownTask`] and
    /// [`Error::ResultDropped`] at once.
    pub fn wait_task(
        &self,
        helper: HelperId,
        task: TaskId,
        timeout: Duration,
    ) -> Result<Task, Error> {
        self.shared(helper)?.wait(task, timeout)
    }

    /// Waits until one of several tasks has ended, at most this long; gives a copy of the
    /// first in the list that has.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an empty list; otherwise as
    /// [`wait_task`](Self::wait_task). An id that is unknown or dropped is an error at once
    /// unless a task before it in the list has ended.
    pub fn wait_any(&self, tasks: &[(HelperId, TaskId)], timeout: Duration) -> Result<Task, Error> {
        if tasks.is_empty() {
            return Err(Error::InvalidRequest("there is no task to wait for".into()));
        }
        let until = now().checked_add(timeout);
        let pairs = tasks
            .iter()
            .map(|&(helper, task)| Ok((self.shared(helper)?, task)))
            .collect::<Result<Vec<_>, Error>>()?;
        let watching = Watching::new(&pairs);
        loop {
            let mut look_again = until;
            for (shared, task) in &pairs {
                match shared.poll(*task)? {
                    Ok(task) => return Ok(task),
                    Err(moment) => look_again = earlier(look_again, moment),
                }
            }
            if until.is_some_and(|until| until <= now()) {
                return Err(Error::WaitTimedOut { waited: timeout });
            }
            watching.watch.sleep_until(look_again);
        }
    }

    /// The finished task, which is forgotten here; `None` if it has not ended or is unknown.
    pub fn take_task_result(&self, helper: HelperId, task: TaskId) -> Option<Task> {
        self.shared(helper).ok()?.take(task)
    }

    /// Forgets a helper's finished tasks; tells how many (none for an unknown helper).
    pub fn clear_results(&self, helper: HelperId) -> usize {
        self.shared(helper).map_or(0, |shared| shared.clear())
    }

    /// Ends a waiting or running task as [`Cancelled`](crate::ErrorKind::Cancelled). `false`
    /// if it has ended already or is unknown.
    pub fn cancel_task(&self, helper: HelperId, task: TaskId) -> bool {
        self.shared(helper).is_ok_and(|shared| shared.cancel(task))
    }

    /// Where a task is; `None` if it is unknown.
    pub fn task_state(&self, helper: HelperId, task: TaskId) -> Option<TaskState> {
        self.shared(helper).ok()?.task_state(task)
    }

    /// Puts one helper's successful result into another helper's inbox. The next task that
    /// the receiver begins finds it in its context, under `inbox`, as
    /// `{"from": …, "text": …}`. An inbox holds at most
    /// [`INBOX_MESSAGES_MAX`](crate::INBOX_MESSAGES_MAX) messages of at most
    /// [`INBOX_BYTES_MAX`](crate::INBOX_BYTES_MAX) bytes together. Should that task fail, its
    /// messages are not handed to another: send the result again. A task with an `inbox` of
    /// its own in its context leaves the messages to the next one.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownHelper`]; [`Error::UnknownTask`] and [`Error::ResultDropped`];
    /// [`Error::InvalidRequest`] if the task has not ended or has failed, or if its result is
    /// longer than an inbox;
    /// [`Error::InboxFull`].
    pub fn send_result(&self, from: HelperId, task: TaskId, to: HelperId) -> Result<(), Error> {
        let (sender, receiver) = (self.shared(from)?, self.shared(to)?);
        let Ok(task) = sender.poll(task)? else {
            return Err(Error::InvalidRequest("the task has not ended: wait for it".into()));
        };
        let Some(text) = task.result else {
            return Err(Error::InvalidRequest("the task failed: it has no result".into()));
        };
        receiver.put_message(Message { from: sender.name.clone(), text })
    }

    /// Every helper's state and counters, in the order of spawning.
    pub fn get_all_helpers_status(&self) -> Vec<HelperStatusReport> {
        let registry = lock(&self.registry);
        let helpers: Vec<_> = registry.helpers.iter().map(|(_, helper)| helper.handle()).collect();
        drop(registry);
        helpers.iter().map(AutomationHelper::get_status).collect()
    }
}

/// A reserved place for a helper, given back unless forgotten.
struct Reservation<'a>(&'a AutomationAssistantManager);

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        lock(&self.0.registry).reserved -= 1;
    }
}

/// A watch on several helpers, taken off when dropped.
struct Watching<'a> {
    watch: Arc<Watch>,
    pairs: &'a [(Arc<Shared>, TaskId)],
}

impl<'a> Watching<'a> {
    fn new(pairs: &'a [(Arc<Shared>, TaskId)]) -> Self {
        let watching = Self { watch: Watch::new(), pairs };
        for shared in watching.helpers() {
            shared.watch(&watching.watch);
        }
        watching
    }

    /// Each helper once, however many of its tasks are waited for.
    fn helpers(&self) -> impl Iterator<Item = &'a Arc<Shared>> {
        let pairs = self.pairs;
        pairs.iter().enumerate().filter_map(move |(at, (shared, _))| {
            let seen = pairs[..at].iter().any(|(other, _)| Arc::ptr_eq(other, shared));
            (!seen).then_some(shared)
        })
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        for shared in self.helpers() {
            shared.unwatch(&self.watch);
        }
    }
}

impl Drop for AutomationAssistantManager {
    fn drop(&mut self) {
        self.terminate_all();
        if let Some(opik) = &self.opik {
            opik.close();
        }
    }
}

impl fmt::Debug for AutomationAssistantManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AutomationAssistantManager")
            .field("max_helpers", &self.max_helpers)
            .field("helper_count", &self.helper_count())
            .finish_non_exhaustive()
    }
}

/// Spawns a ChatGPT helper; the key comes from `OPENAI_API_KEY`.
///
/// # Errors
///
/// As [`AutomationAssistantManager::spawn_helper`].
pub fn create_chatgpt_helper(
    manager: &AutomationAssistantManager,
    name: &str,
    model: &str,
) -> Result<HelperId, Error> {
    create(manager, BackendType::ChatGpt, name, Some(model))
}

/// Spawns a Comet helper; the key comes from `OPIK_API_KEY`.
///
/// # Errors
///
/// As [`AutomationAssistantManager::spawn_helper`].
pub fn create_comet_helper(
    manager: &AutomationAssistantManager,
    name: &str,
    model: &str,
) -> Result<HelperId, Error> {
    create(manager, BackendType::Comet, name, Some(model))
}

/// Spawns a Local helper with the embedded engine.
///
/// # Errors
///
/// As [`AutomationAssistantManager::spawn_helper`].
pub fn create_local_helper(
    manager: &AutomationAssistantManager,
    name: &str,
) -> Result<HelperId, Error> {
    create(manager, BackendType::Local, name, None)
}

fn create(
    manager: &AutomationAssistantManager,
    backend_type: BackendType,
    name: &str,
    model: Option<&str>,
) -> Result<HelperId, Error> {
    let config = HelperConfig::new(backend_type).name(name);
    manager.spawn_helper(match model {
        Some(model) => config.model(model),
        None => config,
    })
}
