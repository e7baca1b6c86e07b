//! What a failed call means: the kind of error, and whether another try could mend it.

use std::borrow::Cow;
use std::time::Duration;

use crate::backend::reply::ErrorBody;
use crate::number::whole_seconds;
use crate::task_error::{ErrorKind, TaskError};

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
    /// At once, for the request will be another one. Not counted as a retry.
    Changed,
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

/// What the kind of failure is called in our own words, with what to do.
fn summary(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Authentication => {
            "the server refused the key: check that it is whole, current, and for this endpoint"
        }
        ErrorKind::PermissionDenied => {
            "the key may not do this: check its project, its rights, and the region"
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

/// Codes and types that say: the budget is spent.
const QUOTA_CODES: &[&str] =
    &["insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"];
/// The end of codes that name a limit that was passed.
const LIMIT_CODE_END: &str = "_limit_exceeded";
/// The beginnings of such codes that are about pace, not about money.
const PACE_CODE_STARTS: &[&str] = &["rate", "request", "token", "concurren"];

/// The kind that a provider's code (or type) names, if it names one.
fn kind_of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "context_length_exceeded" | "exceed_context_size_error" => ErrorKind::ContextLengthExceeded,
        "content_filter" | "content_policy_violation" => ErrorKind::ContentFiltered,
        "invalid_api_key" | "authentication_error" => ErrorKind::Authentication,
        "permission_error" | "permission_denied" => ErrorKind::PermissionDenied,
        "model_not_found" | "not_found_error" => ErrorKind::NotFound,
        "rate_limit_exceeded" | "slow_down" | "rate_limit_error" => ErrorKind::RateLimited,
        "server_error" | "unavailable_error" | "service_unavailable_error" | "overloaded_error" => {
            ErrorKind::Server
        }
        "invalid_request_error" => ErrorKind::InvalidRequest,
        _ if QUOTA_CODES.contains(&code) => ErrorKind::QuotaExceeded,
        _ => {
            let limit = code.strip_suffix(LIMIT_CODE_END)?;
            match PACE_CODE_STARTS.iter().any(|start| limit.starts_with(start)) {
                true => ErrorKind::RateLimited,
                false => ErrorKind::QuotaExceeded,
            }
        }
    })
}

/// Whether this is a code of the protocol, and so no word of anybody's prompt.
pub(crate) fn is_known_code(code: &str) -> bool {
    kind_of_code(code).is_some()
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

/// The kind of a refusal. Codes are finer than statuses, but a status of refusal stands
/// where the code only says that the request was bad.
pub(crate) fn kind_of(status: u16, body: &ErrorBody) -> ErrorKind {
    // Errors in the middle of a stream, and of some servers, come with HTTP 200.
    let told = body.numeric_code().filter(|code| (400..600).contains(code));
    let refused = status >= 400;
    let status = if refused { Some(status) } else { told };
    let by_code = body.code_name().and_then(kind_of_code);
    let by_type = body.kind.as_deref().and_then(kind_of_code);
    match by_code.or(by_type) {
        // OpenAI gives this type to refused keys and unknown models too.
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

/// An error with everything typed that the provider told. What it told in free text is not in
/// it yet: that must be scrubbed first.
pub(crate) fn provider_error(status: u16, body: &ErrorBody, wait: Option<Duration>) -> TaskError {
    let kind = kind_of(status, body);
    let text: Cow<'static, str> = match (kind, wait) {
        (ErrorKind::RateLimited | ErrorKind::Server, Some(wait)) => {
            format!("the server asks to come back in {} s", whole_seconds(wait)).into()
        }
        _ => summary(kind).into(),
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
        _ if asked.is_some() => asked == Some(true),
        ErrorKind::RateLimited | ErrorKind::Server => true,
        _ => matches!(status, 408 | 409 | 429),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, json: &str) -> ErrorKind {
        kind_of(status, &ErrorBody::parse(json.as_bytes()).unwrap())
    }

    #[test]
    fn kinds_come_from_status_and_code() {
        use ErrorKind as K;
        for (status, json, expected) in [
            (
                401,
                r#"{"error":{"type":"invalid_request_error","code":"invalid_api_key"}}"#,
                K::Authentication,
            ),
            (404, r#"{"error":{"type":"invalid_request_error","code":null}}"#, K::NotFound),
            (
                400,
                r#"{"error":{"code":400,"type":"exceed_context_size_error"}}"#,
                K::ContextLengthExceeded,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}"#,
                K::ContextLengthExceeded,
            ),
            (429, r#"{"error":{"code":"rate_limit_exceeded","type":"requests"}}"#, K::RateLimited),
            (429, r#"{"error":{"code":"insufficient_quota"}}"#, K::QuotaExceeded),
            (429, r#"{"error":{"code":"project_spend_limit_exceeded"}}"#, K::QuotaExceeded),
            (429, r#"{"error":{"code":"tokens_limit_exceeded"}}"#, K::RateLimited),
            (429, r#"{"error":{"type":"insufficient_quota","code":null}}"#, K::QuotaExceeded),
            (402, r#"{"code":402,"message":"pay"}"#, K::QuotaExceeded),
            (503, r#"{"error":{"code":503,"type":"unavailable_error"}}"#, K::Server),
            (500, r#"{"error":{"code":500,"type":"invalid_request_error"}}"#, K::InvalidRequest),
            (200, r#"{"code":401,"message":"no","details":"x"}"#, K::Authentication),
            (200, r#"{"error":"Unexpected endpoint or method."}"#, K::Protocol),
            (200, r#"{"error":{"message":"boom"}}"#, K::Server),
            (422, r#"{"errors":["a","b"]}"#, K::InvalidRequest),
        ] {
            assert_eq!(kind(status, json), expected, "{status} {json}");
        }
    }

    #[test]
    fn a_server_s_word_cannot_make_a_spent_budget_worth_a_retry() {
        assert!(!may_retry(429, ErrorKind::QuotaExceeded, Some(true)));
        assert!(may_retry(400, ErrorKind::InvalidRequest, Some(true)));
        assert!(!may_retry(500, ErrorKind::Server, Some(false)));
        assert!(may_retry(409, ErrorKind::Server, None));
        assert!(!may_retry(400, ErrorKind::InvalidRequest, None));
    }
}
