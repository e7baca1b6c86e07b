//! A provider, as data: everything that is known of it before a helper is created.

use std::fmt;
use std::time::Duration;

use super::{BackendType, HelperConfig, TraceMode};
use crate::backend::AiBackend;
use crate::env::Env;
use crate::error::Error;
use crate::task::RefuseParam;

/// A provider of answers: a service, a server on the device, or an engine within the program. A
/// configuration has one; [`Provider::all`] lists them.
pub struct Provider {
    pub(crate) backend_type: BackendType,
    /// Its display name, such as `ChatGPT`.
    pub(crate) label: &'static str,
    /// The provider's name in traces, spelt as Opik spells it; `None` if only its replies can name
    /// it.
    pub(crate) vendor: Option<&'static str>,
    /// Environment variables that may hold a key; the first that is set is used.
    pub(crate) key_variables: &'static [&'static str],
    /// The environment variable that may hold the base URL.
    pub(crate) base_variable: Option<&'static str>,
    pub(crate) default_base: Option<&'static str>,
    pub(crate) default_model: Option<&'static str>,
    /// Default limit on one task.
    pub(crate) timeout: Duration,
    /// Default limit on silence within an answer.
    pub(crate) idle_timeout: Duration,
    /// How much of its tasks is traced by default.
    pub(crate) trace: TraceMode,
    /// Names of its own settings in a configuration; the values are texts.
    pub(crate) settings: &'static [&'static str],
    /// Which custom parameters it cannot be sent; `None` if it reads all.
    pub(crate) refuse_param: Option<RefuseParam>,
    /// The provider used instead if the configuration has an endpoint.
    pub(crate) with_endpoint: Option<&'static Provider>,
    /// Creates a helper's backend.
    pub(crate) build: Build,
}

/// Creates a helper's backend, or returns the error why it cannot.
pub(crate) type Build = fn(&HelperConfig, &Env<'_>) -> Result<Box<dyn AiBackend>, Error>;

impl Provider {
    /// Its name in configuration files, such as `chatgpt`.
    pub fn name(&self) -> &'static str {
        self.backend_type.as_str()
    }

    /// Its display name, such as `ChatGPT`.
    pub fn label(&self) -> &'static str {
        self.label
    }

    /// The name of a backend with this model, for status reports and telemetry.
    pub(crate) fn backend_name(&self, model: &str) -> String {
        format!("{} ({model})", self.label)
    }

    /// Its backend type.
    pub fn backend_type(&self) -> BackendType {
        self.backend_type
    }

    /// The environment variables that may hold its key, in order of precedence; empty if no key
    /// is read from the environment.
    pub fn key_variables(&self) -> &'static [&'static str] {
        self.key_variables
    }

    /// The environment variable that may hold its base URL.
    pub fn endpoint_variable(&self) -> Option<&'static str> {
        self.base_variable
    }

    /// The base URL if none is set.
    pub fn default_endpoint(&self) -> Option<&'static str> {
        self.default_base
    }

    /// The model if none is set.
    pub fn default_model(&self) -> Option<&'static str> {
        self.default_model
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.name())
    }
}
