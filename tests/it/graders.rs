//! What others wrote, as judges: `llmock` grades how faults are handled, `prism` refuses
//! requests that break the provider's contract. `tests/graders/run` installs and starts both
//! and runs these tests; without their addresses in the environment they say so and pass.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use automation_assistant::{
    AutomationAssistantManager, ErrorKind, FnTool, HelperConfig, HelperId, Role, Task, TaskRequest,
};
use serde_json::{Value, json};

use crate::support::LONG;

/// The address of a judge, as `127.0.0.1:8071`, or a word on why nothing is tested.
#[allow(clippy::print_stdout)] // A skipped test must say so.
fn judge(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        println!("skipped: {variable} names no judge; see tests/graders/run");
    }
    found
}

/// One plain request, by hand: the judge's own interface is no chat.
fn http(address: &str, method: &str, path: &str, body: &str) -> Value {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 ") || head.contains(" 201 "), "{method} {path}: {reply}");
    serde_json::from_str(body).unwrap_or(Value::Null)
}

struct Llmock {
    address: String,
    manager: AutomationAssistantManager,
    helper: HelperId,
    cases: u32,
}

impl Llmock {
    fn new(address: &str) -> Self {
        http(address, "POST", "/_llmock/reset", "");
        let manager = AutomationAssistantManager::new(1);
        let config = HelperConfig::chatgpt()
            .api_endpoint(format!("http://{address}/v1"))
            .idle_timeout(Duration::from_millis(700))
            .first_byte_timeout(Duration::from_secs(10));
        let helper = manager.spawn_helper(config).unwrap();
        Self { address: address.to_owned(), manager, helper, cases: 0 }
    }

    /// Asks under these faults, with a prompt of its own (the judge tells calls by it).
    fn under(&mut self, faults: Value, change: impl Fn(TaskRequest) -> TaskRequest) -> Task {
        http(&self.address, "POST", "/_llmock/scenario", &json!({"behaviors": faults}).to_string());
        self.cases += 1;
        let request = change(TaskRequest::new(format!("case {} of the list", self.cases)));
        let id = self.manager.submit_task(self.helper, request).unwrap();
        self.manager.wait_task(self.helper, id, LONG).unwrap()
    }

    /// The codes of what the judge found wrong.
    fn findings(&self) -> Vec<String> {
        let verdict = http(&self.address, "GET", "/_llmock/verdict", "");
        let findings = verdict["findings"].as_array().expect("a verdict").iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    }
}

fn plain(request: TaskRequest) -> TaskRequest {
    request
}

fn streamed(request: TaskRequest) -> TaskRequest {
    request.on_text(|_| {})
}

fn with_tool(request: TaskRequest) -> TaskRequest {
    let schema = json!({"type": "object", "properties": {"place": {"type": "string"}}});
    request.tool(FnTool::new("weather", "Tells the weather.", schema, |_| Ok("sunny".into())))
}

fn kind(task: &Task) -> Option<ErrorKind> {
    task.error.as_ref().map(|error| error.kind())
}

#[test]
fn llmock_finds_nothing_wrong() {
    let Some(address) = judge("AUTOMATION_ASSISTANT_LLMOCK") else { return };
    let mut llmock = Llmock::new(&address);
    for status in [408, 409, 429, 500, 502, 503, 504, 529] {
        let task = llmock.under(json!([{"type": "fail", "status": status, "times": 2}]), plain);
        assert_eq!((kind(&task), task.attempts), (None, 3), "{status}");
    }
    for wait in [0.3, 1.0] {
        let fault = json!([{"type": "fail", "status": 429, "retry_after": wait, "times": 1}]);
        for change in [plain, streamed] {
            let task = llmock.under(fault.clone(), change);
            assert_eq!((kind(&task), task.attempts), (None, 2));
        }
    }
    let refusals = [
        (400, ErrorKind::InvalidRequest),
        (401, ErrorKind::Authentication),
        (403, ErrorKind::PermissionDenied),
        (404, ErrorKind::NotFound),
        (422, ErrorKind::InvalidRequest),
    ];
    for (status, expected) in refusals {
        let task = llmock.under(json!([{"type": "fail", "status": status, "times": 1}]), plain);
        assert_eq!((kind(&task), task.attempts), (Some(expected), 1), "{status}");
    }
    // Broken before the first word: tried again.
    for fault in ["disconnect", "truncate"] {
        let faults = json!([{"type": "stream_fault", "kind": fault, "after_chunks": 0}]);
        let task = llmock.under(faults, streamed);
        assert_eq!((kind(&task), task.attempts), (None, 2), "{fault}");
    }
    let stall = json!([{"type": "stream_fault", "kind": "stall", "after_chunks": 3,
        "stall_seconds": 5}]);
    let task = llmock.under(stall, streamed);
    assert_eq!(kind(&task), Some(ErrorKind::Timeout));
    assert!(task.error.unwrap().partial().is_some());
    let slow = json!([{"type": "slow_first_token", "seconds": 1}]);
    assert_eq!(kind(&llmock.under(slow, streamed)), None);
    let delay = json!([{"type": "delay", "seconds": 1}]);
    assert_eq!(kind(&llmock.under(delay, plain)), None);
    let reply = json!([{"type": "reply", "text": "\u{e4} \u{1F600} \"x\""}]);
    for change in [plain, streamed] {
        let task = llmock.under(reply.clone(), change);
        assert_eq!(task.result.as_deref(), Some("\u{e4} \u{1F600} \"x\""));
    }
    for fault in ["malformed_arguments", "unknown_tool"] {
        for stream in [false, true] {
            let faults = json!([{"type": "tool_fault", "kind": fault}]);
            let change =
                |request| if stream { streamed(with_tool(request)) } else { with_tool(request) };
            let task = llmock.under(faults, change);
            assert_eq!(kind(&task), None, "{fault}");
            assert!(task.attempts >= 2);
        }
    }
    assert_eq!(llmock.findings(), Vec::<String>::new());
}

/// Where the judge's rules and ours differ, on purpose.
#[test]
fn llmock_s_other_findings_are_our_choices() {
    let Some(address) = judge("AUTOMATION_ASSISTANT_LLMOCK_CHOICES") else { return };
    let mut llmock = Llmock::new(&address);
    // A spent budget is a 429 that no retry mends; the judge looks at the status alone.
    let quota = json!([{"type": "fail", "status": 429, "code": "insufficient_quota"}]);
    let task = llmock.under(quota, plain);
    assert_eq!((kind(&task), task.attempts), (Some(ErrorKind::QuotaExceeded), 1));
    // Once text was handed to the user, the task fails and keeps it: a retry would say
    // everything twice. The judge sees only that nobody asked again.
    let cases = [
        ("truncate", ErrorKind::Truncated),
        ("disconnect", ErrorKind::Truncated),
        ("malformed", ErrorKind::Protocol),
    ];
    for (fault, expected) in cases {
        let faults = json!([{"type": "stream_fault", "kind": fault, "after_chunks": 3}]);
        let task = llmock.under(faults, streamed);
        assert_eq!((kind(&task), task.attempts), (Some(expected), 1), "{fault}");
        assert!(task.error.unwrap().partial().is_some(), "{fault}");
    }
    let mut findings = llmock.findings();
    findings.sort();
    let expected = ["gave_up", "gave_up", "malformed_chunk_ignored", "truncated_stream_accepted"];
    assert_eq!(findings, expected);
}

/// Every request that can be built, against the contract: prism answers what it accepts with
/// the contract's own examples, and refuses the rest with 422.
#[test]
fn prism_accepts_every_request() {
    let Some(address) = judge("AUTOMATION_ASSISTANT_PRISM") else { return };
    let manager = AutomationAssistantManager::new(2);
    let config = || {
        HelperConfig::chatgpt()
            .api_endpoint(format!("http://{address}"))
            .api_key("sk-contract")
            .max_retries(0)
    };
    let bare = manager.spawn_helper(config()).unwrap();
    let full = config()
        .system_prompt("be brief")
        .organization("org-1")
        .project("proj-1")
        .custom_param("temperature", 0.7)
        .custom_param("max_completion_tokens", 100)
        .custom_param("seed", 7)
        .custom_param("stop", json!(["\n"]));
    let full = manager.spawn_helper(full).unwrap();
    let schema = json!({"type": "object", "properties": {"n": {"type": "number"}},
        "required": ["n"], "additionalProperties": false});
    type Change = fn(TaskRequest) -> TaskRequest;
    let changes: [Change; 3] = [plain, streamed, with_tool];
    for helper in [bare, full] {
        for change in changes {
            for with_schema in [false, true] {
                let mut request = TaskRequest::new("how many?")
                    .context("battery", json!({"percent": 12, "states": ["low", null]}))
                    .turn(Role::User, "hello")
                    .turn(Role::Assistant, "hello");
                if with_schema {
                    request = request.reply_schema("count", schema.clone());
                }
                let id = manager.submit_task(helper, change(request)).unwrap();
                let task = manager.wait_task(helper, id, LONG).unwrap();
                assert_eq!(kind(&task), None, "{:?}", task.error);
            }
        }
    }
    // The judge does refuse: this request is bad, and the test would notice.
    let bad = TaskRequest::new("p").custom_param("temperature", "hot");
    let id = manager.submit_task(bare, bad).unwrap();
    let task = manager.wait_task(bare, id, LONG).unwrap();
    assert_eq!(kind(&task), Some(ErrorKind::InvalidRequest));
    let unknown = TaskRequest::new("p").custom_param("no_such_field", 1);
    let id = manager.submit_task(bare, unknown).unwrap();
    let task = manager.wait_task(bare, id, LONG).unwrap();
    assert_eq!(kind(&task), Some(ErrorKind::InvalidRequest));
}

/// What goes back to the model after a tool call keeps to the contract too: prism stands
/// between us and a server that calls tools.
#[test]
fn prism_accepts_what_follows_a_tool_call() {
    let Some(address) = judge("AUTOMATION_ASSISTANT_PRISM_PROXY") else { return };
    let manager = AutomationAssistantManager::new(1);
    let config = HelperConfig::chatgpt()
        .api_endpoint(format!("http://{address}"))
        .api_key("sk-contract")
        .max_retries(0);
    let helper = manager.spawn_helper(config).unwrap();
    let id = manager.submit_task(helper, with_tool(TaskRequest::new("weather?"))).unwrap();
    let task = manager.wait_task(helper, id, LONG).unwrap();
    assert_eq!((kind(&task), task.attempts), (None, 2), "{:?}", task.error);
}
