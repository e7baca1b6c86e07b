//! The Chat Completions API, as OpenAI and many other servers speak it.
//!
//! Source: openai/openai-openapi, openapi.yaml of 2026-08-21, and the servers' own replies.

mod back;
mod calls;
mod reply;
mod request;
mod stream;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;
use crate::engine::json::Json;
use crate::engine::limits::LimitHeaders;
use crate::engine::protocol::{Ask, Protocol, ReadStream};
use crate::providers::error_codes;
use crate::task::OpenAiApi;
use crate::task_error::ErrorKind;

/// The path below a base URL that ends in `/v1`.
pub(super) const PATH: &str = "/chat/completions";

/// OpenAI's rate limits, and that of servers that limit one thing.
pub(super) const LIMITS: &[LimitHeaders] = &[
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
];

/// HTTP's status for what is at odds with the server's state.
const CONFLICT: u16 = 409;

/// The protocol, with what one server's helper has learnt of that server.
pub(super) struct ChatCompletions {
    path: &'static str,
    provider_header: Option<&'static str>,
    /// Whether HTTP 409 is worth another try.
    retries_conflicts: bool,
    /// The field for the greatest number of tokens that may be written.
    limit: &'static str,
    cache_key: Option<String>,
    /// Whether streams are asked to report their usage. Cleared for good when the server
    /// refuses the field.
    asks_stream_usage: AtomicBool,
}

impl ChatCompletions {
    pub(super) fn new() -> Self {
        Self {
            path: PATH,
            provider_header: None,
            retries_conflicts: true,
            limit: "max_completion_tokens",
            cache_key: None,
            asks_stream_usage: AtomicBool::new(true),
        }
    }

    /// The same for a gateway: its path, and the header by which it names who runs the model. It
    /// answers 409 where no provider is registered, which no retry mends.
    pub(super) fn of_gateway(path: &'static str, provider_header: &'static str) -> Self {
        let provider_header = Some(provider_header);
        Self { path, provider_header, retries_conflicts: false, ..Self::new() }
    }

    /// The same for a server on the device: the older field's name is the one that all of them
    /// read.
    pub(super) fn of_local_server() -> Self {
        Self { limit: "max_tokens", ..Self::new() }
    }

    /// The same with a key under which the provider keeps what it has read of a prompt.
    pub(super) fn cache_key(mut self, key: Option<&str>) -> Self {
        self.cache_key = key.map(str::to_owned);
        self
    }

    /// Whether this request asks its stream for the usage.
    fn asks_usage(&self, ask: &Ask<'_>) -> bool {
        ask.stream
            && ask.param("stream_options").is_none()
            && self.asks_stream_usage.load(Ordering::Relaxed)
    }
}

impl Protocol for ChatCompletions {
    fn path(&self, _: &Ask<'_>) -> Cow<'static, str> {
        self.path.into()
    }

    fn api(&self) -> Option<OpenAiApi> {
        Some(OpenAiApi::ChatCompletions)
    }

    fn write(&self, ask: &Ask<'_>) -> Json {
        let stream_usage = self.asks_usage(ask);
        let cache_key = self.cache_key.as_deref();
        request::write(ask, &request::Dialect { stream_usage, limit: self.limit, cache_key })
    }

    fn read(&self, body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
        reply::read(body, draft)
    }

    fn stream(&self) -> Box<dyn ReadStream + '_> {
        Box::new(stream::Chunks::default())
    }

    fn kind_of_error(&self, status: u16, body: &ErrorBody) -> Option<ErrorKind> {
        error_codes::kind_of(status, body)
    }

    fn is_known_code(&self, code: &str) -> bool {
        error_codes::kind_of_code(code).is_some()
    }

    fn limit_headers(&self) -> &'static [LimitHeaders] {
        LIMITS
    }

    fn provider_header(&self) -> Option<&'static str> {
        self.provider_header
    }

    fn may_retry(&self, status: u16, _: ErrorKind, _: bool) -> bool {
        status != CONFLICT || self.retries_conflicts
    }

    /// The one field that is sent without being asked for: once more without it.
    fn will_change(&self, status: u16, body: &ErrorBody, ask: &Ask<'_>) -> bool {
        let is_about_usage = body.names("stream_options") || body.names("include_usage");
        let may_have_asked = ask.stream && ask.param("stream_options").is_none();
        let changes = matches!(status, 400 | 422) && is_about_usage && may_have_asked;
        if changes {
            self.asks_stream_usage.store(false, Ordering::Relaxed);
        }
        changes
    }
}
