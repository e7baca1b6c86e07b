//! HTTPS, against a server with a root of its own (tests/data/tls; its key was thrown away).

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;

use super::{KEY, ask, failure, spawn};
use crate::support::LONG;
use crate::support::server::{Act, DONE, Server, answer, answers, delta};
use crate::support::tls::{FAULTS, FOLDER, Fault, TlsLine, server_config};
use automation_assistant::{
    AutomationAssistantManager, ErrorKind, HelperConfig, TaskError, TaskRequest,
};

/// A server that speaks TLS so.
pub(super) fn serve(config: Arc<ServerConfig>, scripts: Vec<Vec<Act>>) -> Server {
    Server::start_over(scripts, move |stream| Ok(Box::new(TlsLine::new(&config, stream)?)))
}

/// A server that shows this host's certificate.
fn server(host: &str, scripts: Vec<Vec<Act>>) -> Server {
    serve(server_config(host), scripts)
}

/// A helper that trusts the root of this name.
pub(super) fn config(server: &Server, root: &str) -> HelperConfig {
    HelperConfig::chatgpt()
        .api_endpoint(format!("https://localhost:{}/v1", server.address().port()))
        .api_key(KEY)
        .max_retries(0)
        .root_certificates(format!("{FOLDER}/{root}.pem"))
}

#[test]
fn a_server_with_a_root_of_the_user_s_is_reached_and_its_connection_kept() {
    let mut script = answers("one");
    script.extend(answers("two"));
    let server = server("localhost", vec![script]);
    let (manager, helper) = spawn(config(&server, "root"));
    assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("one"));
    let long = "0123456789".repeat(20_000);
    assert_eq!(ask(&manager, helper, long.as_str()).result.as_deref(), Some("two"));
    drop(manager);
    let seen = server.finish();
    assert_eq!(seen[1].connection, 0);
    assert_eq!(seen[1].json()["messages"][0]["content"], long);
}

/// The error of a call that must not get as far as a request.
fn refused(host: &str, root: &str) -> TaskError {
    let server = server(host, vec![vec![Act::hold()]]);
    let (manager, helper) = spawn(config(&server, root));
    let error = failure(&ask(&manager, helper, "p")).clone();
    assert!(server.seen().is_empty());
    error
}

#[test]
fn who_cannot_prove_who_it_is_gets_no_request() {
    // Another host's name; a certificate that is no root of ours.
    for (host, root) in [("other.test", "root"), ("localhost", "other.test")] {
        let error = refused(host, root);
        assert_eq!(error.kind(), ErrorKind::Network, "{host}");
        assert!(error.summary().contains("root_certificates"), "{error}");
        assert!(error.message().contains("certificate"), "{error}");
    }
}

#[test]
fn a_server_without_tls_is_reported_as_such() {
    let plain = Server::start([vec![Act::Take(5), Act::write("HTTP/1.1 400 no\r\n\r\n")]]);
    let (manager, helper) = spawn(config(&plain, "root"));
    let error = failure(&ask(&manager, helper, "p")).clone();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.summary().contains("no secure connection"), "{error}");
}

#[test]
fn a_call_over_tls_is_cancelled_at_once_in_every_phase() {
    let (hold, meeting) = Act::meet();
    let (close, closed) = Act::await_close();
    let answering = server("localhost", vec![vec![Act::read(), hold, close], answers("next")]);
    let (manager, helper) = spawn(config(&answering, "root"));
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    let began = Instant::now();
    assert!(manager.cancel_task(helper, task));
    assert_eq!(ask(&manager, helper, "q").result.as_deref(), Some("next"));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    meeting.go();
    closed.recv_timeout(LONG).expect("the cancelled connection is closed");

    // A server that accepts, and then says nothing of TLS.
    let (hold, meeting) = Act::meet();
    let (close, closed) = Act::await_close();
    let silent = Server::start([vec![Act::Take(5), hold, close]]);
    let (manager, helper) = spawn(config(&silent, "root"));
    let task = manager.submit_task(helper, "p").unwrap();
    meeting.reached();
    let began = Instant::now();
    assert!(manager.cancel_task(helper, task));
    manager.terminate_all();
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    meeting.go();
    closed.recv_timeout(LONG).expect("the cancelled connection is closed");
}

#[test]
fn a_silent_handshake_ends_with_the_connect_time_out() {
    let silent = Server::start([vec![Act::hold()]]);
    let config = config(&silent, "root").connect_timeout(Duration::from_millis(200));
    let (manager, helper) = spawn(config.timeout(LONG));
    let began = Instant::now();
    let error = failure(&ask(&manager, helper, "p")).clone();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.summary().contains("connect_timeout"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// More than the abandoned threads that an agent bears: those that a call waits for are no such.
#[test]
fn helpers_that_all_connect_at_once_are_all_answered() {
    const HELPERS: usize = 64;
    let (scripts, meetings): (Vec<_>, Vec<_>) = (0..HELPERS)
        .map(|_| {
            let (hold, meeting) = Act::meet();
            (vec![Act::read(), hold, Act::json(200, &answer("warm"))], meeting)
        })
        .unzip();
    let server = server("localhost", scripts);
    let manager = AutomationAssistantManager::new(HELPERS);
    let tasks: Vec<_> = (0..HELPERS)
        .map(|_| {
            let helper = manager.spawn_helper(config(&server, "root")).unwrap();
            (helper, manager.submit_task(helper, "p").unwrap())
        })
        .collect();
    // Only then is any of them answered.
    for meeting in &meetings {
        meeting.reached();
    }
    for meeting in &meetings {
        meeting.go();
    }
    for (helper, task) in tasks {
        let task = manager.wait_task(helper, task, LONG).unwrap();
        assert_eq!(task.result.as_deref(), Some("warm"), "{:?}", task.error);
    }
    drop(manager);
    server.finish();
}

/// Time of a call that nothing else ends.
const SHORT: Duration = Duration::from_millis(300);

/// The error of a call whose established connection has this fault.
fn assert_broken(fault: Fault, error: &TaskError) {
    let expected: &[ErrorKind] = match fault {
        Fault::Stall => &[ErrorKind::Timeout],
        // Broken before, or in the middle of, what can be read: as the chunks arrive.
        _ => &[ErrorKind::Network, ErrorKind::Truncated],
    };
    assert!(expected.contains(&error.kind()), "{fault:?}: {error}");
    // The certificate was good: nothing must be said of roots and clocks.
    assert!(!error.summary().contains("root_certificates"), "{fault:?}: {error}");
}

#[test]
fn an_answer_spoilt_on_its_way_is_an_error_and_the_next_call_works() {
    for fault in FAULTS {
        // Its end is the connection's end. JSON shows by itself whether it is complete, so that
        // a complete one without a close_notify is accepted; half of it is not.
        let whole = answer("all");
        let half = &whole[..whole.len() / 2];
        let body = if fault == Fault::NoCloseNotify { half } else { &whole };
        let reply = format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}");
        let script = vec![Act::read(), Act::Spoil(fault), Act::write(reply), Act::hold()];
        let server = server("localhost", vec![script, answers("next")]);
        let time = if fault == Fault::Stall { SHORT } else { LONG };
        let (manager, helper) = spawn(config(&server, "root").timeout(time));
        let task = ask(&manager, helper, "p");
        assert_broken(fault, failure(&task));
        let next = manager.submit_task(helper, TaskRequest::new("q").timeout(LONG)).unwrap();
        let next = manager.wait_task(helper, next, LONG).unwrap();
        assert_eq!(next.result.as_deref(), Some("next"), "{fault:?} {:?}", next.error);
        drop(manager);
        server.finish();
    }
}

#[test]
fn a_stream_spoilt_on_its_way_is_never_taken_for_whole() {
    for fault in FAULTS {
        let script = vec![
            Act::read(),
            Act::stream_head(),
            Act::write(delta("half ")),
            Act::Spoil(fault),
            Act::write(delta("an answer")),
            Act::hold(),
        ];
        let server = server("localhost", vec![script, answers("next")]);
        let time = if fault == Fault::Stall { SHORT } else { LONG };
        let (manager, helper) = spawn(config(&server, "root").timeout(time));
        let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
        let error = failure(&task);
        assert_broken(fault, error);
        // A record that is damaged takes those with it that came in the same read.
        let partial = error.partial().unwrap_or_default();
        assert!("half an answer".starts_with(partial), "{fault:?} {partial:?}");
        drop(manager);
        server.finish();
    }
}

#[test]
fn a_finished_stream_needs_no_close_notify() {
    let last = format!("{}{DONE}", delta("all of it"));
    let script = vec![
        Act::read(),
        Act::stream_head(),
        Act::Spoil(Fault::NoCloseNotify),
        Act::write(last),
        Act::hold(),
    ];
    let server = server("localhost", vec![script]);
    let (manager, helper) = spawn(config(&server, "root"));
    let task = ask(&manager, helper, TaskRequest::new("p").on_text(|_| {}));
    assert_eq!(task.result.as_deref(), Some("all of it"), "{:?}", task.error);
    drop(manager);
    server.finish();
}

/// The close_notify came with the answer, and was read with it: nothing more shows on the
/// connection below, and the next call must not go over it.
#[test]
fn a_connection_after_close_notify_is_not_used_again() {
    let body = answer("one");
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (close, closed) = Act::await_close();
    let script = vec![Act::read(), Act::Spoil(Fault::CloseNotify), Act::write(reply), close];
    let server = server("localhost", vec![script, answers("two")]);
    let (manager, helper) = spawn(config(&server, "root"));
    assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("one"));
    // Closed already, and not only when it turned out that it leads nowhere.
    closed.recv_timeout(LONG).expect("the connection is closed");
    assert_eq!(ask(&manager, helper, "p").result.as_deref(), Some("two"));
    drop(manager);
    assert_eq!(server.finish()[1].connection, 1);
}
