//! The Chat Completions API, as OpenAI and many other servers speak it.
//!
//! Source: openai/openai-openapi, openapi.yaml of 2026-08-21, and the servers' own replies.

mod back;
mod calls;
mod errors;
mod finish;
mod limits;
mod reply;
mod request;
mod stream;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::draft::{BadReply, Draft};
use crate::engine::error_body::ErrorBody;
use crate::engine::protocol::{Ask, Headers, Protocol, ReadStream};
use crate::task_error::ErrorKind;

pub(super) use errors::kind_of_code;
pub(super) use finish::{Finish, finish};

/// The path below a base URL that ends in `/v1`.
pub(super) const PATH: &str = "/chat/completions";

/// HTTP's status for what is at odds with the server's state.
const CONFLICT: u16 = 409;

/// The protocol, with what one server's helper has learnt of that server.
pub(super) struct ChatCompletions {
    path: &'static str,
    provider_header: Option<&'static str>,
    /// Whether HTTP 409 is worth another try.
    retries_conflicts: bool,
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
            asks_stream_usage: AtomicBool::new(true),
        }
    }

    /// The same for a gateway: its path, and the header by which it names who runs the model. It
    /// answers 409 where no provider is registered, which no retry mends.
    pub(super) fn of_gateway(path: &'static str, provider_header: &'static str) -> Self {
        let provider_header = Some(provider_header);
        Self { path, provider_header, retries_conflicts: false, ..Self::new() }
    }

    /// Whether this request asks its stream for the usage.
    fn asks_usage(&self, ask: &Ask<'_>) -> bool {
        ask.stream
            && ask.param("stream_options").is_none()
            && self.asks_stream_usage.load(Ordering::Relaxed)
    }
}

impl Protocol for ChatCompletions {
    fn path(&self) -> &'static str {
        self.path
    }

    fn reserved(&self) -> &'static [&'static str] {
        request::RESERVED
    }

    fn write(&self, ask: &Ask<'_>) -> Vec<u8> {
        request::write(ask, self.asks_usage(ask))
    }

    fn read(&self, body: &[u8], draft: &mut Draft) -> Result<(), BadReply> {
        reply::read(body, draft)
    }

    fn stream(&self) -> Box<dyn ReadStream + '_> {
        Box::new(stream::Chunks::default())
    }

    fn kind_of_error(&self, status: u16, body: &ErrorBody) -> Option<ErrorKind> {
        errors::kind_of(status, body)
    }

    fn is_known_code(&self, code: &str) -> bool {
        errors::kind_of_code(code).is_some()
    }

    fn announced_pause(&self, headers: &dyn Headers) -> Option<Duration> {
        limits::announced_pause(headers)
    }

    fn provider_header(&self) -> Option<&'static str> {
        self.provider_header
    }

    fn opaque_is_call(&self) -> bool {
        false
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
