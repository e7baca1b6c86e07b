//! The part of a configuration that only HTTP backends read.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_RETRIES, DEFAULT_MAX_RETRY_WAIT,
    DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS, HelperConfig,
};
use crate::connections::Connections;
use crate::rate_limit::RateLimiter;

/// The part of a configuration that only the HTTP backends read.
#[derive(Debug, Clone)]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) struct HttpConfig {
    pub(crate) connect_timeout: Duration,
    pub(crate) first_byte_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_retries: u32,
    pub(crate) max_retry_wait: Duration,
    pub(crate) max_tool_rounds: u32,
    pub(crate) max_tool_output_bytes: usize,
    pub(crate) max_output_tokens: Option<u32>,
    pub(crate) reasoning_effort: Option<String>,
    pub(crate) allow_insecure_http: bool,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) workspace: Option<String>,
    /// Settings that only one provider has, by name; see `Provider::settings`.
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) headers: FurtherHeaders,
    pub(crate) connections: Option<Connections>,
    /// Limits shared with other helpers.
    pub(crate) rate_limiter: Option<RateLimiter>,
    /// This helper's own limits.
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) tokens_per_minute: Option<u64>,
    pub(crate) token_budget: Option<u64>,
}

/// Headers that the program sets, by name. A JSON map, whose code every program links anyway.
#[derive(Clone, Default)]
#[cfg_attr(not(feature = "http"), allow(dead_code))]
pub(crate) struct FurtherHeaders(pub(crate) Map<String, Value>);

/// Shows names only: a value may be a key.
impl fmt::Debug for FurtherHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            first_byte_timeout: None,
            idle_timeout: None,
            max_retries: DEFAULT_MAX_RETRIES,
            max_retry_wait: DEFAULT_MAX_RETRY_WAIT,
            max_tool_rounds: DEFAULT_MAX_TOOL_ROUNDS,
            max_tool_output_bytes: DEFAULT_MAX_TOOL_OUTPUT_BYTES,
            max_output_tokens: None,
            reasoning_effort: None,
            allow_insecure_http: false,
            root_certificates: None,
            organization: None,
            project: None,
            workspace: None,
            settings: Vec::new(),
            headers: FurtherHeaders::default(),
            connections: None,
            rate_limiter: None,
            requests_per_minute: None,
            tokens_per_minute: None,
            token_budget: None,
        }
    }
}

impl HelperConfig {
    /// Limit on name look-up, connecting and TLS together. Defaults to 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// Limit from the sent request to the reply's first payload (the first event of a stream;
    /// headers and comments do not count). Defaults to none: a slow model may take all of the
    /// task's time to read the prompt.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.http.first_byte_timeout = Some(timeout);
        self
    }

    /// Limit on silence within a reply. Keep-alive comments of a stream and `ping` events do not
    /// reset it; an event of the API does, even one without text. If it is set and
    /// `first_byte_timeout` is not, it also applies between the reply's headers and its first
    /// payload. Defaults to 30 s; 60 s at Anthropic and a Local model server.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.http.idle_timeout = Some(timeout);
        self
    }

    /// The greatest number of tokens that the model writes for a task, its reasoning included.
    /// Each provider gets it under its own field's name. At least 1. Defaults to none; Anthropic's
    /// API, which requires one, then gets 4,096.
    #[doc(alias = "max_tokens")]
    #[must_use]
    pub fn max_output_tokens(mut self, tokens: u32) -> Self {
        self.http.max_output_tokens = Some(tokens);
        self
    }

    /// The reasoning effort, such as `low`. A value that the model does not know ends the task as
    /// the server's [`InvalidRequest`](crate::ErrorKind::InvalidRequest). Sent only if set.
    /// Defaults to none.
    #[must_use]
    pub fn reasoning_effort(mut self, effort: impl Into<String>) -> Self {
        self.http.reasoning_effort = Some(effort.into());
        self
    }

    /// How often a failed call is retried, within the task's time. Defaults to 2.
    #[doc(alias("retry", "retries", "backoff"))]
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.http.max_retries = retries;
        self
    }

    /// Longest wait that a server may ask for before a retry; if it asks for more, the task ends
    /// with an error that states the wait. Defaults to 120 s.
    #[must_use]
    pub fn max_retry_wait(mut self, wait: Duration) -> Self {
        self.http.max_retry_wait = wait;
        self
    }

    /// How many rounds of tool calls one task may take. Defaults to 8.
    #[must_use]
    pub fn max_tool_rounds(mut self, rounds: u32) -> Self {
        self.http.max_tool_rounds = rounds;
        self
    }

    /// How much of one tool's output is sent to the model, in bytes; the rest is cut off, and the
    /// model is informed of that. Defaults to 64 KiB.
    #[must_use]
    pub fn max_tool_output_bytes(mut self, bytes: usize) -> Self {
        self.http.max_tool_output_bytes = bytes;
        self
    }

    /// Most requests in any 60 seconds, retries included; further ones wait, within their task's
    /// time. At least 1. Defaults to no limit.
    #[doc(alias("rate limit", "throttle"))]
    #[must_use]
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.http.requests_per_minute = Some(requests);
        self
    }

    /// Most tokens, read and written, in any 60 seconds; see [`RateLimiter`]. At least 1.
    /// Defaults to no limit.
    #[must_use]
    pub fn tokens_per_minute(mut self, tokens: u64) -> Self {
        self.http.tokens_per_minute = Some(tokens);
        self
    }

    /// Most tokens in this helper's lifetime; once they are spent, tasks end as
    /// [`QuotaExceeded`](crate::ErrorKind::QuotaExceeded) without a call. At least 1. Defaults to
    /// no limit.
    #[must_use]
    pub fn token_budget(mut self, tokens: u64) -> Self {
        self.http.token_budget = Some(tokens);
        self
    }

    /// Limits that this helper shares with others, in addition to its own. Defaults to none.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: &RateLimiter) -> Self {
        self.http.rate_limiter = Some(limiter.clone());
        self
    }

    /// The connections that this helper shares with others. Defaults to its manager's; without a
    /// manager, to its own.
    #[must_use]
    pub fn connections(mut self, connections: &Connections) -> Self {
        self.http.connections = Some(connections.clone());
        self
    }

    /// Whether a key and prompts may be sent over plain http to another host, where every network
    /// on the way can read them. Defaults to `false`.
    #[must_use]
    pub fn allow_insecure_http(mut self, allow: bool) -> Self {
        self.http.allow_insecure_http = allow;
        self
    }

    /// A PEM file of root certificates, in place of the bundled ones. Defaults to the file
    /// that `SSL_CERT_FILE` names, then to the bundled Mozilla roots.
    #[must_use]
    pub fn root_certificates(mut self, pem_file: impl Into<PathBuf>) -> Self {
        self.http.root_certificates = Some(pem_file.into());
        self
    }

    /// OpenAI organization. Defaults to `OPENAI_ORG_ID`, then to none.
    #[must_use]
    pub fn organization(mut self, id: impl Into<String>) -> Self {
        self.http.organization = Some(id.into());
        self
    }

    /// OpenAI project, or Opik project. Defaults to `OPENAI_PROJECT_ID` or
    /// `OPIK_PROJECT_NAME`, then to none.
    #[must_use]
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.http.project = Some(id.into());
        self
    }

    /// Comet workspace. Defaults to `OPIK_WORKSPACE`, then to `default` if there is a key.
    #[must_use]
    pub fn workspace(mut self, name: impl Into<String>) -> Self {
        self.http.workspace = Some(name.into());
        self
    }

    /// Adds a header to each request, for gateways that require one: Azure's `api-key`,
    /// Portkey's `x-portkey-api-key`, Cloudflare's `cf-aig-authorization`. It replaces a header of
    /// the same name (in any case), also the one that holds the API key. A helper with such a header
    /// needs no API key. Defaults to none.
    ///
    /// Its value is treated as a key: it is sent only to the endpoint's host, over plain http only
    /// to loopback (unless [`allow_insecure_http`](Self::allow_insecure_http) is set), and is in no
    /// `Debug`, error, telemetry or trace. Spawning rejects names that HTTP or the request itself
    /// sets, such as `host` and `content-type`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into().to_ascii_lowercase();
        self.http.headers.0.insert(name, value.into().into());
        self
    }

    /// Sets one of the provider's own settings.
    pub(crate) fn setting(mut self, name: &'static str, value: String) -> Self {
        self.set_setting(name, value);
        self
    }

    /// As [`setting`](Self::setting), in place.
    pub(crate) fn set_setting(&mut self, name: &'static str, value: String) {
        self.http.settings.retain(|(other, _)| *other != name);
        self.http.settings.push((name, value));
    }

    /// One of the provider's own settings.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn setting_of(&self, name: &str) -> Option<&str> {
        let found = self.http.settings.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.as_str())
    }
}
