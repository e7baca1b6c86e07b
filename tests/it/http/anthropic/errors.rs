//! Rejections: kinds, words, and what is tried again.

use automation_assistant::ErrorKind;
use serde_json::json;

use super::{ask, config, error_of, spawn, text};
use crate::support::server::{Act, Server};

#[test]
fn rejections_keep_type_id_and_words() {
    use ErrorKind as K;
    for (status, kind, message, expected) in [
        (400, "invalid_request_error", "max_tokens: Field required", K::InvalidRequest),
        (400, "invalid_request_error", "Your credit balance is too low to…", K::QuotaExceeded),
        (400, "invalid_request_error", "prompt is too long: 2 > 1", K::ContextLengthExceeded),
        (401, "authentication_error", "x", K::Authentication),
        (402, "billing_error", "x", K::QuotaExceeded),
        (403, "permission_error", "x", K::PermissionDenied),
        (404, "not_found_error", "x", K::NotFound),
        (409, "conflict_error", "x", K::Server),
        (413, "request_too_large", "x", K::InvalidRequest),
        (429, "rate_limit_error", "x", K::RateLimited),
        (500, "api_error", "x", K::Server),
        (504, "timeout_error", "x", K::Server),
        (529, "overloaded_error", "x", K::Server),
    ] {
        let body = json!({"type": "error", "request_id": "req_1",
            "error": {"type": kind, "message": message}});
        let headers = "request-id: req_1\r\nconnection: close\r\n";
        let error = error_of(Act::reply(status, headers, body.to_string()));
        assert_eq!((error.kind(), error.status()), (expected, Some(status)), "{kind}");
        assert_eq!((error.code(), error.request_id()), (Some(kind), Some("req_1")));
        assert_eq!(error.message(), message);
    }
}

#[test]
fn a_rate_limit_is_tried_again_only_where_it_says_when() {
    let limited = |headers: &str| {
        let body = r#"{"type":"error","error":{"type":"rate_limit_error","message":"x"}}"#;
        Act::reply(429, &format!("{headers}connection: close\r\n"), body)
    };
    for (headers, attempts) in [("", 1), ("retry-after: 0\r\n", 2)] {
        let scripts = [vec![Act::read(), limited(headers)], vec![Act::read(), text("hi")]];
        let server = Server::start(scripts);
        let (manager, helper) = spawn(config(&server).max_retries(1));
        let task = ask(&manager, helper, "p");
        assert_eq!(task.attempts, attempts, "{headers:?}");
    }
}
