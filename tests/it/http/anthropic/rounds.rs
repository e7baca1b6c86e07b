//! Rounds of tools: what goes back, and how.

use automation_assistant::{ErrorKind, FnTool, TaskRequest};
use serde_json::json;

use super::{close, delta, events, failure, message, once, open, over, start, stop, text};
use crate::support::server::{Act, Seen, chunk};

/// A request with two tools, of which one fails.
fn with_tools() -> TaskRequest {
    TaskRequest::new("p")
        .tool(FnTool::new("add", "", json!({}), |arguments| {
            Ok((arguments["a"].as_i64().unwrap_or(0) + 1).to_string())
        }))
        .tool(FnTool::new("fail", "", json!({}), |_| Err("no".to_owned())))
}

#[test]
fn a_tool_round_sends_the_whole_message_back_as_it_came_and_all_results_after_it() {
    // Written so that reading it into a map and writing that would change it.
    let blocks = [
        r#"{"type":"thinking","thinking":"","signature":"Eq+/=="}"#,
        r#"{"type":"redacted_thinking","data":"x","b":1.0,"a":2}"#,
        r#"{"type":"text","text":"so"}"#,
        r#"{"type":"tool_use","id":"t1","name":"add","input":{"a": 1}}"#,
        r#"{"type":"tool_use","id":"t2","name":"fail","input":{}}"#,
    ];
    let content = format!("[{}]", blocks.join(","));
    let reply = format!(
        r#"{{"type":"message","model":"m","content":{content},"stop_reason":"tool_use",
            "usage":{{"input_tokens":1,"output_tokens":1}}}}"#
    );
    let script = vec![Act::read(), Act::json(200, &reply), Act::read(), text("two")];
    let (task, sent) = once(script, with_tools());
    assert_eq!(task.result.as_deref(), Some("two"));
    assert_eq!((task.attempts, task.usage.unwrap().prompt_tokens), (2, 34));
    assert!(sent[1].body.contains(&content), "{}", sent[1].body);
    let messages = &sent[1].json()["messages"];
    assert_eq!(messages[1]["role"], "assistant");
    assert_eq!(
        messages[2],
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": "2"},
            {"type": "tool_result", "tool_use_id": "t2", "content": "error: no", "is_error": true},
        ]})
    );
    // The messages before the round are the same to the byte.
    let before = |seen: &Seen| seen.body.split("\"messages\":[").nth(1).unwrap().to_owned();
    let first = before(&sent[0]);
    let shared = first.split_once(']').unwrap().0;
    assert!(before(&sent[1]).starts_with(shared), "{shared}");
}

#[test]
fn streamed_calls_and_thinking_go_back_whole() {
    let stream = [
        start(),
        open(0, json!({"type": "thinking", "thinking": "", "signature": "", "future": [1]})),
        delta(0, json!({"type": "signature_delta", "signature": "Eq"})),
        delta(0, json!({"type": "signature_delta", "signature": "QB"})),
        close(0),
        open(1, json!({"type": "redacted_thinking", "data": "opaque"})),
        close(1),
        open(2, json!({"type": "text", "text": ""})),
        delta(2, json!({"type": "text_delta", "text": "so"})),
        close(2),
        // llama.cpp leaves the input out.
        open(3, json!({"type": "tool_use", "id": "t1", "name": "add"})),
        delta(3, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(3, json!({"type": "input_json_delta", "partial_json": "{\"a\""})),
        delta(3, json!({"type": "input_json_delta", "partial_json": ":4}"})),
        close(3),
        open(4, json!({"type": "tool_use", "id": "t2", "name": "add", "input": {}})),
        delta(4, json!({"type": "input_json_delta", "partial_json": ""})),
        close(4),
        stop("tool_use"),
        over(),
    ];
    let script = vec![
        Act::read(),
        Act::chunked_head(),
        chunk(&match events(&stream) {
            Act::Write(bytes) => String::from_utf8(bytes).unwrap(),
            _ => unreachable!(),
        }),
        chunk(""),
        Act::read(),
        text("done"),
    ];
    let (task, sent) = once(script, with_tools().on_text(|_| {}));
    assert_eq!(task.result.as_deref(), Some("done"));
    let messages = &sent[1].json()["messages"];
    assert_eq!(
        messages[1]["content"],
        json!([
            {"type": "thinking", "thinking": "", "signature": "EqQB", "future": [1]},
            {"type": "redacted_thinking", "data": "opaque"},
            {"type": "text", "text": "so"},
            {"type": "tool_use", "id": "t1", "name": "add", "input": {"a": 4}},
            {"type": "tool_use", "id": "t2", "name": "add", "input": {}},
        ])
    );
    let results = &messages[2]["content"];
    assert_eq!((&results[0]["content"], &results[1]["content"]), (&json!("5"), &json!("1")));
}

#[test]
fn a_call_that_the_limit_cut_off_is_not_run() {
    let call = json!({"type": "tool_use", "id": "t", "name": "add", "input": {}});
    let script = vec![Act::read(), message(json!([call]), "max_tokens")];
    let tool = FnTool::new("add", "", json!({}), |_| panic!("it runs"));
    let (task, _) = once(script, TaskRequest::new("p").tool(tool));
    assert_eq!(failure(&task).kind(), ErrorKind::Truncated);
    assert!(failure(&task).summary().contains("max_tokens"));
}

/// A call that pairs no result, or whose arguments are no object, is written anew.
#[test]
fn a_call_without_an_id_or_with_odd_input_goes_back_mended() {
    for (call, id, input) in [
        (json!({"name": "add", "input": {"a": 4}}), "call_0", json!({"a": 4})),
        (json!({"id": "", "name": "add", "input": {"a": 4}}), "call_0", json!({"a": 4})),
        (json!({"id": "t", "name": "add", "input": "{\"a\":4}"}), "t", json!({"a": 4})),
        (json!({"id": "t", "name": "add", "input": [4]}), "t", json!({})),
    ] {
        let mut call = call;
        call["type"] = "tool_use".into();
        let script = vec![Act::read(), message(json!([call]), "tool_use"), Act::read(), text("ok")];
        let (task, sent) = once(script, with_tools());
        assert_eq!(task.result.as_deref(), Some("ok"), "{call}");
        let messages = &sent[1].json()["messages"];
        let mended = json!([{"type": "tool_use", "id": id, "name": "add", "input": input}]);
        assert_eq!(messages[1]["content"], mended, "{call}");
        assert_eq!(messages[2]["content"][0]["tool_use_id"], id, "{call}");
    }
}
