//! The recipe against a scripted server: what a provider's file gets from the engine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::config::HelperConfig;
use crate::helper::AutomationHelper;
use crate::task::{FinishReason, Task, TaskRequest};
use crate::task_error::ErrorKind;
use crate::tool::FnTool;

/// Longer than anything here takes on a slow phone.
const LONG: Duration = Duration::from_secs(20);

// The integration tests' own server.
#[allow(unreachable_pub)]
#[path = "../../tests/it/support/loopback.rs"]
mod loopback;
#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/it/support/server.rs"]
mod server;
#[cfg(feature = "tls")]
#[allow(dead_code, unreachable_pub)]
#[path = "../../tests/it/support/tls.rs"]
mod tls;

use server::{Act, Server};

const KEY: &str = "recipe-key-0123456789";

/// One task at a server that plays this script, and the requests that came.
fn ask(script: Vec<Act>, request: TaskRequest) -> (Task, Vec<serde_json::Value>) {
    let server = Server::start([script]);
    let base = server.base();
    let config = HelperConfig::recipe()
        .api_endpoint(base.trim_end_matches("/v1"))
        .api_key(KEY)
        .custom_param("salt", 1)
        .max_retries(1);
    let helper = AutomationHelper::new(config).unwrap();
    helper.start().unwrap();
    let id = helper.submit_task(request).unwrap();
    let task = helper.wait_task(id, LONG).unwrap();
    assert!(!format!("{task:?}").contains(KEY));
    drop(helper);
    let seen = server.finish();
    assert!(seen.iter().all(|request| request.line() == "POST /cook"));
    assert!(seen.iter().all(|request| request.header("x-recipe-key") == Some(KEY)));
    (task, seen.iter().map(|request| request.json()).collect())
}

fn reply(json: serde_json::Value) -> Act {
    Act::json(200, &json.to_string())
}

#[test]
fn it_answers_and_counts() {
    let script = vec![Act::read(), reply(json!({"say": "hot", "cost": [3, 1]}))];
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
    let script = vec![
        Act::read(),
        Act::stream_head(),
        Act::write("event: part\ndata: {\"say\":\"a\"}\n\nevent: part\ndata: {\"say\":\"b\"}\n\n"),
        Act::write("event: other\ndata: x\n\nevent: over\ndata: {}\n\n"),
    ];
    let deltas = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deltas);
    let on_text = move |text: &str| seen.lock().unwrap().push(text.to_owned());
    let (task, sent) = ask(script, TaskRequest::new("p").on_text(on_text));
    assert_eq!(task.result.as_deref(), Some("ab"));
    assert_eq!(*deltas.lock().unwrap(), ["a", "b"]);
    assert_eq!(sent[0]["live"], true);
}

#[test]
fn a_stream_that_breaks_off_is_no_answer() {
    let script =
        vec![Act::read(), Act::stream_head(), Act::write("event: part\ndata: {\"say\":\"a\"}\n\n")];
    let (task, _) = ask(script, TaskRequest::new("p").on_text(|_| {}));
    let error = task.error.unwrap();
    assert_eq!((error.kind(), error.partial()), (ErrorKind::Truncated, Some("a")));
}

#[test]
fn it_has_tools_called() {
    let script = vec![
        Act::read(),
        reply(json!({"do": [{"id": "1", "what": "stir", "with": {"times": 2}}]})),
        Act::read(),
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
        Act::read(),
        reply(json!({"do": [{"id": "1", "what": "stir", "with": {}, "seal": {"wax": [1.5]}}]})),
        Act::read(),
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
        let script = vec![Act::read(), reply(json!({"say": "{}", "end": end}))];
        let request = TaskRequest::new("p").image_url("https://h.example/pot.png");
        let request = request.reply_schema("n", json!({"type": "object"})).max_output_tokens(9);
        let (task, sent) = ask(script, request);
        assert_eq!(task.finish_reason, Some(reason), "{end}");
        assert_eq!(sent[0]["pictures"], json!(["https://h.example/pot.png"]));
        assert_eq!((&sent[0]["form"], &sent[0]["most"]), (&json!({"type": "object"}), &json!(9)));
    }
    let script = vec![Act::read(), reply(json!({"say": "a", "end": "hidden"}))];
    let (task, _) = ask(script, TaskRequest::new("p"));
    assert_eq!(task.error.unwrap().kind(), ErrorKind::ContentFiltered);
}

#[test]
fn its_own_errors_are_read_scrubbed_and_retried() {
    let said = format!("no gas, {KEY}");
    let error = json!({"oops": said, "sort": "tired"}).to_string();
    let script = vec![Act::read(), Act::json(418, &error), Act::read(), Act::json(418, &error)];
    let (task, sent) = ask(script, TaskRequest::new("p"));
    let error = task.error.unwrap();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, Some("tired")));
    assert_eq!((error.status(), error.message()), (Some(418), "no gas, [redacted]"));
    assert_eq!((task.attempts, sent.len()), (2, 2));
}
