//! Responses, as OpenAI speaks it.

use serde_json::{Value, json};

use super::{Api, Asked, Scripted, See, Stream, read_parts};

pub(super) const API: Api = Api { path: "/responses", read, reply, stream, end: "" };

fn read(request: &Value, see: See) -> Asked {
    // The input is one text, or items of which the last is a message or a tool's result.
    let input = &request["input"];
    let last = input.as_array().and_then(|items| items.last()).unwrap_or(&Value::Null);
    let result = last["type"] == "function_call_output";
    let content = match (input.is_string(), result) {
        (true, _) => input,
        (_, true) => &last["output"],
        _ => &last["content"],
    };
    let tool = &request["tools"][0];
    let name = tool["name"].as_str().filter(|_| !result);
    Asked {
        prompt: read_parts(content, see, |part| {
            Some(part["image_url"].as_str()?.split_once(";base64,")?.1)
        }),
        tool: name.map(|name| (name.to_owned(), tool["parameters"].clone())),
    }
}

/// The answer: a call, or a message.
fn item(plan: &Scripted) -> Value {
    match &plan.call {
        Some((name, arguments)) => json!({"type": "function_call", "id": "fc_1",
            "call_id": "call_1", "status": "completed", "name": name,
            "arguments": arguments.to_string()}),
        None => json!({"type": "message", "id": "msg_1", "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": plan.text, "annotations": []}]}),
    }
}

fn reply(plan: &Scripted) -> Value {
    let (read, written) = plan.tokens;
    json!({"id": "resp_1", "object": "response", "created_at": 0, "status": "completed",
        "model": plan.model, "output": [item(plan)], "error": null, "incomplete_details": null,
        "usage": {"input_tokens": read, "output_tokens": written,
            "total_tokens": read + written}})
}

fn stream(plan: &Scripted) -> Stream {
    let created = json!({"id": "resp_1", "object": "response", "status": "in_progress"});
    let mut added = item(plan);
    added["status"] = json!("in_progress");
    // The deltas' content is empty here; the item's last event has it complete.
    match added["type"].as_str() {
        Some("message") => added["content"] = json!([]),
        _ => added["arguments"] = json!(""),
    }
    Stream {
        before: vec![
            json!({"type": "response.created", "response": created}),
            json!({"type": "response.output_item.added", "output_index": 0, "item": added}),
        ],
        word: |word| {
            json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                "content_index": 0, "delta": word})
        },
        after: vec![
            json!({"type": "response.output_item.done", "output_index": 0, "item": item(plan)}),
            json!({"type": "response.completed", "response": reply(plan)}),
        ],
    }
}
