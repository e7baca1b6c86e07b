//! A server that speaks the OpenAI protocol: what is known of it, and how it is asked.

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::backend::build::Env;
use crate::backend::endpoint::Endpoint;
use crate::backend::http::{Client, Setup};
use crate::backend::run::Run;
use crate::backend::{AiBackend, CallContext, Reply, wire};
use crate::config::{HelperConfig, HttpConfig, Secret};
use crate::error::Error;
use crate::limits::RateLimiter;
use crate::task_error::{ErrorKind, TaskError};

/// Where roots are named for all programs of a system.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// What a provider's module decides.
pub(crate) struct Plan {
    name: String,
    endpoint: Endpoint,
    tail: &'static str,
    pub(crate) model: Model,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) key: Option<Secret>,
    /// Whether HTTP 409 is worth another try.
    pub(crate) retries_conflicts: bool,
}

impl Plan {
    pub(crate) fn new(name: String, endpoint: Endpoint, tail: &'static str) -> Self {
        let model = Model::Known(String::new());
        let headers = Vec::with_capacity(3);
        Self { name, endpoint, tail, model, headers, key: None, retries_conflicts: true }
    }
}

/// Which model is asked for.
pub(crate) enum Model {
    Known(String),
    /// The first that the server lists at this URL; asked once, when first needed.
    FirstOf {
        url: String,
        found: OnceLock<String>,
    },
}

impl Model {
    pub(crate) fn first_of(url: String) -> Self {
        Self::FirstOf { url, found: OnceLock::new() }
    }
}

/// A server that speaks the OpenAI protocol.
pub(crate) struct ChatBackend {
    name: String,
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) key: Option<Secret>,
    pub(super) model: Model,
    pub(super) params: Map<String, Value>,
    pub(super) connect_timeout: Duration,
    pub(super) first_byte_timeout: Option<Duration>,
    pub(super) idle_timeout: Duration,
    /// The idle time-out, if it was set by hand: then it also holds before the first payload.
    pub(super) idle_timeout_set: Option<Duration>,
    /// Whether the endpoint is on another device.
    pub(super) leaves_device: bool,
    pub(super) max_reply_bytes: usize,
    pub(super) max_retries: u32,
    pub(super) max_retry_wait: Duration,
    pub(super) max_tool_rounds: u32,
    pub(super) max_tool_output_bytes: usize,
    pub(super) retries_conflicts: bool,
    /// The helper's own limits, and those that it shares.
    pub(super) limiters: Vec<RateLimiter>,
    /// Whether streams are asked to tell their usage. Cleared for good when the server
    /// refuses the field.
    pub(super) asks_stream_usage: AtomicBool,
}

impl ChatBackend {
    pub(crate) fn new(config: &HelperConfig, env: &Env<'_>, plan: Plan) -> Result<Self, Error> {
        let Plan { name, endpoint, tail, model, headers, key, retries_conflicts } = plan;
        if endpoint.is_https() && !cfg!(feature = "tls") {
            return Err(Error::Unsupported { what: "an https endpoint", feature: "tls" });
        }
        let in_the_clear = key.is_some() && !endpoint.is_https() && !endpoint.is_loopback();
        if in_the_clear && !config.http.allow_insecure_http {
            return Err(Error::InvalidConfig(
                "the key would go over plain http to another host, where anyone on the way can \
                 read it: use https, or allow it with allow_insecure_http"
                    .to_owned(),
            ));
        }
        if let Some(key) = reserved(&config.custom_params) {
            return Err(Error::InvalidConfig(reserved_text(key)));
        }
        let roots = config.http.root_certificates.clone();
        let roots = roots.or_else(|| env.variable(ROOTS_VARIABLE).map(Into::into));
        let connections = config.http.connections.clone().unwrap_or_default();
        let client = Client::new(
            &connections,
            &Setup { endpoint: &endpoint, with_key: key.is_some(), roots: roots.as_deref(), env },
        )?;
        Ok(Self {
            name,
            client,
            url: endpoint.join(tail),
            headers,
            key,
            model,
            params: config.custom_params.clone(),
            connect_timeout: config.http.connect_timeout,
            first_byte_timeout: config.http.first_byte_timeout,
            idle_timeout: config.effective_idle_timeout(),
            idle_timeout_set: config.http.idle_timeout,
            leaves_device: !endpoint.is_loopback(),
            max_reply_bytes: config.max_reply_bytes,
            max_retries: config.http.max_retries,
            max_retry_wait: config.http.max_retry_wait,
            max_tool_rounds: config.http.max_tool_rounds,
            max_tool_output_bytes: config.http.max_tool_output_bytes,
            retries_conflicts,
            limiters: limiters(&config.http)?,
            asks_stream_usage: AtomicBool::new(true),
        })
    }
}

/// The accounts that a helper's calls go on.
fn limiters(config: &HttpConfig) -> Result<Vec<RateLimiter>, Error> {
    let mut all = Vec::new();
    let own = [
        config.requests_per_minute.map(|max| RateLimiter::new().requests_per_minute(max)),
        config.tokens_per_minute.map(|max| RateLimiter::new().tokens_per_minute(max)),
        config.token_budget.map(|max| RateLimiter::new().token_budget(max)),
    ];
    all.extend(own.into_iter().flatten());
    all.extend(config.rate_limiter.clone());
    match all.iter().find_map(RateLimiter::problem) {
        Some(problem) => Err(Error::InvalidConfig(problem.to_owned())),
        None => Ok(all),
    }
}

/// A parameter that the library writes itself.
fn reserved(params: &Map<String, Value>) -> Option<&'static str> {
    wire::RESERVED.iter().copied().find(|key| params.contains_key(*key))
}

fn reserved_text(key: &str) -> String {
    format!(
        "custom_params cannot set \"{key}\": the request's own methods do (turn, context, on_text)"
    )
}

impl AiBackend for ChatBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        if let Some(key) = reserved(&call.request().custom_params) {
            return Err(TaskError::new(ErrorKind::InvalidRequest, reserved_text(key)));
        }
        Run::new(self, call).run()
    }

    /// Opening a connection cannot be interrupted.
    fn stop_grace(&self) -> Duration {
        self.connect_timeout
    }

    fn leaves_device(&self) -> bool {
        self.leaves_device
    }
}
