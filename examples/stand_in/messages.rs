//! Messages, as Anthropic speaks it.

use serde_json::{Value, json};

use super::{Api, Asked, Scripted, See, Stream, read_parts};

pub(super) const API: Api = Api { path: "/messages", read, reply, stream, end: "" };

fn read(request: &Value, see: See) -> Asked {
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    let content = last.map_or(&Value::Null, |last| &last["content"]);
    let result = content[0]["type"] == "tool_result";
    let content = if result { &content[0]["content"] } else { content };
    let tool = &request["tools"][0];
    let name = tool["name"].as_str().filter(|_| !result);
    Asked {
        prompt: read_parts(content, see, |part| part["source"]["data"].as_str()),
        tool: name.map(|name| (name.to_owned(), tool["input_schema"].clone())),
    }
}

fn block(plan: &Scripted) -> Value {
    match &plan.call {
        Some((name, arguments)) => {
            json!({"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments})
        }
        None => json!({"type": "text", "text": plan.text}),
    }
}

fn reason(plan: &Scripted) -> &'static str {
    if plan.call.is_some() { "tool_use" } else { "end_turn" }
}

fn message(plan: &Scripted, content: Value, reason: Value, written: usize) -> Value {
    json!({"id": "msg_1", "type": "message", "role": "assistant", "model": plan.model,
        "content": content, "stop_reason": reason, "stop_sequence": null,
        "usage": {"input_tokens": plan.tokens.0, "output_tokens": written}})
}

fn reply(plan: &Scripted) -> Value {
    message(plan, json!([block(plan)]), json!(reason(plan)), plan.tokens.1)
}

fn stream(plan: &Scripted) -> Stream {
    let mut opened = block(plan);
    // The deltas' content is empty here.
    let arguments = match opened["type"].as_str() {
        Some("tool_use") => Some(opened["input"].take().to_string()),
        _ => None,
    };
    match arguments {
        Some(_) => opened["input"] = json!({}),
        None => opened["text"] = json!(""),
    }
    let arguments = arguments.map(|json| {
        json!({"type": "content_block_delta", "index": 0,
            "delta": {"type": "input_json_delta", "partial_json": json}})
    });
    let after = [
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": reason(plan)},
            "usage": {"output_tokens": plan.tokens.1}}),
        json!({"type": "message_stop"}),
    ];
    Stream {
        before: vec![
            json!({"type": "message_start", "message": message(plan, json!([]), Value::Null, 1)}),
            json!({"type": "content_block_start", "index": 0, "content_block": opened}),
        ],
        word: |word| {
            json!({"type": "content_block_delta", "index": 0,
                "delta": {"type": "text_delta", "text": word}})
        },
        after: arguments.into_iter().chain(after).collect(),
    }
}
