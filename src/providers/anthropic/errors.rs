//! The API's error types.

use crate::engine::error_body::ErrorBody;
use crate::providers::error_codes;
use crate::task_error::ErrorKind;

/// The API's error where a monthly limit is reached: no wait of a task helps.
const SPEND_LIMIT: &str = "enforced_spend_limit_reached";

/// The kind that an error's type names; a few are distinguished by their fixed phrases alone.
pub(super) fn kind_of(status: u16, body: &ErrorBody) -> Option<ErrorKind> {
    if body.detail_code.as_deref() == Some(SPEND_LIMIT) {
        return Some(ErrorKind::QuotaExceeded);
    }
    match body.kind.as_deref().and_then(kind_of_type) {
        // Phrases, and the errors of the other API, which servers of this one answer with.
        kind @ (None | Some(ErrorKind::InvalidRequest)) => {
            error_codes::kind_of(status, body).or(kind)
        }
        kind => kind,
    }
}

/// The kind that a type (or another protocol's code) names, if it names one.
pub(super) fn kind_of_type(kind: &str) -> Option<ErrorKind> {
    Some(match kind {
        "billing_error" => ErrorKind::QuotaExceeded,
        "request_too_large" => ErrorKind::InvalidRequest,
        "conflict_error" | "api_error" | "timeout_error" => ErrorKind::Server,
        // The others are spelt alike in both.
        _ => return error_codes::kind_of_code(kind),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_from_types_and_fixed_phrases() {
        use ErrorKind as K;
        for (kind, message, expected) in [
            ("invalid_request_error", "max_tokens: Field required", K::InvalidRequest),
            (
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API.",
                K::QuotaExceeded,
            ),
            (
                "invalid_request_error",
                "You have reached your specified API usage limits.",
                K::QuotaExceeded,
            ),
            (
                "invalid_request_error",
                "prompt is too long: 207791 tokens > 200000 maximum",
                K::ContextLengthExceeded,
            ),
            (
                "invalid_request_error",
                "input length and `max_tokens` exceed context limit: 1 + 2 > 2",
                K::ContextLengthExceeded,
            ),
            ("authentication_error", "invalid x-api-key", K::Authentication),
            ("billing_error", "", K::QuotaExceeded),
            ("permission_error", "", K::PermissionDenied),
            ("not_found_error", "model: claude-0", K::NotFound),
            ("conflict_error", "", K::Server),
            ("request_too_large", "", K::InvalidRequest),
            ("rate_limit_error", "", K::RateLimited),
            ("api_error", "", K::Server),
            ("timeout_error", "", K::Server),
            ("overloaded_error", "Overloaded", K::Server),
            ("exceed_context_size_error", "", K::ContextLengthExceeded),
        ] {
            let json =
                format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
            let body = ErrorBody::parse(json.as_bytes()).unwrap();
            assert_eq!(kind_of(400, &body), Some(expected), "{kind} {message}");
        }
        let capped = br#"{"error":{"type":"rate_limit_error",
            "details":{"error_code":"enforced_spend_limit_reached"}}}"#;
        assert_eq!(kind_of(429, &ErrorBody::parse(capped).unwrap()), Some(K::QuotaExceeded));
    }
}
