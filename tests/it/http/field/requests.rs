//! Servers that disturb a request (`field-cases.md`, B5 to B7): they answer before
//! they have read it, never end an error, or close a connection that was kept.

use std::time::{Duration, Instant};

use automation_assistant::{ErrorKind, EventKind, HelperConfig, RateLimiter, TaskRequest};

use super::super::{ask, chatgpt, failure, spawn};
use crate::support::server::{Act, Server, answers};
use crate::support::{Notes, side_by_side, until};

/// Reads this little of a request.
const GLANCE: usize = 200;

/// Larger than what sockets hold.
const LARGE: usize = 5 << 20;

fn large(server: &Server) -> HelperConfig {
    chatgpt(server).max_prompt_bytes(2 * LARGE)
}

fn status_line(status: u16, headers: &str, body: &str) -> Act {
    Act::reply(status, headers, body)
}

/// haproxy's `http-request deny`, nginx's `client_max_body_size`, gateways that look at the key
/// first (psf/requests#2422).
#[test]
fn an_answer_that_comes_before_the_request_was_read_counts() {
    use ErrorKind as K;
    let rows = [
        (413, "connection: close\r\n", "<html>too large</html>", K::InvalidRequest),
        (401, "connection: close\r\n", r#"{"error":{"message":"no"}}"#, K::Authentication),
        (429, "connection: close\r\nretry-after: 700\r\n", "", K::RateLimited),
        (503, "retry-after: 700\r\n", "", K::Server),
        (403, "", "", K::PermissionDenied),
    ];
    side_by_side(rows, |(status, headers, body, kind)| {
        for bytes in [100 << 10, 1 << 20, LARGE] {
            let script = vec![Act::Take(GLANCE), status_line(status, headers, body)];
            let server = Server::start([script, answers("alive")]);
            let (manager, helper) = spawn(large(&server).max_retries(2));
            let task = ask(&manager, helper, "x".repeat(bytes));
            let error = failure(&task);
            assert_eq!(error.kind(), kind, "{status}, {bytes} bytes: {error}");
            assert_eq!(error.status(), Some(status));
            if headers.contains("retry-after") {
                assert_eq!(error.retry_after(), Some(Duration::from_secs(700)));
            }
            assert_eq!(task.attempts, 1);
            // Never over that connection again.
            assert_eq!(ask(&manager, helper, "next").result.as_deref(), Some("alive"));
            drop(manager);
            let connections: Vec<_> = server.finish().iter().map(|seen| seen.connection).collect();
            assert_eq!(connections, [0, 1]);
        }
    });
}

/// A server that has answered, takes nothing more, and keeps the connection.
#[test]
fn an_answer_counts_though_the_server_neither_reads_on_nor_closes() {
    let (hold, meeting) = Act::meet();
    let script = vec![Act::Take(GLANCE), status_line(413, "", "too large"), hold];
    let server = Server::start([script]);
    let (manager, helper) = spawn(large(&server));
    let began = Instant::now();
    let task = ask(&manager, helper, "x".repeat(LARGE));
    assert_eq!(failure(&task).status(), Some(413), "{}", failure(&task));
    // Well below the task's time; an emulated processor takes seconds to send the rest.
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    meeting.go();
}

/// A server that only says that it is still there.
#[test]
fn an_interim_answer_is_none() {
    let (wait, meeting) = Act::meet();
    let interim = Act::write("HTTP/1.1 102 Processing\r\n\r\n");
    let server = Server::start([vec![
        Act::Take(GLANCE),
        interim,
        wait,
        Act::Take(LARGE),
        Act::json(200, &crate::support::server::answer("read")),
    ]]);
    let (manager, helper) = spawn(large(&server));
    let task = manager.submit_task(helper, "x".repeat(LARGE)).unwrap();
    meeting.reached();
    // Longer than the client waits before it looks for an answer.
    std::thread::sleep(Duration::from_millis(1500));
    meeting.go();
    let task = manager.wait_task(helper, task, crate::support::LONG).unwrap();
    assert_eq!(task.result.as_deref(), Some("read"), "{:?}", task.error);
}

/// A connection that is cut while the request is on its way, without an answer.
#[test]
fn a_connection_cut_without_an_answer_stays_a_failure_of_the_network() {
    let server = Server::start([vec![Act::Take(GLANCE)]]);
    let (manager, helper) = spawn(large(&server));
    let error = ask(&manager, helper, "x".repeat(LARGE)).error.unwrap();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    assert!(error.summary().contains("closed the connection"), "{error}");
}

#[test]
fn an_error_whose_body_never_ends_is_that_error() {
    use ErrorKind as K;
    let silent = |head: &str| Act::write(format!("HTTP/1.1 {head}\r\n\r\n"));
    let rows = [
        (silent("401 X\r\ncontent-length: 50"), Act::hold(), 401, K::Authentication, None),
        (silent("403 X"), Act::hold(), 403, K::PermissionDenied, None),
        (
            Act::write(
                "HTTP/1.1 404 X\r\ncontent-length: 99\r\n\r\n{\"error\":{\"message\":\"no such\"}",
            ),
            Act::hold(),
            404,
            K::NotFound,
            Some("no such"),
        ),
        (
            Act::write("HTTP/1.1 400 X\r\ntransfer-encoding: chunked\r\n\r\n"),
            Act::Trickle(b"2\r\nno\r\n".to_vec()),
            400,
            K::InvalidRequest,
            Some("nonono"),
        ),
        (
            silent("402 X\r\ncontent-type: text/plain"),
            Act::Flood(b"pay first. ".to_vec()),
            402,
            K::QuotaExceeded,
            Some("pay first. pay first."),
        ),
    ];
    side_by_side(rows, |(head, then, status, kind, word)| {
        let server = Server::start([vec![Act::read(), head, then], answers("alive")]);
        let (manager, helper) = spawn(chatgpt(&server));
        let began = Instant::now();
        let task = ask(&manager, helper, TaskRequest::new("p").timeout(Duration::from_secs(15)));
        let error = failure(&task);
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{error}");
        let said = error.message();
        assert!(said.contains(word.unwrap_or_default()), "{status}: {said:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{status}: {:?}", began.elapsed());
        assert_eq!(ask(&manager, helper, "next").result.as_deref(), Some("alive"));
    });
}

/// The server reads a second request on a kept connection and closes it, by its own choice or by
/// an accident of time; either way it may have done what was asked.
#[test]
fn a_request_that_may_have_been_read_is_never_repeated_uncounted() {
    for end in [vec![Act::read()], vec![Act::Take(GLANCE), Act::Reset]] {
        let mut dying = answers("first");
        dying.extend(end);
        let server = Server::start([dying, answers("never asked for")]);
        let (manager, helper) = spawn(chatgpt(&server));
        assert!(ask(&manager, helper, "one").is_success());
        let task = ask(&manager, helper, "two");
        let error = failure(&task);
        assert_eq!((error.kind(), task.attempts), (ErrorKind::Network, 1), "{error}");
        assert!(error.summary().contains("kept"), "{error}");
        drop(manager);
        assert_eq!(server.connections(), 1);
    }
}

#[test]
fn a_repetition_counts_everywhere() {
    let mut dying = answers("first");
    dying.push(Act::read());
    let server = Server::start([dying, answers("second")]);
    let notes = Notes::new();
    let limiter = RateLimiter::new().requests_per_minute(100);
    let manager = automation_assistant::AutomationAssistantManager::builder()
        .observer(notes.clone())
        .build()
        .unwrap();
    let config = chatgpt(&server).max_retries(1).rate_limiter(&limiter);
    let helper = manager.spawn_helper(config).unwrap();
    assert!(ask(&manager, helper, "one").is_success());
    let began = Instant::now();
    let task = ask(&manager, helper, "two");
    assert_eq!((task.result.as_deref(), task.attempts), (Some("second"), 2));
    assert!(began.elapsed() < Duration::from_millis(400), "it waits for nothing");
    let calls: Vec<_> = notes.of(EventKind::BackendCall).iter().map(|call| call.0).collect();
    assert_eq!(calls, [true, false, true]);
    drop(manager);
    assert_eq!(server.finish().len(), 3);
}

/// A kept connection whose end the client can see is simply not used.
#[test]
fn a_kept_connection_that_is_known_to_be_closed_costs_nothing() {
    let server = Server::start([answers("first"), answers("second")]);
    let (manager, helper) = spawn(chatgpt(&server));
    assert!(ask(&manager, helper, "one").is_success());
    until("the server closes the first connection", || server.closed() == 1);
    let task = ask(&manager, helper, "two");
    assert_eq!((task.result.as_deref(), task.attempts), (Some("second"), 1));
}
