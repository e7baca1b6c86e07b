//! Function calling: the model asks, the helper runs, the model goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use automation_assistant::{ErrorKind, FnTool, TaskRequest, Tool};
use serde_json::{Value, json};

use super::{ask, chatgpt, failure, spawn};
use crate::support::server::{Act, DONE, Server, answer, chunk, event};

fn add() -> impl Tool {
    FnTool::new("add", "Adds.", json!({"type": "object"}), |arguments| {
        match (arguments["a"].as_i64(), arguments["b"].as_i64()) {
            (Some(a), Some(b)) => Ok((a + b).to_string()),
            _ => Err("a and b must be numbers".to_owned()),
        }
    })
}

/// A reply that wants these calls: id, name, arguments.
fn wants(calls: &[(&str, &str, &str)]) -> Act {
    let calls: Vec<_> = calls
        .iter()
        .map(|(id, name, arguments)| {
            json!({"id": id, "type": "function",
                "function": {"name": name, "arguments": arguments}})
        })
        .collect();
    let reply = json!({
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": null, "tool_calls": calls}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1},
    });
    Act::json(200, &reply.to_string())
}

fn texts(messages: &Value) -> Vec<&str> {
    let all = messages.as_array().unwrap().iter();
    all.filter(|m| m["role"] == "tool").map(|m| m["content"].as_str().unwrap()).collect()
}

#[test]
fn parallel_calls_run_and_their_results_go_back_in_order() {
    let calls = wants(&[("c1", "add", r#"{"a":1,"b":2}"#), ("c2", "add", r#"{"a":3,"b":4}"#)]);
    let script = vec![Act::read(), calls, Act::read(), Act::json(200, &answer("3 and 7"))];
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    let task = ask(&manager, helper, TaskRequest::new("sum").tool(add()));
    assert_eq!(task.result.as_deref(), Some("3 and 7"));
    assert_eq!(task.attempts, 2);
    let usage = task.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (13, 3));
    drop(manager);
    let sent = server.finish()[1].json();
    assert_eq!(
        sent["messages"],
        json!([
            {"role": "user", "content": "sum"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function",
                    "function": {"name": "add", "arguments": "{\"a\":1,\"b\":2}"}},
                {"id": "c2", "type": "function",
                    "function": {"name": "add", "arguments": "{\"a\":3,\"b\":4}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
            {"role": "tool", "tool_call_id": "c2", "content": "7"},
        ])
    );
}

#[test]
fn errors_of_a_tool_are_reported_to_the_model() {
    let calls = wants(&[
        ("1", "add", "{\"a\":"),
        ("2", "add", "{}"),
        ("3", "sub", "{}"),
        ("4", "bad", "{}"),
        ("", "long", ""),
    ]);
    let script = vec![Act::read(), calls, Act::read(), Act::json(200, &answer("sorry"))];
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server).max_tool_output_bytes(1000));
    let request = TaskRequest::new("p")
        .tool(add())
        .tool(FnTool::new("bad", "", json!({}), |_| panic!("on purpose")))
        .tool(FnTool::new("long", "", json!({}), |_| Ok("x".repeat(5000))));
    assert_eq!(ask(&manager, helper, request).result.as_deref(), Some("sorry"));
    drop(manager);
    let sent = server.finish()[1].json();
    let reported = texts(&sent["messages"]);
    assert!(reported[0].contains("not a JSON object"), "{reported:?}");
    assert_eq!(reported[1], "error: a and b must be numbers");
    assert!(reported[2].contains("no such tool") && reported[2].contains("add"), "{reported:?}");
    assert!(reported[3].contains("broke down"), "{reported:?}");
    assert!(reported[4].len() < 1100 && reported[4].ends_with("longer]"));
    // Half arguments would be refused in the history; a missing id is made up.
    let calls = &sent["messages"][1]["tool_calls"];
    assert_eq!(calls[0]["function"]["arguments"], "{}");
    assert_eq!(calls[4]["id"], sent["messages"][6]["tool_call_id"]);
    assert_ne!(calls[4]["id"], "");
}

#[test]
fn streamed_calls_are_put_together() {
    let delta = |json: &str| {
        chunk(&event(&format!(
            r#"{{"choices":[{{"index":0,"delta":{{"tool_calls":[{json}]}}}}]}}"#
        )))
    };
    let script = vec![
        Act::read(),
        Act::chunked_head(),
        delta(r#"{"index":0,"id":"c1","function":{"name":"add","arguments":""}}"#),
        delta(r#"{"index":0,"function":{"arguments":"{\"a\":1,"}}"#),
        delta(r#"{"index":0,"function":{"arguments":"\"b\":2}"}}"#),
        chunk(&event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#)),
        chunk(DONE),
        chunk(""),
        Act::read(),
        Act::json(200, &answer("three")),
    ];
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    let request = TaskRequest::new("p").tool(add()).on_text(|_| {});
    assert_eq!(ask(&manager, helper, request).result.as_deref(), Some("three"));
    drop(manager);
    assert_eq!(texts(&server.finish()[1].json()["messages"]), ["3"]);
}

#[test]
fn rounds_are_bounded() {
    let script = (0..3).flat_map(|_| [Act::read(), wants(&[("c", "count", "{}")])]).collect();
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server).max_tool_rounds(2));
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let tool = FnTool::new("count", "", json!({}), move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Ok("once more".to_owned())
    });
    let task = ask(&manager, helper, TaskRequest::new("p").tool(tool));
    assert!(failure(&task).summary().contains("max_tool_rounds"), "{:?}", task.error);
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn a_tool_nobody_offered_is_an_error() {
    let server = Server::start([vec![Act::read(), wants(&[("c", "rm", "{}")])]]);
    let (manager, helper) = spawn(chatgpt(&server));
    assert_eq!(failure(&ask(&manager, helper, "p")).kind(), ErrorKind::Unsupported);
}

#[test]
fn a_cancel_in_a_tool_ends_the_task_after_it() {
    let server =
        Server::start([vec![Act::read(), wants(&[("c", "wait", "{}"), ("d", "wait", "{}")])]]);
    let (manager, helper) = spawn(chatgpt(&server));
    let (here, there) = std::sync::mpsc::sync_channel(0);
    let (go, word) = std::sync::mpsc::channel::<()>();
    let word = std::sync::Mutex::new(word);
    let tool = FnTool::new("wait", "", json!({}), move |_| {
        here.send(()).unwrap();
        word.lock().unwrap().recv().map_err(|error| error.to_string())?;
        Ok(String::new())
    });
    let id = manager.submit_task(helper, TaskRequest::new("p").tool(tool)).unwrap();
    there.recv_timeout(crate::support::LONG).unwrap();
    assert!(manager.cancel_task(helper, id));
    go.send(()).unwrap();
    manager.terminate_all();
    // The second call never ran, and the model was not asked again.
    assert!(there.try_recv().is_err());
    assert_eq!(server.finish().len(), 1);
}
