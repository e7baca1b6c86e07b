//! Rounds of tools: what goes back, and how.

use automation_assistant::{FnTool, TaskRequest};
use serde_json::json;

use super::{call, completed, events, once, reply, response, text};
use crate::support::server::{Act, chunk};

fn with_tool() -> TaskRequest {
    TaskRequest::new("p").tool(FnTool::new("add", "", json!({}), |arguments| {
        Ok((arguments["a"].as_i64().unwrap_or(0) + 1).to_string())
    }))
}

#[test]
fn every_item_goes_back_as_it_came_and_results_pair_by_call_id() {
    // Written so that reading it into a map and writing that would change it.
    let items = [
        r#"{"type":"reasoning","summary":[],"id":"rs_1","encrypted_content":"gA=="}"#,
        r#"{"type":"function_call","id":"fc_1","call_id":"call_1","name":"add","arguments":"{\"a\":1}"}"#,
        r#"{"type":"from_the_future","b":1.0,"a":2}"#,
        r#"{"type":"function_call","id":"fc_2","call_id":"call_2","name":"add","arguments":"{\"a\":3}"}"#,
    ];
    let reply = format!(r#"{{"status":"completed","output":[{}]}}"#, items.join(","));
    let script = vec![Act::read(), Act::json(200, &reply), Act::read(), text("done")];
    let (task, sent) = once(script, with_tool());
    assert_eq!((task.result.as_deref(), task.attempts), (Some("done"), 2));
    let results = r#"{"type":"function_call_output","call_id":"call_1","output":"2"},{"type":"function_call_output","call_id":"call_2","output":"4"}"#;
    let expected = format!("{},{results}]", items.join(","));
    assert!(sent[1].body.contains(&expected), "{}", sent[1].body);
}

#[test]
fn streamed_items_go_back_as_they_are_when_done() {
    let added = |index: u32, item: serde_json::Value| json!({"type": "response.output_item.added", "output_index": index, "item": item});
    let done = |index: u32, item: serde_json::Value| json!({"type": "response.output_item.done", "output_index": index, "item": item});
    let arguments = |id: &str, delta: &str| json!({"type": "response.function_call_arguments.delta", "item_id": id, "delta": delta});
    let thought = json!({"type": "reasoning", "id": "rs_1", "summary": [],
        "encrypted_content": "final"});
    let stream = [
        added(0, json!({"type": "reasoning", "id": "rs_1", "encrypted_content": "part"})),
        done(0, thought.clone()),
        added(
            1,
            json!({"type": "function_call", "id": "fc_1", "call_id": "call_1",
            "name": "add", "arguments": ""}),
        ),
        // A second call that no `done` event completes, as some servers leave it.
        added(
            2,
            json!({"type": "function_call", "id": "fc_2", "call_id": "call_2",
            "name": "add", "arguments": ""}),
        ),
        arguments("fc_1", "{\"a\""),
        arguments("fc_2", "{\"a\":"),
        arguments("fc_1", ":1}"),
        arguments("fc_2", "3}"),
        done(1, call("1", "add", "{\"a\":1}")),
        completed(json!([])),
    ];
    let Act::Write(bytes) = events(&stream) else { unreachable!() };
    let script = vec![
        Act::read(),
        Act::chunked_head(),
        chunk(&String::from_utf8(bytes).unwrap()),
        chunk(""),
        Act::read(),
        text("done"),
    ];
    let (task, sent) = once(script, with_tool().on_text(|_| {}));
    assert_eq!(task.result.as_deref(), Some("done"));
    let input = &sent[1].json()["input"];
    assert_eq!(input[1], thought);
    assert_eq!(input[2], call("1", "add", "{\"a\":1}"));
    assert_eq!(
        input[3],
        json!({"type": "function_call", "call_id": "call_2", "name": "add",
            "arguments": "{\"a\":3}"})
    );
    assert_eq!((&input[4]["output"], &input[5]["output"]), (&json!("2"), &json!("4")));
}

/// A call that pairs no result, or whose arguments are no object, is written anew.
#[test]
fn a_call_without_an_id_or_with_odd_arguments_goes_back_mended() {
    for (call, id, arguments) in [
        (json!({"name": "add", "arguments": "{\"a\":4}"}), "call_0", "{\"a\":4}"),
        (json!({"call_id": "", "name": "add", "arguments": "{\"a\":4}"}), "call_0", "{\"a\":4}"),
        (json!({"call_id": "c", "name": "add", "arguments": {"a": 4}}), "c", "{\"a\":4}"),
        (json!({"call_id": "c", "name": "add", "arguments": "[4]"}), "c", "{}"),
    ] {
        let mut call = call;
        call["type"] = "function_call".into();
        let script = vec![Act::read(), reply(&response(json!([call]))), Act::read(), text("ok")];
        let (task, sent) = once(script, with_tool());
        assert_eq!(task.result.as_deref(), Some("ok"), "{call}");
        let input = &sent[1].json()["input"];
        let mended = json!({"type": "function_call", "call_id": id, "name": "add",
            "arguments": arguments});
        assert_eq!(input[1], mended, "{call}");
        assert_eq!(input[2]["call_id"], id, "{call}");
    }
}
