//! The Responses API: requests, replies, and when it is used. The engine's part,
//! shared among protocols, is tested beside this folder, over Chat Completions.

mod choice;
mod replies;
mod requests;
mod rounds;
mod streams;

use automation_assistant::{HelperConfig, OpenAiApi, Task, TaskRequest};
use serde_json::{Value, json};

use super::{KEY, ask, events, failure, spawn};
use crate::support::server::{Act, Seen, Server};

/// A helper that speaks Responses at this server: no retries, so that one script is one call.
fn config(server: &Server) -> HelperConfig {
    HelperConfig::chatgpt()
        .api_endpoint(server.base())
        .api_key(KEY)
        .model("gpt-x")
        .openai_api(OpenAiApi::Responses)
        .max_retries(0)
}

/// A message with this text.
fn message(text: &str) -> Value {
    json!({"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": text, "annotations": []}]})
}

fn call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{id}"), "call_id": format!("call_{id}"),
        "name": name, "arguments": arguments, "status": "completed"})
}

/// A response with this output.
fn response(output: Value) -> Value {
    json!({"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-x-1",
        "error": null, "incomplete_details": null, "output": output,
        "usage": {"input_tokens": 30, "input_tokens_details": {"cached_tokens": 20},
            "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 35}})
}

fn reply(response: &Value) -> Act {
    Act::json(200, &response.to_string())
}

fn text(text: &str) -> Act {
    reply(&response(json!([message(text)])))
}

fn delta(text: &str) -> Value {
    json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
        "content_index": 0, "delta": text})
}

fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": response(output)})
}

/// Asks once at a server that plays this script; gives the task and what was sent.
fn once(script: Vec<Act>, request: TaskRequest) -> (Task, Vec<Seen>) {
    super::once(config, script, request)
}

/// How a task ends whose answer is this stream.
fn streamed(stream: &[Value]) -> Task {
    super::streamed(config, stream)
}
