//! Streaming: text as it arrives, and every way in which a stream can end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use automation_assistant::{ErrorKind, FinishReason, HelperConfig, Task, TaskRequest};

use super::{ask, chatgpt, failure, spawn};
use crate::support::LONG;
use crate::support::server::{Act, DONE, Server, answer, answers, chunk, delta, event, stop};

/// A request that streams, and a receiver of its deltas.
fn streaming(prompt: &str) -> (TaskRequest, Arc<Mutex<Vec<String>>>) {
    let deltas = Arc::new(Mutex::new(Vec::new()));
    let received = Arc::clone(&deltas);
    let request = TaskRequest::new(prompt)
        .on_text(move |text| received.lock().unwrap().push(text.to_owned()));
    (request, deltas)
}

fn play(config: impl Fn(&Server) -> HelperConfig, script: Vec<Act>) -> (Task, Vec<String>) {
    let server = Server::start([script]);
    let (manager, helper) = spawn(config(&server));
    let (request, deltas) = streaming("p");
    let task = ask(&manager, helper, request);
    let deltas = deltas.lock().unwrap().clone();
    (task, deltas)
}

/// Streams these bytes, then closes.
fn stream(body: &str) -> (Task, Vec<String>) {
    play(chatgpt, vec![Act::read(), Act::stream_head(), Act::write(body)])
}

#[test]
fn text_arrives_before_the_answer_is_complete() {
    let (pause, meeting) = Act::meet();
    let script = vec![
        Act::read(),
        Act::chunked_head(),
        chunk(&delta("")),
        chunk(&delta("Hel")),
        pause,
        chunk(&delta("lo")),
        chunk(&stop()),
        chunk(&event(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#)),
        chunk(DONE),
        chunk(""),
        Act::read(),
        Act::json(200, &answer("again")),
    ];
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    let (reported, received) = std::sync::mpsc::channel();
    let request =
        TaskRequest::new("p").on_text(move |text| reported.send(text.to_owned()).unwrap());
    let id = manager.submit_task(helper, request).unwrap();
    meeting.reached();
    assert_eq!(received.recv_timeout(LONG).unwrap(), "Hel");
    meeting.go();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("Hello"));
    assert_eq!(task.usage.unwrap().total_tokens, 3);
    assert_eq!(task.finish_reason, Some(FinishReason::Stop));
    assert_eq!(received.iter().collect::<Vec<_>>(), ["lo"]);
    // The stream was read to its end: its connection serves the next task.
    assert_eq!(ask(&manager, helper, "q").result.as_deref(), Some("again"));
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen[0].json()["stream"], true);
    assert_eq!(seen[0].json()["stream_options"]["include_usage"], true);
    assert_eq!(seen[1].json().get("stream"), None);
    assert_eq!(seen[1].connection, 0);
}

#[test]
fn every_form_of_a_complete_stream_is_an_answer() {
    let ab = [delta("a"), delta("b")].concat();
    let line = |json: &str| format!("{json}\r\n");
    let opik = [
        line(r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#),
        line(r#"{"choices":[{"index":0,"delta":{"content":"b"},"finishReason":"stop"}]}"#),
    ];
    for body in [
        format!("{ab}{}{DONE}", stop()),
        // No [DONE]; no finish_reason; no last line end; other line ends; comments; an n of 2.
        format!("{ab}{}", stop()),
        format!("{ab}{DONE}"),
        format!("{ab}data: [DONE]"),
        format!("{ab}{}", stop().trim_end()),
        format!("{ab}{DONE}").replace('\n', "\r\n"),
        format!("{ab}{DONE}").replace('\n', "\r"),
        format!(": ping\n\n{}: ping\n\n{}{DONE}garbage", delta("a"), delta("b")),
        format!("{ab}{}{DONE}", event(r#"{"choices":[{"index":1,"delta":{"content":"X"}}]}"#)),
        // Nothing said in between, and the whole once more.
        event(r#"{"choices":[{"delta":{"role":"assistant","content":null}}],"usage":null}"#)
            + &ab
            + &stop()
            + &event(r#"{"choices":[{"message":{"content":"ab"}}]}"#),
        opik.concat(),
    ] {
        let (task, deltas) = stream(&body);
        assert_eq!(task.result.as_deref(), Some("ab"), "{body:?}: {:?}", task.error);
        assert_eq!(deltas, ["a", "b"], "{body:?}");
    }
}

#[test]
fn a_reply_that_is_no_stream_is_read_too() {
    let (task, deltas) = play(chatgpt, answers("whole"));
    assert_eq!(task.result.as_deref(), Some("whole"));
    assert_eq!(deltas, ["whole"]);
}

#[test]
fn what_ends_a_stream_too_early_keeps_the_text_that_came() {
    use ErrorKind as K;
    let cases = [
        ("", K::Truncated, None),
        (": ping\n\n", K::Truncated, None),
        ("data: {\"choices\":[{\"delta\":{\"content\":\"half", K::Protocol, None),
        ("TEXT", K::Truncated, Some("half")),
        (
            "TEXTdata: {\"error\":{\"message\":\"x\",\"code\":\"rate_limit_exceeded\"}}\n\n",
            K::RateLimited,
            Some("half"),
        ),
        (
            "TEXTevent: error\ndata: {\"message\":\"x\",\"type\":\"server_error\"}\n\n",
            K::Server,
            Some("half"),
        ),
        (
            "TEXTerror: {\"code\":400,\"type\":\"exceed_context_size_error\"}\n\n",
            K::ContextLengthExceeded,
            Some("half"),
        ),
        (
            "TEXTdata: {\"code\":401,\"message\":\"x\",\"details\":\"y\"}\n\n",
            K::Authentication,
            Some("half"),
        ),
        ("TEXTdata: {nonsense\n\n", K::Protocol, Some("half")),
        (
            "TEXTdata: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n",
            K::ContentFiltered,
            Some("half"),
        ),
    ];
    for (body, kind, partial) in cases {
        let body = body.replace("TEXT", &delta("half"));
        let (task, _) = stream(&body);
        let error = failure(&task);
        assert_eq!(error.kind(), kind, "{body:?}: {error}");
        assert_eq!(error.partial(), partial, "{body:?}");
    }
}

#[test]
fn a_broken_connection_in_mid_stream_is_a_truncation() {
    let (task, _) = play(chatgpt, vec![Act::read(), Act::chunked_head(), chunk(&delta("half"))]);
    let error = failure(&task);
    assert_eq!((error.kind(), error.partial()), (ErrorKind::Truncated, Some("half")));
}

#[test]
fn keep_alives_do_not_break_the_silence() {
    let idle = |server: &Server| chatgpt(server).idle_timeout(Duration::from_millis(150));
    for ping in [": ping\n\n", "event: ping\ndata: {}\n\n"] {
        for before in [String::new(), delta("half")] {
            let script =
                vec![Act::read(), Act::stream_head(), Act::write(before), Act::trickle(ping)];
            let (task, _) = play(idle, script);
            let error = failure(&task);
            assert_eq!(error.kind(), ErrorKind::Timeout, "{ping:?}: {error}");
            assert!(error.summary().contains("idle_timeout"), "{ping:?}: {error}");
        }
    }
}

#[test]
fn a_server_that_never_ends_its_stream_loses_no_answer() {
    let body = format!("{}{}{DONE}", delta("done"), stop());
    let script = vec![Act::read(), Act::stream_head(), Act::write(body), Act::hold()];
    let (task, _) = play(chatgpt, script);
    assert_eq!(task.result.as_deref(), Some("done"));
}

#[test]
fn an_endless_stream_is_cut_off_at_the_bound() {
    let small = |server: &Server| chatgpt(server).max_reply_bytes(10_000);
    let endless = Act::Flood(delta("word ").into_bytes());
    let (task, _) = play(small, vec![Act::read(), Act::stream_head(), endless]);
    let error = failure(&task);
    assert_eq!(error.kind(), ErrorKind::ResponseTooLarge, "{error}");
    assert!(error.partial().unwrap().starts_with("word word "));
    let line = Act::Flood(vec![b'x'; 64 << 10]);
    let (task, _) = play(chatgpt, vec![Act::read(), Act::stream_head(), line]);
    assert_eq!(failure(&task).kind(), ErrorKind::ResponseTooLarge);
}

#[test]
fn a_server_that_refuses_the_usage_field_is_asked_once_more_without() {
    let refusal =
        r#"{"error":{"message":"Unrecognized: stream_options","param":"stream_options"}}"#;
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut script = vec![Act::read(), Act::json(400, refusal)];
    for _ in 0..2 {
        script.extend([Act::read(), Act::write(head), chunk(&delta("ok")), chunk(DONE), chunk("")]);
    }
    let server = Server::start([script]);
    let (manager, helper) = spawn(chatgpt(&server));
    for attempts in [2, 1] {
        let task = ask(&manager, helper, streaming("p").0);
        assert_eq!(task.result.as_deref(), Some("ok"), "{:?}", task.error);
        assert_eq!(task.attempts, attempts);
        assert_eq!(task.usage, None);
    }
    drop(manager);
    let seen = server.finish();
    let asked: Vec<_> = seen.iter().map(|s| s.json().get("stream_options").is_some()).collect();
    assert_eq!(asked, [true, false, false]);
}

#[test]
fn a_callback_that_panics_ends_its_task_and_no_other() {
    let body = format!("{}{}{DONE}", delta("x"), stop());
    let script = vec![Act::read(), Act::stream_head(), Act::write(body)];
    let server = Server::start([script, answers("fine")]);
    let (manager, helper) = spawn(chatgpt(&server));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| panic!("on purpose")));
    assert_eq!(failure(&task).kind(), ErrorKind::Panicked);
    assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("fine"));
}

#[test]
fn an_error_that_quotes_the_answer_so_far_is_reported_without_it() {
    let said = "the answer that nobody else may read";
    let end = event(&format!(r#"{{"error":{{"message":"after '{said}'","code":"x"}}}}"#));
    let (task, _) = stream(&format!("{}{}{end}", delta(&said[..20]), delta(&said[20..])));
    let error = failure(&task);
    assert_eq!(error.partial(), Some(said));
    assert_eq!(error.message(), "after '[redacted]'");
}
