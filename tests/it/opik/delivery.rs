//! Refusals, lost replies, dead servers, full queues: nothing fails a task, all is counted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use automation_assistant::{Event, EventKind, Observe, TraceMode};

use super::stand_in::{Opik, Say, TAKEN, nobody};
use super::{echo, flush, manager, opik, run, run_many};
use crate::support::{LONG, Notes, side_by_side};

/// More than a drop of the manager may take on any machine with these settings.
const DROP_MAX: Duration = Duration::from_secs(5);

#[test]
fn what_opik_refuses_is_dropped_and_counted() {
    for status in [400, 413, 422, 404] {
        let server = Opik::start(move |_, _| Say::Status(status, ""));
        let manager = manager(opik(&server.url()));
        let helper = echo(&manager, TraceMode::Metadata);
        assert!(run(&manager, helper, "x").is_success());
        assert_eq!(flush(&manager, LONG), (0, 1, 0), "{status}");
        let stats = manager.opik().unwrap().stats();
        assert_eq!((stats.last_status, stats.disabled_by), (Some(status), None));
        assert!(stats.last_error.is_some());
        // The next has its own chance.
        assert!(run(&manager, helper, "y").is_success());
        assert_eq!(flush(&manager, LONG), (0, 2, 0), "{status}");
    }
}

#[test]
fn a_refused_key_ends_the_sending() {
    for status in [401, 402, 403] {
        let server = Opik::start(move |_, _| Say::Status(status, ""));
        let manager = manager(opik(&server.url()));
        let helper = echo(&manager, TraceMode::Metadata);
        run(&manager, helper, "x");
        assert_eq!(flush(&manager, LONG), (0, 1, 0), "{status}");
        assert_eq!(manager.opik().unwrap().stats().disabled_by, Some(status));
        assert!(run(&manager, helper, "y").is_success());
        let sink = manager.opik().unwrap().clone();
        drop(manager);
        assert_eq!(server.asked().len(), 1, "{status}: nothing more is sent");
        assert_eq!((sink.stats().dropped, sink.stats().pending), (2, 0));
    }
}

/// A reply of this status with these header lines (each with `\r\n`) and body.
fn reply(status: u16, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn what_may_pass_is_sent_again_under_the_same_ids() {
    const HTML: &str = "Content-Type: Text/HTML; charset=utf-8\r\n";
    let mut replies: Vec<_> = [408, 429, 500, 502, 503].map(|status| reply(status, "", "")).into();
    // Somebody else's, in the place of Opik's.
    replies.extend([
        reply(200, HTML, "Log in first"),
        reply(200, "content-type: application/xhtml+xml\r\n", "Log in first"),
        reply(200, "", "\r\n<!DOCTYPE html><title>Log in</title>"),
        reply(201, "content-type: text/plain\r\n", "<html>"),
        // A page that breaks off.
        format!("HTTP/1.1 200 X\r\n{HTML}transfer-encoding: chunked\r\n\r\nno chunk\r\n"),
        reply(302, "location: /login\r\n", ""),
        reply(307, "location: http://127.0.0.1:1/\r\n", "<html>"),
        reply(407, "", ""),
        reply(511, HTML, "<html>"),
    ]);
    side_by_side(replies, |reply| {
        let said = reply.clone();
        let server = Opik::start(move |number, _| match number {
            // Once for the traces, once for the spans.
            0 | 2 => Say::Raw(said.clone()),
            _ => TAKEN,
        });
        let manager = manager(opik(&server.url()));
        let helper = echo(&manager, TraceMode::Metadata);
        run_many(&manager, helper, 3);
        assert_eq!(flush(&manager, LONG), (3, 0, 0), "{reply}");
        let asked = server.asked();
        assert_eq!(asked.len(), 4, "{reply}");
        assert_eq!(asked[0].ids("traces"), asked[1].ids("traces"));
        assert_eq!(asked[2].ids("spans"), asked[3].ids("spans"));
        assert_eq!(asked[1].ids("traces").len(), 3);
        assert_eq!(manager.opik().unwrap().stats().retried, 6);
    });
}

#[test]
fn what_opik_and_its_proxies_may_reply_is_an_acceptance() {
    let replies = [
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\ncontent-type: text/html\r\n\r\n".to_owned(),
        reply(200, "content-type: text/html\r\n", ""),
        reply(200, "content-type: application/json\r\n", r#"{"text":"<html>"}"#),
        reply(201, "content-type: text/plain\r\n", "created"),
        reply(202, "", ""),
    ];
    for reply in replies {
        let said = reply.clone();
        let server = Opik::start(move |_, _| Say::Raw(said.clone()));
        let manager = manager(opik(&server.url()));
        let helper = echo(&manager, TraceMode::Metadata);
        run(&manager, helper, "x");
        assert_eq!(flush(&manager, LONG), (1, 0, 0), "{reply}");
        assert_eq!(server.asked().len(), 2, "{reply}");
    }
}

#[test]
fn a_batch_that_opik_always_fails_on_is_dropped_in_the_end() {
    let server = Opik::start(|_, asked| match asked.text.contains("bad apple") {
        true => Say::Status(500, ""),
        false => TAKEN,
    });
    let manager = manager(opik(&server.url()));
    let helper = echo(&manager, TraceMode::Content);
    run(&manager, helper, "bad apple");
    let mut report = (0, 0, 1);
    // Each flush cuts a wait short, as a hurry may.
    for _ in 0..10 {
        report = flush(&manager, Duration::from_millis(100));
        if report.2 == 0 {
            break;
        }
    }
    assert_eq!(report, (0, 1, 0));
    assert_eq!(server.asked().len(), 5);
    run(&manager, helper, "good apple");
    assert_eq!(flush(&manager, LONG), (1, 1, 0));
}

#[test]
fn a_wait_that_opik_asks_for_is_heeded() {
    let server = Opik::start(|number, _| match number {
        0 => Say::Status(429, "RateLimit-Reset: 1\r\n"),
        _ => TAKEN,
    });
    let manager = manager(opik(&server.url()));
    let helper = echo(&manager, TraceMode::Metadata);
    run(&manager, helper, "x");
    assert_eq!(flush(&manager, LONG), (1, 0, 0));
    let asked = server.asked();
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
}

#[test]
fn one_bad_item_does_not_lose_the_others() {
    let server = Opik::start(|_, asked| match asked.text.contains("bad apple") {
        true => Say::Status(400, ""),
        false => TAKEN,
    });
    let manager = manager(opik(&server.url()));
    let helper = echo(&manager, TraceMode::Content);
    for n in 0..40 {
        run(&manager, helper, if n == 13 { "bad apple".into() } else { format!("good {n}") });
    }
    assert_eq!(flush(&manager, LONG), (39, 1, 0));
    let spans = server.items("spans");
    assert_eq!(spans.len(), 39);
    // All refused: the search for good ones ends.
    let server = Opik::start(|_, _| Say::Status(422, ""));
    let manager = super::manager(opik(&server.url()));
    let helper = echo(&manager, TraceMode::Metadata);
    run_many(&manager, helper, 100);
    assert_eq!(flush(&manager, LONG), (0, 100, 0));
    assert!(server.asked().len() <= 21, "{}", server.asked().len());
}

#[test]
fn a_lost_reply_is_followed_by_the_same_ids() {
    let server = Opik::start(|number, _| match number {
        0 => Say::Nothing,
        _ => TAKEN,
    });
    let manager = manager(opik(&server.url()));
    let helper = echo(&manager, TraceMode::Metadata);
    run_many(&manager, helper, 5);
    assert_eq!(flush(&manager, LONG), (5, 0, 0));
    let asked = server.asked();
    assert_eq!(asked[0].ids("traces").len(), 5);
    assert_eq!(asked[0].ids("traces"), asked[1].ids("traces"));
    assert_eq!(asked[0].text, asked[1].text);
}

#[test]
fn a_server_that_is_down_for_the_whole_run_hurts_nobody() {
    let notes = Notes::new();
    let manager = automation_assistant::AutomationAssistantManager::builder()
        .observer(notes.clone())
        .opik(opik(&nobody()))
        .build()
        .unwrap();
    let helper = echo(&manager, TraceMode::Content);
    run_many(&manager, helper, 250);
    let (sent, dropped, pending) = flush(&manager, Duration::from_millis(50));
    assert_eq!((sent, dropped, pending), (0, 0, 250));
    let sink = manager.opik().unwrap().clone();
    let began = Instant::now();
    drop(manager);
    assert!(began.elapsed() < DROP_MAX);
    let stats = sink.stats();
    assert_eq!((stats.sent, stats.dropped, stats.pending, stats.queue_bytes), (0, 250, 0, 0));
    assert!(notes.of(EventKind::TraceExport).iter().all(|(success, _)| !success));
    // A closed sink counts what still comes.
    assert!(!sink.score(automation_assistant::TraceId::new(), "late", 1.0));
    assert_eq!(sink.stats().dropped, 251);
    assert_eq!(sink.flush(LONG).pending, 0);
}

#[test]
fn a_server_that_never_answers_does_not_keep_the_manager() {
    let server = Opik::start(|_, _| Say::Hold);
    let manager = manager(opik(&server.url()).close_timeout(Duration::from_millis(200)));
    let helper = echo(&manager, TraceMode::Metadata);
    run(&manager, helper, "x");
    let report = flush(&manager, Duration::from_millis(50));
    assert_eq!(report, (0, 0, 1));
    server.next();
    let sink = manager.opik().unwrap().clone();
    let began = Instant::now();
    drop(manager);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200) && took < DROP_MAX, "{took:?}");
    assert_eq!((sink.stats().dropped, sink.stats().pending), (1, 0));
}

#[test]
fn an_observer_that_never_returns_does_not_keep_the_manager() {
    struct Stuck(Mutex<Sender<()>>, Mutex<Receiver<()>>);
    impl Observe for Stuck {
        fn on_event(&self, event: &Event<'_>) {
            if event.kind() == EventKind::TraceExport {
                self.0.lock().unwrap().send(()).unwrap();
                let _ = self.1.lock().unwrap().recv_timeout(LONG);
            }
        }
    }
    let server = Opik::willing();
    let ((held, is_held), (test_over, is_over)) = (channel(), channel());
    let config = opik(&server.url()).close_timeout(Duration::from_millis(200));
    let config = config.observer(Arc::new(Stuck(Mutex::new(held), Mutex::new(is_over))));
    let manager = manager(config);
    let helper = echo(&manager, TraceMode::Metadata);
    run(&manager, helper, "x");
    flush(&manager, Duration::ZERO);
    is_held.recv_timeout(LONG).unwrap();
    let began = Instant::now();
    drop(manager);
    // 0.2 s and 1 s for an observer, not the time in which a connection may be opened.
    assert!(began.elapsed() < DROP_MAX, "{:?}", began.elapsed());
    drop(test_over);
}

#[test]
fn the_end_of_the_manager_sends_what_is_left() {
    // No clock can add the second time to a moment.
    let endless: fn(&str) -> automation_assistant::opik::OpikConfig =
        |url| opik(url).close_timeout(Duration::MAX);
    for config in [opik, endless] {
        let server = Opik::willing();
        let manager = manager(config(&server.url()));
        let helper = echo(&manager, TraceMode::Metadata);
        run_many(&manager, helper, 30);
        let sink = manager.opik().unwrap().clone();
        drop(manager);
        assert_eq!((sink.stats().sent, sink.stats().dropped), (30, 0));
        assert_eq!(server.items("spans").len(), 30);
    }
}

#[test]
fn a_hundred_go_at_once_and_fewer_after_two_seconds() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()));
    let helper = echo(&manager, TraceMode::Metadata);
    let began = Instant::now();
    run_many(&manager, helper, 100);
    let (traces, spans) = (server.next(), server.next());
    assert_eq!((traces.items("traces").len(), spans.items("spans").len()), (100, 100));
    let first = Instant::now();
    run(&manager, helper, "one more");
    let traces = server.next();
    assert_eq!(traces.items("traces").len(), 1);
    assert!(traces.at - first.max(began) >= Duration::from_millis(1900));
}

#[test]
fn a_full_queue_drops_the_oldest_and_counts_them() {
    let server = Opik::willing();
    let manager = manager(opik(&server.url()).queue_items(10));
    let helper = echo(&manager, TraceMode::Content);
    for n in 0..30 {
        run(&manager, helper, format!("task {n}"));
    }
    assert_eq!(flush(&manager, LONG), (10, 20, 0));
    let prompts: Vec<_> =
        server.items("traces").iter().map(|trace| trace["input"]["prompt"].clone()).collect();
    let newest: Vec<_> = (20..30).map(|n| format!("task {n}")).collect();
    assert_eq!(prompts, newest);
}

#[test]
fn memory_stays_within_its_bound_while_nothing_can_be_sent() {
    const BOUND: usize = 1 << 20;
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let server = Opik::start(move |_, _| match is_up.load(Ordering::SeqCst) {
        true => TAKEN,
        false => Say::Status(503, ""),
    });
    let manager = manager(opik(&server.url()).queue_bytes(BOUND));
    let helper = echo(&manager, TraceMode::Content);
    let sink = manager.opik().unwrap();
    // 40 kB each, four times the bound in all.
    for n in 0..100 {
        run(&manager, helper, format!("{n} {}", "x".repeat(20_000)));
        if n == 10 {
            // A batch in the thread's hand counts too.
            assert_eq!(sink.flush(Duration::from_millis(10)).sent, 0);
        }
    }
    let stats = sink.stats();
    assert!(stats.queue_bytes_max <= BOUND && stats.queue_bytes > BOUND / 2, "{stats:?}");
    assert_eq!(stats.pending + stats.dropped, 100);
    assert!(stats.dropped >= 70, "{stats:?}");
    up.store(true, Ordering::SeqCst);
    let report = sink.flush(LONG);
    assert_eq!((report.sent, report.dropped), (stats.pending, stats.dropped));
    assert_eq!(sink.stats().queue_bytes, 0);
}

#[test]
fn a_sink_can_be_asked_from_an_observer_on_its_own_thread() {
    struct Curious(std::sync::Mutex<Option<automation_assistant::OpikSink>>);
    impl automation_assistant::Observe for Curious {
        fn on_event(&self, event: &automation_assistant::Event<'_>) {
            if event.kind() == EventKind::TraceExport {
                // Not to wait for itself, nor to join itself.
                let sink = self.0.lock().unwrap().take();
                if let Some(sink) = sink {
                    assert_eq!(sink.flush(LONG).sent, 1);
                }
            }
        }
    }
    let server = Opik::willing();
    let curious = Arc::new(Curious(std::sync::Mutex::new(None)));
    let sink =
        automation_assistant::OpikSink::new(opik(&server.url()).observer(curious.clone())).unwrap();
    *curious.0.lock().unwrap() = Some(sink.clone());
    assert!(sink.score(automation_assistant::TraceId::new(), "x", 1.0));
    sink.flush(Duration::ZERO);
    drop(sink);
    assert_eq!(server.next().items("scores").len(), 1);
}
