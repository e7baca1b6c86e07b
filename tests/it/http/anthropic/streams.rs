//! Streams and reasons to stop.

use std::sync::{Arc, Mutex};

use automation_assistant::{ErrorKind, FinishReason, TaskRequest};
use serde_json::{Value, json};

use super::{
    ask, close, config, delta, events, failure, message, once, open, over, spawn, start, stop,
    streamed, text,
};
use crate::support::server::{Act, Server};

#[test]
fn deltas_make_up_the_answer_and_usage_is_cumulative() {
    let deltas = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deltas);
    let stream = [
        json!({"type": "ping"}),
        start(),
        open(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "s"})),
        close(0),
        open(1, json!({"type": "text", "text": ""})),
        delta(1, json!({"type": "text_delta", "text": "a"})),
        json!({"type": "from_the_future", "x": [1]}),
        delta(1, json!({"type": "text_delta", "text": "b"})),
        close(1),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
            "usage": {"input_tokens": 0, "output_tokens": 7,
                "output_tokens_details": {"thinking_tokens": 4}}}),
        over(),
    ];
    let script = vec![Act::read(), Act::stream_head(), events(&stream)];
    let request =
        TaskRequest::new("p").on_text(move |text| seen.lock().unwrap().push(text.to_owned()));
    let (task, sent) = once(script, request);
    assert_eq!(task.result.as_deref(), Some("ab"));
    assert_eq!(*deltas.lock().unwrap(), ["a", "b"]);
    assert_eq!(sent[0].json()["stream"], true);
    let usage = task.usage.unwrap();
    assert_eq!((usage.prompt_tokens, usage.completion_tokens), (12, 7));
    assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(2), Some(4)));
}

#[test]
fn every_reason_to_stop_has_its_outcome() {
    let said = || json!([{"type": "text", "text": "so far"}]);
    for (reason, expected) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("something_new", FinishReason::Other),
    ] {
        let (whole, _) = once(vec![Act::read(), message(said(), reason)], "p".into());
        let stream = [
            start(),
            open(0, json!({"type": "text", "text": "so far"})),
            close(0),
            stop(reason),
            over(),
        ];
        for task in [whole, streamed(&stream)] {
            assert_eq!(task.result.as_deref(), Some("so far"), "{reason}");
            assert_eq!(task.finish_reason, Some(expected), "{reason}");
        }
    }
    for (reason, kind) in
        [("refusal", ErrorKind::ContentFiltered), ("pause_turn", ErrorKind::Unsupported)]
    {
        let (whole, _) = once(vec![Act::read(), message(said(), reason)], "p".into());
        assert_eq!(failure(&whole).kind(), kind);
        let stream =
            [start(), open(0, json!({"type": "text", "text": "so far"})), stop(reason), over()];
        let task = streamed(&stream);
        assert_eq!((failure(&task).kind(), failure(&task).partial()), (kind, Some("so far")));
    }
    // Nothing to say is an answer.
    let (task, _) = once(vec![Act::read(), message(json!([]), "end_turn")], "p".into());
    assert_eq!(task.result.as_deref(), Some(""));
}

#[test]
fn streams_that_break_off_or_fail_are_no_answers() {
    use ErrorKind as K;
    let said = |rest: &[Value]| {
        let begun = [start(), open(0, json!({"type": "text", "text": "so far"}))];
        streamed(&[&begun, rest].concat())
    };
    let error = |kind: &str| {
        json!({"type": "error", "request_id": "req_1",
            "error": {"details": null, "type": kind, "message": "words"}})
    };
    for (rest, kind) in [
        (vec![], K::Truncated),
        (vec![close(0)], K::Truncated),
        (vec![error("overloaded_error")], K::Server),
        (vec![error("rate_limit_error")], K::RateLimited),
        (vec![json!({"error": {"type": "server_error", "message": "words"}})], K::Server),
        (vec![json!({"error": "words"})], K::Server),
    ] {
        let task = said(&rest);
        let error = failure(&task);
        assert_eq!((error.kind(), error.partial()), (kind, Some("so far")), "{rest:?}");
    }
    // A reason to stop is enough of an end.
    assert_eq!(said(&[stop("end_turn")]).result.as_deref(), Some("so far"));
    // An error within the stream is tried again while nothing was delivered.
    let scripts = [
        vec![Act::read(), Act::stream_head(), events(&[start(), error("overloaded_error")])],
        vec![Act::read(), text("better")],
    ];
    let server = Server::start(scripts);
    let (manager, helper) = spawn(config(&server).max_retries(1));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
    assert_eq!((task.result.as_deref(), task.attempts), (Some("better"), 2));
}
