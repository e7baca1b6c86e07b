//! The behaviour of real servers, proxies and devices: each row has a raw input, where it was
//! seen, and the expected outcome. A case is added by a row. Sources such as `pi#2466` are
//! issues of public repositories.

mod accounts;
mod anthropic;
mod calls;
mod empty;
mod errors;
mod oddities;
mod replies;
mod requests;
mod responses;
mod shapes;

use std::sync::{Arc, Mutex};

use automation_assistant::{ErrorKind, HelperConfig, Task, TaskRequest};

use super::{ask, chatgpt, spawn};
use crate::support::server::{Act, Server};

/// A server's reply.
#[derive(Clone, Copy)]
enum Sent {
    /// A whole reply to a plain request.
    Whole(&'static str),
    /// A stream to a request for one, under its own type.
    Events(&'static str),
    /// These bytes, under this type, to a plain request and to one for a stream.
    Any(&'static str, &'static [u8]),
}
use Sent::{Any, Events, Whole};

/// The expected outcome.
enum Then {
    /// This answer.
    Text(&'static str),
    /// This error, with this partial answer and this in its words or the server's.
    Error(ErrorKind, &'static str, &'static str),
}
use Then::{Error, Text};

/// Where it was seen, what was sent, what is expected.
type Row = (&'static str, Sent, Then);

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

fn reply(kind: &str, body: &[u8]) -> Vec<Act> {
    let headers = format!("content-type: {kind}\r\nconnection: close\r\n");
    vec![Act::read(), Act::reply(200, &headers, body)]
}

/// Asks plainly or for a stream; the deltas must add up to the result.
fn once(config: fn(&Server) -> HelperConfig, kind: &str, body: &[u8], stream: bool) -> Task {
    let server = Server::start([reply(kind, body)]);
    let (manager, helper) = spawn(config(&server));
    let streamed = Arc::new(Mutex::new(String::new()));
    let mut request = TaskRequest::new("the secret prompt");
    if stream {
        let streamed = Arc::clone(&streamed);
        request = request.on_text(move |text| streamed.lock().unwrap().push_str(text));
    }
    let task = ask(&manager, helper, request);
    if stream {
        let whole = task.result.as_deref().or(task.error.as_ref().and_then(|e| e.partial()));
        assert_eq!(*streamed.lock().unwrap(), whole.unwrap_or_default(), "the streamed text");
    }
    task
}

fn check(config: fn(&Server) -> HelperConfig, rows: &[Row]) {
    for (source, sent, then) in rows {
        let tries: &[(&str, &[u8], bool)] = match *sent {
            Whole(body) => &[(JSON, body.as_bytes(), false)],
            Events(body) => &[(EVENTS, body.as_bytes(), true)],
            Any(kind, body) => &[(kind, body, false), (kind, body, true)],
        };
        for (kind, body, stream) in tries {
            let task = once(config, kind, body, *stream);
            let shown = format!("{source}: {}", String::from_utf8_lossy(body));
            match (then, &task.error) {
                (Text(text), None) => {
                    assert_eq!(task.result.as_deref(), Some(*text), "{shown}");
                }
                (Error(kind, partial, word), Some(error)) => {
                    assert_eq!(error.kind(), *kind, "{shown}: {error}");
                    assert_eq!(error.partial().unwrap_or_default(), *partial, "{shown}");
                    let words = format!("{} {}", error.summary(), error.message());
                    assert!(words.contains(word), "{shown}: {words}");
                }
                (Text(text), Some(error)) => panic!("{shown}: {text:?} expected, came {error}"),
                (Error(kind, ..), None) => {
                    panic!("{shown}: {kind} expected, came {:?}", task.result)
                }
            }
        }
    }
}

/// The same rows for a ChatGPT helper.
fn check_chat(rows: &[Row]) {
    check(chatgpt, rows);
}
