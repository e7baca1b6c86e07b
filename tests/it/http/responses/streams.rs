//! Streams.

use std::sync::{Arc, Mutex};

use automation_assistant::{ErrorKind, FinishReason, TaskRequest};
use serde_json::{Value, json};

use super::{
    ask, completed, config, delta, events, failure, message, once, response, spawn, streamed, text,
};
use crate::support::server::{Act, Server};

#[test]
fn deltas_make_up_the_answer_whatever_else_comes() {
    let (deltas, thoughts) =
        (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(String::new())));
    let (seen, thought) = (Arc::clone(&deltas), Arc::clone(&thoughts));
    let stream = [
        json!({"type": "response.created", "response": {"status": "in_progress", "usage": null}}),
        json!({"type": "keepalive", "sequence_number": 466}),
        json!({"type": "response.reasoning_summary_text.delta", "item_id": "rs_1", "delta": "hm"}),
        json!({"type": "response.output_item.added", "item": {"type": "message", "id": "msg_1"}}),
        delta("a"),
        json!({"type": "from_the_future", "message": "not an error", "code": null}),
        delta("b"),
        json!({"type": "response.output_item.done", "item": message("ab")}),
        completed(json!([message("ab")])),
    ];
    let script = vec![Act::read(), Act::stream_head(), events(&stream)];
    let request = TaskRequest::new("p")
        .on_text(move |text| seen.lock().unwrap().push(text.to_owned()))
        .on_reasoning(move |text| thought.lock().unwrap().push_str(text));
    let (task, _) = once(script, request);
    assert_eq!(task.result.as_deref(), Some("ab"));
    assert_eq!(*deltas.lock().unwrap(), ["a", "b"]);
    assert_eq!(*thoughts.lock().unwrap(), "hm");
    assert_eq!(task.usage.unwrap().total_tokens, 35);
    assert_eq!(task.finish_reason, Some(FinishReason::Stop));
}

/// Servers leave out deltas, indices, items or the last output: the text is never lost.
#[test]
fn text_comes_in_whatever_event_holds_it() {
    let added = json!({"type": "response.output_item.added", "item": {"type": "message"}});
    let bare = json!({"type": "response.output_text.delta", "delta": "ab"});
    let done = json!({"type": "response.output_item.done", "item": message("ab")});
    let end = || completed(json!([message("ab")]));
    for stream in [
        vec![completed(json!([message("ab")]))],
        vec![done.clone(), end()],
        vec![bare.clone(), completed(json!([]))],
        vec![added.clone(), bare.clone(), end()],
        vec![added, bare.clone(), done.clone(), end()],
        vec![delta("a"), done, end()],
    ] {
        assert_eq!(streamed(&stream).result.as_deref(), Some("ab"), "{stream:?}");
    }
    let two = [
        json!({"type": "response.output_item.done", "output_index": 0, "item": message("a")}),
        json!({"type": "response.output_item.done", "output_index": 1,
            "item": {"type": "message", "id": "msg_2",
                "content": [{"type": "output_text", "text": "b"}]}}),
        completed(json!([])),
    ];
    assert_eq!(streamed(&two).result.as_deref(), Some("a\n\nb"));
}

#[test]
fn streams_that_break_off_or_fail_are_no_answers() {
    use ErrorKind as K;
    let nested = json!({"type": "error", "sequence_number": 2, "error": {
        "type": "too_many_requests", "code": "too_many_requests", "message": "words"}});
    let flat = json!({"type": "error", "code": "server_error", "message": "words", "param": null});
    let mut failed = json!({"type": "response.failed", "response": response(json!([]))});
    failed["response"]["error"] = json!({"code": "credit_balance_exhausted", "message": "words"});
    let mut cut = completed(json!([message("so far")]));
    cut["response"]["status"] = json!("incomplete");
    cut["response"]["incomplete_details"] = json!({"reason": "content_filter"});
    let done = json!({"type": "response.output_item.done", "item": message("so far")});
    for (rest, kind) in [
        (vec![], K::Truncated),
        (vec![done], K::Truncated),
        (vec![nested], K::RateLimited),
        (vec![flat], K::Server),
        (vec![failed], K::QuotaExceeded),
        (vec![cut], K::ContentFiltered),
        (vec![json!({"type": "response.completed"})], K::Protocol),
    ] {
        let task = streamed(&[vec![delta("so far")], rest.clone()].concat());
        let error = failure(&task);
        assert_eq!((error.kind(), error.partial()), (kind, Some("so far")), "{rest:?}");
    }
    let incomplete: Value = json!({"type": "response.incomplete", "response": {
        "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}});
    let task = streamed(&[delta("so far"), incomplete]);
    assert_eq!(task.result.as_deref(), Some("so far"));
    assert_eq!(task.finish_reason, Some(FinishReason::Length));
}

#[test]
fn an_error_before_any_text_is_tried_again() {
    let error = json!({"type": "error", "code": "server_error", "message": "words"});
    let scripts = [
        vec![Act::read(), Act::stream_head(), events(&[error])],
        vec![Act::read(), text("better")],
    ];
    let server = Server::start(scripts);
    let (manager, helper) = spawn(config(&server).max_retries(1));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
    assert_eq!((task.result.as_deref(), task.attempts), (Some("better"), 2));
}

#[test]
fn a_callback_can_break_off_and_keeps_what_it_had() {
    use std::ops::ControlFlow;
    let stream = [delta("a"), delta("b"), completed(json!([message("ab")]))];
    let script = vec![Act::read(), Act::stream_head(), events(&stream)];
    let request = TaskRequest::new("p").on_text_control(|text| match text {
        "b" => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let (task, _) = once(script, request);
    assert_eq!((failure(&task).kind(), task.attempts), (ErrorKind::Cancelled, 1));
    assert_eq!(failure(&task).partial(), Some("ab"));
}
