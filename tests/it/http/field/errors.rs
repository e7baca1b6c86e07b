//! Errors and waits in the shapes in which servers and gateways send them (`field-cases.md`, B1
//! to B4).

use std::time::Duration;

use automation_assistant::{ErrorKind as K, RateLimiter, TaskRequest};

use super::super::{ask, chatgpt, fails, failure, spawn};
use super::{Error, Events, Row, check_chat};
use crate::support::server::{Act, DONE, Server, answers, delta, stop};
use crate::support::side_by_side;

/// Where it was seen, the status, the body; the kind that it is, and the server's words.
type Rejection = (&'static str, u16, &'static str, K, &'static str);

/// B1: the places where servers put their words.
const SHAPES: &[Rejection] = &[
    (
        "opencode#32051",
        401,
        r#"{"success":false,"errors":[{"code":10000,"message":"x"}]}"#,
        K::Authentication,
        "x",
    ),
    ("errors as texts", 403, r#"{"errors":["x","y"]}"#, K::PermissionDenied, "x; y"),
    ("errors as one", 404, r#"{"errors":{"message":"x"}}"#, K::NotFound, "x"),
    ("a list", 400, r#"{"error":[{"message":"x"}]}"#, K::InvalidRequest, "x"),
    ("a list of texts", 400, r#"{"error":["x"]}"#, K::InvalidRequest, "x"),
    (
        "Gemini",
        429,
        r#"[{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}]"#,
        K::RateLimited,
        "x",
    ),
    (
        "python-genai#2044",
        429,
        r#"[{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[
            {"violations":[{"quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier"},
                {"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]},
            {"retryDelay":"47s"}]}}]"#,
        K::QuotaExceeded,
        "x",
    ),
    (
        "hass-agent-llm#17",
        422,
        r#"{"detail":[{"type":"extra_forbidden","loc":["body","top_k"],"msg":"x"}]}"#,
        K::InvalidRequest,
        "body.top_k: x",
    ),
    ("detail as a text", 401, r#"{"detail":"x"}"#, K::Authentication, "x"),
    ("detail as an object", 400, r#"{"detail":{"error":"x"}}"#, K::InvalidRequest, "x"),
    ("msg", 400, r#"{"error":{"msg":"x"}}"#, K::InvalidRequest, "x"),
    ("error in error", 400, r#"{"error":{"error":{"message":"x"}}}"#, K::InvalidRequest, "x"),
    ("error in error as a text", 500, r#"{"error":{"error":"x"}}"#, K::Server, "x"),
    (
        "MiniMax",
        200,
        r#"{"base_resp":{"status_code":1008,"status_msg":"x"}}"#,
        K::QuotaExceeded,
        "x",
    ),
    (
        "the status within",
        500,
        r#"{"error":{"message":"x","http_status_code":401}}"#,
        K::Authentication,
        "x",
    ),
    ("the same as a text", 500, r#"{"error":{"message":"x","code":"429"}}"#, K::Server, "x"),
    ("a text and no JSON", 400, "x", K::InvalidRequest, "x"),
    ("one that breaks off", 400, r#"{"error":{"message":"x"#, K::InvalidRequest, "x"),
    ("control characters", 400, "{\"error\":{\"message\":\"x\u{1}y\"}}", K::InvalidRequest, "x"),
];

/// B3: kinds by codes, types and fixed phrases.
const KINDS: &[Rejection] = &[
    (
        "MiniMax-M2#62",
        400,
        r#"{"type":"error","error":{"type":"insufficient_balance_error","message":"x"}}"#,
        K::QuotaExceeded,
        "x",
    ),
    (
        "LiteLLM",
        422,
        r#"{"error":{"message":"x","type":"budget_exceeded","param":null,"code":"422"}}"#,
        K::QuotaExceeded,
        "x",
    ),
    ("sub2api#890", 403, r#"{"code":"INSUFFICIENT_BALANCE","message":"x"}"#, K::QuotaExceeded, "x"),
    (
        "credit as a bad request",
        400,
        r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low."}}"#,
        K::QuotaExceeded,
        "",
    ),
    (
        "LiteLLM",
        400,
        r#"{"error":{"message":"x","type":"expired_key","code":"400"}}"#,
        K::Authentication,
        "x",
    ),
    (
        "vllm#4667",
        400,
        r#"{"object":"error","message":"This model's maximum context length is 8 tokens. However, you requested 9 tokens.","type":"BadRequestError","param":null,"code":400}"#,
        K::ContextLengthExceeded,
        "maximum",
    ),
    (
        "DeepSeek",
        400,
        r#"{"error":{"message":"This model's maximum context length is 8 tokens.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
        K::ContextLengthExceeded,
        "",
    ),
    (
        "fast-agent#621",
        400,
        r#"{"error":{"message":"litellm.ContextWindowExceededError: x","type":null,"code":"400"}}"#,
        K::ContextLengthExceeded,
        "",
    ),
    (
        "llama.cpp",
        500,
        r#"{"error":{"code":500,"message":"the request exceeds the available context size, try increasing it","type":"server_error"}}"#,
        K::ContextLengthExceeded,
        "",
    ),
    (
        "a phrase where the status says all",
        404,
        r#"{"error":{"message":"no model with this maximum context length"}}"#,
        K::NotFound,
        "",
    ),
    ("Groq", 413, r#"{"error":{"code":"rate_limit_exceeded","message":"x"}}"#, K::RateLimited, "x"),
    (
        "LiteLLM 1.108 before OpenAI",
        429,
        r#"{"error":{"message":"litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota","type":"throttling_error","param":null,"code":"429"}}"#,
        K::QuotaExceeded,
        "current quota",
    ),
    (
        "one type for all with 429",
        429,
        r#"{"error":{"message":"Insufficient balance","type":"rate_limit_error"}}"#,
        K::QuotaExceeded,
        "balance",
    ),
];

#[test]
fn rejections_say_the_same_in_every_shape() {
    for (source, status, body, kind, words) in SHAPES.iter().chain(KINDS) {
        let server = Server::start([vec![Act::read(), Act::json(*status, body)]]);
        let error = fails(chatgpt(&server), "p");
        assert_eq!(error.kind(), *kind, "{source}: {error}");
        assert!(error.message().contains(words), "{source}: {:?}", error.message());
    }
}

/// B2: errors within a stream, bare and in the shapes of rejections.
const BARE: &[Row] = &[
    ("ollama", Events("data: {\"error\":\"boom\"}\n\n"), Error(K::Server, "", "boom")),
    (
        "the same after text",
        Events(
            "data: {\"choices\":[{\"delta\":{\"content\":\"half\"}}]}\n\ndata: {\"error\":\"boom\"}\n\n",
        ),
        Error(K::Server, "half", "boom"),
    ),
    ("without data", Events("{\"error\":\"boom\"}\n"), Error(K::Server, "", "boom")),
    (
        "Gemini",
        Events("data: [{\"error\":{\"code\":503,\"message\":\"boom\"}}]\n\n"),
        Error(K::Server, "", "boom"),
    ),
    ("named", Events("event: error\ndata: boom\n\n"), Error(K::Server, "", "boom")),
    (
        "errors",
        Events("data: {\"errors\":[{\"message\":\"boom\"}]}\n\n"),
        Error(K::Server, "", "boom"),
    ),
    ("a detail", Events("data: {\"detail\":\"boom\"}\n\n"), Error(K::Server, "", "boom")),
    (
        "9router#2727",
        Events(
            "data: {\"choices\":null,\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"boom\"}}\n\n",
        ),
        Error(K::RateLimited, "", "boom"),
    ),
];

#[test]
fn errors_within_a_stream_are_errors() {
    check_chat(BARE);
}

#[test]
fn a_bare_error_is_retried_where_no_text_was_delivered() {
    let whole = delta("fine") + &stop() + DONE;
    for (before, attempts) in [(String::new(), 2), (delta("half"), 1)] {
        let broken = before.clone() + "data: {\"error\":\"boom\"}\n\n";
        let script =
            |body: &String| vec![Act::read(), Act::stream_head(), Act::write(body.clone())];
        let server = Server::start([script(&broken), script(&whole)]);
        let (manager, helper) = spawn(chatgpt(&server).max_retries(1));
        let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
        assert_eq!(task.attempts, attempts, "{before}: {:?}", task.error);
        assert_eq!(task.error.is_some(), attempts == 1, "{before}");
    }
}

/// B1: the one field that is sent without being asked for, refused in every shape.
#[test]
fn a_stream_is_asked_for_once_more_without_the_field_that_was_refused() {
    for (source, status, body) in [
        ("the API", 400, r#"{"error":{"message":"Unknown parameter","param":"stream_options"}}"#),
        (
            "hass-agent-llm#17",
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs"}]}"#,
        ),
        ("in words", 422, r#"{"errors":[{"message":"stream_options: not permitted"}]}"#),
        (
            "mistral",
            422,
            r#"{"message":{"detail":[{"loc":["body","stream_options","include_usage"],"msg":"no"}]}}"#,
        ),
    ] {
        let refused = || vec![Act::read(), Act::reply(status, "connection: close\r\n", body)];
        let whole = Act::write(delta("fine") + &stop() + DONE);
        let server = Server::start([refused(), vec![Act::read(), Act::stream_head(), whole]]);
        let (manager, helper) = spawn(chatgpt(&server));
        let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
        assert_eq!(task.result.as_deref(), Some("fine"), "{source}: {:?}", task.error);
        assert_eq!(task.attempts, 2, "{source}");
        drop(manager);
        let asked = server.finish();
        assert!(asked[0].json().get("stream_options").is_some(), "{source}");
        assert!(asked[1].json().get("stream_options").is_none(), "{source}");
        // Once: a server that goes on refusing is not asked a third time.
        let server = Server::start([refused(), refused(), answers("never")]);
        let (manager, helper) = spawn(chatgpt(&server));
        let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
        assert_eq!((task.attempts, failure(&task).kind()), (2, K::InvalidRequest), "{source}");
    }
}

/// B4: the wait that a server asks for, wherever it says it, in seconds; `None` for none.
#[test]
fn waits_are_found_wherever_they_stand() {
    const ENDLESS: &str = "retry-after: 99999999999999999999999\r\n";
    let google = r#"{"error":{"code":429,"message":"x","details":[{"retryDelay":"45.8s"}]}}"#;
    for (source, headers, body, wait) in [
        ("LiteLLM", "llm_provider-retry-after: 700\r\n", "{}", 700.0),
        ("Gemini", "", google, 45.8),
        ("in the body, as a number", "", r#"{"error":{"message":"x","retry_after":701}}"#, 701.0),
        ("a header goes first", "retry-after: 702\r\n", google, 702.0),
        ("seconds with a unit", "retry-after: 703s\r\n", "{}", 703.0),
        (
            "a moment in seconds",
            "date: Wed, 16 Sep 2026 18:14:20 GMT\r\nretry-after: 1789583000\r\n",
            "{}",
            540.0,
        ),
        ("beyond all sense", ENDLESS, "{}", Duration::MAX.as_secs_f64()),
        (
            "the same in milliseconds",
            "retry-after-ms: 1e300\r\n",
            "{}",
            Duration::MAX.as_secs_f64(),
        ),
        ("the same with an exponent", "retry-after: 1e99\r\n", "{}", Duration::MAX.as_secs_f64()),
    ] {
        let refused = vec![Act::read(), Act::reply(429, headers, body)];
        let server = Server::start([refused, answers("never")]);
        let (manager, helper) =
            spawn(chatgpt(&server).max_retries(1).max_retry_wait(Duration::from_secs(20)));
        let task = ask(&manager, helper, "p");
        let error = failure(&task);
        let asked = error.retry_after().map(|wait| wait.as_secs_f64());
        assert_eq!(asked, Some(wait), "{source}");
        assert_eq!((task.attempts, error.kind()), (1, K::RateLimited), "{source}");
    }
}

/// B4: what is too large stays too large, whatever the server calls it.
#[test]
fn a_request_that_is_too_large_is_sent_once() {
    for body in [r#"{"error":{"code":"rate_limit_exceeded","message":"x"}}"#, "<html></html>", ""] {
        let refused = vec![Act::read(), Act::reply(413, "retry-after-ms: 1\r\n", body)];
        let server = Server::start([refused, answers("never")]);
        let (manager, helper) = spawn(chatgpt(&server).max_retries(3));
        let task = ask(&manager, helper, "p");
        assert_eq!(task.attempts, 1, "{body}");
        assert!(failure(&task).summary().contains("shorten"), "{}", failure(&task));
    }
}

/// B4: DigitalOcean's and Venice's limits, whose resets are moments.
#[test]
fn a_reset_that_is_a_moment_holds_calls_back_until_then_and_no_longer() {
    side_by_side(["1789582461", "1789582461000", "1s", "2026-09-16T18:14:21Z"], |reset| {
        let headers = format!(
            "content-type: application/json\r\ndate: Wed, 16 Sep 2026 18:14:20 GMT\r\n\
             x-ratelimit-remaining-requests: 0\r\nx-ratelimit-reset-requests: {reset}\r\n"
        );
        let body = crate::support::server::answer("fine");
        let first = vec![Act::read(), Act::reply(200, &headers, body)];
        let server = Server::start([first, answers("second")]);
        let limiter = RateLimiter::new();
        let (manager, helper) = spawn(chatgpt(&server).rate_limiter(&limiter));
        assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("fine"));
        // Shut for 3,600 s, this one would end by its own time-out.
        let request = TaskRequest::new("q").timeout(Duration::from_secs(15));
        let task = ask(&manager, helper, request);
        assert_eq!(task.result.as_deref(), Some("second"), "{reset}: {:?}", task.error);
    });
}
