//! Servers that fail, err or lie: a clear error each, and a helper that works on.

use automation_assistant::{ErrorKind, HelperConfig, HelperStatus, TaskRequest};
use std::time::Duration;

use super::{KEY, ask, chatgpt, fails, failure, spawn};
use crate::support::server::{Act, Server, answers};

/// The error of one answer, and proof that the helper works on afterwards.
fn error_of(reply: Act) -> automation_assistant::TaskError {
    let server = Server::start([vec![Act::read(), reply], answers("alive")]);
    let (manager, helper) = spawn(chatgpt(&server));
    let error = failure(&ask(&manager, helper, "the secret prompt of this test")).clone();
    assert_eq!(ask(&manager, helper, "and now").result.as_deref(), Some("alive"));
    assert_ne!(manager.get_helper(helper).unwrap().status(), HelperStatus::Error);
    error
}

fn closing(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Act {
    Act::reply(status, &format!("connection: close\r\n{headers}"), body)
}

#[test]
fn replies_that_are_no_chat_completion_are_distinguished() {
    use ErrorKind as K;
    let long = format!(r#"{{"choices":[],"x":"{}"}}"#, "y".repeat(5 << 20));
    let cases = [
        ("html", closing(200, "", "<!DOCTYPE html><p>hi"), K::Protocol, "web page"),
        ("empty", closing(200, "", ""), K::Protocol, "empty"),
        ("no choices", closing(200, "", r#"{"choices":[]}"#), K::Protocol, "no choices"),
        ("null choices", closing(200, "", r#"{"choices":null}"#), K::Protocol, "no choices"),
        ("no message", closing(200, "", r#"{"choices":[{}]}"#), K::Protocol, "no message"),
        ("a list", closing(200, "", "[]"), K::Protocol, "not of the API asked"),
        ("half JSON", closing(200, "", r#"{"choices":[{"mess"#), K::Truncated, "middle"),
        ("latin-1", closing(200, "", b"\xe4h, {}"), K::Protocol, "UTF-8"),
        ("utf-16", closing(200, "", b"\xff\xfe{\0"), K::Protocol, "UTF-8"),
        ("gzip", closing(200, "content-encoding: gzip\r\n", "x"), K::Protocol, "compressed"),
        (
            "half",
            Act::write("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"cho"),
            K::Truncated,
            "middle",
        ),
        ("not HTTP", Act::write("SSH-2.0-OpenSSH_9.2\r\n"), K::Protocol, "HTTP"),
        ("nothing", Act::write(""), K::Network, "closed the connection"),
        ("too long", closing(200, "", long), K::ResponseTooLarge, "max_reply_bytes"),
        ("error text", closing(200, "", r#"{"error":"Unexpected endpoint"}"#), K::Protocol, "path"),
        ("error object", closing(200, "", r#"{"error":{"message":"x"}}"#), K::Server, "failed"),
        (
            "long headers",
            closing(200, &format!("x: {}\r\n", "y".repeat(20_000)), "{}"),
            K::Protocol,
            "headers",
        ),
        ("many headers", closing(200, &"x: y\r\n".repeat(200), "{}"), K::Protocol, "too many"),
        ("not modified", closing(304, "", ""), K::Protocol, "neither an answer nor an error"),
        ("no choice", closing(300, "", ""), K::Protocol, "neither an answer nor an error"),
    ];
    for (what, reply, kind, word) in cases {
        let error = error_of(reply);
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(error.summary().contains(word), "{what}: {error}");
    }
}

#[test]
fn statuses_and_codes_become_kinds_and_their_facts_stay() {
    use ErrorKind as K;
    let cases = [
        (401, r#"{"error":{"message":"no","code":"invalid_api_key"}}"#, K::Authentication),
        (402, r#"{"code":402,"message":"pay"}"#, K::QuotaExceeded),
        (403, r#"{"error":{"message":"no","code":"unsupported_country"}}"#, K::PermissionDenied),
        (404, r#"{"error":{"message":"no","code":"model_not_found"}}"#, K::NotFound),
        (408, "", K::Server),
        (413, "too big", K::InvalidRequest),
        (422, r#"{"errors":["no"]}"#, K::InvalidRequest),
        (429, r#"{"error":{"code":"rate_limit_exceeded"}}"#, K::RateLimited),
        (429, r#"{"error":{"code":"insufficient_quota"}}"#, K::QuotaExceeded),
        (400, r#"{"error":{"code":"context_length_exceeded"}}"#, K::ContextLengthExceeded),
        (400, r#"{"error":{"code":"content_filter"}}"#, K::ContentFiltered),
        (500, "<html>oops</html>", K::Server),
        (503, r#"{"error":"overloaded"}"#, K::Server),
    ];
    for (status, body, kind) in cases {
        let headers = "x-request-id: req_1\r\nretry-after: 7\r\n";
        let server = Server::start([vec![Act::read(), Act::reply(status, headers, body)]]);
        let error = fails(chatgpt(&server), "p");
        assert_eq!(error.kind(), kind, "{status} {body}: {error}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.request_id(), Some("req_1"));
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        assert!(!error.to_string().contains("oops"));
    }
}

#[test]
fn a_refused_key_shows_in_the_helper_s_status_until_a_success() {
    let mut script = vec![Act::read(), Act::json(401, r#"{"error":{"message":"bad key"}}"#)];
    script.extend(answers("fine"));
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    assert_eq!(failure(&ask(&manager, helper, "p")).message(), "bad key");
    assert_eq!(manager.get_helper(helper).unwrap().status(), HelperStatus::Error);
    assert!(ask(&manager, helper, "p").is_success());
    assert_eq!(manager.get_helper(helper).unwrap().status(), HelperStatus::Idle);
}

#[test]
fn a_server_that_echoes_key_and_prompt_is_not_quoted() {
    let body = format!(
        r#"{{"error":{{"message":"Bad key {KEY} in 'tell me about my illness', ctx bloodgroup-zero",
            "code":"{KEY}"}}}}"#
    );
    let headers = format!("x-request-id: {KEY}\r\n");
    let server = Server::start([vec![Act::read(), Act::reply(400, &headers, body)]]);
    let request = TaskRequest::new("Please tell me about my illness now")
        .context("blood", "my bloodgroup-zero");
    let error = fails(chatgpt(&server), request);
    let shown = format!("{error} {error:?} {}", serde_json::to_string(&error).unwrap());
    assert!(!shown.contains("0123456") && !shown.contains(KEY), "{shown}");
    assert!(!shown.contains("illness") && !shown.contains("bloodgroup"), "{shown}");
    assert_eq!(error.message(), "Bad key [redacted] in '[redacted]', ctx [redacted]");
    assert_eq!((error.code(), error.request_id()), (None, None));
}

/// A gateway's filter that rejects an answer may send it all the same.
#[test]
fn an_answer_in_the_place_of_an_error_is_not_quoted() {
    for body in [
        r#"{"object":"chat.completion","choices":[{"message":{"content":"REPLY"}}]}"#,
        r#"{"status":"completed","error":null,"output":[{"content":[{"text":"REPLY"}]}]}"#,
        r#"{"type":"message","content":[{"type":"text","text":"REPLY"}]}"#,
        r#"{"model":"m","message":{"role":"assistant","content":"REPLY"}}"#,
        r#"{"candidates":[{"content":{"parts":[{"text":"REPLY"}]}}]}"#,
        "data: {\"choices\":[{\"delta\":{\"content\":\"REPLY\"}}]}\n\ndata: [DONE]\n\n",
        r#"{"choices":[{"message":{"content":"REPLY, cut off"#,
    ] {
        for status in [400, 600] {
            let error = error_of(closing(status, "", body));
            assert!(!format!("{error:?} {error}").contains("REPLY"), "{body}: {error}");
            assert!(error.summary().contains("check api_endpoint"), "{body}: {error}");
            assert_eq!(error.status(), Some(status));
        }
    }
    // A shape of error that nobody knows may say something.
    let error = error_of(closing(400, "", r#"{"reason":"words","content":"text"}"#));
    assert!(error.message().contains("words"), "{error}");
}

#[test]
fn redirects_are_not_followed() {
    let target = Server::start([]);
    for status in [301, 302, 303, 307, 308] {
        let headers = format!("location: {}/chat/completions\r\n", target.base());
        let server = Server::start([vec![Act::read(), Act::reply(status, &headers, "")]]);
        let error = fails(chatgpt(&server), "p");
        assert_eq!((error.kind(), error.status()), (ErrorKind::Protocol, Some(status)));
        assert!(error.summary().contains("another address"), "{error}");
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn an_endless_answer_is_cut_off_at_the_bound() {
    let head = Act::write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"choices\":[\"");
    let flood = vec![Act::read(), head, Act::Flood(vec![b'a'; 64 << 10])];
    let server = Server::start([flood]);
    let error = fails(chatgpt(&server).max_reply_bytes(1 << 20), "p");
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge);
    server.finish();
}

#[test]
fn an_unreachable_server_is_reported_as_such() {
    // A port that was just given back.
    let address = Server::start([]).address();
    let config = HelperConfig::local().api_endpoint(format!("http://{address}/v1"));
    let error = fails(config.max_retries(0), "p");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.summary().contains("refused"), "{error}");
    // RFC 6761: this name never exists. Where look-ups are answered oddly it is still an
    // error of the network.
    let config = HelperConfig::local().api_endpoint("http://no-such-host.invalid/v1");
    assert_eq!(fails(config.max_retries(0), "p").kind(), ErrorKind::Network);
}

#[test]
fn limits_in_time_are_distinguished() {
    let silent = |server: &Server| chatgpt(server).timeout(Duration::from_secs(20));
    let server = Server::start([vec![Act::read(), Act::hold()]]);
    let error = fails(silent(&server).first_byte_timeout(Duration::from_millis(50)), "p");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.summary().contains("first_byte_timeout"), "{error}");

    let half = Act::write("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{");
    let server = Server::start([vec![Act::read(), half, Act::hold()]]);
    let error = fails(silent(&server).idle_timeout(Duration::from_millis(50)), "p");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.summary().contains("idle_timeout"), "{error}");

    let server = Server::start([vec![Act::read(), Act::hold()]]);
    let error = fails(chatgpt(&server).timeout(Duration::from_millis(50)), "p");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}
