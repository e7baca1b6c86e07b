//! The registry of helpers: spawning, finding and stopping them.

use std::fmt;

use super::trace_sink::TraceSink;
use crate::backend::AiBackend;
use crate::config::HelperConfig;
use crate::connections::Connections;
use crate::error::Error;
use crate::foreign::Foreign;
use crate::helper::AutomationHelper;
use crate::helper::shared::{Perform, Shared};
use crate::id::HelperId;
use crate::observers::{Observer, Observers, SharedObservers};
use crate::opik::OpikSink;
use crate::status::HelperStatusReport;
use crate::sync::{Arc, Mutex, lock, now};

/// Default bound on a manager's helpers, as in the Python prototype.
pub const DEFAULT_MAX_HELPERS: usize = 5;

/// Spawns helpers, stops them, and finds them by their ids.
///
/// [`spawn`](Self::spawn) returns a handle, whose methods submit tasks and return results. The
/// methods here that take a [`HelperId`] do the same as the handle's of that name;
/// [`Error::UnknownHelper`] where the id is unknown.
///
/// It is `Send` and `Sync`; all methods take `&self`. Dropping it stops every helper, as
/// [`terminate_all`](Self::terminate_all) does, and closes the trace sink.
///
/// ```
/// use automation_assistant::{AutomationAssistantManager, HelperConfig};
///
/// let manager = AutomationAssistantManager::new(5);
/// let helper = manager.spawn(HelperConfig::local().name("echo"))?;
/// let task = helper.ask("hello")?;
/// println!("{}", task.result.unwrap_or_default());
/// # Ok::<(), automation_assistant::Error>(())
/// ```
pub struct AutomationAssistantManager {
    max_helpers: usize,
    registry: Mutex<Registry>,
    observers: SharedObservers,
    /// Set where there are observers.
    pub(super) perform: Option<Perform>,
    connections: Connections,
    /// Also registered as an observer; the manager closes it.
    pub(super) opik: Option<Box<dyn TraceSink>>,
}

struct Registry {
    /// In the order of spawning. Searched from the front: each helper has at least one thread, so
    /// there are few helpers, and their ids fit into one or two cache lines.
    helpers: Vec<(HelperId, AutomationHelper)>,
    /// Places taken by helpers that are being created.
    reserved: usize,
}

impl Registry {
    fn find(&self, id: HelperId) -> Option<&AutomationHelper> {
        self.helpers.iter().find(|(other, _)| *other == id).map(|(_, helper)| helper)
    }
}

impl Default for AutomationAssistantManager {
    /// A manager of at most five helpers.
    fn default() -> Self {
        Self::new(DEFAULT_MAX_HELPERS)
    }
}

impl AutomationAssistantManager {
    /// A manager of at most this many helpers. With zero, every spawn is
    /// [`Error::MaxHelpers`].
    pub fn new(max_helpers: usize) -> Self {
        Self::make(max_helpers, Vec::new())
    }

    pub(super) fn make(max_helpers: usize, observers: Vec<Observer>) -> Self {
        Self {
            max_helpers,
            registry: Mutex::new(Registry { helpers: Vec::new(), reserved: 0 }),
            observers: Observers::new(observers),
            perform: None,
            connections: Connections::new(),
            opik: None,
        }
    }

    /// The sink that sends traces to Opik, if [`ManagerBuilder::opik`](crate::ManagerBuilder::opik)
    /// was called: to flush it, to read its counts, to score a trace. The manager's drop closes
    /// it.
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    pub fn opik(&self) -> Option<&OpikSink> {
        self.opik.as_deref().map(TraceSink::sink)
    }

    /// The greatest number of helpers at once.
    pub fn max_helpers(&self) -> usize {
        self.max_helpers
    }

    /// The number of helpers.
    pub fn helper_count(&self) -> usize {
        lock(&self.registry).helpers.len()
    }

    /// Creates and starts a helper; returns a handle to it. The helper runs until it is
    /// terminated or the manager is dropped; dropping the handle stops nothing.
    ///
    /// # Errors
    ///
    /// [`Error::MaxHelpers`]; [`Error::InvalidConfig`]; [`Error::MissingKey`];
    /// [`Error::Unsupported`] where the backend needs a cargo feature that is off;
    /// [`Error::Io`] if the system cannot create a thread.
    #[doc(alias("llm", "agent"))]
    pub fn spawn(&self, config: HelperConfig) -> Result<AutomationHelper, Error> {
        self.create(config, None, self.perform)
    }

    /// Creates and starts a helper with a backend of the program; returns a handle as
    /// [`spawn`](Self::spawn) does. The configuration's type and its fields for HTTP are
    /// ignored.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    #[doc(alias = "mock")]
    pub fn spawn_with(
        &self,
        config: HelperConfig,
        backend: impl AiBackend + 'static,
    ) -> Result<AutomationHelper, Error> {
        let backend = Foreign::new(Box::new(backend) as Box<dyn AiBackend>);
        self.create(config, Some(backend), Some(Shared::on_own_thread))
    }

    /// Creates and starts a helper; returns its id.
    ///
    /// # Errors
    ///
    /// As [`spawn`](Self::spawn).
    pub fn spawn_helper(&self, config: HelperConfig) -> Result<HelperId, Error> {
        self.spawn(config).map(|helper| helper.helper_id())
    }

    /// Creates and starts a helper with a backend of the program; returns its id.
    ///
    /// # Errors
    ///
    /// As [`spawn_with`](Self::spawn_with).
    pub fn spawn_helper_with(
        &self,
        config: HelperConfig,
        backend: impl AiBackend + 'static,
    ) -> Result<HelperId, Error> {
        self.spawn_with(config, backend).map(|helper| helper.helper_id())
    }

    fn create(
        &self,
        mut config: HelperConfig,
        backend: Option<Foreign<Box<dyn AiBackend>>>,
        perform: Option<Perform>,
    ) -> Result<AutomationHelper, Error> {
        {
            let mut registry = lock(&self.registry);
            if registry.helpers.len() + registry.reserved >= self.max_helpers {
                return Err(Error::MaxHelpers { max: self.max_helpers });
            }
            registry.reserved += 1;
        }
        config.http.connections.get_or_insert_with(|| self.connections.clone());
        // Releases the place on every return.
        let reservation = Reservation(self);
        let helper = AutomationHelper::make(config, backend, Arc::clone(&self.observers), perform)?;
        helper.start()?;
        let handle = helper.handle();
        let mut registry = lock(&self.registry);
        registry.helpers.push((handle.helper_id(), helper));
        registry.reserved -= 1;
        drop(registry);
        std::mem::forget(reservation);
        Ok(handle)
    }

    /// Stops a helper and removes it. Handles from [`get_helper`](Self::get_helper) still read
    /// its results; the manager does not. Waits as [`AutomationHelper::stop`] does.
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

    /// Stops all helpers at the same time and removes them. Every task ends within a second;
    /// the call returns when the threads are joined or detached, see
    /// [`AutomationHelper::stop`]. New helpers can be spawned afterwards.
    pub fn terminate_all(&self) {
        let mut registry = lock(&self.registry);
        let helpers = std::mem::take(&mut registry.helpers);
        drop(registry);
        let signalled = now();
        for (_, helper) in &helpers {
            helper.shared().signal_stop();
        }
        for (_, helper) in &helpers {
            helper.shared().conduct_stop(signalled);
        }
        for (_, helper) in &helpers {
            helper.shared().join();
        }
    }

    /// A handle to a helper; it does not keep the helper running. `None` if the id is unknown.
    pub fn get_helper(&self, helper: HelperId) -> Option<AutomationHelper> {
        lock(&self.registry).find(helper).map(AutomationHelper::handle)
    }

    pub(crate) fn observers(&self) -> &SharedObservers {
        &self.observers
    }

    pub(super) fn helper(&self, id: HelperId) -> Result<AutomationHelper, Error> {
        self.get_helper(id).ok_or(Error::UnknownHelper(id))
    }

    pub(crate) fn shared(&self, helper: HelperId) -> Result<Arc<Shared>, Error> {
        let registry = lock(&self.registry);
        let found = registry.find(helper).ok_or(Error::UnknownHelper(helper))?;
        Ok(Arc::clone(found.shared()))
    }

    /// The status and counters of every helper, in the order of spawning.
    pub fn get_all_helpers_status(&self) -> Vec<HelperStatusReport> {
        let registry = lock(&self.registry);
        let helpers: Vec<_> = registry.helpers.iter().map(|(_, helper)| helper.handle()).collect();
        drop(registry);
        helpers.iter().map(AutomationHelper::get_status).collect()
    }
}

/// A reserved place for a helper, released on drop unless forgotten.
struct Reservation<'a>(&'a AutomationAssistantManager);

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        lock(&self.0.registry).reserved -= 1;
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
