//! When spans go out, what happens where they cannot, and how a sink ends.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use automation_assistant_otlp::{OtlpConfig, OtlpSink};

use crate::collector::Answer::{Raw, Says, Silence};
use crate::collector::{Answer, Collector, LONG, nowhere};
use crate::{echo, sink};

/// Spans of one task of [`echo`].
const SPANS: u64 = 2;

#[test]
fn a_request_is_what_otlp_over_http_asks_for() {
    let collector = Collector::new(&[]);
    let config = OtlpConfig::new().endpoint(collector.url()).service_name("notes");
    let sink = OtlpSink::new(config.header("x-key", "HUSH")).unwrap();
    let (_manager, helper) = echo(&sink);
    helper.ask("x").unwrap();
    let stats = sink.flush(LONG);
    assert_eq!((stats.sent, stats.dropped, stats.pending), (SPANS, 0, 0));
    assert_eq!((stats.last_status, stats.last_error), (Some(200), None));
    let request = collector.next();
    assert_eq!(request.line, "POST /v1/traces HTTP/1.1");
    for header in ["content-type: application/json\r\n", "x-key: hush\r\n"] {
        assert!(request.headers.contains(header), "{}", request.headers);
    }
    let body = request.json();
    let resource = &body["resourceSpans"][0]["resource"]["attributes"];
    assert_eq!(resource[0]["key"], "service.name");
    assert_eq!(resource[0]["value"]["stringValue"], "notes");
    let scope = &body["resourceSpans"][0]["scopeSpans"][0]["scope"];
    assert_eq!(scope["name"], "automation-assistant");
    assert!(!request.body.contains("HUSH"));
}

#[test]
fn spans_go_out_by_themselves_and_together() {
    let collector = Collector::new(&[]);
    let sink = sink(&collector.url());
    let (_manager, helper) = echo(&sink);
    for _ in 0..3 {
        helper.ask("x").unwrap();
    }
    assert_eq!(collector.next().spans().len() as u64, 3 * SPANS);
    sink.flush(LONG);
    assert_eq!(collector.left(), 0);
}

const PAGE: &str = "\u{feff}\n<!DOCTYPE html><p>SERVER SAID";

#[test]
fn each_response_has_its_meaning() {
    let wait = "retry-after: 1\r\n";
    let partial = r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"SERVER SAID"}}"#;
    // First answer; sent, dropped, retried; the status at the end.
    let cases: [(Answer, [u64; 3], u16); 14] = [
        (Says(200, "", ""), [2, 0, 0], 200),
        (Says(202, "", "no json"), [2, 0, 0], 202),
        (Says(200, "", partial), [1, 1, 0], 200),
        (Says(429, wait, ""), [2, 0, 2], 200),
        (Says(503, wait, "SERVER SAID"), [2, 0, 2], 200),
        (Says(502, "", ""), [2, 0, 2], 200),
        (Says(400, "", "SERVER SAID"), [0, 2, 0], 400),
        (Says(401, "", ""), [0, 2, 0], 401),
        (Says(404, "", ""), [0, 2, 0], 404),
        (Says(500, "", ""), [0, 2, 0], 500),
        (Says(200, "content-type: text/html\r\n", "SERVER SAID"), [2, 0, 2], 200),
        (Says(200, "", PAGE), [2, 0, 2], 200),
        (Says(307, "location: http://127.0.0.1:9/\r\n", ""), [2, 0, 2], 200),
        (Says(511, "", PAGE), [2, 0, 2], 200),
    ];
    let run = |(answer, [sent, dropped, retried], status): &(Answer, [u64; 3], u16)| {
        let collector = Collector::new(&[*answer]);
        let sink = sink(&collector.url());
        let (_manager, helper) = echo(&sink);
        helper.ask("x").unwrap();
        let stats = sink.flush(LONG);
        let counts = (stats.sent, stats.dropped, stats.retried, stats.pending);
        assert_eq!(counts, (*sent, *dropped, *retried, 0), "{status}");
        assert_eq!(stats.last_status, Some(*status));
        assert!(!format!("{stats:?} {sink:?}").contains("SERVER SAID"));
        let first = collector.next();
        if *retried > 0 {
            let second = collector.next();
            assert_eq!(first.body, second.body);
            let asked = matches!(answer, Says(_, headers, _) if *headers == wait);
            let gap = second.at - first.at;
            assert!(!asked || gap >= Duration::from_secs(1), "{gap:?}");
        }
        // The rejected request is dropped; the next is sent.
        helper.ask("y").unwrap();
        assert_eq!(sink.flush(LONG).sent, sent + SPANS);
        assert_eq!(collector.next().spans().len() as u64, SPANS);
    };
    std::thread::scope(|scope| cases.iter().for_each(|case| drop(scope.spawn(|| run(case)))));
}

#[test]
fn a_failure_is_described_by_its_kind_without_foreign_text() {
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: SERVER SAID\r\n".repeat(2000)).leak();
    let long = format!("<html>{}", "SERVER SAID".repeat(2000)).leak();
    let cases: [(Answer, &str); 8] = [
        (Says(200, "", PAGE), "something else answers"),
        (Says(200, "", long), "something else answers"),
        (Says(302, "location: http://127.0.0.1:9/\r\n", ""), "something else answers"),
        (Says(200, "content-length: SERVER SAID\r\n", ""), "HTTP/1.1"),
        (Raw("220 SERVER SAID\r\n"), "HTTP/1.1"),
        (Raw(many), "HTTP/1.1"),
        (Raw(""), "broke before"),
        (Raw("HTTP/1.1 200 OK\r\nx: SERVER SAID"), "broke before"),
    ];
    let run = |(answer, word): &(Answer, &str)| {
        let collector = Collector::new(&[*answer]);
        let sink = sink(&collector.url());
        let (_manager, helper) = echo(&sink);
        helper.ask("x").unwrap();
        let stats = sink.flush(LONG);
        assert_eq!((stats.sent, stats.retried), (SPANS, SPANS), "{word}");
        let error = stats.last_error.unwrap();
        assert!(error.contains(word) && !error.contains("SERVER SAID"), "{word}: {error}");
    };
    std::thread::scope(|scope| cases.iter().for_each(|case| drop(scope.spawn(|| run(case)))));
}

#[test]
fn a_full_queue_drops_the_oldest_and_counts_them() {
    let config = OtlpConfig::new().endpoint(format!("http://{}", nowhere())).queue_spans(4);
    let sink = OtlpSink::new(config).unwrap();
    let (_manager, helper) = echo(&sink);
    for _ in 0..50 {
        helper.ask("x").unwrap();
    }
    let stats = sink.stats();
    // Spans in flight have left the queue, but are pending.
    assert!((4..=8).contains(&stats.pending), "{stats:?}");
    assert_eq!((stats.sent, stats.dropped + stats.pending), (0, 50 * SPANS));
    assert!(stats.queue_bytes_max > 0 && stats.queue_bytes <= stats.queue_bytes_max);
}

#[test]
fn a_collector_that_comes_back_gets_what_waited() {
    let address = nowhere();
    let sink = sink(&format!("http://{address}"));
    let (_manager, helper) = echo(&sink);
    helper.ask("x").unwrap();
    let stats = sink.flush(Duration::from_millis(300));
    assert_eq!((stats.sent, stats.dropped, stats.pending), (0, 0, SPANS));
    let collector = Collector::at(address, &[]);
    let stats = sink.flush(LONG);
    assert_eq!((stats.sent, stats.dropped, stats.pending), (SPANS, 0, 0));
    assert!(stats.retried >= SPANS && stats.last_error.unwrap().contains("reached"));
    assert_eq!(collector.next().spans().len() as u64, SPANS);
}

#[test]
fn a_drop_sends_what_waits() {
    let collector = Collector::new(&[]);
    let sink = sink(&collector.url());
    let (manager, helper) = echo(&sink);
    helper.ask("x").unwrap();
    let began = Instant::now();
    drop((helper, manager, sink));
    assert!(began.elapsed() < Duration::from_secs(2), "it does not wait for others");
    assert_eq!(collector.next().spans().len() as u64, SPANS);
}

#[test]
fn a_drop_is_bounded_whatever_the_collector_does() {
    let silent = Collector::new(&[Silence]);
    let busy = Collector::new(&[Says(503, "retry-after: 100\r\n", "")]);
    let down = format!("http://{}", nowhere());
    for url in [silent.url(), busy.url(), down] {
        let config = OtlpConfig::new().endpoint(url).close_timeout(Duration::from_millis(300));
        let sink = OtlpSink::new(config).unwrap();
        let (manager, helper) = echo(&sink);
        helper.ask("x").unwrap();
        // The request is in flight, or has failed.
        sink.flush(Duration::from_millis(200));
        let began = Instant::now();
        drop((helper, manager, sink));
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    assert_eq!((silent.left(), busy.left()), (1, 1));
}

#[test]
fn a_task_does_not_wait_for_the_collector() {
    let silent = Collector::new(&[Silence]);
    let config = OtlpConfig::new().endpoint(silent.url()).close_timeout(Duration::ZERO);
    let sink = OtlpSink::new(config).unwrap();
    let (_manager, helper) = echo(&sink);
    helper.ask("x").unwrap();
    sink.flush(Duration::from_millis(100));
    silent.next();
    let began = Instant::now();
    for _ in 0..200 {
        helper.ask("y").unwrap();
    }
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(sink.stats().pending, 201 * SPANS);
}

#[test]
fn debug_shows_no_header() {
    let config = OtlpConfig::new().endpoint("http://127.0.0.1:9/HUSH").header("x-key", "HUSH");
    let shown = format!("{config:?}");
    assert!(shown.contains("x-key") && shown.contains("127.0.0.1"), "{shown}");
    let shown = format!("{shown} {:?}", OtlpSink::new(config).unwrap());
    assert!(!shown.contains("HUSH"), "{shown}");
}

/// The handshake fails, for no TLS answers it; that it begins shows that TLS is linked.
#[test]
fn https_is_tls_where_it_is_built_in() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let made = OtlpSink::new(OtlpConfig::new().endpoint(url).close_timeout(Duration::ZERO));
    if !cfg!(feature = "tls") {
        assert!(made.unwrap_err().to_string().contains("tls"));
        return;
    }
    let sink = made.unwrap();
    let (_manager, helper) = echo(&sink);
    helper.ask("x").unwrap();
    sink.flush(Duration::from_millis(1));
    let (mut stream, _) = listener.accept().unwrap();
    let mut begin = [0; 2];
    stream.read_exact(&mut begin).unwrap();
    assert_eq!(begin, [0x16, 3], "a handshake record of TLS");
    stream.write_all(b"HTTP/1.1 400 Bad\r\n\r\n").unwrap();
    // The second attempt begins once the first one's failure is known.
    listener.accept().unwrap();
    assert!(sink.stats().last_error.unwrap().contains("certificate"));
}
