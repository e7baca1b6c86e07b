//! The recipe against a scripted server: what a provider's file gets from the engine.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::config::HelperConfig;
use crate::providers::support_tests::{self, Server, stream};
use crate::task::{FinishReason, Task, TaskRequest};
use crate::task_error::ErrorKind;
use crate::tool::FnTool;

const KEY: &str = "recipe-key-0123456789";

/// One task at a server that gives these replies; the bodies of the requests that came.
fn ask(replies: Vec<String>, request: TaskRequest) -> (Task, Vec<Value>) {
    let server = Server::start(replies);
    let config = HelperConfig::recipe()
        .api_endpoint(server.url())
        .api_key(KEY)
        .custom_param("salt", 1)
        .max_retries(1);
    let task = support_tests::ask(config, request);
    assert!(!format!("{task:?}").contains(KEY));
    let bodies = server.finish().into_iter().map(|seen| {
        assert!(seen.head.starts_with("POST /cook HTTP/1.1\r\n"), "{}", seen.head);
        assert!(seen.head.contains(&format!("x-recipe-key: {KEY}\r\n")), "{}", seen.head);
        seen.json()
    });
    (task, bodies.collect())
}

fn reply(json: Value) -> String {
    support_tests::reply(200, &json)
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
    // Beside a call that can be sent as it is, and one that cannot.
    for call in [json!({"id": "1", "what": "stir", "with": {}}), json!({"what": "stir", "with": 7})]
    {
        let mut call = call;
        call["seal"] = json!({"wax": [1.5]});
        let script = vec![reply(json!({"do": [call]})), reply(json!({"say": "done"}))];
        let stir = FnTool::new("stir", "Stirs.", json!({}), |_| Ok(String::new()));
        let (task, sent) = ask(script, TaskRequest::new("p").tool(stir));
        assert_eq!(task.result.as_deref(), Some("done"));
        assert_eq!((&sent[0]["seals"], &sent[1]["seals"]), (&json!([]), &json!([{"wax": [1.5]}])));
    }
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
    let script = vec![support_tests::reply(418, &error); 2];
    let (task, sent) = ask(script, TaskRequest::new("p"));
    let error = task.error.unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, Some("tired")));
    assert_eq!((error.status(), error.message()), (Some(418), "no gas, [redacted]"));
    assert_eq!((task.attempts, sent.len()), (2, 2));
}
