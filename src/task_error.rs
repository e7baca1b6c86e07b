//! Why a task failed: a kind to act on, and the facts behind it.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::text::clean;

/// The kind of failure that ended a task. Decide by this, never by the text of a message.
///
/// It is derived from typed facts (HTTP status, provider code, the limit that was exceeded).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The task's time ran out, in the queue or while it ran.
    Timeout,
    /// The task was cancelled by its owner, or its helper was stopped while it ran.
    Cancelled,
    /// The helper was stopped before the task began.
    Terminated,
    /// A backend, tool or callback panicked.
    Panicked,
    /// The provider rejects this request as it is; sending it again will not help.
    InvalidRequest,
    /// The key is missing, wrong or expired.
    Authentication,
    /// The key is valid, but has no permission for this.
    PermissionDenied,
    /// The endpoint or model does not exist.
    NotFound,
    /// Too many requests or tokens at the moment; it may succeed later.
    RateLimited,
    /// The account's or the helper's budget is spent; waiting will not help.
    QuotaExceeded,
    /// Prompt and context are longer than the model's context window.
    ContextLengthExceeded,
    /// The provider withheld the answer, or the model refused.
    ContentFiltered,
    /// The answer was cut off; [`TaskError::partial`] has the text that arrived.
    Truncated,
    /// The provider failed or is overloaded.
    Server,
    /// No connection, or it was lost: name look-up, connect, TLS, reset.
    Network,
    /// The server's reply does not follow the expected protocol.
    Protocol,
    /// The answer is larger than the helper's limit on replies.
    ResponseTooLarge,
    /// The backend does not support what the request asks for.
    Unsupported,
    /// A failure that fits no other kind: of a custom backend, or a model that asks for more rounds
    /// of tool calls than `max_tool_rounds`.
    Other,
}

impl ErrorKind {
    /// The kind in snake case, as in telemetry lines and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Terminated => "terminated",
            Self::Panicked => "panicked",
            Self::InvalidRequest => "invalid_request",
            Self::Authentication => "authentication",
            Self::PermissionDenied => "permission_denied",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::QuotaExceeded => "quota_exceeded",
            Self::ContextLengthExceeded => "context_length_exceeded",
            Self::ContentFiltered => "content_filtered",
            Self::Truncated => "truncated",
            Self::Server => "server",
            Self::Network => "network",
            Self::Protocol => "protocol",
            Self::ResponseTooLarge => "response_too_large",
            Self::Unsupported => "unsupported",
            Self::Other => "other",
        }
    }

    /// Whether every request of the helper fails so until a person changes something (a key, a model
    /// name, an account). A helper whose last task ended with such a failure reports
    /// [`HelperStatus::Error`](crate::HelperStatus::Error).
    pub const fn repeats_without_human(self) -> bool {
        matches!(
            self,
            Self::Authentication | Self::PermissionDenied | Self::NotFound | Self::QuotaExceeded
        )
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Why a task has no result.
///
/// `Display` states what happened and what to do; it holds no key and no prompt. A server's
/// message ([`message`](Self::message)) is separate from the library's own text
/// ([`summary`](Self::summary)): only the latter goes into telemetry.
#[derive(Clone, PartialEq, Eq)]
pub struct TaskError(Box<Inner>);

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    kind: ErrorKind,
    summary: Cow<'static, str>,
    detail: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    partial: Option<String>,
}

/// Longest provider code or request id that is kept, in bytes. OpenAI's request ids take 36.
const FOREIGN_NAME_BYTES_MAX: usize = 64;

/// Longest provider message that is kept, in bytes: enough for one to three sentences.
const FOREIGN_MESSAGE_BYTES_MAX: usize = 512;

impl TaskError {
    /// An error of this kind with a summary: one sentence that says what to do, without key,
    /// prompt or reply (it goes into telemetry).
    pub fn new(kind: ErrorKind, summary: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            kind,
            summary: summary.into(),
            detail: None,
            status: None,
            code: None,
            request_id: None,
            retry_after: None,
            partial: None,
        }))
    }

    /// Adds the provider's message. Control characters are replaced and the text is cut to 512
    /// bytes. The caller must remove keys from it first.
    #[must_use]
    pub fn with_message(mut self, message: &str) -> Self {
        let message = clean(message, FOREIGN_MESSAGE_BYTES_MAX);
        self.0.detail = (!message.is_empty()).then_some(message);
        self
    }

    /// Adds the HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    /// Adds the provider's own code, such as `invalid_api_key`. A text that is not a name
    /// (letters, digits, `_ - . :`, at most 64 bytes) is left out.
    #[must_use]
    pub fn with_code(mut self, code: &str) -> Self {
        self.0.code = foreign_name(code);
        self
    }

    /// Adds the provider's id of the request, to quote to its support. A text that is not a name
    /// (as for codes) is left out.
    #[must_use]
    pub fn with_request_id(mut self, id: &str) -> Self {
        self.0.request_id = foreign_name(id);
        self
    }

    /// Adds how long the provider asks to wait before a retry.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Adds the part of the answer that arrived before the failure.
    #[must_use]
    pub fn with_partial(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        self.0.partial = (!text.is_empty()).then_some(text);
        self
    }

    /// The same with another summary.
    pub(crate) fn with_summary(mut self, summary: &'static str) -> Self {
        self.0.summary = Cow::Borrowed(summary);
        self
    }

    /// The same with this partial text, unless it has one at least as long: a backend knows what its
    /// last request got, the text that was sent is that of all its requests.
    pub(crate) fn with_partial_if_longer(self, text: String) -> Self {
        let has = self.0.partial.as_ref().map_or(0, |partial| partial.len());
        if has >= text.len() { self } else { self.with_partial(text) }
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The provider's message, if there is one; otherwise the summary.
    pub fn message(&self) -> &str {
        self.0.detail.as_deref().unwrap_or(&self.0.summary)
    }

    /// The library's own text: what happened and what to do, without anything a server sent.
    pub fn summary(&self) -> &str {
        &self.0.summary
    }

    /// The HTTP status, where a server answered.
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The provider's own code for the failure.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// The provider's id of the failed request.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// How long the provider asks to wait before the next attempt; as long as [`Duration::MAX`] where it
    /// says so, which no clock can add.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The part of the answer that arrived before the failure.
    pub fn partial(&self) -> Option<&str> {
        self.0.partial.as_deref()
    }

    /// Bytes of text held, for the bound on kept results.
    pub(crate) fn text_bytes(&self) -> usize {
        let len = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.0.summary.len() + len(&self.0.detail) + len(&self.0.partial)
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.summary)?;
        let mut separator = " (";
        // (As u64: that is written elsewhere too.)
        if let Some(status) = self.0.status.map(u64::from) {
            write!(f, "{separator}HTTP {status}")?;
            separator = ", ";
        }
        if let Some(code) = &self.0.code {
            write!(f, "{separator}code {code}")?;
            separator = ", ";
        }
        if let Some(id) = &self.0.request_id {
            write!(f, "{separator}request {id}")?;
            separator = ", ";
        }
        if separator == ", " {
            f.write_str(")")?;
        }
        match &self.0.detail {
            Some(detail) => write!(f, "; the server said: {detail}"),
            None => Ok(()),
        }
    }
}

/// All fields; of the partial answer only the length.
impl fmt::Debug for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskError")
            .field("kind", &self.0.kind)
            .field("summary", &self.0.summary)
            .field("message", &self.0.detail)
            .field("status", &self.0.status)
            .field("code", &self.0.code)
            .field("request_id", &self.0.request_id)
            .field("retry_after", &self.0.retry_after)
            .field("partial_bytes", &self.0.partial.as_ref().map(String::len))
            .finish()
    }
}

impl std::error::Error for TaskError {}

impl Serialize for TaskError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_struct("TaskError", 8)?;
        out.serialize_field("kind", &self.0.kind)?;
        out.serialize_field("summary", &self.0.summary)?;
        out.serialize_field("message", self.message())?;
        out.serialize_field("status", &self.0.status)?;
        out.serialize_field("code", &self.0.code)?;
        out.serialize_field("request_id", &self.0.request_id)?;
        let wait = self.0.retry_after.map(|wait| wait.as_secs_f64());
        out.serialize_field("retry_after_seconds", &wait)?;
        out.serialize_field("partial", &self.0.partial)?;
        out.end()
    }
}

/// The text if it is a name, else `None`: provider codes go into telemetry, provider prose must
/// not.
fn foreign_name(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    let named = !text.is_empty() && text.len() <= FOREIGN_NAME_BYTES_MAX;
    (named && text.bytes().all(plain)).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_states_the_facts_and_debug_hides_the_partial_answer() {
        let error = TaskError::new(ErrorKind::RateLimited, "slow down")
            .with_status(429)
            .with_code("rate_limit_exceeded")
            .with_request_id("req_1")
            .with_message("too\nfast")
            .with_partial("the secret reply");
        assert_eq!(
            error.to_string(),
            "slow down (HTTP 429, code rate_limit_exceeded, request req_1); \
             the server said: too fast"
        );
        let debug = format!("{error:?}");
        assert!(!debug.contains("secret reply") && debug.contains("16"), "{debug}");
    }

    #[test]
    fn a_code_that_is_prose_is_left_out() {
        let error = TaskError::new(ErrorKind::Other, "x").with_code("my whole prompt");
        assert_eq!(error.code(), None);
    }

    #[test]
    fn the_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Option<TaskError>>(), size_of::<usize>());
    }
}
