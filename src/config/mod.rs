//! What a helper is to be: its backend, its bounds, its times.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::connections::Connections;
use crate::error::Error;
use crate::limits::RateLimiter;
use crate::prices::Prices;
use crate::secret::Secret;

mod bounds;
mod kinds;
mod provider;

pub use bounds::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES, DEFAULT_MAX_IMAGE_BYTES,
    DEFAULT_MAX_PROMPT_BYTES, DEFAULT_MAX_REPLY_BYTES, DEFAULT_MAX_RESULT_BYTES,
    DEFAULT_MAX_RESULTS, DEFAULT_MAX_RETRIES, DEFAULT_MAX_RETRY_WAIT,
    DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS, DEFAULT_QUEUE_CAPACITY,
    DEFAULT_STACK_BYTES, MAX_CONCURRENT_TASKS, MAX_NAME_BYTES, MIN_STACK_BYTES,
};
pub(crate) use bounds::{IDLE, TIMEOUT};
pub use kinds::{BackendType, TraceMode, WhenResultsFull};
pub use provider::Provider;

/// What a helper is to be.
///
/// Every setter says its default. Checked when the helper is made. `Debug` never shows the
/// key. Can be read from JSON with the field names of the Python prototype:
///
/// ```
/// use automation_assistant::HelperConfig;
///
/// let config: HelperConfig = serde_json::from_str(
///     r#"{"backend_type": "local", "name": "notes", "timeout_seconds": 5}"#,
/// )?;
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct HelperConfig {
    /// Who answers; see [`provider`](Self::provider).
    pub(crate) asked: &'static Provider,
    pub(crate) name: Option<String>,
    pub(crate) max_concurrent_tasks: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) api_endpoint: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) custom_params: Map<String, Value>,
    pub(crate) system_prompt: Option<String>,
    pub(crate) queue_capacity: usize,
    pub(crate) max_prompt_bytes: usize,
    pub(crate) max_context_bytes: usize,
    pub(crate) max_image_bytes: usize,
    pub(crate) max_reply_bytes: usize,
    pub(crate) max_results: usize,
    pub(crate) max_result_bytes: usize,
    pub(crate) when_results_full: WhenResultsFull,
    pub(crate) stack_bytes: usize,
    pub(crate) count_suspended_time: bool,
    pub(crate) prices: Option<Arc<Prices>>,
    pub(crate) trace: Option<TraceMode>,
    pub(crate) http: HttpConfig,
}

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
    pub(crate) allow_insecure_http: bool,
    pub(crate) root_certificates: Option<PathBuf>,
    pub(crate) organization: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) workspace: Option<String>,
    /// Settings that only one provider has, by name; see `Provider::settings`.
    pub(crate) settings: Vec<(&'static str, String)>,
    pub(crate) connections: Option<Connections>,
    /// An account shared with other helpers.
    pub(crate) rate_limiter: Option<RateLimiter>,
    /// This helper's own limits.
    pub(crate) requests_per_minute: Option<u32>,
    pub(crate) tokens_per_minute: Option<u64>,
    pub(crate) token_budget: Option<u64>,
}

impl HelperConfig {
    /// A configuration for this provider, with every default.
    pub(crate) fn of(provider: &'static Provider) -> Self {
        Self {
            asked: provider,
            name: None,
            max_concurrent_tasks: 1,
            timeout: None,
            api_key: None,
            api_endpoint: None,
            model: None,
            custom_params: Map::new(),
            system_prompt: None,
            queue_capacity: DEFAULT_QUEUE_CAPACITY,
            max_prompt_bytes: DEFAULT_MAX_PROMPT_BYTES,
            max_context_bytes: DEFAULT_MAX_CONTEXT_BYTES,
            max_image_bytes: DEFAULT_MAX_IMAGE_BYTES,
            max_reply_bytes: DEFAULT_MAX_REPLY_BYTES,
            max_results: DEFAULT_MAX_RESULTS,
            max_result_bytes: DEFAULT_MAX_RESULT_BYTES,
            when_results_full: WhenResultsFull::DropOldest,
            stack_bytes: DEFAULT_STACK_BYTES,
            count_suspended_time: true,
            prices: None,
            trace: None,
            http: HttpConfig {
                connect_timeout: DEFAULT_CONNECT_TIMEOUT,
                first_byte_timeout: None,
                idle_timeout: None,
                max_retries: DEFAULT_MAX_RETRIES,
                max_retry_wait: DEFAULT_MAX_RETRY_WAIT,
                max_tool_rounds: DEFAULT_MAX_TOOL_ROUNDS,
                max_tool_output_bytes: DEFAULT_MAX_TOOL_OUTPUT_BYTES,
                allow_insecure_http: false,
                root_certificates: None,
                organization: None,
                project: None,
                workspace: None,
                settings: Vec::new(),
                connections: None,
                rate_limiter: None,
                requests_per_minute: None,
                tokens_per_minute: None,
                token_budget: None,
            },
        }
    }

    /// A name for people, in status reports and thread names. At most 128 bytes, no control
    /// characters. Defaults to the backend's name in configuration files.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many tasks run at once; each takes one OS thread. 1 to 256. Defaults to 1.
    #[must_use]
    pub fn max_concurrent_tasks(mut self, threads: usize) -> Self {
        self.max_concurrent_tasks = threads;
        self
    }

    /// How long a task may run from the moment a thread takes it, retries included.
    /// Defaults to 30 s; 120 s at Comet and Anthropic; 300 s at a Local model server.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The API key. White space around it is dropped. Defaults to the environment:
    /// `OPENAI_API_KEY` (ChatGPT), `OPIK_API_KEY` (Comet), `ANTHROPIC_API_KEY` or
    /// `ANTHROPIC_AUTH_TOKEN` (Anthropic), none (Local).
    #[must_use]
    pub fn api_key(mut self, key: impl AsRef<str>) -> Self {
        self.api_key = Some(Secret::new(key.as_ref()));
        self
    }

    /// The base URL, with its version part, such as `http://127.0.0.1:8080/v1`. Defaults to
    /// the environment (`OPENAI_BASE_URL`, `OPIK_URL_OVERRIDE`, `ANTHROPIC_BASE_URL`), then to
    /// the provider's own address; for Local, to the embedded engine. (Anthropic's has no
    /// version part; one that is given is taken for the same.)
    #[must_use]
    pub fn api_endpoint(mut self, url: impl Into<String>) -> Self {
        self.api_endpoint = Some(url.into());
        self
    }

    /// The model's name. Defaults to `gpt-4o-mini` (ChatGPT), and to the first model that
    /// the server lists (Local); Comet and Anthropic have no default.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = Some(model.into());
        self
    }

    /// A field of the provider's request body, passed as it is (`temperature`, `seed`, …);
    /// for the embedded engine `latency_ms` (how long it pretends to work).
    #[must_use]
    pub fn custom_param(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.custom_params.insert(key.into(), value.into());
        self
    }

    /// Several [`custom_param`](Self::custom_param)s; later values win.
    #[must_use]
    pub fn custom_params(mut self, params: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.custom_params.extend(params);
        self
    }

    /// Instructions to the model, sent before every prompt. Defaults to none.
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// How many tasks may wait, over all priorities; at least 1. Defaults to 256.
    #[must_use]
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = tasks;
        self
    }

    /// Longest prompt (with system prompt and earlier turns), in bytes. Defaults to 1 MiB.
    #[must_use]
    pub fn max_prompt_bytes(mut self, bytes: usize) -> Self {
        self.max_prompt_bytes = bytes;
        self
    }

    /// Largest context, in bytes of JSON. Defaults to 256 KiB.
    #[must_use]
    pub fn max_context_bytes(mut self, bytes: usize) -> Self {
        self.max_context_bytes = bytes;
        self
    }

    /// Largest picture of a request, in bytes; zero refuses them all. (A request has at most
    /// [`MAX_IMAGES`](crate::MAX_IMAGES).) Defaults to 5 MiB.
    #[must_use]
    pub fn max_image_bytes(mut self, bytes: usize) -> Self {
        self.max_image_bytes = bytes;
        self
    }

    /// Largest reply from the network, in bytes; a larger one ends the task as
    /// [`ResponseTooLarge`](crate::ErrorKind::ResponseTooLarge). Defaults to 4 MiB.
    #[must_use]
    pub fn max_reply_bytes(mut self, bytes: usize) -> Self {
        self.max_reply_bytes = bytes;
        self
    }

    /// How many finished tasks are kept; at least 1. Defaults to 1024.
    #[must_use]
    pub fn max_results(mut self, tasks: usize) -> Self {
        self.max_results = tasks;
        self
    }

    /// How much text of finished tasks (prompt, context, result) is kept, in bytes; the
    /// newest result is kept whatever its size. Defaults to 16 MiB.
    #[must_use]
    pub fn max_result_bytes(mut self, bytes: usize) -> Self {
        self.max_result_bytes = bytes;
        self
    }

    /// What happens when kept results reach their bound. Defaults to
    /// [`WhenResultsFull::DropOldest`].
    #[must_use]
    pub fn when_results_full(mut self, choice: WhenResultsFull) -> Self {
        self.when_results_full = choice;
        self
    }

    /// Stack of each thread, in bytes; at least 320 KiB. Defaults to 1 MiB, which is address
    /// space: only touched pages take memory.
    #[must_use]
    pub fn stack_bytes(mut self, bytes: usize) -> Self {
        self.stack_bytes = bytes;
        self
    }

    /// Whether time in which the device slept (Doze, a closed lid) counts against a task's
    /// [`deadline`](crate::TaskRequest::deadline), in the queue and while it runs. Exact with
    /// the cargo feature `rustix`, estimated without. Whoever waits for such a task looks at
    /// it each 10 s, since nothing wakes a waiting thread when the device wakes up; a running
    /// task that nobody waits for may take the time it slept in addition. Defaults to `true`.
    #[must_use]
    pub fn count_suspended_time(mut self, count: bool) -> Self {
        self.count_suspended_time = count;
        self
    }

    /// What tokens cost, so that tasks can tell it. Defaults to none: costs stay unknown.
    #[must_use]
    pub fn prices(mut self, prices: Prices) -> Self {
        self.prices = Some(Arc::new(prices));
        self
    }

    /// How much of this helper's tasks is traced in Opik. Defaults to
    /// [`TraceMode::Metadata`] at Comet, to [`TraceMode::Off`] elsewhere.
    #[must_use]
    pub fn trace(mut self, mode: TraceMode) -> Self {
        self.trace = Some(mode);
        self
    }

    /// Limit on name look-up, connecting and TLS together. Defaults to 10 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.http.connect_timeout = timeout;
        self
    }

    /// Limit from the sent request to the reply's first payload (the first event of a
    /// stream; headers and comments are none). Defaults to none: a slow model may take all of
    /// the task's time to read the prompt.
    #[must_use]
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.http.first_byte_timeout = Some(timeout);
        self
    }

    /// Limit on silence within a reply; keep-alive comments of a stream do not break it.
    /// Where it is set, and `first_byte_timeout` is not, it also holds between the reply's
    /// headers and its first payload. Defaults to 30 s; 60 s at Anthropic and
    /// a Local model server.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.http.idle_timeout = Some(timeout);
        self
    }

    /// How often a failed call is tried again, within the task's time. Defaults to 2.
    #[must_use]
    pub fn max_retries(mut self, retries: u32) -> Self {
        self.http.max_retries = retries;
        self
    }

    /// Longest wait that a server may ask for before a retry; if it asks for more, the task
    /// ends and tells when to come back. Defaults to 120 s.
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

    /// How much of one tool's output the model gets, in bytes; the rest is cut off, and the
    /// model is told so. Defaults to 64 KiB.
    #[must_use]
    pub fn max_tool_output_bytes(mut self, bytes: usize) -> Self {
        self.http.max_tool_output_bytes = bytes;
        self
    }

    /// Most requests in any 60 seconds, retries included; what is above waits, within its
    /// task's time. At least 1. Defaults to no limit.
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

    /// Most tokens in this helper's life; once they are spent, tasks end as
    /// [`QuotaExceeded`](crate::ErrorKind::QuotaExceeded) without a call. At least 1.
    /// Defaults to no limit.
    #[must_use]
    pub fn token_budget(mut self, tokens: u64) -> Self {
        self.http.token_budget = Some(tokens);
        self
    }

    /// Limits that this helper shares with others, on top of its own. Defaults to none.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: &RateLimiter) -> Self {
        self.http.rate_limiter = Some(limiter.clone());
        self
    }

    /// Which connections it shares with other helpers. Defaults to its manager's; without a
    /// manager, to its own.
    #[must_use]
    pub fn connections(mut self, connections: &Connections) -> Self {
        self.http.connections = Some(connections.clone());
        self
    }

    /// Allows to send a key, and prompts, over plain http to another host. Whoever is on the
    /// way can read them. Defaults to `false`.
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

    /// Comet workspace. Defaults to `OPIK_WORKSPACE`, then to none.
    #[must_use]
    pub fn workspace(mut self, name: impl Into<String>) -> Self {
        self.http.workspace = Some(name.into());
        self
    }

    /// Sets one of the provider's own settings.
    pub(crate) fn setting(mut self, name: &'static str, value: String) -> Self {
        self.http.settings.retain(|(other, _)| *other != name);
        self.http.settings.push((name, value));
        self
    }

    /// One of the provider's own settings.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn setting_of(&self, name: &str) -> Option<&str> {
        let found = self.http.settings.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The name, or its default.
    pub(crate) fn effective_name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.asked.name())
    }

    /// Who answers: as asked for, or who does so in its place at an endpoint of its own.
    pub(crate) fn provider(&self) -> &'static Provider {
        match self.asked.with_endpoint {
            Some(other) if self.api_endpoint.is_some() => other,
            _ => self.asked,
        }
    }

    /// The model that is set, or the provider's default; empty where there is neither.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn model_or_default(&self) -> &str {
        self.model.as_deref().or(self.provider().default_model).unwrap_or_default()
    }

    /// Whether a model server on the device answers, which decodes one answer at a time.
    pub(crate) fn is_local_server(&self) -> bool {
        self.asked.backend_type == BackendType::Local && self.api_endpoint.is_some()
    }

    /// The Opik project set here; OpenAI's projects are another thing.
    pub(crate) fn trace_project(&self) -> Option<&str> {
        let is_comet = self.asked.backend_type == BackendType::Comet;
        self.http.project.as_deref().filter(|_| is_comet)
    }

    /// The trace mode that is set, or the provider's default.
    pub(crate) fn effective_trace(&self) -> TraceMode {
        self.trace.unwrap_or(self.provider().trace)
    }

    /// The time-out that is set, or the provider's default.
    pub(crate) fn effective_timeout(&self) -> Duration {
        self.timeout.unwrap_or(self.provider().timeout)
    }

    /// The idle time-out that is set, or the provider's default.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) fn effective_idle_timeout(&self) -> Duration {
        self.http.idle_timeout.unwrap_or(self.provider().idle_timeout)
    }

    /// Refuses what cannot work in any backend. The endpoint is the backend's to check.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::InvalidConfig(why));
        let name = self.effective_name();
        if name.trim().is_empty() || name.len() > MAX_NAME_BYTES {
            return refuse(format!("the name must have 1 to {MAX_NAME_BYTES} bytes"));
        }
        let named = [("name", Some(name)), ("model", self.model.as_deref())];
        let optional = [
            ("api_endpoint", self.api_endpoint.as_deref()),
            ("api_key", self.api_key.as_ref().map(Secret::reveal)),
            ("organization", self.http.organization.as_deref()),
            ("project", self.http.project.as_deref()),
            ("workspace", self.http.workspace.as_deref()),
        ];
        let settings = self.http.settings.iter().map(|(name, text)| (*name, Some(text.as_str())));
        if let Some((foreign, _)) =
            settings.clone().find(|(name, _)| !self.provider().settings.contains(name))
        {
            return refuse(format!("{foreign} is no setting of a {} helper", self.asked.name()));
        }
        for (field, text) in named.into_iter().chain(optional).chain(settings) {
            let Some(text) = text else { continue };
            if text.trim().is_empty() {
                return refuse(format!("{field} is empty: leave it out, or give it a value"));
            }
            if text.chars().any(char::is_control) {
                return refuse(format!("{field} has control characters: remove them"));
            }
        }
        let threads = self.max_concurrent_tasks;
        if threads == 0 || threads > MAX_CONCURRENT_TASKS {
            return refuse(format!(
                "max_concurrent_tasks is {threads}: it must be 1 to {MAX_CONCURRENT_TASKS}"
            ));
        }
        let counts = [
            ("queue_capacity", self.queue_capacity),
            ("max_prompt_bytes", self.max_prompt_bytes),
            ("max_reply_bytes", self.max_reply_bytes),
            ("max_results", self.max_results),
            ("max_result_bytes", self.max_result_bytes),
        ];
        for (field, count) in counts {
            if count == 0 {
                return refuse(format!("{field} is zero: it must be at least 1"));
            }
        }
        let times = [
            ("timeout", Some(self.effective_timeout())),
            ("connect_timeout", Some(self.http.connect_timeout)),
            ("first_byte_timeout", self.http.first_byte_timeout),
            ("idle_timeout", self.http.idle_timeout),
        ];
        for (field, time) in times {
            if time == Some(Duration::ZERO) {
                return refuse(format!("{field} is zero: it leaves no time to work"));
            }
        }
        if self.stack_bytes < MIN_STACK_BYTES {
            return refuse(format!(
                "stack_bytes is {}: it must be at least {MIN_STACK_BYTES}, or a deep call \
                 ends the whole process",
                self.stack_bytes
            ));
        }
        Ok(())
    }
}

/// Everything but the key (and the system prompt, of which the length is told).
impl fmt::Debug for HelperConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperConfig")
            .field("backend_type", &self.asked.backend_type)
            .field("name", &self.effective_name())
            .field("max_concurrent_tasks", &self.max_concurrent_tasks)
            .field("timeout", &self.effective_timeout())
            .field("api_key", &self.api_key)
            .field("api_endpoint", &self.api_endpoint.as_deref().map(without_user_info))
            .field("model", &self.model)
            .field("custom_params", &self.custom_params.keys().collect::<Vec<_>>())
            .field("system_prompt_bytes", &self.system_prompt.as_ref().map(String::len))
            .field("queue_capacity", &self.queue_capacity)
            .field("max_prompt_bytes", &self.max_prompt_bytes)
            .field("max_context_bytes", &self.max_context_bytes)
            .field("max_image_bytes", &self.max_image_bytes)
            .field("max_reply_bytes", &self.max_reply_bytes)
            .field("max_results", &self.max_results)
            .field("max_result_bytes", &self.max_result_bytes)
            .field("when_results_full", &self.when_results_full)
            .field("stack_bytes", &self.stack_bytes)
            .field("priced", &self.prices.is_some())
            .field("trace", &self.effective_trace())
            .field("http", &self.http)
            .finish()
    }
}

/// A URL without what stands before its host or after its path: both can hold secrets.
pub(crate) fn without_user_info(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let host = authority.rsplit('@').next().unwrap_or_default();
            format!("{scheme}://{host}{path}")
        }
        None => url.rsplit('@').next().unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_lose_their_secrets() {
        assert_eq!(without_user_info("https://u:p@h:1/v1?key=k#f"), "https://h:1/v1");
        assert_eq!(without_user_info("u:p@h"), "h");
    }
}
