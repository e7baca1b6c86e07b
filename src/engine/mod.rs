//! The conversation engine: what every provider behind HTTP shares. It speaks neutral types
//! ([`message`], [`draft`]) to a [`protocol::Protocol`], which alone knows a provider's JSON.

mod body;
pub(crate) mod conversation;
pub(crate) mod draft;
pub(crate) mod error_body;
pub(crate) mod failure;
pub(crate) mod json;
pub(crate) mod limits;
pub(crate) mod message;
pub(crate) mod payload;
mod permit;
pub(crate) mod protocol;
mod receive;
mod rejection;
pub(crate) mod scrub;
pub(crate) mod sse;
pub(crate) mod tokens;
mod tools;

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::backend::{AiBackend, CallContext, Reply};
use crate::config::{HelperConfig, HttpConfig};
use crate::engine::conversation::Conversation;
use crate::engine::draft::BadReply;
use crate::engine::protocol::Protocols;
use crate::env::{Env, header_value};
use crate::error::Error;
use crate::http::{Client, Endpoint, Setup, is_header_name};
use crate::rate_limit::RateLimiter;
use crate::secret::Secret;
use crate::task::refused_param;
use crate::task_error::TaskError;
use crate::text::cut;

/// Where roots are named for all programs of a system.
const ROOTS_VARIABLE: &str = "SSL_CERT_FILE";

/// Headers that HTTP or the request's body decide.
const OF_THE_REQUEST: [&str; 11] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// A name that is refused is quoted up to so many bytes: it may be a key that slipped.
const HEADER_NAME_BYTES_SHOWN: usize = 20;

/// A provider's choices for a helper's backend.
pub(crate) struct Plan {
    name: String,
    endpoint: Endpoint,
    protocols: Box<dyn Protocols>,
    model: Model,
    headers: Vec<(&'static str, String)>,
    /// The header values that must never be shown.
    keys: Vec<Secret>,
}

/// Which model is asked for.
pub(crate) enum Model {
    Named(String),
    /// The first that the server lists; asked once, when first needed.
    FirstListed {
        /// The path of the list below the base URL.
        path: &'static str,
        read: ReadModels,
        found: OnceLock<String>,
    },
}

/// Reads the first usable name from a server's list of models.
pub(crate) type ReadModels = fn(&[u8]) -> Result<Option<String>, BadReply>;

impl Model {
    pub(crate) fn first_listed(path: &'static str, read: ReadModels) -> Self {
        Self::FirstListed { path, read, found: OnceLock::new() }
    }
}

impl Plan {
    /// A backend of this name, as status reports and telemetry show it.
    pub(crate) fn new(
        name: String,
        endpoint: Endpoint,
        protocols: impl Protocols + 'static,
        model: Model,
    ) -> Self {
        let (headers, keys) = (Vec::with_capacity(3), Vec::new());
        Self { name, endpoint, protocols: Box::new(protocols), model, headers, keys }
    }

    /// Sends a header with each request; `what` names its value in errors.
    pub(crate) fn header(
        mut self,
        header: &'static str,
        what: &str,
        value: &str,
    ) -> Result<Self, Error> {
        self.headers.push((header, header_value(what, value)?));
        Ok(self)
    }

    /// Sends the key in this header, behind this scheme (such as `Bearer `).
    pub(crate) fn key(
        mut self,
        header: &'static str,
        scheme: &str,
        key: Option<Secret>,
    ) -> Result<Self, Error> {
        if let Some(key) = key {
            let value = header_value("the API key", key.reveal())?;
            self.headers.push((header, format!("{scheme}{value}")));
            self.keys.push(key);
        }
        Ok(self)
    }
}

/// A backend behind HTTP.
pub(crate) struct RemoteBackend {
    name: String,
    client: Client,
    endpoint: Endpoint,
    protocols: Box<dyn Protocols>,
    headers: Vec<(&'static str, String)>,
    further: Vec<(String, String)>,
    keys: Vec<Secret>,
    model: Model,
    params: Map<String, Value>,
    max_output_tokens: Option<u32>,
    reasoning_effort: Option<String>,
    connect_timeout: Duration,
    first_byte_timeout: Option<Duration>,
    idle_timeout: Duration,
    /// The idle time-out, if it was set by hand: then it also holds before the first payload.
    idle_timeout_set: Option<Duration>,
    max_reply_bytes: usize,
    max_retries: u32,
    max_retry_wait: Duration,
    max_tool_rounds: u32,
    max_tool_output_bytes: usize,
    /// The helper's own limits, and those that it shares.
    limiters: Vec<RateLimiter>,
}

impl RemoteBackend {
    /// The backend of this plan, within the configuration's bounds.
    ///
    /// # Errors
    ///
    /// A setting with which no request could ever be made.
    pub(crate) fn boxed(
        config: &HelperConfig,
        env: &Env<'_>,
        plan: Plan,
    ) -> Result<Box<dyn AiBackend>, Error> {
        let Plan { name, endpoint, protocols, model, headers, mut keys } = plan;
        let further = further_headers(config)?;
        keys.extend(further.iter().map(|(_, value)| Secret::new(value)));
        keys.extend(endpoint.keys().map(Secret::new));
        if endpoint.is_https() && !cfg!(feature = "tls") {
            return Err(Error::Unsupported { what: "an https endpoint", feature: "tls" });
        }
        let with_key = !keys.is_empty();
        let in_the_clear = with_key && !endpoint.is_https() && !endpoint.is_loopback();
        if in_the_clear && !config.http.allow_insecure_http {
            return Err(Error::InvalidConfig(
                "the key (or the query of api_endpoint) would go over plain http to another host, \
                 where anyone on the way can read it: use https, or allow it with \
                 allow_insecure_http"
                    .to_owned(),
            ));
        }
        let refused = |refuse| refused_param(&config.custom_params, refuse);
        if let Some(why) = config.provider().refuse_param.and_then(refused) {
            return Err(Error::InvalidConfig(why));
        }
        let roots = config.http.root_certificates.clone();
        let roots = roots.or_else(|| env.variable(ROOTS_VARIABLE).map(Into::into));
        let connections = config.http.connections.clone().unwrap_or_default();
        let setup = Setup { endpoint: &endpoint, with_key, roots: roots.as_deref(), env };
        Ok(Box::new(Self {
            name,
            client: Client::new(&connections, &setup)?,
            endpoint,
            protocols,
            headers,
            further,
            keys,
            model,
            params: config.custom_params.clone(),
            max_output_tokens: config.http.max_output_tokens,
            reasoning_effort: config.http.reasoning_effort.clone(),
            connect_timeout: config.http.connect_timeout,
            first_byte_timeout: config.http.first_byte_timeout,
            idle_timeout: config.effective_idle_timeout(),
            idle_timeout_set: config.http.idle_timeout,
            max_reply_bytes: config.max_reply_bytes,
            max_retries: config.http.max_retries,
            max_retry_wait: config.http.max_retry_wait,
            max_tool_rounds: config.http.max_tool_rounds,
            max_tool_output_bytes: config.http.max_tool_output_bytes,
            limiters: limiters(&config.http)?,
        }))
    }
}

/// The headers that the program sets.
fn further_headers(config: &HelperConfig) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::new();
    for (name, value) in &config.http.headers.0 {
        if !is_header_name(name) || OF_THE_REQUEST.contains(&name.as_str()) {
            return Err(Error::InvalidConfig(format!(
                "header: {:?} is no name of a header that a program can set",
                cut(name, HEADER_NAME_BYTES_SHOWN)
            )));
        }
        let value = value.as_str().unwrap_or_default();
        headers.push((name.clone(), header_value("the value of a header", value)?));
    }
    Ok(headers)
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
    let valid = all.iter().try_for_each(RateLimiter::validate);
    valid.map(|()| all).map_err(|why| Error::InvalidConfig(why.to_owned()))
}

impl AiBackend for RemoteBackend {
    fn name(&self) -> &str {
        &self.name
    }

    fn process(&self, call: &CallContext<'_>) -> Result<Reply, TaskError> {
        Conversation::new(self, call)?.run()
    }

    fn accepts_images(&self) -> bool {
        true
    }

    /// Opening a connection cannot be interrupted.
    fn stop_grace(&self) -> Duration {
        self.connect_timeout
    }

    fn leaves_device(&self) -> bool {
        !self.endpoint.is_loopback()
    }
}
