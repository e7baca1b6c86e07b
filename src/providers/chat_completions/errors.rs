//! What the API's error codes and types mean.

use crate::engine::error_body::ErrorBody;
use crate::task_error::ErrorKind;

/// Codes and types that say: the budget is spent.
const QUOTA_CODES: &[&str] =
    &["insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached"];
/// The end of codes that name a limit that was passed.
const LIMIT_CODE_END: &str = "_limit_exceeded";
/// The beginnings of such codes that are about pace, not about money.
const PACE_CODE_STARTS: &[&str] = &["rate", "request", "token", "concurren"];

/// The kind that an error's code names, or else its type.
pub(super) fn kind_of(_: u16, body: &ErrorBody) -> Option<ErrorKind> {
    let by_code = body.code_name().and_then(kind_of_code);
    by_code.or_else(|| body.kind.as_deref().and_then(kind_of_code))
}

/// The kind that a code or type names, if it names one.
pub(in crate::providers) fn kind_of_code(code: &str) -> Option<ErrorKind> {
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

#[cfg(test)]
mod tests {
    use super::super::ChatCompletions;
    use super::*;
    use crate::engine::failure;

    fn kind(status: u16, json: &str) -> ErrorKind {
        let body = ErrorBody::parse(json.as_bytes()).unwrap();
        failure::kind_of(status, &body, &ChatCompletions::new())
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
}
