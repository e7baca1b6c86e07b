//! Classifies a failed call: the kind of error, and whether a retry could succeed.

use std::borrow::Cow;
use std::time::Duration;

use crate::backend::{cancelled, timed_out};
use crate::engine::error_body::ErrorBody;
use crate::engine::protocol::Protocol;
use crate::http::{CallPhase, Fault};
use crate::number::whole_seconds;
use crate::task_error::{ErrorKind, TaskError};

/// Longest wait that a server can mean: ten years.
const SENSIBLE_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// A failed call.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: TaskError,
    pub(crate) retry: Retry,
}

/// Whether a call may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retry {
    /// It would fail again.
    Never,
    /// It may work after a while.
    Soon,
    /// The server names the wait.
    After(Duration),
    /// At once, over a new connection: the one that was kept turned out to be closed.
    Fresh,
    /// At once, for the request will be another one. Not counted as a retry.
    Changed,
    /// At once, by the other protocol that the server named. Not counted as a retry.
    Switched,
}

impl Failure {
    /// A failure that another try cannot mend.
    pub(crate) fn last(error: TaskError) -> Self {
        Self { error, retry: Retry::Never }
    }

    /// A failure that another try may mend.
    pub(crate) fn again(error: TaskError) -> Self {
        Self { error, retry: Retry::Soon }
    }

    /// The same with the part of the answer that came before.
    pub(crate) fn with_partial(mut self, text: &str) -> Self {
        if !text.is_empty() {
            self.error = self.error.with_partial(text);
        }
        self
    }
}

/// The failure of a call that gets no connection through a proxy.
fn proxy(name: &str, why: Fault) -> Failure {
    let (what, may_pass) = match why {
        Fault::ProxyRefused { what, may_pass } => (what, may_pass),
        Fault::ConnectionRefused => ("nobody listens there".to_owned(), true),
        Fault::NameNotFound => ("its name could not be looked up".to_owned(), true),
        Fault::Unreachable => ("it cannot be reached".to_owned(), true),
        Fault::PhaseTimedOut(_) => ("no answer within connect_timeout".to_owned(), true),
        Fault::HandshakeFailed(why) => (format!("no secure connection to it: {why}"), false),
        _ => ("the connection to it broke".to_owned(), true),
    };
    let what = format!(
        "no way through the proxy {name}: {what}; check the proxy's variables (HTTPS_PROXY, \
         HTTP_PROXY, ALL_PROXY, NO_PROXY)"
    );
    let error = TaskError::new(ErrorKind::Network, what);
    if may_pass { Failure::again(error) } else { Failure::last(error) }
}

/// The failure of a call whose reply has a status from 300 to 399.
pub(crate) fn redirection(status: u16) -> Failure {
    let what = match status {
        301 | 302 | 303 | 307 | 308 => {
            "the server sends us to another address, which is not followed: set api_endpoint to \
             the right one"
        }
        _ => "the server's reply is neither an answer nor an error: check api_endpoint",
    };
    Failure::last(TaskError::new(ErrorKind::Protocol, what).with_status(status))
}

/// Maps a failure of HTTP to a task's error, with advice.
impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let network = |what| Self::again(TaskError::new(ErrorKind::Network, what));
        let last = |kind, what| Self::last(TaskError::new(kind, what));
        match fault {
            Fault::Cancelled => Self::last(cancelled()),
            Fault::DeadlinePassed => Self::last(timed_out()),
            Fault::PhaseTimedOut(CallPhase::Connect) => network(
                "no connection within connect_timeout: check api_endpoint and the network, \
                 or raise the limit",
            ),
            Fault::PhaseTimedOut(CallPhase::Send | CallPhase::FirstByte) => last(
                ErrorKind::Timeout,
                "the server accepted the request, but its answer did not begin in time: raise \
                 first_byte_timeout (or idle_timeout), or ask for less",
            ),
            Fault::PhaseTimedOut(CallPhase::Body) => last(
                ErrorKind::Timeout,
                "the answer began, but then the server fell silent: raise idle_timeout if it is \
                 just slow",
            ),
            Fault::NameNotFound => network(
                "the host name could not be looked up: check api_endpoint, and that the device \
                 is online",
            ),
            Fault::ConnectionRefused => network(
                "connection refused: is the server running, and is api_endpoint's port right?",
            ),
            Fault::Unreachable => network("the network is unreachable: is the device online?"),
            Fault::ConnectionClosed => {
                network("the server closed the connection before it answered")
            }
            Fault::KeptConnectionClosed => Self {
                retry: Retry::Fresh,
                ..network(
                    "the server closed a connection that was kept from before, and did not \
                     answer: it may have read the request",
                )
            },
            Fault::BodyCutOff => Self::again(TaskError::new(
                ErrorKind::Truncated,
                "the connection broke in the middle of the answer",
            )),
            Fault::HandshakeFailed(why) => Self::last(TaskError::new(
                ErrorKind::Network,
                format!(
                    "no secure connection: {why}; check the device's clock, the host name, and \
                     (for a company or self-signed certificate) root_certificates or \
                     SSL_CERT_FILE"
                ),
            )),
            Fault::TlsBroken { why, permanent } => {
                let what = format!("the secure connection broke: {why}");
                let error = TaskError::new(ErrorKind::Network, what);
                if permanent { Self::last(error) } else { Self::again(error) }
            }
            Fault::Proxy { name, why } => proxy(&name, *why),
            refused @ Fault::ProxyRefused { .. } => proxy("of the environment", refused),
            Fault::HeadersTooLong => {
                last(ErrorKind::Protocol, "the reply's headers are too long, or too many")
            }
            Fault::NotHttp => last(
                ErrorKind::Protocol,
                "the server does not speak HTTP as expected: check api_endpoint's scheme and port",
            ),
            Fault::Failed(word) => {
                let word = word.map_or(String::new(), |word| format!(": {word}"));
                let failed = format!("the connection failed{word}");
                Self::again(TaskError::new(ErrorKind::Network, failed))
            }
        }
    }
}

/// The library's own text for a kind of failure, with advice.
fn summary(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Authentication => {
            "the server rejected the key: check that it is whole, current, and for this endpoint"
        }
        ErrorKind::PermissionDenied => {
            "the key may not do this: check its project or workspace, its rights, and the region"
        }
        ErrorKind::NotFound => "the server knows no such address or model: check both names",
        ErrorKind::RateLimited => "too many requests or tokens for now: come back later",
        ErrorKind::QuotaExceeded => {
            "the account's budget is spent: add credit or raise its limit; waiting will not help"
        }
        ErrorKind::ContextLengthExceeded => {
            "prompt and context are longer than the model can read: shorten them"
        }
        ErrorKind::ContentFiltered => "the provider's content rules refused this",
        ErrorKind::Server => "the server failed or is overloaded",
        ErrorKind::Protocol => {
            "the server answered with an error of its own kind: check api_endpoint's path"
        }
        _ => "the server cannot accept this request: see its message and custom_params",
    }
}

/// The same where the request was too large, or nothing was said that one could read.
fn summary_of(kind: ErrorKind, status: u16, body: &ErrorBody) -> &'static str {
    match (status, kind) {
        (413, ErrorKind::RateLimited) => {
            "the request has more tokens than the account may send in a minute: shorten prompt and \
             context, or have the limit raised; waiting will not help"
        }
        (413, ErrorKind::InvalidRequest) => {
            "the request is larger than the server, or a proxy before it, takes: shorten prompt \
             and context"
        }
        (_, ErrorKind::InvalidRequest) if body.message.is_none() => {
            "the server cannot accept this request and does not say why: check api_endpoint, the \
             model's name and custom_params"
        }
        _ => summary(kind),
    }
}

/// The kind that an HTTP status names by itself.
fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Authentication,
        402 => ErrorKind::QuotaExceeded,
        403 => ErrorKind::PermissionDenied,
        404 => ErrorKind::NotFound,
        // 408: the server lost patience; 409: it was busy with the same thing.
        408 | 409 | 500..=599 => ErrorKind::Server,
        429 => ErrorKind::RateLimited,
        _ => ErrorKind::InvalidRequest,
    }
}

/// The status that counts: errors in the middle of a stream, and of some servers, come with
/// HTTP 200 and say in their body what they are.
fn effective_status(status: u16, body: &ErrorBody) -> Option<u16> {
    let in_body = body.numeric_code().filter(|code| (400..600).contains(code));
    // A status in the body takes precedence: gateways answer 400 or 500 for all.
    body.status.or(if status >= 400 { Some(status) } else { in_body })
}

/// The kind of a rejection: what the protocol finds in the body is finer than a status.
pub(crate) fn kind_of(status: u16, body: &ErrorBody, protocol: &dyn Protocol) -> ErrorKind {
    let status = effective_status(status, body);
    match protocol.kind_of_error(status.unwrap_or(0), body) {
        // Servers give this type to rejected keys and unknown models too: the status is more
        // precise.
        Some(ErrorKind::InvalidRequest) => match status {
            Some(status @ 400..=499) => kind_of_status(status),
            _ => ErrorKind::InvalidRequest,
        },
        Some(kind) => kind,
        None => match status {
            Some(status) => kind_of_status(status),
            None if body.is_bare => ErrorKind::Protocol,
            None => ErrorKind::Server,
        },
    }
}

/// An error with all typed facts from the provider. Its free text is not in
/// it yet: that must be scrubbed first.
pub(crate) fn provider_error(
    kind: ErrorKind,
    status: u16,
    body: &ErrorBody,
    wait: Option<Duration>,
) -> TaskError {
    let text: Cow<'static, str> = match (kind, wait) {
        (ErrorKind::RateLimited | ErrorKind::Server, Some(wait)) if wait > SENSIBLE_MAX => {
            "the server asks to come back after a time beyond all sense".into()
        }
        (ErrorKind::RateLimited | ErrorKind::Server, Some(wait)) if status != 413 => {
            format!("the server asks to come back in {} s", whole_seconds(wait)).into()
        }
        _ => summary_of(kind, status, body).into(),
    };
    let mut error = TaskError::new(kind, text).with_status(status);
    if let Some(wait) = wait {
        error = error.with_retry_after(wait);
    }
    if let Some(code) = body.code_name().or(body.kind.as_deref()) {
        error = error.with_code(code);
    }
    error
}

/// Whether a refused call may be tried again, by its facts alone.
pub(crate) fn may_retry(status: u16, kind: ErrorKind, asked: Option<bool>) -> bool {
    match kind {
        // No retry mends these, whatever the server says.
        ErrorKind::QuotaExceeded
        | ErrorKind::Authentication
        | ErrorKind::PermissionDenied
        | ErrorKind::ContextLengthExceeded
        | ErrorKind::ContentFiltered => false,
        // Nor this: a request that is too large stays so.
        _ if status == 413 => false,
        _ if asked.is_some() => asked == Some(true),
        ErrorKind::RateLimited | ErrorKind::Server => true,
        _ => matches!(status, 408 | 409 | 429),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_word_cannot_make_a_spent_budget_worth_a_retry() {
        assert!(!may_retry(429, ErrorKind::QuotaExceeded, Some(true)));
        assert!(may_retry(400, ErrorKind::InvalidRequest, Some(true)));
        assert!(!may_retry(500, ErrorKind::Server, Some(false)));
        assert!(may_retry(409, ErrorKind::Server, None));
        assert!(!may_retry(400, ErrorKind::InvalidRequest, None));
    }
}
