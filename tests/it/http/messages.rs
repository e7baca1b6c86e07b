//! HTTP messages byte by byte (RFC 9112): a request's head, and where a reply and its body end.

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, ErrorKind, HelperConfig, TaskRequest};

use super::{KEY, ask, chatgpt, failure, spawn};
use crate::support::LONG;
use crate::support::server::{Act, Server, answer, answers};

/// The server's next act after its reply.
#[derive(Clone, Copy, PartialEq)]
enum Then {
    /// Takes the next request on the same connection, which must come there.
    Serves,
    /// Keeps the connection, on which no further request may come.
    Holds,
    Closes,
}
use Then::{Closes, Holds, Serves};

fn whole(json: &str) -> String {
    json.to_owned()
}

fn none(_: &str) -> String {
    String::new()
}

/// In chunks, with what may stand beside their lengths.
fn chunked(json: &str) -> String {
    let (a, b) = json.split_at(30);
    format!("{:x};a=b\r\n{a}\r\n0{:X} \r\n{b}\r\n00\r\n\r\n", a.len(), b.len())
}

fn with_trailers(json: &str) -> String {
    format!("{:x}\r\n{json}\r\n0\r\nx: y\r\nz: 1\r\n\r\n", json.len())
}

fn with_endless_trailers(json: &str) -> String {
    format!("{:x}\r\n{json}\r\n0\r\n{}", json.len(), "x: y\r\n".repeat(3000))
}

/// Each byte a chunk with this extension.
fn byte_by_byte(json: &str, extension: &str) -> String {
    let chunks = json.chars().map(|byte| format!("1{extension}\r\n{byte}\r\n"));
    chunks.collect::<String>() + "0\r\n\r\n"
}

fn without_the_last_line(json: &str) -> String {
    format!("{:x}\r\n{json}\r\n0\r\n", json.len())
}

/// A reply's head after `HTTP/`, `N` being its body's length; its body; and what follows.
type Row = (&'static str, fn(&str) -> String, Then, Option<ErrorKind>);

const CHUNKED: &str = "1.1 200 OK\r\ntransfer-encoding: chunked";
const PROTOCOL: Option<ErrorKind> = Some(ErrorKind::Protocol);
const TRUNCATED: Option<ErrorKind> = Some(ErrorKind::Truncated);

const ROWS: &[Row] = &[
    ("1.1 200 OK\r\ncontent-length: N", whole, Serves, None),
    ("1.1 200 OK\r\nContent-Length: N , N\r\ncontent-length:N", whole, Serves, None),
    ("1.1 200 OK\r\nTransfer-Encoding: Chunked", chunked, Serves, None),
    ("1.1 200 OK\r\ntransfer-encoding: x\r\ntransfer-encoding: ,chunked,", chunked, Serves, None),
    // Two ends: the chunks' holds, and what follows is not trusted.
    ("1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked", chunked, Holds, None),
    // A coding of which no end is known.
    ("1.1 200 OK\r\ntransfer-encoding: chunked, x\r\ncontent-length: 5", whole, Closes, None),
    ("1.0 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 5", whole, Closes, None),
    (CHUNKED, with_trailers, Serves, None),
    (CHUNKED, without_the_last_line, Closes, None),
    (CHUNKED, |json| byte_by_byte(json, ""), Serves, None),
    (CHUNKED, |json| format!("{:x}\r\n{json}\r\n0\r\n \r\n\r\n", json.len()), Serves, None),
    ("1.1 200\ncontent-length: N\nx:\ty", whole, Serves, None),
    ("1.1 200 OK", whole, Closes, None),
    ("1.0 200 OK\r\ntransfer-encoding: chunked", whole, Closes, None),
    ("1.0 200 OK\r\ncontent-length: N", whole, Holds, None),
    ("1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: N", whole, Serves, None),
    ("1.1 200 OK\r\nconnection: x, Close\r\ncontent-length: N", whole, Holds, None),
    (
        "1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\
         content-length: N",
        whole,
        Serves,
        None,
    ),
    // More than was announced: what is too much is no other reply.
    ("1.1 200 OK\r\ncontent-length: N", |json| format!("{json}HTTP/1.1 200 OK"), Holds, None),
    // No body, whatever the headers say.
    ("1.1 204 No Content\r\ncontent-length: 5", none, Serves, PROTOCOL),
    ("1.1 304 Not Modified\r\ntransfer-encoding: chunked", none, Serves, PROTOCOL),
    ("1.1 200 OK\r\ncontent-length: 0", none, Serves, PROTOCOL),
    // No HTTP.
    ("1.1 200 OK\r\ncontent-length: -1", whole, Closes, PROTOCOL),
    ("1.1 200 OK\r\ncontent-length:", whole, Closes, PROTOCOL),
    ("1.1 200 OK\r\ncontent-length: N\r\ncontent-length: 1", whole, Closes, PROTOCOL),
    ("1.1 200 OK\r\nno colon", whole, Closes, PROTOCOL),
    ("2.0 200 OK", whole, Closes, PROTOCOL),
    ("1.1 099 X", whole, Closes, PROTOCOL),
    (CHUNKED, whole, Closes, PROTOCOL),
    (CHUNKED, |_| "\r\n\r\n".to_owned(), Closes, PROTOCOL),
    (CHUNKED, |_| "-1\r\n".to_owned(), Closes, PROTOCOL),
    (CHUNKED, |_| "10000000000000000\r\n".to_owned(), Closes, PROTOCOL),
    (CHUNKED, |json| format!("5\r\n{json}\r\n"), Closes, PROTOCOL),
    ("1.1 200 OK\r\nx: y\r\n content-length: N", whole, Closes, PROTOCOL),
    ("1.1 200 OK\r\ncontent-length : N", whole, Closes, PROTOCOL),
    ("1.1 200 OK\r\nx: \0\r\ncontent-length: N", whole, Closes, PROTOCOL),
    ("1.1 200 OK\r\nx: \rcontent-length: 5", whole, Closes, PROTOCOL),
    ("1.1 200 OK\r\ncontent-length: 18446744073709551616", whole, Closes, PROTOCOL),
    // More around the data than any server has: a line, lines, trailers.
    (CHUNKED, |_| "1;".to_owned() + &"x".repeat(20_000), Closes, PROTOCOL),
    (CHUNKED, |json| byte_by_byte(json, &";x".repeat(50)), Closes, PROTOCOL),
    (CHUNKED, with_endless_trailers, Closes, PROTOCOL),
    // A line that ends in one reader's eyes and not in another's.
    (CHUNKED, |json| format!("{:x};\n\r\n{json}\r\n0\r\n\r\n", json.len()), Closes, PROTOCOL),
    // A body that breaks off.
    ("1.1 200 OK\r\ncontent-length: 9999", whole, Closes, TRUNCATED),
    (CHUNKED, none, Closes, TRUNCATED),
    (CHUNKED, |json| format!("{:x}\r\n{json}", json.len()), Closes, TRUNCATED),
    (CHUNKED, |json| format!("{:x}\r\n{json}\r\n0", json.len()), Closes, TRUNCATED),
];

/// Time of a call that nothing else ends: more than one look for an answer.
const SHORT: Duration = Duration::from_millis(800);
/// More than a system's buffers take: Linux's grow to 10 MiB by default.
const STUCK_BYTES: usize = 20 << 20;

#[test]
fn a_reply_ends_where_its_head_and_its_chunks_say() {
    let json = answer("hello");
    for (head, body, then, error) in ROWS {
        let body = body(&json);
        let head = head.replace('N', &json.len().to_string());
        let reply = format!("HTTP/{head}\r\n\r\n{body}");
        for step in [1, 300, usize::MAX] {
            // Bytes one by one show each place where a reader may have to wait.
            if step == 1 && reply.len() > 1000 {
                continue;
            }
            let parts = reply.as_bytes().chunks(step.min(reply.len()));
            let mut script = vec![Act::read()];
            script.extend(parts.map(Act::write));
            script.extend(match then {
                Serves => answers("again"),
                Holds => vec![Act::hold()],
                Closes => Vec::new(),
            });
            let server = Server::start([script, answers("again")]);
            let (manager, helper) = spawn(chatgpt(&server));
            let task = ask(&manager, helper, "p");
            let what = format!("{head:?} {body:?} by {step}: {:?}", task.error);
            assert_eq!(task.error.as_ref().map(|error| error.kind()), *error, "{what}");
            assert_eq!(task.result.as_deref(), error.is_none().then_some("hello"), "{what}");
            let again = ask(&manager, helper, "p");
            assert_eq!(again.result.as_deref(), Some("again"), "{what}");
            assert_eq!(server.connections(), if *then == Serves { 1 } else { 2 }, "{what}");
        }
    }
}

#[test]
fn interim_replies_without_end_are_refused() {
    let script = vec![Act::read(), Act::Flood(b"HTTP/1.1 102 Processing\r\n\r\n".to_vec())];
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    assert_eq!(failure(&ask(&manager, helper, "p")).kind(), ErrorKind::Protocol);
}

/// The answer of a server that reads no further is received, also after an interim one; without a
/// complete answer the call ends with the task's time.
#[test]
fn a_request_that_is_stuck_ends_by_an_answer_or_by_its_time() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let refusal = "HTTP/1.1 413 X\r\ncontent-length: 0\r\n\r\n";
    for (reply, time, status) in [
        (refusal.to_owned(), LONG, Some(413)),
        (format!("{interim}{refusal}"), LONG, Some(413)),
        (interim.to_owned(), SHORT, None),
        (refusal[..20].to_owned(), SHORT, None),
    ] {
        let server = Server::start([vec![Act::Take(1), Act::write(reply.clone()), Act::hold()]]);
        let (manager, helper) = spawn(chatgpt(&server).max_prompt_bytes(2 * STUCK_BYTES));
        let request = TaskRequest::new("p".repeat(STUCK_BYTES)).timeout(time);
        let task = ask(&manager, helper, request);
        let error = failure(&task);
        assert_eq!(error.status(), status, "{reply:?}: {error}");
        assert_eq!(error.kind() == ErrorKind::Timeout, status.is_none(), "{reply:?}: {error}");
    }
}

#[test]
fn more_headers_than_any_server_has_are_refused() {
    let server = Server::start([vec![Act::read(), Act::reply(200, &"x: y\r\n".repeat(130), "")]]);
    let (manager, helper) = spawn(chatgpt(&server));
    assert_eq!(failure(&ask(&manager, helper, "p")).kind(), ErrorKind::Protocol);
}

#[test]
fn a_head_names_server_and_body_and_the_program_s_headers_replace_ours() {
    let server = Server::start([answers("x")]);
    let config = HelperConfig::local().api_endpoint(server.base() + "?a=b").model("m");
    let config = config.api_key(KEY).header("User-Agent", "me").header("X-Team", "1");
    let (manager, helper) = spawn(config.header("x-team", "2"));
    assert!(ask(&manager, helper, "p").is_success());
    drop(manager);
    let address = server.address();
    let seen = server.finish();
    let mut lines: Vec<_> = seen[0].head.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.remove(0), "POST /v1/chat/completions?a=b HTTP/1.1");
    lines.sort_unstable();
    let (host, key) = (format!("host: {address}"), format!("authorization: Bearer {KEY}"));
    let length = format!("content-length: {}", seen[0].body.len());
    assert_eq!(
        lines,
        [
            "accept: application/json",
            &key,
            &length,
            "content-type: application/json",
            &host,
            "user-agent: me",
            "x-team: 2"
        ]
    );
}

#[test]
fn a_name_that_is_no_word_is_no_header_s() {
    for name in ["", "a b", "a:", "a\r\nb", "\u{e4}", "a\0", "(a)", "Host", "te"] {
        let config = HelperConfig::chatgpt().api_key(KEY).header(name, "x");
        let manager = AutomationAssistantManager::new(1);
        assert!(manager.spawn_helper(config).is_err(), "{name:?}");
    }
}
