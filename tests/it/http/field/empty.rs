//! Answers without a word: none is a success, and all that the provider reports of them is counted.

use automation_assistant::{ErrorKind as K, HelperConfig, OpenAiApi, RateLimiter, TaskRequest};
use serde_json::{Value, json};

use crate::http::{ask, events, failure, spawn};
use crate::support::server::{Act, DONE, Server, event};
use crate::support::side_by_side;

const REPORTED: u64 = 30;

#[test]
fn an_answer_without_a_word_is_an_error_and_counted_as_reported() {
    let chat = |message: Value, finish: &str| {
        json!({"choices": [{"message": message, "delta": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}})
    };
    let response = |status: &str, reason: &str| {
        json!({"object": "response", "status": status, "incomplete_details": {"reason": reason},
            "output": [{"type": "reasoning", "id": "r", "summary": []}],
            "usage": {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30}})
    };
    let hidden = json!({"type": "message", "role": "assistant", "stop_reason": "end_turn",
        "content": [{"type": "redacted_thinking", "data": "x"}],
        "usage": {"input_tokens": 10, "output_tokens": 20}});
    let no_tool = json!({"type": "message", "role": "assistant", "stop_reason": "tool_use",
        "content": [], "usage": {"input_tokens": 10, "output_tokens": 20}});
    let (nothing, null) = (json!({}), json!({"content": null}));
    let no_choice = json!({"choices": [], "usage": {"total_tokens": 30}});
    let error = json!({"error": {"message": "x"}, "choices": [], "usage": {"total_tokens": 30}});
    let rows = [
        (chat(nothing.clone(), "content_filter"), K::ContentFiltered),
        (chat(null.clone(), "content_filter"), K::ContentFiltered),
        (chat(nothing, "length"), K::Truncated),
        (chat(null.clone(), "length"), K::Truncated),
        (chat(json!({"content": "", "thinking": "hm"}), "stop"), K::Protocol),
        (chat(null, "stop"), K::Protocol),
        (no_choice, K::Protocol),
        (error, K::Server),
        (response("completed", ""), K::Protocol),
        (response("incomplete", "max_output_tokens"), K::Truncated),
        (response("incomplete", "content_filter"), K::ContentFiltered),
        (hidden, K::Protocol),
        (no_tool, K::Protocol),
    ];
    let both = rows.into_iter().flat_map(|row| [(row.clone(), false), (row, true)]);
    side_by_side(both, |((reply, kind), streams)| {
        let is_response = reply["object"] == "response";
        let is_message = reply["type"] == "message";
        // A stream of one event is what Anthropic never sends.
        if streams && is_message {
            return;
        }
        let script = match streams {
            false => vec![Act::read(), Act::json(200, &reply.to_string())],
            true if is_response => {
                let kind = format!("response.{}", reply["status"].as_str().unwrap());
                let last = events(&[json!({"type": kind, "response": reply})]);
                vec![Act::read(), Act::stream_head(), last]
            }
            true => {
                let text = event(&reply.to_string()) + DONE;
                vec![Act::read(), Act::stream_head(), Act::write(text)]
            }
        };
        let server = Server::start([script]);
        let limiter = RateLimiter::new();
        let config = match (is_response, is_message) {
            (true, _) => HelperConfig::chatgpt().openai_api(OpenAiApi::Responses),
            (_, true) => HelperConfig::anthropic().model("m"),
            _ => HelperConfig::chatgpt(),
        };
        let config = config.api_endpoint(server.base()).api_key("k").max_retries(0);
        let (manager, helper) = spawn(config.rate_limiter(&limiter));
        let request = TaskRequest::new("p");
        let request = if streams { request.on_text(|_| {}) } else { request };
        let task = ask(&manager, helper, request);
        assert!(!task.is_success(), "streamed: {streams}, {reply}: {task:?}");
        assert_eq!(failure(&task).kind(), kind, "streamed: {streams}, {reply}");
        assert_eq!(limiter.tokens_spent(), REPORTED, "streamed: {streams}, {reply}");
    });
}

#[test]
fn what_a_server_says_of_a_length_counts_by_its_status_and_not_by_the_prompt_it_quotes() {
    const LENGTH: &str = "maximum context length";
    side_by_side(
        [
            (400, LENGTH, "p", K::ContextLengthExceeded),
            (500, LENGTH, "p", K::ContextLengthExceeded),
            (403, LENGTH, "p", K::PermissionDenied),
            (429, LENGTH, "p", K::RateLimited),
            (503, LENGTH, "p", K::Server),
            (500, "no: the maximum context length", "the maximum context length", K::Server),
        ],
        |(status, message, prompt, kind)| {
            let body = json!({"error": {"message": message}}).to_string();
            let server = Server::start([vec![Act::read(), Act::json(status, &body)]]);
            let (manager, helper) = spawn(super::super::chatgpt(&server));
            assert_eq!(failure(&ask(&manager, helper, prompt)).kind(), kind, "{status} {message}");
        },
    );
}

/// The words of health checks, and of a server's start page.
#[test]
fn a_word_in_the_place_of_an_answer_is_no_answer_that_broke_off() {
    side_by_side(["OK", "ok", "healthy", "Ollama", "nope", "Ollama is running"], |body| {
        let server = Server::start([vec![Act::read(), Act::reply(200, "", body)]]);
        let (manager, helper) = spawn(super::super::chatgpt(&server).max_retries(2));
        let task = ask(&manager, helper, "p");
        assert_eq!((failure(&task).kind(), task.attempts), (K::Protocol, 1), "{body}");
    });
}
