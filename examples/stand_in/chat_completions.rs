//! Chat Completions, as OpenAI and most model servers speak it.

use serde_json::{Value, json};

use super::{Api, Asked, Said, See, Stream, read_parts};

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

fn calls(said: &Said) -> Option<Value> {
    let (name, arguments) = said.call.as_ref()?;
    let function = json!({"name": name, "arguments": arguments.to_string()});
    Some(json!([{"index": 0, "id": "call_1", "type": "function", "function": function}]))
}

fn reason(said: &Said) -> &'static str {
    if said.call.is_some() { "tool_calls" } else { "stop" }
}

fn usage(said: &Said) -> Value {
    let (read, written) = said.tokens;
    json!({"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written})
}

fn reply(said: &Said) -> Value {
    let message = match calls(said) {
        Some(calls) => json!({"role": "assistant", "content": null, "tool_calls": calls}),
        None => json!({"role": "assistant", "content": said.text}),
    };
    json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": said.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason(said)}],
        "usage": usage(said)})
}

fn chunk(delta: Value, reason: Value) -> Value {
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0,
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
}

fn stream(said: &Said) -> Stream {
    let calls = calls(said).map(|calls| chunk(json!({"tool_calls": calls}), Value::Null));
    let end = chunk(json!({}), json!(reason(said)));
    let usage = json!({"model": said.model, "choices": [], "usage": usage(said)});
    Stream {
        before: vec![chunk(json!({"role": "assistant"}), Value::Null)],
        word: |word| chunk(json!({"content": word}), Value::Null),
        after: calls.into_iter().chain([end, usage]).collect(),
    }
}
