//! Chat Completions, as OpenAI and most model servers speak it.

use serde_json::{Value, json};

use super::{Api, Asked, Scripted, See, Stream, read_parts};

pub(super) const API: Api =
    Api { path: "/chat/completions", read, reply, stream, end: "data: [DONE]\n\n" };

fn read(request: &Value, see: See) -> Asked {
    let last = request["messages"].as_array().and_then(|messages| messages.last());
    let last = last.unwrap_or(&Value::Null);
    let function = &request["tools"][0]["function"];
    let name = function["name"].as_str().filter(|_| last["role"] != "tool");
    Asked {
        prompt: read_parts(&last["content"], see, |part| {
            Some(part["image_url"]["url"].as_str()?.split_once(";base64,")?.1)
        }),
        tool: name.map(|name| (name.to_owned(), function["parameters"].clone())),
    }
}

fn calls(plan: &Scripted) -> Option<Value> {
    let (name, arguments) = plan.call.as_ref()?;
    let function = json!({"name": name, "arguments": arguments.to_string()});
    Some(json!([{"index": 0, "id": "call_1", "type": "function", "function": function}]))
}

fn reason(plan: &Scripted) -> &'static str {
    if plan.call.is_some() { "tool_calls" } else { "stop" }
}

fn usage(plan: &Scripted) -> Value {
    let (read, written) = plan.tokens;
    json!({"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written})
}

fn reply(plan: &Scripted) -> Value {
    let message = match calls(plan) {
        Some(calls) => json!({"role": "assistant", "content": null, "tool_calls": calls}),
        None => json!({"role": "assistant", "content": plan.text}),
    };
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": plan.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason(plan)}],
        "usage": usage(plan)})
}

fn chunk(delta: Value, reason: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0,
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
}

fn stream(plan: &Scripted) -> Stream {
    let calls = calls(plan).map(|calls| chunk(json!({"tool_calls": calls}), Value::Null));
    let end = chunk(json!({}), json!(reason(plan)));
    let usage = json!({"model": plan.model, "choices": [], "usage": usage(plan)});
    Stream {
        before: vec![chunk(json!({"role": "assistant"}), Value::Null)],
        word: |word| chunk(json!({"content": word}), Value::Null),
        after: calls.into_iter().chain([end, usage]).collect(),
    }
}
