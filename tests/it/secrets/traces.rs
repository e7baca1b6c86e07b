//! Traces without texts, in requests and in the spool.

use std::time::Duration;

use automation_assistant::{AutomationAssistantManager, HelperConfig, OpikConfig, TraceMode};

use super::{
    CONTEXT, KEY, PICTURE_BASE64, PICTURE_URL, PROMPT, REPLY, SYSTEM, TURN, request_with_pictures,
    search, search_debug, search_task,
};
use crate::opik::stand_in::{Opik, nobody};
use crate::opik::{flush, opik};
use crate::support::LONG;
use crate::support::server::{Act, DONE, Server, answer, delta};
use crate::telemetry::Folder;

/// Echoes the request in an answer and in refusals; one script for each task.
fn echoing() -> (Server, usize) {
    let echo = format!("{KEY} {PROMPT} {CONTEXT} {SYSTEM} {TURN} {PICTURE_BASE64} {PICTURE_URL}");
    let quoted = serde_json::to_string(&echo).unwrap();
    let close = "connection: close\r\n";
    let refused = format!(r#"{{"error":{{"message":{quoted},"type":{quoted},"code":{quoted}}}}}"#);
    let half = format!("{}data: {quoted}\n\n{DONE}", delta(REPLY));
    let replies = [
        Act::reply(200, close, answer(REPLY)),
        Act::reply(200, close, answer(&echo)),
        Act::reply(401, &format!("{close}x-request-id: {KEY}\r\n"), &refused),
        Act::reply(400, close, &refused),
        Act::reply(500, close, &echo),
        Act::reply(200, close, &echo),
        Act::write(format!(
            "HTTP/1.1 200 OK\r\n{close}content-type: text/event-stream\r\n\r\n{half}"
        )),
    ];
    let scripts: Vec<_> = replies.into_iter().map(|reply| vec![Act::read(), reply]).collect();
    let tasks = scripts.len();
    (Server::start(scripts), tasks)
}

/// Has every task done, with traces of this mode. Gives the manager, with traces under way.
fn ask_all(config: OpikConfig, mode: TraceMode) -> (AutomationAssistantManager, Server) {
    let (server, tasks) = echoing();
    let manager = AutomationAssistantManager::builder().opik(config).build().unwrap();
    let config =
        HelperConfig::chatgpt().api_endpoint(server.base()).api_key(KEY).trace(mode).max_retries(0);
    let helper = manager.spawn_helper(config).unwrap();
    for number in 0..tasks {
        let last = number + 1 == tasks;
        let request =
            if last { request_with_pictures().on_text(|_| {}) } else { request_with_pictures() };
        let id = manager.submit_task(helper, request).unwrap();
        let task = manager.wait_task(helper, id, LONG).unwrap();
        search_debug(&task);
        if task.error.is_some() {
            search_task(&task);
        }
    }
    (manager, server)
}

#[test]
fn traces_without_content_hold_no_text_and_no_key() {
    let taken = Opik::willing();
    let (manager, server) = ask_all(opik(&taken.url()), TraceMode::Metadata);
    assert_eq!(flush(&manager, LONG), (7, 0, 0));
    search_debug(manager.opik().unwrap());
    drop(manager);
    server.finish();
    let asked = taken.asked();
    assert!(asked.iter().map(|one| one.items("traces").len()).sum::<usize>() == 7);
    for one in asked {
        search("a trace", &format!("{}\n{}\n{}", one.line, one.headers, one.text));
    }

    let folder = Folder::new("secrets-spool");
    let path = folder.join("traces.jsonl");
    let (manager, server) = ask_all(opik(&nobody()).spool(&path), TraceMode::Metadata);
    assert_eq!(flush(&manager, Duration::from_millis(50)).2, 7);
    drop(manager);
    server.finish();
    let spooled = std::fs::read_to_string(&path).unwrap();
    assert_eq!(spooled.lines().count(), 7);
    search("the spool", &spooled);
}

/// That the search above could find something: with content on, texts are there. The key is not.
#[test]
fn traces_with_content_hold_the_texts_but_never_the_key() {
    let taken = Opik::willing();
    let (manager, server) = ask_all(opik(&taken.url()), TraceMode::Content);
    assert_eq!(flush(&manager, LONG), (7, 0, 0));
    drop(manager);
    server.finish();
    let all: String = taken.asked().iter().map(|one| one.text.clone()).collect();
    assert!(all.contains(PROMPT) && all.contains(REPLY));
    let shown = all.matches(KEY).count();
    // The model itself said it, in the one answer that echoes everything: trace and span.
    assert_eq!(shown, 2);
}
