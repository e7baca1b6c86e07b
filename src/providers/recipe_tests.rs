//! The recipe against a scripted server: what a provider's file gets from the engine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::config::HelperConfig;
use crate::helper::AutomationHelper;
use crate::task::{FinishReason, Task, TaskRequest};
use crate::task_error::ErrorKind;
use crate::tool::FnTool;

/// Longer than anything here takes on a slow phone.
const LONG: Duration = Duration::from_secs(20);

const KEY: &str = "recipe-key-0123456789";

/// One task at a server that gives these replies, one a connection; the bodies of the requests that came.
fn ask(replies: Vec<String>, request: TaskRequest) -> (Task, Vec<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let config = HelperConfig::recipe()
        .api_endpoint(format!("http://{address}"))
        .api_key(KEY)
        .custom_param("salt", 1)
        .max_retries(1);
    let server = thread::spawn(move || {
        replies.into_iter().map(|reply| serve(&listener.accept().unwrap().0, &reply)).collect()
    });
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let id = helper.submit_task(request).unwrap();
    let task = helper.wait_task(id, LONG).unwrap();
    assert!(!format!("{task:?}").contains(KEY));
    drop(helper);
    // Ends the wait for a request that did not come: the server then fails.
    let _ = TcpStream::connect(address);
    (task, server.join().unwrap())
}

/// Reads one request and replies.
fn serve(mut stream: &TcpStream, reply: &str) -> Value {
    stream.set_read_timeout(Some(LONG)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "a whole request");
    }
    let head = head.to_ascii_lowercase();
    assert!(head.starts_with("post /cook http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("x-recipe-key: {KEY}\r\n")), "{head}");
    let (_, length) = head.split_once("content-length: ").unwrap();
    let mut body = vec![0; length.split_once('\r').unwrap().0.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    stream.write_all(reply.as_bytes()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

fn reply(json: Value) -> String {
    with_status(200, json)
}

fn with_status(status: u16, json: Value) -> String {
    let body = json.to_string();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn stream(events: &str) -> String {
    format!(
        "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}"
    )
}

#[test]
fn it_answers_and_counts() {
    let script = vec![reply(json!({"say": "hot", "cost": [3, 1]}))];
    let (task, sent) = ask(script, TaskRequest::new("how?").context("k", 1));
    assert_eq!(task.result.as_deref(), Some("hot"));
    assert_eq!(task.usage.unwrap().total_tokens, 4);
    assert_eq!(
        sent,
        [json!({"model": "soup-1", "live": false, "pictures": [], "seals": [], "tools": [],
            "salt": 1, "lines": ["system: {\"context\":{\"k\":1}}", "user: how?"]})]
    );
}

#[test]
fn it_streams() {
    let events = "event: part\ndata: {\"say\":\"a\"}\n\nevent: part\ndata: {\"say\":\"b\"}\n\n\
        event: other\ndata: x\n\nevent: over\ndata: {}\n\n";
    let deltas = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deltas);
    let on_text = move |text: &str| seen.lock().unwrap().push(text.to_owned());
    let (task, sent) = ask(vec![stream(events)], TaskRequest::new("p").on_text(on_text));
    assert_eq!(task.result.as_deref(), Some("ab"));
    assert_eq!(*deltas.lock().unwrap(), ["a", "b"]);
    assert_eq!(sent[0]["live"], true);
}

#[test]
fn a_stream_that_breaks_off_is_no_answer() {
    let script = vec![stream("event: part\ndata: {\"say\":\"a\"}\n\n")];
    let (task, _) = ask(script, TaskRequest::new("p").on_text(|_| {}));
    let error = task.error.unwrap();
    assert_eq!((error.kind(), error.partial()), (ErrorKind::Truncated, Some("a")));
}

#[test]
fn it_has_tools_called() {
    let script = vec![
        reply(json!({"do": [{"id": "1", "what": "stir", "with": {"times": 2}}]})),
        reply(json!({"say": "done"})),
    ];
    let stir = FnTool::new("stir", "Stirs.", json!({}), |arguments| {
        Ok(format!("stirred {}", arguments["times"]))
    });
    let (task, sent) = ask(script, TaskRequest::new("p").tool(stir));
    assert_eq!(task.result.as_deref(), Some("done"));
    assert_eq!(sent[0]["tools"], json!([["stir", {"type": "object", "properties": {}}]]));
    assert_eq!(sent[1]["lines"], json!(["user: p", "call: 1", "result: stirred 2"]));
}

#[test]
fn its_own_data_goes_back_as_it_came() {
    let script = vec![
        reply(json!({"do": [{"id": "1", "what": "stir", "with": {}, "seal": {"wax": [1.5]}}]})),
        reply(json!({"say": "done"})),
    ];
    let stir = FnTool::new("stir", "Stirs.", json!({}), |_| Ok(String::new()));
    let (task, sent) = ask(script, TaskRequest::new("p").tool(stir));
    assert_eq!(task.result.as_deref(), Some("done"));
    assert_eq!((&sent[0]["seals"], &sent[1]["seals"]), (&json!([]), &json!([{"wax": [1.5]}])));
}

#[test]
fn pictures_a_schema_and_a_limit_are_sent_and_reasons_are_read() {
    for (end, reason) in [
        (json!("full"), FinishReason::Stop),
        (json!("cut"), FinishReason::Length),
        (json!("boiled over"), FinishReason::Other),
        (json!(null), FinishReason::Stop),
    ] {
        let script = vec![reply(json!({"say": "{}", "end": end}))];
        let request = TaskRequest::new("p").image_url("https://h.example/pot.png");
        let request = request.reply_schema("n", json!({"type": "object"})).max_output_tokens(9);
        let (task, sent) = ask(script, request);
        assert_eq!(task.finish_reason, Some(reason), "{end}");
        assert_eq!(sent[0]["pictures"], json!(["https://h.example/pot.png"]));
        assert_eq!((&sent[0]["form"], &sent[0]["most"]), (&json!({"type": "object"}), &json!(9)));
    }
    let script = vec![reply(json!({"say": "a", "end": "hidden"}))];
    let (task, _) = ask(script, TaskRequest::new("p"));
    assert_eq!(task.error.unwrap().kind(), ErrorKind::ContentFiltered);
}

#[test]
fn its_own_errors_are_read_scrubbed_and_retried() {
    let said = format!("no gas, {KEY}");
    let error = json!({"oops": said, "sort": "tired"});
    let script = vec![with_status(418, error.clone()), with_status(418, error)];
    let (task, sent) = ask(script, TaskRequest::new("p"));
    let error = task.error.unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, Some("tired")));
    assert_eq!((error.status(), error.message()), (Some(418), "no gas, [redacted]"));
    assert_eq!((task.attempts, sent.len()), (2, 2));
}
