//! What a provider is, as data: all that is known of it before a helper is made.

use std::fmt;
use std::time::Duration;

use super::{BackendType, HelperConfig, TraceMode};
use crate::backend::AiBackend;
use crate::env::Env;
use crate::error::Error;

/// Somebody who answers tasks: a service, a server on the device, or an engine within the
/// program. A configuration carries one; [`Provider::all`] lists them.
pub struct Provider {
    pub(crate) backend_type: BackendType,
    /// Its name for people, such as `ChatGPT`.
    pub(crate) label: &'static str,
    /// Who runs the model, as traces name it; nothing where replies tell it, if anything does.
    pub(crate) vendor: Option<&'static str>,
    /// Variables of the environment that hold a key, the first one first.
    pub(crate) key_variables: &'static [&'static str],
    /// The variable of the environment that holds the base URL.
    pub(crate) base_variable: Option<&'static str>,
    pub(crate) default_base: Option<&'static str>,
    pub(crate) default_model: Option<&'static str>,
    /// Default limit on one task.
    pub(crate) timeout: Duration,
    /// Default limit on silence within an answer.
    pub(crate) idle_timeout: Duration,
    /// How much of its tasks is traced by default.
    pub(crate) trace: TraceMode,
    /// Settings of its own in a configuration: texts by name.
    pub(crate) settings: &'static [&'static str],
    /// Who answers in its place where the configuration has an endpoint.
    pub(crate) with_endpoint: Option<&'static Provider>,
    /// Makes a helper's backend.
    pub(crate) build: Build,
}

/// Makes a helper's backend, or says why there can be none.
pub(crate) type Build = fn(&HelperConfig, &Env<'_>) -> Result<Box<dyn AiBackend>, Error>;

impl Provider {
    /// Its name in configuration files, such as `chatgpt`.
    pub fn name(&self) -> &'static str {
        self.backend_type.as_str()
    }

    /// Its name for people, such as `ChatGPT`.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// The name of a backend that asks for this model, as status reports and telemetry show it.
    pub(crate) fn backend_name(&self, model: &str) -> String {
        format!("{} ({model})", self.label)
    }

    /// The kind of backend it is.
    pub fn backend_type(&self) -> BackendType {
        self.backend_type
    }

    /// The variables of the environment that may hold its key, in the order in which they
    /// are asked; empty where no key is read from the environment.
    pub fn key_variables(&self) -> &'static [&'static str] {
        self.key_variables
    }

    /// The variable of the environment that may hold its base URL.
    pub fn endpoint_variable(&self) -> Option<&'static str> {
        self.base_variable
    }

    /// Its base URL where none is set.
    pub fn default_endpoint(&self) -> Option<&'static str> {
        self.default_base
    }

    /// Its model where none is set.
    pub fn default_model(&self) -> Option<&'static str> {
        self.default_model
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.name())
    }
}
