//! The builder of a manager.

use std::fmt;

use super::registry::{AutomationAssistantManager, DEFAULT_MAX_HELPERS};
use super::trace_sink::MakeSink;
use crate::error::Error;
use crate::event::Observe;
use crate::foreign::Foreign;
use crate::helper::shared::Shared;
use crate::observers::Observer;
use crate::opik::{OpikConfig, OpikSink};
use crate::telemetry::Telemetry;

/// Builds a manager with a limit on helpers, observers, telemetry and traces.
#[must_use]
pub struct ManagerBuilder {
    max_helpers: usize,
    observers: Vec<Observer>,
    opik: Option<(Box<OpikConfig>, MakeSink)>,
}

impl ManagerBuilder {
    /// The greatest number of helpers at once, at least 1. Defaults to 5.
    pub fn max_helpers(mut self, helpers: usize) -> Self {
        self.max_helpers = helpers;
        self
    }

    /// Writes every event of every helper to an audit file. Defaults to none.
    pub fn telemetry(self, telemetry: Telemetry) -> Self {
        self.observer(std::sync::Arc::new(telemetry))
    }

    /// Adds an observer, which is notified of every event of every helper. Defaults to none.
    #[doc(alias("observability", "opentelemetry"))]
    pub fn observer(mut self, observer: std::sync::Arc<dyn Observe>) -> Self {
        self.observers.push(Foreign::new(observer));
        self
    }

    /// Sends traces of tasks to Opik, for helpers whose configuration enables tracing
    /// ([`HelperConfig::trace`](crate::HelperConfig::trace)). Defaults to none. The other
    /// observers are notified of exported and lost traces
    /// ([`EventKind::TraceExport`](crate::EventKind::TraceExport));
    /// [`AutomationAssistantManager::opik`] returns the sink.
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    pub fn opik(mut self, config: OpikConfig) -> Self {
        let make: MakeSink = |config| Ok(Box::new(OpikSink::new(config)?));
        self.opik = Some((Box::new(config), make));
        self
    }

    /// Builds the manager.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidConfig`] for zero helpers; with [`opik`](Self::opik), the errors of
    /// [`OpikSink::new`].
    pub fn build(self) -> Result<AutomationAssistantManager, Error> {
        if self.max_helpers == 0 {
            return Err(Error::InvalidConfig("max_helpers is zero: it must be at least 1".into()));
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
        manager.perform = Some(Shared::on_own_thread);
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

impl AutomationAssistantManager {
    /// A builder, for observers, telemetry, traces and another limit on helpers.
    pub fn builder() -> ManagerBuilder {
        ManagerBuilder { max_helpers: DEFAULT_MAX_HELPERS, observers: Vec::new(), opik: None }
    }
}
