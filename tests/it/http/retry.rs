//! Retries: what is tried again, when, and when not.

use std::time::{Duration, Instant};

use automation_assistant::{ErrorKind, EventKind, HelperConfig, TaskRequest};

use super::{KEY, ask, chatgpt, failure, spawn};
use crate::support::server::{Act, Server, answer, answers, delta};
use crate::support::{LONG, Notes, side_by_side};

fn retrying(server: &Server) -> HelperConfig {
    chatgpt(server).max_retries(2)
}

/// A refusal that asks to come back at once, nearly.
fn refused(status: u16, headers: &str) -> Vec<Act> {
    let headers = format!("connection: close\r\n{headers}");
    vec![Act::read(), Act::reply(status, &headers, r#"{"error":{"message":"later"}}"#)]
}

const NOW: &str = "retry-after-ms: 1\r\n";

#[test]
fn passing_errors_are_retried_and_each_attempt_is_reported() {
    for status in [408, 409, 429, 500, 503] {
        let server =
            Server::start([refused(status, NOW), refused(status, NOW), answers("at last")]);
        let notes = Notes::new();
        let manager = automation_assistant::AutomationAssistantManager::builder()
            .observer(notes.clone())
            .build()
            .unwrap();
        let helper = manager.spawn_helper(retrying(&server)).unwrap();
        let task = ask(&manager, helper, "p");
        assert_eq!(task.result.as_deref(), Some("at last"), "{status}");
        assert_eq!(task.attempts, 3);
        let calls = notes.of(EventKind::BackendCall);
        assert_eq!(calls.iter().map(|call| call.0).collect::<Vec<_>>(), [false, false, true]);
        drop(manager);
        assert_eq!(server.finish().len(), 3);
    }
}

#[test]
fn what_cannot_pass_is_tried_once() {
    let quota = r#"{"error":{"code":"insufficient_quota"}}"#;
    let cases = [
        (400, "", "{}"),
        (401, "x-should-retry: true\r\n", "{}"),
        (403, "", "{}"),
        (404, "", "{}"),
        (422, "", "{}"),
        (429, "x-should-retry: true\r\n", quota),
        (500, "x-should-retry: false\r\n", "{}"),
        (200, "", "<html>"),
    ];
    for (status, headers, body) in cases {
        let headers = format!("{NOW}{headers}");
        let server = Server::start([vec![Act::read(), Act::reply(status, &headers, body)]]);
        let (manager, helper) = spawn(retrying(&server));
        let task = ask(&manager, helper, "p");
        assert_eq!((task.is_success(), task.attempts), (false, 1), "{status}");
        drop(manager);
        assert_eq!(server.finish().len(), 1, "{status}");
    }
}

#[test]
fn the_server_s_word_can_make_a_refusal_worth_a_retry() {
    let server =
        Server::start([refused(400, &format!("x-should-retry: true\r\n{NOW}")), answers("y")]);
    let (manager, helper) = spawn(retrying(&server));
    assert_eq!(ask(&manager, helper, "p").attempts, 2);
}

#[test]
fn broken_connections_and_half_answers_are_tried_again() {
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"choices\"";
    let rows = [vec![Act::Reset], vec![Act::read()], vec![Act::read(), Act::write(half)]];
    side_by_side(rows, |broken| {
        let server = Server::start([broken, answers("whole")]);
        let (manager, helper) = spawn(retrying(&server));
        let task = ask(&manager, helper, "p");
        assert_eq!(task.result.as_deref(), Some("whole"));
        assert_eq!(task.attempts, 2);
    });
}

#[test]
fn the_last_failure_is_the_task_s() {
    let server = Server::start([refused(500, NOW), refused(500, NOW), refused(503, NOW)]);
    let (manager, helper) = spawn(retrying(&server));
    let task = ask(&manager, helper, "p");
    assert_eq!(failure(&task).status(), Some(503));
    assert_eq!(task.attempts, 3);
}

#[test]
fn nothing_is_tried_again_after_text_was_handed_on() {
    let server = Server::start([
        vec![Act::read(), Act::stream_head(), Act::write(delta("half"))],
        answers("never"),
    ]);
    let (manager, helper) = spawn(retrying(&server));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
    assert_eq!(failure(&task).partial(), Some("half"));
    assert_eq!(task.attempts, 1);
    drop(manager);
    assert_eq!(server.finish().len(), 1);
}

#[test]
fn a_stream_that_broke_before_its_first_word_is_tried_again() {
    let server = Server::start([
        vec![Act::read(), Act::stream_head(), Act::write(": ping\n\n")],
        answers("fine"),
    ]);
    let (manager, helper) = spawn(retrying(&server));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
    assert_eq!(task.result.as_deref(), Some("fine"));
    assert_eq!(task.attempts, 2);
}

#[test]
fn a_wait_that_does_not_fit_ends_the_task_at_once_with_its_cause() {
    let cases = [
        // Longer than the task has; longer than the helper would wait; both as a date.
        ("retry-after: 30\r\n", Duration::from_secs(5), ErrorKind::RateLimited),
        ("retry-after: 200\r\n", Duration::from_secs(600), ErrorKind::RateLimited),
        (
            "date: Sun, 06 Nov 1994 08:49:00 GMT\r\nretry-after: Sun, 06 Nov 1994 08:59:00 GMT\r\n",
            Duration::from_secs(900),
            ErrorKind::RateLimited,
        ),
    ];
    for (headers, timeout, kind) in cases {
        let server = Server::start([refused(429, headers)]);
        let (manager, helper) = spawn(retrying(&server).timeout(timeout));
        let began = Instant::now();
        let task = ask(&manager, helper, "p");
        assert!(began.elapsed() < Duration::from_secs(4));
        assert_eq!(failure(&task).kind(), kind);
        let wait = failure(&task).retry_after().unwrap().as_secs();
        assert!(failure(&task).to_string().contains(&format!("{wait} s")), "{}", failure(&task));
    }
}

#[test]
fn a_cancel_ends_a_wait_between_two_tries_at_once() {
    let (pause, meeting) = Act::meet();
    let mut script = refused(429, "retry-after: 20\r\n");
    script.push(pause);
    let server = Server::start([script, answers("next")]);
    let (manager, helper) = spawn(retrying(&server).timeout(Duration::from_secs(60)));
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    meeting.go();
    let began = Instant::now();
    assert!(manager.cancel_task(helper, task));
    let task = manager.wait_task(helper, task, LONG).unwrap();
    assert_eq!(failure(&task).kind(), ErrorKind::Cancelled);
    assert!(ask(&manager, helper, "q").is_success());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}

#[test]
fn comet_does_not_try_a_missing_provider_again() {
    let server = Server::start([refused(409, NOW)]);
    let config = HelperConfig::comet()
        .api_endpoint(format!("http://{}/api", server.address()))
        .api_key(KEY)
        .model("m");
    let (manager, helper) = spawn(config);
    assert_eq!(ask(&manager, helper, "p").attempts, 1);
}

#[test]
fn all_attempts_share_one_deadline() {
    let slow = || vec![Act::read(), Act::hold()];
    let server =
        Server::start([refused(500, NOW), slow(), vec![Act::read(), Act::json(200, &answer("x"))]]);
    let (manager, helper) = spawn(retrying(&server).timeout(Duration::from_millis(300)));
    let began = Instant::now();
    let task = ask(&manager, helper, "p");
    assert_eq!(failure(&task).kind(), ErrorKind::Timeout);
    assert_eq!(task.attempts, 2);
    assert!(began.elapsed() < Duration::from_millis(1500));
}
