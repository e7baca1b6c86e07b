//! The Messages API: requests and replies. The engine's part, shared among
//! protocols, is tested beside this folder, over Chat Completions.

mod errors;
mod requests;
mod rounds;
mod streams;

use automation_assistant::{HelperConfig, Task, TaskError, TaskRequest};
use serde_json::{Value, json};

use super::{KEY, ask, events, failure, spawn};
use crate::support::server::{Act, Seen, Server};

/// An Anthropic helper at this server: no retries, so that one script is one call.
fn config(server: &Server) -> HelperConfig {
    HelperConfig::anthropic()
        .api_endpoint(server.base())
        .api_key(KEY)
        .model("claude-x")
        .max_retries(0)
}

/// A complete reply with this content and reason to stop.
fn message(content: Value, stop_reason: &str) -> Act {
    let reply = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x-1",
        "content": content, "stop_reason": stop_reason, "stop_sequence": null,
        "usage": {"input_tokens": 10, "output_tokens": 5, "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 20},
    });
    Act::json(200, &reply.to_string())
}

fn text(text: &str) -> Act {
    message(json!([{"type": "text", "text": text}]), "end_turn")
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"model": "claude-x-1", "content": [],
        "usage": {"input_tokens": 10, "output_tokens": 1, "cache_read_input_tokens": 2}}})
}

fn open(index: u32, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u32, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn close(index: u32) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn stop(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason},
        "usage": {"output_tokens": 7}})
}

fn over() -> Value {
    json!({"type": "message_stop"})
}

/// Asks once at a server that plays this script; gives the task and what was sent.
fn once(script: Vec<Act>, request: TaskRequest) -> (Task, Vec<Seen>) {
    super::once(config, script, request)
}

/// How a task ends whose answer is this stream.
fn streamed(stream: &[Value]) -> Task {
    super::streamed(config, stream)
}

/// The error that this reply ends a task with.
fn error_of(reply: Act) -> TaskError {
    failure(&once(vec![Act::read(), reply], "p".into()).0).clone()
}
