//! How long replies take to read, from the socket to the task's result. Run by hand, before and
//! after a change of the readers:
//!
//! `cargo test --release --test it http::speed -- --ignored --nocapture`
#![allow(clippy::print_stdout)] // It is what the test is for.

use std::time::{Duration, Instant};

use automation_assistant::TaskRequest;

use super::{ask, chatgpt, spawn};
use crate::support::server::{Act, DONE, Server, answer, delta, stop};

const TRIES: usize = 15;
const REPLY_BYTES: usize = 4 << 20;
const DELTAS: usize = 100_000;

/// The shortest time of several for this reply.
fn shortest(reply: &Act, request: fn() -> TaskRequest, length: usize) -> Duration {
    let Act::Write(reply) = reply else { panic!("a reply") };
    let scripts = (0..=TRIES).map(|_| vec![Act::read(), Act::write(reply.clone())]);
    let server = Server::start(scripts.collect::<Vec<_>>());
    let (manager, helper) = spawn(chatgpt(&server).max_reply_bytes(32 << 20));
    let mut all = Vec::new();
    for _ in 0..=TRIES {
        let began = Instant::now();
        let task = ask(&manager, helper, request());
        all.push(began.elapsed());
        assert_eq!(task.result.map(|text| text.len()), Some(length), "{:?}", task.error);
    }
    all.into_iter().min().unwrap_or_default()
}

#[test]
#[ignore = "a measurement"]
fn whole_replies_and_streams() {
    let plain = "plain words, one after another. ".repeat(REPLY_BYTES / 32);
    let code = "\tlet x = \"y\";\n".repeat(REPLY_BYTES / 14);
    for (what, text) in [("plain text", plain), ("code", code)] {
        let reply = Act::reply(200, "connection: close\r\n", answer(&text));
        let time = shortest(&reply, || TaskRequest::new("p"), text.len());
        println!("4 MiB of {what}: {:.2} ms", time.as_secs_f64() * 1e3);
    }
    let stream = delta("some ").repeat(DELTAS) + &stop() + DONE;
    let headers = "content-type: text/event-stream\r\nconnection: close\r\n";
    let reply = Act::reply(200, headers, stream);
    let time = shortest(&reply, || TaskRequest::new("p").on_text(|_| {}), 5 * DELTAS);
    println!("100,000 deltas: {:.2} ms", time.as_secs_f64() * 1e3);
}
