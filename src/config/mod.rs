//! The configuration of a helper: its backend, its bounds, its times.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::nesting::bounded;
use crate::prices::Prices;
use crate::secret::Secret;
use crate::url::shown;

mod bounds;
mod check;
mod http;
mod kinds;
mod provider;

pub use bounds::{
    DEFAULT_CONNECT_TIMEOUT, DEFAULT_MAX_CONTEXT_BYTES, DEFAULT_MAX_IMAGE_BYTES,
    DEFAULT_MAX_PROMPT_BYTES, DEFAULT_MAX_QUEUED_IMAGE_BYTES, DEFAULT_MAX_REPLY_BYTES,
    DEFAULT_MAX_REQUEST_BYTES, DEFAULT_MAX_RESULT_BYTES, DEFAULT_MAX_RESULTS, DEFAULT_MAX_RETRIES,
    DEFAULT_MAX_RETRY_WAIT, DEFAULT_MAX_TOOL_OUTPUT_BYTES, DEFAULT_MAX_TOOL_ROUNDS,
    DEFAULT_QUEUE_CAPACITY, DEFAULT_STACK_BYTES, MAX_CONCURRENT_TASKS, MAX_NAME_BYTES,
    MIN_STACK_BYTES,
};
pub(crate) use bounds::{IDLE, TIMEOUT};
pub(crate) use http::HttpConfig;
pub use kinds::{BackendType, TraceMode, WhenResultsFull};
pub use provider::Provider;

/// The configuration of a helper.
///
/// Every setter states its default. The configuration is validated when the helper is created.
/// `Debug` never shows the key. Can be read from JSON with the field names of the Python
/// prototype; [`guide::json`](crate::guide::json) lists every field:
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
    /// The provider as configured; see [`provider`](Self::provider).
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
    pub(crate) max_request_bytes: usize,
    pub(crate) max_image_bytes: usize,
    pub(crate) max_queued_image_bytes: usize,
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
            max_request_bytes: DEFAULT_MAX_REQUEST_BYTES,
            max_image_bytes: DEFAULT_MAX_IMAGE_BYTES,
            max_queued_image_bytes: DEFAULT_MAX_QUEUED_IMAGE_BYTES,
            max_reply_bytes: DEFAULT_MAX_REPLY_BYTES,
            max_results: DEFAULT_MAX_RESULTS,
            max_result_bytes: DEFAULT_MAX_RESULT_BYTES,
            when_results_full: WhenResultsFull::DropOldest,
            stack_bytes: DEFAULT_STACK_BYTES,
            count_suspended_time: true,
            prices: None,
            trace: None,
            http: HttpConfig::default(),
        }
    }

    /// The display name, in status reports and thread names. At most 128 bytes, no control
    /// characters. Defaults to the backend's name in configuration files.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many tasks run at once; each takes one OS thread. 1 to 256. Defaults to 1.
    #[doc(alias("thread pool", "worker pool"))]
    #[must_use]
    pub fn max_concurrent_tasks(mut self, threads: usize) -> Self {
        self.max_concurrent_tasks = threads;
        self
    }

    /// How long a task may run from the moment a thread takes it, retries included. A backend has
    /// 0.25 s more to return its own error; an answer in that time counts. Defaults to 30 s; 120 s at Comet and Anthropic; 300 s at a Local model server.
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

    /// The base URL, with its version part, such as `http://127.0.0.1:8080/v1`. Defaults to the
    /// environment (`OPENAI_BASE_URL`, `OPIK_URL_OVERRIDE`, `ANTHROPIC_BASE_URL`), then to the
    /// provider's own address; for Local, to the embedded engine. (Anthropic's default has no
    /// version part; a URL with one means the same.)
    #[doc(alias = "base_url")]
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

    /// A field of the provider's request body, passed unchanged (`temperature`, `seed`, …); for
    /// the embedded engine `latency_ms` (its simulated latency in milliseconds). A value set by a
    /// method of its own (`reply_schema`, `reasoning_effort`, `max_output_tokens`, …) precedes a
    /// parameter for the same field; the list `tools` is sent before the request's own tools.
    /// `messages`, `input`, `stream`, and `n` other than 1 are rejected as invalid.
    #[doc(alias = "temperature")]
    #[must_use]
    pub fn custom_param(mut self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        self.custom_params.insert(key.into(), bounded(value.into()));
        self
    }

    /// Several [`custom_param`](Self::custom_param)s; later values win.
    #[must_use]
    pub fn custom_params(mut self, params: impl IntoIterator<Item = (String, Value)>) -> Self {
        self.custom_params.extend(params.into_iter().map(|(key, value)| (key, bounded(value))));
        self
    }

    /// Instructions to the model, sent before every prompt. Defaults to none.
    #[doc(alias = "system message")]
    #[must_use]
    pub fn system_prompt(mut self, text: impl Into<String>) -> Self {
        self.system_prompt = Some(text.into());
        self
    }

    /// How many tasks may be queued, over all priorities; at least 1. Defaults to 256. Beside them
    /// as many callbacks of ended tasks may wait for a thread, before a submit is refused.
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

    /// Largest request beside its prompt and its pictures: context, custom parameters and reply
    /// schema together, in bytes of JSON. (Tools are the program's own: they are counted, at most
    /// [`MAX_REQUEST_ITEMS`](crate::limits::MAX_REQUEST_ITEMS), not measured.) Defaults to 1 MiB.
    #[must_use]
    pub fn max_request_bytes(mut self, bytes: usize) -> Self {
        self.max_request_bytes = bytes;
        self
    }

    /// Largest picture of a request, in bytes; zero rejects all pictures. (A request has at most
    /// [`MAX_IMAGES`](crate::MAX_IMAGES).) Defaults to 5 MiB.
    #[must_use]
    pub fn max_image_bytes(mut self, bytes: usize) -> Self {
        self.max_image_bytes = bytes;
        self
    }

    /// Bytes of pictures in all queued tasks together; a request that would exceed them gets
    /// [`QueueFull`](crate::Error::QueueFull). A request that alone exceeds them is rejected as
    /// invalid. A picture that several queued requests share counts for each. Defaults to 80 MiB.
    #[must_use]
    pub fn max_queued_image_bytes(mut self, bytes: usize) -> Self {
        self.max_queued_image_bytes = bytes;
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

    /// How much text of finished tasks (prompt, context, result) is kept, in bytes; the newest
    /// result is always kept. Defaults to 16 MiB.
    #[must_use]
    pub fn max_result_bytes(mut self, bytes: usize) -> Self {
        self.max_result_bytes = bytes;
        self
    }

    /// The action when kept results reach their bound. Defaults to
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

    /// Whether time in which the device was suspended (Doze, a closed lid) counts against a
    /// task's [`deadline`](crate::TaskRequest::deadline), in the queue and while it runs. Exact
    /// with the cargo feature `rustix`, estimated without. A thread that waits for such a task
    /// looks at it every 10 s, since nothing wakes a waiting thread when the device resumes; a
    /// running task that no thread waits for may exceed its deadline by the suspended time.
    /// Defaults to `true`.
    #[must_use]
    pub fn count_suspended_time(mut self, count: bool) -> Self {
        self.count_suspended_time = count;
        self
    }

    /// The prices of tokens, for [`Task::cost`](crate::Task::cost). Defaults to none: the cost is
    /// then `None`.
    #[doc(alias = "cost")]
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

    /// The name, or its default.
    pub(crate) fn effective_name(&self) -> &str {
        self.name.as_deref().unwrap_or(self.asked.name())
    }

    /// The provider that answers: the configured one, or its replacement at a custom endpoint.
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

    /// The Opik project set here; OpenAI's projects are something else.
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
}

/// All fields but the key; of the system prompt only the length.
impl fmt::Debug for HelperConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelperConfig")
            .field("backend_type", &self.asked.backend_type)
            .field("name", &self.effective_name())
            .field("max_concurrent_tasks", &self.max_concurrent_tasks)
            .field("timeout", &self.effective_timeout())
            .field("api_key", &self.api_key)
            .field("api_endpoint", &self.api_endpoint.as_deref().map(shown))
            .field("model", &self.model)
            .field("custom_params", &self.custom_params.keys().collect::<Vec<_>>())
            .field("system_prompt_bytes", &self.system_prompt.as_ref().map(String::len))
            .field("queue_capacity", &self.queue_capacity)
            .field("max_prompt_bytes", &self.max_prompt_bytes)
            .field("max_context_bytes", &self.max_context_bytes)
            .field("max_request_bytes", &self.max_request_bytes)
            .field("max_image_bytes", &self.max_image_bytes)
            .field("max_queued_image_bytes", &self.max_queued_image_bytes)
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
