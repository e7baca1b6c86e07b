//! The client before judges that others wrote; see tests/conformance/run.sh, which installs
//! and starts them. Without their addresses in the environment these tests say that they are
//! left out.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, FnTool, HelperConfig, HelperId, Role, Task, TaskRequest,
};
use serde_json::json;

use crate::support::LONG;

/// The judge's address, or nothing (which is said).
fn judge(variable: &str) -> Option<String> {
    let address = std::env::var(variable).ok();
    if address.is_none() {
        println!("left out: {variable} is not set");
    }
    address
}

fn helper(base: &str, path: &str) -> (AutomationAssistantManager, HelperId) {
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::chatgpt()
        .api_endpoint(format!("{base}{path}"))
        .api_key("sk-judged")
        .idle_timeout(Duration::from_secs(2))
        .timeout(LONG);
    let helper = manager.spawn_helper(config).unwrap();
    (manager, helper)
}

fn run(base: &str, path: &str, request: TaskRequest) -> Task {
    let (manager, helper) = helper(base, path);
    let id = manager.submit_task(helper, request).unwrap();
    manager.wait_task(helper, id, LONG + LONG).unwrap()
}

fn clock_tool() -> impl automation_assistant::Tool {
    FnTool::new(
        "clock",
        "Tells the time.",
        json!({"type": "object", "properties": {"zone": {"type": "string"}}}),
        |_| Ok("12:00".to_owned()),
    )
}

#[test]
fn the_strict_contract_accepts_every_request_we_can_build() {
    let Some(base) = judge("AUTOMATION_ASSISTANT_PRISM") else { return };
    let plain = || TaskRequest::new("Say hello.").max_retries(0);
    let schema = json!({
        "type": "object", "properties": {"word": {"type": "string"}},
        "required": ["word"], "additionalProperties": false,
    });
    let full = || {
        plain()
            .context("battery", 12)
            .system_prompt("Be brief.")
            .turn(Role::User, "Hi")
            .turn(Role::Assistant, "Hello")
            .custom_param("temperature", 0.5)
            .custom_param("top_p", 0.9)
            .custom_param("seed", 7)
            .custom_param("max_completion_tokens", 100)
            .custom_param("stop", json!(["END"]))
            .custom_param("metadata", json!({"app": "judge"}))
            .custom_param("user", "judge")
    };
    let requests = [
        ("plain", plain()),
        ("full", full()),
        ("streamed", plain().on_text(|_| {})),
        ("full, streamed", full().on_text(|_| {})),
        ("with a tool", plain().tool(clock_tool())),
        ("with a tool, streamed", plain().tool(clock_tool()).on_text(|_| {})),
        ("with a schema", plain().reply_schema("word", schema.clone())),
        ("with a schema, streamed", plain().reply_schema("word", schema).on_text(|_| {})),
    ];
    // The judge does judge: an unknown field is refused.
    let unknown = run(&base, "", plain().custom_param("no_such_field", 1)).error.unwrap();
    assert!(unknown.status().is_some_and(|status| status >= 400), "{unknown}");
    for (name, request) in requests {
        let task = run(&base, "", request);
        // What the mock answers is an example of its own; that it answers is the point.
        let refused = task.error.as_ref().and_then(automation_assistant::TaskError::status);
        let refused = refused.filter(|status| *status >= 400);
        assert_eq!(refused, None, "{name}: {:?}", task.error);
    }
}

/// Puts a behaviour into the judge's queue.
fn inject(base: &str, behaviour: serde_json::Value) {
    let body = json!({"behaviors": [behaviour]}).to_string();
    let address = base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    let head = format!(
        "POST /_llmock/scenario HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
}

#[test]
fn llmock_s_faults_are_borne() {
    let Some(base) = judge("AUTOMATION_ASSISTANT_LLMOCK") else { return };
    let kind = |task: &Task| task.error.as_ref().map(automation_assistant::TaskError::kind);
    let fail = |status: u16| json!({"type": "fail", "status": status});
    // Errors that a retry mends.
    for (n, behaviour) in [
        fail(408),
        fail(429),
        json!({"type": "fail", "status": 429, "retry_after": 1}),
        fail(500),
        fail(502),
        fail(503),
        json!({"type": "fail", "status": 503, "retry_after": 1}),
        fail(504),
        json!({"type": "fail", "status": 500, "times": 2}),
        json!({"type": "delay", "seconds": 0.5}),
    ]
    .into_iter()
    .enumerate()
    {
        inject(&base, behaviour.clone());
        let task = run(&base, "/v1", TaskRequest::new(format!("mended {n}")));
        assert!(task.is_success(), "{behaviour}: {:?}", task.error);
    }
    // Errors that no retry mends: one attempt, and the right kind.
    let quota = json!({"type": "fail", "status": 429, "code": "insufficient_quota"});
    let refusals = [
        (fail(400), ErrorKind::InvalidRequest),
        (fail(401), ErrorKind::Authentication),
        (fail(403), ErrorKind::PermissionDenied),
        (fail(404), ErrorKind::NotFound),
        (fail(422), ErrorKind::InvalidRequest),
        (quota, ErrorKind::QuotaExceeded),
    ];
    for (n, (behaviour, expected)) in refusals.into_iter().enumerate() {
        inject(&base, behaviour.clone());
        let task = run(&base, "/v1", TaskRequest::new(format!("refused {n}")));
        assert_eq!((kind(&task), task.attempts), (Some(expected), 1), "{behaviour}");
    }
    // Streams that break before any text: tried again.
    for fault in ["disconnect", "truncate"] {
        inject(&base, json!({"type": "stream_fault", "kind": fault, "after_chunks": 0}));
        let request = TaskRequest::new(format!("early {fault}")).on_text(|_| {});
        let task = run(&base, "/v1", request);
        assert!(task.is_success(), "{fault}: {:?}", task.error);
    }
    // Streams that break after text was delivered. That is never retried (the caller would
    // hear it twice), which the grader, who cannot see our error, takes amiss: run.sh allows
    // these findings and no other. A stall longer than the idle time-out is cut.
    let broken = [
        ("disconnect", ErrorKind::Truncated),
        ("truncate", ErrorKind::Truncated),
        ("malformed", ErrorKind::Protocol),
        ("stall", ErrorKind::Timeout),
    ];
    for (fault, expected) in broken {
        inject(&base, json!({"type": "stream_fault", "kind": fault, "after_chunks": 3}));
        let request = TaskRequest::new(format!("broken {fault}")).on_text(|_| {});
        let task = run(&base, "/v1", request);
        assert_eq!(kind(&task), Some(expected), "{fault}: {:?}", task.error);
    }
    inject(&base, json!({"type": "slow_first_token", "seconds": 1}));
    let task = run(&base, "/v1", TaskRequest::new("slow").on_text(|_| {}));
    assert!(task.is_success(), "{:?}", task.error);
    // Broken tool calls go back to the model as an error text.
    for fault in ["malformed_arguments", "unknown_tool"] {
        inject(&base, json!({"type": "tool_fault", "kind": fault}));
        let request = TaskRequest::new(format!("tool {fault}")).tool(clock_tool());
        let task = run(&base, "/v1", request);
        assert!(task.is_success(), "{fault}: {:?}", task.error);
    }
}
