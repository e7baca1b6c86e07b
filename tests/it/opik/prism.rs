//! Every kind of request that we send to Opik, through a proxy that checks it against Opik's
//! contract. Run by `tests/contract/opik.sh`; without it, this says that it was left out.
#![allow(clippy::print_stdout, reason = "a test that was left out says so")]

use std::io::{Read, Write};
use std::net::TcpStream;

use automation_assistant::{FnTool, HelperConfig, Role, TaskRequest, TraceId, TraceMode};
use serde_json::json;

use super::{echo, flush, manager, opik, run};
use crate::support::{FnBackend, LONG};

const PRISM: &str = "AUTOMATION_ASSISTANT_PRISM_OPIK";

#[test]
fn every_request_keeps_to_the_contract() {
    let Ok(url) = std::env::var(PRISM) else {
        println!("left out: {PRISM} is not set");
        return;
    };
    assert_eq!(wrong_on_purpose(&url), "422", "the judge does not judge");
    let manager = manager(opik(&url).api_key("key").workspace("w").project("p").tag("t"));
    // Generation: plain, with all that a request can have, and streamed.
    let comet = HelperConfig::comet().api_endpoint(&url).api_key("key").model("gpt-4o-mini");
    let comet = comet.max_retries(0).trace(TraceMode::Content).system_prompt("be brief");
    let gateway = manager.spawn_helper(comet).unwrap();
    let full = TaskRequest::new("and now?")
        .context("battery", 12)
        .turn(Role::User, "hello")
        .turn(Role::Assistant, "hi")
        .custom_param("temperature", 0.5)
        .custom_param("max_completion_tokens", 20)
        .custom_param("stop", vec!["x"])
        .reply_schema("answer", json!({"type": "object"}))
        .conversation("chat")
        .trace_tag("full");
    let mut answered = 0;
    let tool = FnTool::new("clock", "Returns the time.", json!({"type": "object"}), |_| {
        Ok("12:00".to_owned())
    });
    let tooled = TaskRequest::new("what time is it?").tool(tool);
    for request in [TaskRequest::new("hello"), full, tooled, TaskRequest::new("x").on_text(|_| {})]
    {
        let task = run(&manager, gateway, request);
        // The mock's answer is made of the schema alone, and need not make sense (a stream it
        // cannot write at all: 500); a request that breaks the contract is refused with 422.
        let status = task.error.as_ref().and_then(|error| error.status());
        assert!(!status.is_some_and(|status| (400..500).contains(&status)), "{:?}", task.error);
        answered += 1;
    }
    // Traces and spans: with and without texts, and of a failure.
    let mut ids = Vec::new();
    for mode in [TraceMode::Metadata, TraceMode::Content] {
        let helper = echo(&manager, mode);
        let id = TraceId::new();
        run(&manager, helper, TaskRequest::new("x").context("a", 1).trace_id(id));
        ids.push(id);
    }
    let failing = FnBackend(|_: &automation_assistant::CallContext<'_>| {
        let kind = automation_assistant::ErrorKind::Server;
        Err(automation_assistant::TaskError::new(kind, "failed").with_partial("par"))
    });
    let config = HelperConfig::local().trace(TraceMode::Content);
    let failing = manager.spawn_helper_with(config, failing).unwrap();
    run(&manager, failing, "x");
    for id in ids {
        assert!(manager.opik().unwrap().score(id, "good", 0.5));
    }
    let report = flush(&manager, LONG);
    assert_eq!(report, (answered + 3 + 2, 0, 0), "{:?}", manager.opik().unwrap().stats());
}

/// Sends a trace without its start; gives the status.
fn wrong_on_purpose(url: &str) -> String {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let body = r#"{"traces":[{"name":"no start"}]}"#;
    let request = format!(
        "POST /v1/private/traces/batch HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.split(' ').nth(1).unwrap().to_owned()
}
