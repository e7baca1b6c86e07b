//! Faults of servers, over all three protocols by one table each: streams that break, whole
//! replies that are none, refusals, silence, and replies without end. After each of them the
//! helper works on.

use std::time::Duration;

use automation_assistant::{ErrorKind, HelperConfig, OpenAiApi, Task, TaskRequest};

use super::{KEY, ask, failure, spawn};
use crate::support::server::{Act, Server};
use crate::support::side_by_side;

/// A bound that a server without end reaches soon.
const REPLY_BYTES_MAX: usize = 100_000;

/// A protocol's bytes.
struct Protocol {
    name: &'static str,
    config: fn() -> HelperConfig,
    /// How a stream begins, before any text.
    open: &'static str,
    /// An event that says "half ".
    text: &'static str,
    /// An error event of an overloaded server.
    error: &'static str,
    /// A complete reply that says "alive".
    reply: &'static str,
    /// Whether the idle limit holds before the first text; else the task's time does.
    idle_from_start: bool,
}

const PROTOCOLS: [Protocol; 3] = [
    Protocol {
        name: "chat",
        config: || HelperConfig::chatgpt().openai_api(OpenAiApi::ChatCompletions),
        open: "",
        text: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half \"}}]}\n\n",
        error: "data: {\"error\":{\"message\":\"words\",\"type\":\"server_error\"}}\n\n",
        reply: r#"{"choices":[{"message":{"content":"alive"},"finish_reason":"stop"}]}"#,
        idle_from_start: true,
    },
    Protocol {
        name: "responses",
        config: || HelperConfig::chatgpt().openai_api(OpenAiApi::Responses),
        open: "event: response.created\ndata: {\"type\":\"response.created\",\
               \"response\":{\"status\":\"in_progress\"}}\n\n",
        text: "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\
               \"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"half \"}\n\n",
        error: "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\
                \"message\":\"words\"}}\n\n",
        reply: r#"{"status":"completed","output":[{"type":"message",
            "content":[{"type":"output_text","text":"alive"}]}]}"#,
        idle_from_start: false,
    },
    Protocol {
        name: "messages",
        config: HelperConfig::anthropic,
        open: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":\
               {\"content\":[]}}\n\nevent: content_block_start\ndata: \
               {\"type\":\"content_block_start\",\"index\":0,\"content_block\":\
               {\"type\":\"text\",\"text\":\"\"}}\n\n",
        text: "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
               \"delta\":{\"type\":\"text_delta\",\"text\":\"half \"}}\n\n",
        error: "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
                \"message\":\"words\"}}\n\n",
        reply: r#"{"type":"message","stop_reason":"end_turn",
            "content":[{"type":"text","text":"alive"}]}"#,
        idle_from_start: false,
    },
];

impl Protocol {
    fn config(&self, server: &Server) -> HelperConfig {
        let config = (self.config)().api_endpoint(server.base()).api_key(KEY).model("m");
        config.max_retries(0).max_reply_bytes(REPLY_BYTES_MAX)
    }
}

/// How a task ends whose server does this once the request is read; the next one must succeed.
fn outcome(
    protocol: &Protocol,
    adjust: impl Fn(HelperConfig) -> HelperConfig,
    acts: Vec<Act>,
    stream: bool,
) -> Task {
    let script = std::iter::once(Act::read()).chain(acts).collect();
    let alive = vec![Act::read(), Act::json(200, protocol.reply)];
    let server = Server::start([script, alive]);
    let (manager, helper) = spawn(adjust(protocol.config(&server)));
    let request = TaskRequest::new("p");
    let request = if stream { request.on_text(|_| {}) } else { request };
    let task = ask(&manager, helper, request);
    let next = ask(&manager, helper, "and now");
    assert_eq!(next.result.as_deref(), Some("alive"), "{}: {:?}", protocol.name, next.error);
    task
}

/// A fault after the begin of a stream, and its error.
type Broken = (&'static str, fn(&Protocol) -> Act, ErrorKind);

/// Whether the body says that it is over decides what this is.
const CUT: &str = "JSON cut in the middle";

const BROKEN_STREAMS: &[Broken] = &[
    ("the end comes too early", |_| Act::write(""), ErrorKind::Truncated),
    ("comments, then the end", |_| Act::write(": ping\n\n: ping\n\n"), ErrorKind::Truncated),
    ("an error", |protocol| Act::write(protocol.error), ErrorKind::Server),
    (
        "an error in another protocol's form",
        |_| {
            Act::write("data: {\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"w\"}}\n\n")
        },
        ErrorKind::RateLimited,
    ),
    ("no JSON", |_| Act::write("data: {nonsense\n\n"), ErrorKind::Protocol),
    (CUT, |_| Act::write("data: {\"type\":\"x"), ErrorKind::Protocol),
    // Mended, and skipped as any event of an unknown type.
    ("no UTF-8", |_| Act::write(b"data: {\"type\":\"\xff\"}\n\n"), ErrorKind::Truncated),
    ("text without end", |protocol| Act::Flood(protocol.text.into()), ErrorKind::ResponseTooLarge),
    ("a line without end", |_| Act::Flood(vec![b'x'; 4096]), ErrorKind::ResponseTooLarge),
];

/// Each write of the act as a chunk of a body.
fn in_chunk(act: Act) -> Act {
    let wrap = |bytes: Vec<u8>| match bytes.len() {
        0 => bytes,
        length => [format!("{length:x}\r\n").as_bytes(), &bytes, b"\r\n"].concat(),
    };
    match act {
        Act::Write(bytes) => Act::Write(wrap(bytes)),
        Act::Flood(bytes) => Act::Flood(wrap(bytes)),
        other => other,
    }
}

#[test]
fn a_stream_that_breaks_is_an_error_that_keeps_the_text_delivered() {
    side_by_side(&PROTOCOLS, |protocol| {
        for (name, fault, kind) in BROKEN_STREAMS {
            for (text, chunked) in
                [(protocol.text, false), ("", false), (protocol.text, true), ("", true)]
            {
                let body = [Act::write([protocol.open, text].concat()), fault(protocol)];
                // The chunk that ends a body in chunks never comes.
                let (head, body) = match chunked {
                    true => (Act::chunked_head(), body.map(in_chunk)),
                    false => (Act::stream_head(), body),
                };
                let acts = std::iter::once(head).chain(body).collect();
                let task = outcome(protocol, |config| config, acts, true);
                let what = format!("{}: {name}, after {text:?}, {chunked}", protocol.name);
                let error = failure(&task);
                let kind = if chunked && *name == CUT { ErrorKind::Truncated } else { *kind };
                assert_eq!(error.kind(), kind, "{what}: {error}");
                let said = error.partial().unwrap_or_default();
                assert!(said.starts_with("half ") || text.is_empty(), "{what}: {said:?}");
                assert!(error.partial().is_none_or(|said| !said.is_empty()), "{what}");
            }
        }
    });
}

/// A reply to a request that does not stream, and the error that it makes.
type Reply = (&'static str, fn(&Protocol) -> Act, ErrorKind);

fn closing(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Act {
    Act::reply(status, &format!("connection: close\r\n{headers}"), body)
}

const BAD_REPLIES: &[Reply] = &[
    ("nothing", |_| Act::write(""), ErrorKind::Network),
    ("no HTTP", |_| Act::write("SSH-2.0-OpenSSH_9.2\r\n"), ErrorKind::Protocol),
    ("an empty body", |_| closing(200, "", ""), ErrorKind::Protocol),
    ("a web page", |_| closing(200, "", "<!DOCTYPE html><p>hi"), ErrorKind::Protocol),
    ("a list", |_| closing(200, "", "[]"), ErrorKind::Protocol),
    ("an object of nothing", |_| closing(200, "", "{}"), ErrorKind::Protocol),
    ("no UTF-8", |_| closing(200, "", b"{\"a\":\"\xe4\"}"), ErrorKind::Protocol),
    (
        "compressed",
        |protocol| closing(200, "content-encoding: gzip\r\n", protocol.reply),
        ErrorKind::Protocol,
    ),
    (
        "JSON cut in the middle",
        |protocol| closing(200, "", &protocol.reply[..protocol.reply.len() - 1]),
        ErrorKind::Truncated,
    ),
    (
        "a body shorter than announced",
        |protocol| {
            Act::write(format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{}", protocol.reply))
        },
        ErrorKind::Truncated,
    ),
    (
        "a body over the bound",
        |_| closing(200, "", " ".repeat(REPLY_BYTES_MAX + 1)),
        ErrorKind::ResponseTooLarge,
    ),
    (
        "headers over the bound",
        |protocol| closing(200, &format!("x: {}\r\n", "y".repeat(20_000)), protocol.reply),
        ErrorKind::Protocol,
    ),
    (
        "an error as an answer",
        |_| closing(200, "", r#"{"error":{"message":"x"}}"#),
        ErrorKind::Server,
    ),
    ("a redirect", |_| closing(302, "location: http://127.0.0.1:9/\r\n", ""), ErrorKind::Protocol),
    ("400", |_| closing(400, "", r#"{"error":{"message":"x"}}"#), ErrorKind::InvalidRequest),
    ("401", |_| closing(401, "", "{}"), ErrorKind::Authentication),
    ("402", |_| closing(402, "", "{}"), ErrorKind::QuotaExceeded),
    ("403", |_| closing(403, "", "<html>no"), ErrorKind::PermissionDenied),
    ("404", |_| closing(404, "", ""), ErrorKind::NotFound),
    ("429", |_| closing(429, "", "{}"), ErrorKind::RateLimited),
    ("500", |_| closing(500, "", b"\xff\xfe"), ErrorKind::Server),
    ("529", |_| closing(529, "", ""), ErrorKind::Server),
];

#[test]
fn a_reply_that_is_no_answer_is_an_error_of_its_kind() {
    for protocol in &PROTOCOLS {
        for (name, reply, kind) in BAD_REPLIES {
            for stream in [false, true] {
                let task = outcome(protocol, |config| config, vec![reply(protocol)], stream);
                let what = format!("{}: {name}, streamed: {stream}", protocol.name);
                let error = failure(&task);
                assert_eq!(error.kind(), *kind, "{what}: {error}");
                assert_eq!(error.partial(), None, "{what}");
            }
        }
    }
}

#[test]
fn an_answer_of_another_protocol_is_none() {
    for protocol in &PROTOCOLS {
        for other in PROTOCOLS.iter().filter(|other| other.name != protocol.name) {
            let reply = closing(200, "", other.reply);
            let task = outcome(protocol, |config| config, vec![reply], false);
            let what = format!("{} from {}", protocol.name, other.name);
            assert_eq!(failure(&task).kind(), ErrorKind::Protocol, "{what}");
            let stream = Act::write([other.open, other.text].concat());
            let task = outcome(protocol, |config| config, vec![Act::stream_head(), stream], true);
            let error = failure(&task);
            assert!(
                matches!(error.kind(), ErrorKind::Protocol | ErrorKind::Truncated),
                "{what}: {error}"
            );
            assert_eq!(error.partial(), None, "{what}");
        }
    }
}

/// Signs of life that bring no text do not count as progress.
#[test]
fn a_silent_stream_ends_at_its_limit() {
    const SHORT: Duration = Duration::from_millis(200);
    let silences: [fn() -> Act; 3] = [
        Act::hold,
        || Act::trickle(": ping\n\n"),
        || Act::trickle("event: ping\ndata: {\"type\":\"ping\"}\n\n"),
    ];
    let rows = PROTOCOLS.iter().flat_map(|protocol| {
        let texts = [protocol.text, ""].into_iter();
        texts.flat_map(move |text| silences.map(|silence| (protocol, text, silence)))
    });
    side_by_side(rows.enumerate(), |(at, (protocol, text, silence))| {
        let begun = Act::write([protocol.open, text].concat());
        let acts = vec![Act::stream_head(), begun, silence()];
        let by_idle = !text.is_empty() || protocol.idle_from_start;
        let limited = |config: HelperConfig| match by_idle {
            true => config.idle_timeout(SHORT),
            false => config.timeout(SHORT * 3).idle_timeout(SHORT),
        };
        let task = outcome(protocol, limited, acts, true);
        let error = failure(&task);
        let what = format!("row {at}, {} after {text:?}: {error}", protocol.name);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{what}");
        assert_eq!(error.summary().contains("idle_timeout"), by_idle, "{what}");
        assert_eq!(error.partial(), (!text.is_empty()).then_some("half "), "{what}");
    });
}
